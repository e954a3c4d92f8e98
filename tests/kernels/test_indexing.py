"""Reads and writes by index against the oracle: values and gradients."""

import numpy as np
import pytest
import torch

from flambeau.kernels import indexing
from tests.kernels.against_oracle import check

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((4, 5, 6)).astype(np.float32)
SOURCE = RANDOM.standard_normal((4, 3, 6)).astype(np.float32)
REPEATED = np.array([1, 4, 1])
DISTINCT = np.array([3, 0, 4])
SCALAR = np.array(2.5, np.float32)
INTEGERS = RANDOM.randint(-5, 6, (4, 5, 6))
ALONG = {"dim": 1}


def test_index_select_and_its_writers():
    check(indexing.index_select, lambda x, i: x.index_select(1, i), (X, REPEATED), ALONG)
    first = (SCALAR, REPEATED[:1] * 0)
    check(indexing.index_select, lambda x, i: x.index_select(0, i), first, {"dim": 0})
    add = (X, REPEATED, SOURCE)
    check(
        indexing.index_add,
        lambda x, i, s, a: x.index_add(1, i, s, alpha=2.5),
        (*add, SCALAR.astype(np.float64)[()]),
        ALONG,
        grad=False,
    )
    check(indexing.index_add, lambda x, i, s, a: x.index_add(1, i, s), (*add, None), ALONG)
    check(indexing.index_copy, lambda x, i, s: x.index_copy(1, i, s), (X, DISTINCT, SOURCE), ALONG)
    check(indexing.index_copy, lambda x, i, s: x.index_copy(1, i, s), add, ALONG)
    check(indexing.index_fill, lambda x, i, v: x.index_fill(1, i, v), (X, DISTINCT, SCALAR), ALONG)
    check(
        indexing.index_fill,
        lambda x, i, v: x.index_fill(0, i, v),
        (SCALAR, REPEATED[:1] * 0, SCALAR),
        {"dim": 0},
    )


@pytest.mark.filterwarnings("ignore:index_reduce.. is in beta")
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
def test_index_reduce(reduce, include_self):
    statics = {"dim": 1, "reduce": reduce, "include_self": include_self}

    def oracle(x, i, s):
        return x.index_reduce(1, i, s, reduce, include_self=include_self)

    check(indexing.index_reduce, oracle, (X, REPEATED, SOURCE), statics)
    whole = (INTEGERS, REPEATED, INTEGERS[:, :3])
    check(indexing.index_reduce, oracle, whole, statics)


INDEX = RANDOM.randint(0, 5, (3, 2, 6))
PARTS = [
    ("full", X, RANDOM.randint(0, 5, (4, 3, 6)), SOURCE, 1),
    ("cut short", X, INDEX, SOURCE[:3, :2], 1),
    ("last axis", X, RANDOM.randint(0, 6, (2, 5, 9)), RANDOM.rand(2, 5, 9).astype(np.float32), 2),
    ("0-d", SCALAR, np.array([0, 0]), np.array([1, 2], np.float32), 0),
    ("0-d index", X[0, 0], np.array(3), SCALAR, 0),
    ("empty", X, np.zeros((0, 5, 6), np.int64), X[:0], 1),
    ("float64", X.astype(np.float64), INDEX, SOURCE[:3, :2].astype(np.float64), 1),
]


@pytest.mark.parametrize("x, index, source, dim", [p[1:] for p in PARTS], ids=[p[0] for p in PARTS])
def test_gather_and_scatter(x, index, source, dim):
    at = {"dim": dim}
    check(indexing.gather, lambda x, i: x.gather(dim, i), (x, index), at)
    check(indexing.scatter_add, lambda x, i, s: x.scatter_add(dim, i, s), (x, index, source), at)
    check(indexing.scatter, lambda x, i, s: x.scatter(dim, i, s), (x, index, source), at)


@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter")
def test_scatter_of_a_value_and_integers():
    def fill(x, i, v):
        return x.scatter(1, i, 2.5)

    check(indexing.scatter, fill, (X, INDEX, SCALAR), ALONG, grad=False)
    triple = (X, INDEX, SOURCE)  # the oracle has no gradient where `source` exceeds `index`
    check(indexing.scatter, lambda x, i, s: x.scatter(1, i, s), triple, ALONG, grad=False)
    triple = (INTEGERS, INDEX, INTEGERS)
    check(indexing.scatter_add, lambda x, i, s: x.scatter_add(1, i, s), triple, ALONG)
    check(
        indexing.scatter_multiply,
        lambda x, i, s: x.scatter(1, i, s, reduce="multiply"),
        (X, INDEX, SOURCE),
        ALONG,
        grad=False,
    )


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce(reduce, include_self):
    statics = {"dim": 1, "reduce": reduce, "include_self": include_self}

    def oracle(x, i, s):
        return x.scatter_reduce(1, i, s, reduce, include_self=include_self)

    zeros = np.round(X)  # zeros for prod, ties for the extrema
    for x, source in ((X, SOURCE), (zeros, zeros), (INTEGERS, INTEGERS)):
        source = source[:3, :2]
        check(indexing.scatter_reduce, oracle, (x, INDEX, source), statics)
    flags = (INTEGERS > 0, INDEX, INTEGERS > 1)
    if reduce in ("amax", "amin"):
        check(indexing.scatter_reduce, oracle, flags, statics)


