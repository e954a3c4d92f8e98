"""Reductions and cumulative functions against the oracle: values, indices and gradients."""

import jax
import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.kernels import cumulative, reduce
from tests.kernels.against_oracle import check

NAN, INF = np.nan, np.inf


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


DATA = normal(3, 4, 5)
WITH_NAN = np.where(np.random.RandomState(1).rand(3, 4, 5) < 0.2, np.float32(NAN), DATA)
INTEGERS = np.random.RandomState(2).randint(-4, 5, (3, 4, 5))
COMPLEX = (normal(3, 4) + 1j * normal(3, 4, seed=1)).astype(np.complex64)
KINKS = {
    "ties": np.array([1, 3, 3, 2, 3], np.float32),
    "nans": np.array([1, NAN, 3, NAN], np.float32),
    "two zeros": np.array([0, 0, 2], np.float32),
    "one zero": np.array([0, 2, 3], np.float32),
    "all -inf": np.array([-INF, -INF], np.float32),
    "both inf": np.array([-INF, 1, INF], np.float32),
    "one value": np.array([5], np.float32),
    "equal": np.array([2, 2, 2, 2], np.float32),
}
ALL = (0,)

# (kernel, statics, oracle): each runs over all of KINKS, which are 1-d.
ON_KINKS = [
    (reduce.sum, {"dim": ALL, "keepdim": False}, lambda x: x.sum(0)),
    (reduce.nansum, {"dim": ALL, "keepdim": False}, lambda x: x.nansum(0)),
    (reduce.nanmean, {"dim": ALL, "keepdim": False}, lambda x: x.nanmean(0)),
    (reduce.prod, {"dim": ALL, "keepdim": False}, lambda x: x.prod()),
    (reduce.amax, {"dim": ALL, "keepdim": False}, lambda x: x.amax(0)),
    (reduce.amin, {"dim": ALL, "keepdim": True}, lambda x: x.amin(0, True)),
    (reduce.aminmax, {"dim": ALL, "keepdim": False}, lambda x: torch.aminmax(x, dim=0)),
    (reduce.max_all, {}, lambda x: x.max()),
    (reduce.min_all, {}, lambda x: x.min()),
    (reduce.max, {"dim": 0, "keepdim": False}, lambda x: x.max(0)),
    (reduce.min, {"dim": 0, "keepdim": True}, lambda x: x.min(0, True)),
    (reduce.argmax, {"dim": None, "keepdim": False}, lambda x: x.argmax()),
    (reduce.argmin, {"dim": 0, "keepdim": True}, lambda x: x.argmin(0, True)),
    (reduce.any, {"dim": ALL, "keepdim": False}, lambda x: x.any(0)),
    (reduce.all, {"dim": ALL, "keepdim": False}, lambda x: x.all(0)),
    (reduce.count_nonzero, {"dim": ALL}, lambda x: x.count_nonzero(0)),
    (reduce.logsumexp, {"dim": ALL, "keepdim": False}, lambda x: x.logsumexp(0)),
    (cumulative.cumsum, {"dim": 0}, lambda x: x.cumsum(0)),
    (cumulative.cumprod, {"dim": 0}, lambda x: x.cumprod(0)),
    (cumulative.cummax, {"dim": 0}, lambda x: x.cummax(0)),
    (cumulative.cummin, {"dim": 0}, lambda x: x.cummin(0)),
    (cumulative.logcumsumexp, {"dim": 0}, lambda x: x.logcumsumexp(0)),
    (cumulative.diff, {"n": 1, "dim": 0}, lambda x: x.diff(dim=0)),
    (
        reduce.var,
        {"dim": ALL, "keepdim": False, "correction": 0},
        lambda x: torch.var(x, 0, correction=0),
    ),
    (
        reduce.std,
        {"dim": ALL, "keepdim": False, "correction": 0},
        lambda x: torch.std(x, 0, correction=0),
    ),
]


@pytest.mark.parametrize("kind", KINKS)
@pytest.mark.parametrize("row", ON_KINKS, ids=lambda row: row[0].__name__)
def test_kinks(row, kind):
    kernel, statics, oracle = row
    check(kernel, oracle, (KINKS[kind],), statics)


def reduction(kernel, oracle, dim, x=DATA, **statics):
    keepdim = statics.setdefault("keepdim", False)
    name = f"{kernel.__name__}-{x.dtype}-{x.ndim}d-{dim}-{statics}"
    axes = tuple(range(x.ndim)) if dim is None else dim
    return pytest.param(
        kernel, lambda t: oracle(t, dim, keepdim), x, {"dim": axes, **statics}, id=name
    )


