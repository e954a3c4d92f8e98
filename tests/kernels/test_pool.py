"""Pooling against the oracle: values, winners, divisors, gradients."""

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import pool
from tests.kernels.checking import check, normal

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}

# shape, kernel, stride, padding, dilation, ceil_mode
MAX_ROWS = [
    ((2, 3, 9), (3,), (2,), (1,), (1,), False),
    ((2, 3, 6, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((3, 6, 7), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((2, 3, 7, 8), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 3, 8, 9), (3, 2), (1, 2), (1, 0), (2, 3), True),
    ((1, 2, 14, 15), (9, 9), (2, 3), (4, 2), (1, 1), True),
    ((1, 2, 5, 6, 7), (2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 2, 1), False),
]


def tied(*shape):
    """Small integers with NaN, infinities and many ties."""
    x = np.round(normal(*shape) * 2).astype(np.float32)
    x.flat[::17] = np.nan
    x.flat[5::13] = -np.inf
    x[..., :3] = -np.inf
    return x


@pytest.mark.parametrize("row", MAX_ROWS, ids=str)
@pytest.mark.parametrize("values", [normal, tied])
def test_max_pool(row, values):
    shape, *statics = row
    names = ("kernel", "stride", "padding", "dilation", "ceil_mode")
    oracle = MAX[len(row[1])]
    check(
        pool.max_pool_with_indices,
        lambda x: oracle(x, *statics, return_indices=True),
        (values(*shape),),
        dict(zip(names, statics, strict=True)),
        vjp=pool.max_pool_with_indices_vjp,
        forward=pool.max_pool_with_indices_forward,
    )
    check(
        pool.max_pool,
        lambda x: oracle(x, *statics),
        (values(*shape),),
        dict(zip(names, statics, strict=True)),
        vjp=pool.max_pool_vjp,
        forward=pool.max_pool_forward,
    )


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, ml_dtypes.bfloat16, np.float64])
def test_max_pool_dtypes(dtype):
    x = np.arange(32).reshape(1, 2, 4, 4).astype(dtype)
    statics = {
        "kernel": (2, 2),
        "stride": (1, 1),
        "padding": (1, 1),
        "dilation": (1, 1),
        "ceil_mode": False,
    }
    check(pool.max_pool, lambda x: F.max_pool2d(x, 2, 1, 1), (x,), statics)


# shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
AVG_ROWS = [
    ((2, 3, 9), (3,), (2,), (1,), False, True, None),
    ((2, 3, 6, 7), (2, 2), (2, 2), (0, 0), False, True, None),
    ((3, 6, 7), (2, 2), (2, 2), (0, 0), True, True, None),
    ((2, 3, 7, 8), (3, 3), (2, 2), (1, 1), True, True, None),
    ((2, 3, 7, 8), (3, 2), (2, 1), (1, 1), True, False, None),
    ((2, 3, 7, 8), (3, 2), (2, 1), (1, 1), False, True, 5),
    ((1, 2, 70, 3), (66, 1), (1, 1), (2, 0), False, True, None),
    ((1, 2, 5, 6, 7), (2, 3, 2), (2, 1, 2), (1, 1, 0), True, False, None),
]


@pytest.mark.parametrize("row", AVG_ROWS, ids=str)
def test_avg_pool(row):
    shape, *statics = row
    names = (
        "kernel",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    )
    oracle = AVG[len(row[1])]
    given = statics if len(row[1]) > 1 else statics[:-1]
    statics = dict(zip(names, statics, strict=True))
    check(pool.avg_pool, lambda x: oracle(x, *given), (normal(*shape),), statics)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 3, 7), (3,)),
        ((2, 3, 6, 8), (3, 4)),
        ((2, 3, 6, 8), (1, 1)),
        ((2, 3, 7, 5), (3, 7)),
        ((2, 4, 5, 6), (3, 2, 4)),
    ],
)
def test_adaptive(shape, size):
    rank, statics = len(size), {"output_size": size}
    check(
        pool.adaptive_avg_pool,
        lambda x: ADAPTIVE_AVG[rank](x, size),
        (normal(*shape),),
        statics,
    )
    for values in (normal, tied):
        check(
            pool.adaptive_max_pool,
            lambda x: ADAPTIVE_MAX[rank](x, size, return_indices=True),
            (values(*shape),),
            statics,
            vjp=pool.adaptive_max_pool_vjp,
        )


def test_bfloat16_average():
    x = normal(1, 2, 6, 6, dtype=ml_dtypes.bfloat16)
    check(
        pool.adaptive_avg_pool, lambda x: F.adaptive_avg_pool2d(x, 3), (x,), {"output_size": (3, 3)}
    )


def test_unpool():
    x = torch.from_numpy(normal(2, 3, 6, 6))
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    check(
        pool.max_unpool,
        lambda v, i: F.max_unpool2d(v, i, 2),
        (values.numpy(), indices.numpy()),
        {"sizes": (6, 6)},
    )


def test_unfold_and_fold():
    statics = {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)}
    given = ((2, 3), (2, 1), (1, 0), (1, 2))
    check(pool.unfold, lambda x: F.unfold(x, *given), (normal(2, 3, 6, 7),), statics)
    check(
        pool.fold,
        lambda x: F.fold(x, (6, 7), *given),
        (normal(2, 18, 18),),
        {"output_size": (6, 7), **statics},
    )