def test_take_along_dim():
    check(
        indexing.take_along_dim,
        lambda x, i: torch.take_along_dim(x, i, 1),
        (X, RANDOM.randint(-5, 5, (1, 2, 6))),
        ALONG,
    )
    check(
        indexing.take_along_dim,
        lambda x, i: torch.take_along_dim(x, i, 1),
        (X[:1], RANDOM.randint(0, 5, (4, 2, 6))),
        ALONG,
    )


ROW, COLUMN = np.array([[0, -1], [2, 0]]), np.array([1, -2])
ADVANCED = [
    ("one", (0,), (ROW,), lambda x, i: x[i]),
    ("one later", (1,), (ROW,), lambda x, i: x[:, i]),
    ("adjacent", (1, 2), (ROW, COLUMN), lambda x, i, j: x[:, i, j]),
    ("apart", (0, 2), (ROW, COLUMN), lambda x, i, j: x[i, :, j]),
    ("all", (0, 1, 2), (ROW, COLUMN, ROW), lambda x, i, j, k: x[i, j, k]),
    ("0-d", (1,), (np.array(-3),), lambda x, i: x[:, i]),
    ("empty", (0,), (np.zeros(0, np.int64),), lambda x, i: x[i]),
]


@pytest.mark.parametrize(
    "dims, indices, read", [r[1:] for r in ADVANCED], ids=[r[0] for r in ADVANCED]
)
def test_index_and_index_put(dims, indices, read):
    check(indexing.index, read, (X, *indices), {"dims": dims})
    shape = read(X, *indices).shape
    full = RANDOM.standard_normal(shape).astype(np.float32)
    slots = [slice(None)] * 3

    def write(x, values, *arrays):
        keys = list(slots)
        for dim, array in zip(dims, arrays, strict=True):
            keys[dim] = array
        x = x.clone()
        x[tuple(keys)] = values
        return x

    for values in (full, SCALAR):
        statics = {"dims": dims, "accumulate": False}
        check(indexing.index_put, write, (X, values, *indices), statics)


@pytest.mark.parametrize("dims, indices", [((0,), (ROW,)), ((0, 1, 2), (ROW, COLUMN, ROW))])
def test_index_put_accumulates(dims, indices):
    values = RANDOM.standard_normal(X[indices].shape).astype(np.float32)
    check(
        indexing.index_put,
        lambda x, v, *i: x.index_put(i, v, accumulate=True),
        (X, values, *indices),
        {"dims": dims, "accumulate": True},
    )


def test_index_put_integers_and_booleans():
    statics = {"dims": (0,), "accumulate": True}
    repeated = np.array([0, 0, -1])

    def oracle(x, v, i):
        return x.index_put((i,), v, accumulate=True)

    check(indexing.index_put, oracle, (INTEGERS, INTEGERS[:3], repeated), statics)
    check(indexing.index_put, oracle, (INTEGERS > 3, INTEGERS[:3] > 0, repeated), statics)


def test_take_and_put():
    places = np.array([[0, -1], [7, 0]])
    values = RANDOM.rand(2, 2).astype(np.float32)
    check(indexing.take, lambda x, i: x.take(i), (X, places))
    statics = {"accumulate": True}
    check(indexing.put, lambda x, i, v: x.put(i, v, True), (X, places, values), statics)
    apart = np.array([[0, -1], [7, 3]])
    statics = {"accumulate": False}
    check(indexing.put, lambda x, i, v: x.put(i, v), (X, apart, values), statics)


def test_masks():
    mask = RANDOM.rand(5, 6) < 0.5
    check(indexing.masked_fill, lambda x, m, v: x.masked_fill(m, v), (X, mask, SCALAR))
    check(indexing.where, lambda c, a, b: torch.where(c, a, b), (mask, X, SCALAR))
    check(
        indexing.where, lambda c, a, b: torch.where(c, a, b), (mask, X, np.full_like(X[0], np.inf))
    )
    source = RANDOM.rand(130).astype(np.float32)
    check(indexing.masked_scatter, lambda x, m, s: x.masked_scatter(m, s), (X, mask, source))
    nothing = np.zeros((5, 6), bool)
    check(indexing.masked_scatter, lambda x, m, s: x.masked_scatter(m, s), (X, nothing, source[:0]))