TABLE = [
    reduction(reduce.sum, lambda t, d, k: t.sum(d, k), (0, 2)),
    reduction(reduce.sum, lambda t, d, k: t.sum(d, k), (1,), keepdim=True),
    reduction(reduce.sum, lambda t, d, k: t.sum(), None, INTEGERS.astype(np.int32)),
    reduction(reduce.sum, lambda t, d, k: t.sum(), None, INTEGERS > 0),
    reduction(reduce.sum, lambda t, d, k: t.sum(d), (1,), COMPLEX),
    reduction(
        reduce.sum,
        lambda t, d, k: t.sum(d, dtype=torch.float64),
        (1,),
        INTEGERS,
        dtype=np.dtype(np.float64),
    ),
    reduction(
        reduce.sum,
        lambda t, d, k: t.sum(d, dtype=torch.float64),
        (1,),
        DATA,
        dtype=np.dtype(np.float64),
    ),
    reduction(
        reduce.sum,
        lambda t, d, k: t.sum(d, dtype=torch.int8),
        None,
        INTEGERS * 50,
        dtype=np.dtype(np.int8),
    ),
    reduction(reduce.mean, lambda t, d, k: t.mean(d, k), (0, 2), keepdim=True),
    reduction(reduce.mean, lambda t, d, k: t.mean(), None, normal()),
    reduction(reduce.mean, lambda t, d, k: t.mean(d), (1,), COMPLEX),
    reduction(reduce.mean, lambda t, d, k: t.mean(d), (0,), np.zeros((0, 2), np.float32)),
    reduction(reduce.nansum, lambda t, d, k: t.nansum(d, k), (0, 2), WITH_NAN),
    reduction(reduce.nanmean, lambda t, d, k: t.nanmean(d, k), (1,), WITH_NAN, keepdim=True),
    reduction(reduce.prod, lambda t, d, k: t.prod(1, k), (1,)),
    reduction(reduce.prod, lambda t, d, k: t.prod(1), (1,), COMPLEX),
    reduction(reduce.prod, lambda t, d, k: t.prod(), None, INTEGERS[0].astype(np.uint8)),
    reduction(reduce.prod, lambda t, d, k: t.prod(0), (0,), INTEGERS.astype(np.float32)),
    reduction(reduce.amax, lambda t, d, k: t.amax(d, k), (0, 2)),
    reduction(reduce.amin, lambda t, d, k: t.amin(d, k), (1, 2), INTEGERS, keepdim=True),
    reduction(reduce.amax, lambda t, d, k: t.amax(d, k), (1,), INTEGERS > 0),
    reduction(reduce.amax, lambda t, d, k: t.amax(d, k), (1, 2), INTEGERS.astype(np.float64)),
    reduction(reduce.any, lambda t, d, k: t.any(d, k), (1, 2), INTEGERS, keepdim=True),
    reduction(reduce.all, lambda t, d, k: t.all(d, k), (1,), INTEGERS.astype(np.uint8)),
    reduction(reduce.all, lambda t, d, k: t.all(), None, np.zeros((0,), bool)),
    reduction(reduce.any, lambda t, d, k: t.any(1), (1,), COMPLEX),
    reduction(reduce.logsumexp, lambda t, d, k: t.logsumexp(d, k), (0, 2), keepdim=True),
    reduction(reduce.logsumexp, lambda t, d, k: t.logsumexp(d, k), (1,), INTEGERS),
    reduction(
        reduce.logsumexp, lambda t, d, k: t.logsumexp(d, k), (0,), np.zeros((0, 2), np.float32)
    ),
    reduction(reduce.logsumexp, lambda t, d, k: t.logsumexp(d, k), (0,), DATA * 1000),
]
for correction in (0, 1, 2.5):

    def oracle(name, correction=correction):
        return lambda t, d, k: getattr(torch, name)(t, d, correction=correction, keepdim=k)

    TABLE += [
        reduction(reduce.var, oracle("var"), (0, 2), correction=correction),
        reduction(reduce.std, oracle("std"), (1,), correction=correction, keepdim=True),
        reduction(reduce.std_mean, oracle("std_mean"), None, correction=correction),
        reduction(reduce.var_mean, oracle("var_mean"), (1,), COMPLEX, correction=correction),
    ]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("kernel, oracle, x, statics", TABLE)
def test_reduction(kernel, oracle, x, statics):
    check(kernel, oracle, (x,), statics)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("correction", [1, 3])
def test_variance_without_degrees_of_freedom(correction):
    one = np.array([[1.0], [2.0]], np.float32)
    statics = {"dim": (1,), "correction": correction, "keepdim": False}
    check(reduce.var, lambda t: t.var(1, correction=correction), (one,), statics)
    check(reduce.std, lambda t: t.std(1, correction=correction), (one,), statics)


def test_count_nonzero():
    check(reduce.count_nonzero, lambda t: t.count_nonzero((0, 2)), (INTEGERS,), {"dim": (0, 2)})


