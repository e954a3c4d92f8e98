"""Normalisations against the oracle: outputs, running statistics, gradients."""

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import norm
from tests.kernels.checking import assert_same, check, normal, to_torch

BF16 = ml_dtypes.bfloat16
# Far from zero, where a one-pass variance fails.
SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 3, 2)]


def shifted(*shape, seed=0, dtype=np.float32):
    return (normal(*shape, seed=seed, dtype=np.float64) + 3).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_batch_norm(shape, dtype):
    weight, bias = normal(3, seed=1, dtype=dtype), normal(3, seed=2, dtype=dtype)
    mean, var = normal(3, seed=3, dtype=dtype), np.abs(normal(3, seed=4, dtype=dtype)) + 0.5

    def train(x, w, b, m, v, momentum):
        m, v = m.detach().clone(), v.detach().clone()
        return F.batch_norm(x, m, v, w, b, True, 0.3, 1e-4), m, v

    momentum = np.asarray(0.3, dtype)
    check(
        norm.batch_norm_train,
        train,
        (shifted(*shape, dtype=dtype), weight, bias, mean, var, momentum),
        {"eps": 1e-4},
        forward=norm.batch_norm_train_forward,
        vjp=norm.batch_norm_train_vjp,
        differentiable=[True, True, True, False, False, False],
    )
    check(
        norm.batch_norm_eval,
        lambda x, w, b, m, v: F.batch_norm(x, m.detach(), v.detach(), w, b, False, 0.3, 1e-4),
        (shifted(*shape, dtype=dtype), weight, bias, mean, var),
        {"eps": 1e-4},
        differentiable=[True, True, True, False, False],
    )


def test_batch_norm_without_parameters():
    check(
        norm.batch_norm_train,
        lambda x, *_: F.batch_norm(x, None, None, training=True),
        (shifted(4, 3, 5), None, None, None, None, None),
        {"eps": 1e-5},
        forward=norm.batch_norm_train_forward,
        vjp=norm.batch_norm_train_vjp,
    )


def test_batch_norm_mixed_types():
    x, weight, bias = shifted(4, 3, 5, dtype=BF16), normal(3, seed=1), normal(3, seed=2)
    y, mean, var = norm.batch_norm_train(
        x, weight, bias, np.zeros(3, np.float32), np.ones(3, np.float32), np.float32(0.1), eps=1e-5
    )
    running_mean, running_var = torch.zeros(3), torch.ones(3)
    given = map(to_torch, (x, weight, bias))
    x, weight, bias = given
    theirs = F.batch_norm(x, running_mean, running_var, weight, bias, True)
    assert_same(y, theirs)
    assert_same(mean, running_mean)
    assert_same(var, running_var)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=str)
@pytest.mark.parametrize(("shape", "count"), [((4, 5), 1), ((2, 3, 4, 5), 2), ((3, 4), 2)])
def test_layer_norm(dtype, shape, count):
    last = shape[-count:]
    arrays = (
        shifted(*shape, dtype=dtype),
        normal(*last, seed=1, dtype=dtype),
        normal(*last, seed=2, dtype=dtype),
    )
    for parameters in (arrays, (arrays[0], None, None)):
        check(
            norm.layer_norm,
            lambda x, w, b: F.layer_norm(x, last, w, b, 1e-5),
            parameters,
            {"axes_count": count, "eps": 1e-5},
            # 16-bit: the oracle's gradients round at other places.
            tolerance=3e-2 if dtype == BF16 else None,
            forward=norm.layer_norm_forward,
            vjp=norm.layer_norm_vjp,
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=str)
@pytest.mark.parametrize("eps", [None, 1e-3])
def test_rms_norm(dtype, eps):
    small = (normal(4, 5) * 1e-3).astype(dtype)
    check(
        norm.rms_norm,
        lambda x, w: F.rms_norm(x, (5,), w, eps),
        (small, normal(5, seed=1, dtype=dtype)),
        {"axes_count": 1, "eps": eps},
        tolerance=3e-2 if dtype == BF16 else 2e-5 if dtype == np.float32 else None,
    )


@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 5), (2, 6, 3, 4)], ids=str)
def test_group_norm(shape):
    arrays = (shifted(*shape), normal(6, seed=1), normal(6, seed=2))
    for parameters in (arrays, (arrays[0], None, None)):
        check(
            norm.group_norm,
            lambda x, w, b: F.group_norm(x, 2, w, b),
            parameters,
            {"groups": 2, "eps": 1e-5},
            forward=norm.group_norm_forward,
            vjp=norm.group_norm_vjp,
            tolerance=2e-5,
        )


def test_instance_norm():
    def train(x, w, b, m, v, momentum):
        m, v = m.detach().clone(), v.detach().clone()
        return F.instance_norm(x, m, v, w, b, True, 0.1, 1e-5), m, v

    check(
        norm.instance_norm,
        train,
        (
            shifted(2, 3, 4, 5),
            normal(3, seed=1),
            normal(3, seed=2),
            normal(3, seed=3),
            np.ones(3, np.float32),
            np.float32(0.1).reshape(()),
        ),
        {"eps": 1e-5},
        forward=norm.instance_norm_forward,
        vjp=norm.instance_norm_vjp,
        differentiable=[True, True, True, False, False, False],
        tolerance=2e-5,
    )


@pytest.mark.parametrize("size", [2, 3])
def test_local_response_norm(size):
    check(
        norm.local_response_norm,
        lambda x: F.local_response_norm(x, size, 1e-2, 0.75, 1.5),
        (normal(2, 5, 3, 3),),
        {"size": size, "alpha": 1e-2, "beta": 0.75, "k": 1.5},
    )
