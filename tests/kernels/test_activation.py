"""Activations against the oracle, kinks, infinities and NaN included."""

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import activation
from tests.kernels.checking import check, normal

KINKS = [0.0, -0.0, 0.5, -0.5, 1, -1, 3, -3, 6, 19.5, 20.5, -20.5, 88, -88]
BF16 = ml_dtypes.bfloat16
SELU = {
    "alpha": activation.SELU_ALPHA,
    "scale": activation.SELU_SCALE,
    "input_scale": 1.0,
}
CELU = {"alpha": 0.7, "scale": 1.0, "input_scale": 1 / 0.7}

# name, oracle, statics, further points: NaN and infinities where the oracle's answer is its formula
ROWS = [
    ("relu", F.relu, {}, [np.nan, np.inf, -np.inf]),
    ("hardtanh", F.hardtanh, {"min_val": -1.0, "max_val": 1.0}, [np.nan, np.inf, -np.inf]),
    ("hardtanh", F.relu6, {"min_val": 0.0, "max_val": 6.0}, [np.nan, np.inf, -np.inf]),
    ("leaky_relu", F.leaky_relu, {"negative_slope": 0.01}, [np.nan, np.inf, -np.inf]),
    ("threshold", lambda x: F.threshold(x, 0.5, 2), {"threshold": 0.5, "value": 2}, [np.nan]),
    ("hardshrink", F.hardshrink, {"lambd": 0.5}, [np.nan, np.inf]),
    ("softshrink", F.softshrink, {"lambd": 0.5}, [np.nan, np.inf]),
    ("hardsigmoid", F.hardsigmoid, {}, [np.nan, np.inf, -np.inf]),
    ("hardswish", F.hardswish, {}, [np.nan, np.inf]),
    ("elu", F.elu, {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}, [np.nan, np.inf, -np.inf]),
    ("elu", F.selu, SELU, [np.nan, np.inf, -np.inf]),
    ("elu", lambda x: F.celu(x, 0.7), CELU, [np.nan, np.inf, -np.inf]),
    ("softplus", F.softplus, {"beta": 1.0, "threshold": 20.0}, [np.nan, np.inf, -np.inf]),
    ("softplus", lambda x: F.softplus(x, 2, 5), {"beta": 2.0, "threshold": 5.0}, []),
    ("logsigmoid", F.logsigmoid, {}, [np.nan, np.inf]),
    ("silu", F.silu, {}, [np.nan]),
    ("mish", F.mish, {}, [np.nan]),
    ("gelu", F.gelu, {"approximate": "none"}, [np.nan]),
    ("gelu", lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"}, [np.nan]),
    ("softsign", F.softsign, {}, [np.nan]),
    ("tanhshrink", F.tanhshrink, {}, [np.nan, np.inf]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=str)
@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0] + str(r[2]))
def test_pointwise(row, dtype):
    name, oracle, statics, further = row
    x = np.array([*KINKS, *normal(10), *further]).astype(dtype)
    vjp = getattr(activation, name + "_vjp", None)
    # The oracle keeps 1 / 6 and CELU's 1 / alpha in float32 for its float64 gradients, too.
    coarse = dtype == np.float64 and (name == "hardsigmoid" or statics == CELU)
    tolerance = 1e-7 if coarse else None
    check(getattr(activation, name), oracle, (x,), statics, tolerance, vjp=vjp)


@pytest.mark.parametrize("shape", [(1,), (3,)])
def test_prelu(shape):
    x = normal(2, 3, 4)
    check(
        lambda x, w: activation.prelu(x, w.reshape(shape[0], 1)),
        F.prelu,
        (x, normal(*shape, seed=1)),
    )


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_glu(dim):
    check(activation.glu, lambda x: F.glu(x, dim), (normal(2, 4, 6),), {"dim": dim})


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=str)
@pytest.mark.parametrize(("shape", "dim"), [((3, 5), 1), ((3, 5, 2), 1), ((), 0), ((0, 3), 1)])
def test_softmax_family(name, dtype, shape, dim):
    x = np.asarray(normal(*shape) * 4).astype(dtype)
    check(
        getattr(activation, name),
        lambda x: getattr(F, name)(x, dim),
        (x,),
        {"dim": dim},
        vjp=getattr(activation, name + "_vjp"),
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_conversion_and_infinite_rows(name):
    x = np.array([[0.0, -np.inf, 1.0], [-np.inf] * 3, [np.inf, 0, 1]], np.float32)
    check(getattr(activation, name), lambda x: getattr(F, name)(x, 1), (x[:1],), {"dim": 1})
    ours = np.asarray(getattr(activation, name)(x, dim=1))
    np.testing.assert_allclose(ours, getattr(F, name)(torch.from_numpy(x), 1), rtol=1e-6)
    check(
        getattr(activation, name),
        lambda x: getattr(F, name)(x, 1, dtype=torch.float64),
        (normal(3, 4),),
        {"dim": 1, "dtype": np.dtype(np.float64)},
        tolerance=1e-6,
        vjp=getattr(activation, name + "_vjp"),
    )