ONE_AXIS = [
    (reduce.max, lambda t, d: t.max(d), {"keepdim": False}),
    (reduce.min, lambda t, d: t.min(d, True), {"keepdim": True}),
    (reduce.argmax, lambda t, d: t.argmax(d), {"keepdim": False}),
    (reduce.argmin, lambda t, d: t.argmin(d, True), {"keepdim": True}),
    (cumulative.cumsum, lambda t, d: t.cumsum(d), {}),
    (cumulative.cumprod, lambda t, d: t.cumprod(d), {}),
    (cumulative.cummax, lambda t, d: t.cummax(d), {}),
    (cumulative.cummin, lambda t, d: t.cummin(d), {}),
]


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(
    "x", [DATA, INTEGERS, INTEGERS.astype(np.uint8), WITH_NAN.astype(np.float64), normal()],
    ids=["float32", "int64", "uint8", "nan-float64", "0d"],
)  # fmt: skip
@pytest.mark.parametrize("row", ONE_AXIS, ids=lambda row: row[0].__name__)
def test_one_axis(row, x, dim):
    kernel, oracle, statics = row
    dim = dim if x.ndim else 0
    check(kernel, lambda t: oracle(t, dim), (x,), {"dim": dim, **statics})


def test_argmax_of_all_and_booleans():
    check(reduce.argmax, lambda t: t.argmax(), (DATA,), {"dim": None, "keepdim": False})
    kept = {"dim": None, "keepdim": True}
    check(reduce.argmin, lambda t: t.argmin(keepdim=True), (INTEGERS,), kept)
    mask = INTEGERS > 1
    check(reduce.max, lambda t: t.max(1), (mask,), {"dim": 1, "keepdim": False})
    check(reduce.min_all, lambda t: t.min(), (mask,))
    check(cumulative.cummax, lambda t: t.cummax(1), (mask,), {"dim": 1})
    check(cumulative.cumsum, lambda t: t.cumsum(1), (mask,), {"dim": 1})


def test_cumulative_more():
    check(cumulative.cumsum, lambda t: t.cumsum(1), (COMPLEX,), {"dim": 1})
    check(cumulative.cumprod, lambda t: t.cumprod(1), (COMPLEX,), {"dim": 1})
    zeros = INTEGERS.astype(np.float32)
    check(cumulative.cumprod, lambda t: t.cumprod(1), (zeros,), {"dim": 1})
    check(cumulative.logcumsumexp, lambda t: t.logcumsumexp(2), (DATA * 30,), {"dim": 2})
    check(cumulative.diff, lambda t: t.diff(n=2, dim=1), (DATA,), {"n": 2, "dim": 1})
    check(cumulative.diff, lambda t: t.diff(n=9, dim=1), (DATA,), {"n": 9, "dim": 1})
    check(cumulative.diff, lambda t: t.diff(dim=1), (INTEGERS > 0,), {"n": 1, "dim": 1})


@pytest.mark.parametrize(
    "name, kernel, statics",
    [
        ("sum", reduce.sum, {"dim": (0,), "keepdim": False}),
        ("mean", reduce.mean, {"dim": (0,), "keepdim": False}),
        ("var", reduce.var, {"dim": (0,), "keepdim": False, "correction": 1}),
        ("logsumexp", reduce.logsumexp, {"dim": (0,), "keepdim": False}),
        ("amax", reduce.amax, {"dim": (0,), "keepdim": False}),
        ("cumsum", cumulative.cumsum, {"dim": 0}),
    ],
)
@pytest.mark.parametrize("narrow", [ml_dtypes.bfloat16, np.float16])
def test_narrow_floats_accumulate_in_float32(name, kernel, statics, narrow):
    x = normal(4000).astype(narrow)
    ours = np.asarray(jax.jit(lambda a: kernel(a, **statics))(x))
    theirs = torch.from_numpy(x.astype(np.float32))
    theirs = theirs.to(torch.bfloat16 if narrow is ml_dtypes.bfloat16 else torch.float16)
    arguments = {} if name == "var" else {"dim": 0}
    expected = getattr(theirs, name)(**arguments)
    assert ours.dtype == narrow
    tolerance = float(ml_dtypes.finfo(narrow).eps)
    np.testing.assert_allclose(
        ours.astype(np.float32), expected.to(torch.float32), rtol=tolerance, atol=tolerance
    )


def test_long_float32_sum_is_accurate():
    x = np.full(4_000_000, 0.1, np.float32)
    total = jax.jit(lambda a: reduce.sum(a, dim=(0,), keepdim=False))(x)
    np.testing.assert_allclose(total, 4_000_000 * float(np.float32(0.1)), rtol=1e-6)
