"""Sorting, top k and order statistics against the oracle: values, indices and gradients."""

import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.kernels import sort
from tests.kernels.against_oracle import check

NAN, INF = np.nan, np.inf
RANDOM = np.random.RandomState(0)
DATA = RANDOM.standard_normal((3, 7, 4)).astype(np.float32)
WITH_NAN = np.where(RANDOM.rand(3, 7, 4) < 0.2, np.float32(NAN), DATA)
TIES = RANDOM.randint(-2, 3, (3, 7, 4)).astype(np.float32)
SPECIAL = np.array([0.0, -0.0, INF, -1, NAN, -INF, 1e-40, -NAN, 0.0, 1], np.float32)
INTEGERS = RANDOM.randint(-(2**31), 2**31, (3, 7, 4))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    "x",
    [
        DATA,
        WITH_NAN,
        TIES,
        SPECIAL,
        DATA.astype(np.float64),
        SPECIAL.astype(np.float64),
        TIES.astype(np.float16),
        INTEGERS,
        INTEGERS.astype(np.int32),
        INTEGERS.astype(np.int8),
        INTEGERS.astype(np.uint8),
        TIES > 0,
        np.float32(3),
        np.zeros((0, 2), np.float32),
    ],
    ids=lambda x: f"{x.dtype}-{x.shape}",
)
def test_sort(x, descending):
    dim = min(1, max(np.ndim(x) - 1, 0))
    statics = {"dim": dim, "descending": descending}
    x = np.asarray(x)
    check(sort.sort, lambda t: t.sort(dim=dim, descending=descending, stable=True), (x,), statics)
    check(
        sort.argsort,
        lambda t: t.argsort(dim=dim, descending=descending, stable=True),
        (x,),
        statics,
    )


def test_sort_bfloat16():
    x = TIES.astype(ml_dtypes.bfloat16)
    values, indices = sort.sort(x, dim=1, descending=True)
    expected = torch.from_numpy(TIES).sort(dim=1, descending=True, stable=True)
    assert values.dtype == ml_dtypes.bfloat16
    largest, places = sort.topk(np.tile(x, (1, 2, 1)), k=2, dim=1, largest=True)
    assert largest.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(places[:, 0], expected[1][:, 0])
    np.testing.assert_array_equal(np.asarray(values).astype(np.float32), expected[0])
    np.testing.assert_array_equal(indices, expected[1])


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("k", [0, 1, 2, 7])
@pytest.mark.parametrize("x", [DATA, DATA.astype(np.float64), INTEGERS], ids=lambda x: x.dtype.name)
def test_topk(x, k, largest):
    if k == 2:
        x = np.concatenate([x, x[:, :2] + x.dtype.type(1)], 1)
    statics = {"k": k, "dim": 1, "largest": largest}
    check(sort.topk, lambda t: t.topk(k, 1, largest), (x,), statics)


@pytest.mark.parametrize("largest", [False, True])
def test_topk_special_values(largest):
    statics = {"k": 2, "dim": 0, "largest": largest}
    for x in (np.delete(SPECIAL, [4]), np.delete(SPECIAL, [4, 7])):
        ours = sort.topk(x, **statics)[0]
        theirs = torch.from_numpy(x).topk(2, 0, largest)[0]
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("keepdim", [False, True])
def test_order_statistics(keepdim):
    at = {"dim": 1, "keepdim": keepdim}
    check(sort.kthvalue, lambda t: t.kthvalue(3, 1, keepdim), (DATA,), {"k": 3, **at})
    for x in (DATA, WITH_NAN, INTEGERS, DATA[:, :6].astype(np.float64)):
        check(sort.median, lambda t: t.median(1, keepdim), (x,), at)
        check(sort.nanmedian, lambda t: t.nanmedian(1, keepdim), (x,), at)
    for x in (TIES, WITH_NAN, INTEGERS, TIES.astype(np.int32)):
        check(sort.mode, lambda t: t.mode(1, keepdim), (x,), at)


def test_full_medians_and_scalars():
    for x in (DATA, WITH_NAN, TIES, INTEGERS, np.full(3, NAN, np.float32)):
        check(sort.median_all, lambda t: t.median(), (x,))
        check(sort.nanmedian_all, lambda t: t.nanmedian(), (x,))
    scalar = np.array(2.0, np.float32)
    at = {"dim": 0, "keepdim": False}
    check(sort.median, lambda t: t.median(0), (scalar,), at)
    check(sort.mode, lambda t: t.mode(0), (scalar,), at)
    check(sort.kthvalue, lambda t: t.kthvalue(1, 0), (scalar,), {"k": 1, **at})
    check(sort.topk, lambda t: t.topk(1), (scalar,), {"k": 1, "dim": 0, "largest": True})


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("ignore_nan", [False, True])
@pytest.mark.parametrize("dim, keepdim", [(None, True), (1, False)])
def test_quantile(interpolation, ignore_nan, dim, keepdim):
    name = "nanquantile" if ignore_nan else "quantile"
    statics = {
        "dim": dim,
        "keepdim": keepdim,
        "interpolation": interpolation,
        "ignore_nan": ignore_nan,
    }

    def oracle(t, q):
        return getattr(torch, name)(t, q.detach(), dim, keepdim, interpolation=interpolation)

    def kernel(x):
        return sort.quantile(x, q, **statics)

    for q in (np.array([0.0, 0.3, 0.5, 1.0], np.float32), np.array(0.4, np.float32)):
        # Which of several NaNs receives the gradient of a NaN quantile is not specified.
        grad = ignore_nan
        check(kernel, lambda t, q=q: oracle(t, torch.from_numpy(q)), (WITH_NAN,), grad=grad)
    check(kernel, lambda t: oracle(t, torch.from_numpy(q)), (DATA,))
