"""Special functions against the oracle: values and gradients, at their poles, too."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.kernels import special

from .against_oracle import check

NAN, INFINITY = float("nan"), float("inf")
LINE = [-20.5, -7.5, -3.3, -1, -0.5, -0.0, 0, 1e-3, 0.3, 1, 1.0001, 2, 2.5, 8, 30, NAN]
POSITIVE = [1e-3, 0.3, 1, 1.0001, 2, 2.5, 8, 30, 1e10]
UNIT = [0, 1e-5, 0.3, 0.5, 0.9, 0.99999, 1, 2, NAN]

ONE_ARGUMENT = [
    (special.erf, torch.erf, LINE, {}),
    (special.erfc, torch.erfc, LINE, {}),
    (special.erfinv, torch.erfinv, [-2, -1, *UNIT], {}),
    (special.erfcx, torch.special.erfcx, [-3.3, *LINE[3:]], {}),
    (special.ndtr, torch.special.ndtr, LINE[2:], {}),
    (special.ndtri, torch.special.ndtri, UNIT, {}),
    (special.log_ndtr, torch.special.log_ndtr, LINE, {}),
    (special.lgamma, torch.lgamma, [-0.5, *POSITIVE], {}),
    (special.mvlgamma, lambda x: torch.mvlgamma(x, 3), [1.1, 2, 8], {"p": 3}),
    (special.digamma, torch.digamma, [-7.5, -0.5, *POSITIVE], {}),
    (special.polygamma, lambda x: torch.polygamma(0, x), POSITIVE, {"n": 0}),
    (
        special.polygamma,
        lambda x: torch.polygamma(1, x),
        [-7.5, -0.3, INFINITY, *POSITIVE],
        {"n": 1},
    ),
    (special.polygamma, lambda x: torch.polygamma(2, x), [-7.5, -0.3, *POSITIVE], {"n": 2}),
    (special.polygamma, lambda x: torch.polygamma(5, x), POSITIVE[1:-1], {"n": 5}),
    (special.i0, torch.special.i0, LINE, {}),
    (special.i0e, torch.special.i0e, LINE, {}),
    (special.i1, torch.special.i1, LINE, {}),
    (special.i1e, torch.special.i1e, LINE, {}),
    (special.logit, torch.logit, [-1, *UNIT], {"eps": None}),
    (special.logit, lambda x: torch.logit(x, 0.1), [-1, 0.1, *UNIT[:-1]], {"eps": 0.1}),
    (special.sinc, torch.sinc, LINE, {}),
    (special.entr, torch.special.entr, LINE, {}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("row", ONE_ARGUMENT, ids=lambda r: r[0].__name__)
def test_function(row, dtype):
    kernel, oracle, values, statics = row
    # float32: some of PyTorch's own values are only good to some 1e-5 (digamma at -7.5).
    tolerance = {"rtol": 2e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-9}
    check(kernel, oracle, [np.array(values, dtype)], statics, **tolerance)


X = [0, 0, 0, 1, 1, 0, 2, 0.5, NAN]
TWO_ARGUMENTS = [
    (special.xlogy, torch.xlogy, X, [0, -1, NAN, 0, -1, 1, 3, 0.1, 1]),
    (special.xlog1py, torch.special.xlog1py, X, [-1, -2, NAN, -1, -2, 1, 3, 0.1, 1]),
]


@pytest.mark.parametrize("row", TWO_ARGUMENTS, ids=lambda r: r[0].__name__)
def test_logarithm_times_number(row):
    kernel, oracle, x, y = row
    x, y = np.array(x, np.float32), np.array(y, np.float32)
    check(kernel, oracle, [x, y])
    check(kernel, oracle, [x[7:8, None], np.abs(y[:2]) + 1])


SHAPES = np.array([0, 0, 1, -1, 1, INFINITY, 1, INFINITY, 0.06, 3, 12, 200], np.float32)
POINTS = np.array([0, 1, 0, 1, -1, 1, INFINITY, INFINITY, 0.8, 2.5, 5, 190], np.float32)


def test_incomplete_gamma():
    for kernel, oracle in ((special.igamma, torch.igamma), (special.igammac, torch.igammac)):
        check(kernel, oracle, [SHAPES, POINTS], grad=False)
        arrays = tuple(map(jnp.asarray, (SHAPES[8:], POINTS[8:])))
        rule = getattr(special, kernel.__name__ + "_vjp")
        x = torch.tensor(POINTS[8:], requires_grad=True)
        oracle(torch.tensor(SHAPES[8:]), x).sum().backward()
        ones = (jnp.ones(4, jnp.float32),)
        found = rule(ones, arrays, (kernel(*arrays),), (False, True))[1]
        np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-5)


def test_zeta():
    x = np.array([2, 1, 0.5, 2, 2, 2.5, 3.5, 2, 7], np.float64)
    q = np.array([0, 3, 3, -1, -1.5, -1.5, 0.2, 30, 1], np.float64)
    check(special.zeta, torch.special.zeta, [x, q], grad=False, rtol=1e-12)


@pytest.mark.parametrize("kernel", [special.polygamma, special.lgamma, special.i1e])
def test_second_derivatives(kernel):
    """The rules can be differentiated again."""
    statics = {"n": 1} if kernel is special.polygamma else {}
    rule = getattr(special, kernel.__name__ + "_vjp")
    one = (jnp.ones(()),)

    def slope(x):
        return rule(one, (x,), (kernel(x, **statics),), (True,), **statics)[0]

    x, h = jnp.asarray(1.3), 1e-5
    expected = (slope(x + h) - slope(x - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(slope)(x), expected, rtol=1e-6)


def test_narrow_types_are_computed_wide():
    x = jnp.asarray([0.3, 1.1, 7.7], ml_dtypes.bfloat16)
    for kernel, oracle in ((special.lgamma, torch.lgamma), (special.erf, torch.erf)):
        theirs = oracle(torch.tensor([0.3, 1.1, 7.7], dtype=torch.bfloat16)).float()
        ours = kernel(x)
        assert ours.dtype == x.dtype
        np.testing.assert_array_equal(np.asarray(ours, np.float32), theirs.numpy())
