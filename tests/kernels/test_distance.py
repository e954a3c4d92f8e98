"""Norms, distances and covariances against the oracle, at their kinks, too."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import distance

from .against_oracle import check

random = np.random.RandomState(0)
INFINITY = float("inf")


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


def cplx(*shape):
    return (real(*shape) + 1j * real(*shape)).astype(np.complex64)


KINKS = np.array([[0, 0, 0], [3, -3, 0], [1, 2, -4]], np.float32)
ORDS = [0, 0.5, 1, 1.5, 2, 3, INFINITY, -INFINITY, -1, -0.5]


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("x", [KINKS, cplx(2, 3)], ids=["real", "complex"])
def test_vector_norm(ord, x):
    statics = {"ord": ord, "dim": (1,), "keepdim": False}
    check(distance.vector_norm, lambda x: torch.linalg.vector_norm(x, ord, dim=1), [x], statics)


def test_vector_norm_over_several_axes():
    statics = {"ord": 2, "dim": (0, 2), "keepdim": True}
    check(
        distance.vector_norm,
        lambda x: torch.linalg.vector_norm(x, dim=(0, 2), keepdim=True),
        [real(2, 3, 4)],
        statics,
    )


def test_narrow_norms_are_computed_wide():
    x = jnp.full((6,), 200, jnp.float16)
    norm = distance.vector_norm(x, ord=2, dim=(0,), keepdim=False)
    assert norm.dtype == jnp.float16
    assert norm == 490
    ones = jnp.ones(4096, jnp.bfloat16)
    assert distance.vector_norm(ones, ord=1, dim=(0,), keepdim=False) == 4096


@pytest.mark.parametrize("ord", ["fro", "nuc", INFINITY, -INFINITY, 1, -1, 2, -2])
@pytest.mark.parametrize("dim", [(0, 1), (2, 0), (-1, 1)])
def test_matrix_norm(ord, dim):
    x, positive = real(3, 4, 5), tuple(d % 3 for d in dim)
    check(
        distance.matrix_norm,
        lambda x: torch.linalg.matrix_norm(x, ord, dim=dim, keepdim=True),
        [x],
        {"ord": ord, "dim": positive, "keepdim": True},
        grad_rtol=1e-4,
    )


def test_matrix_norm_shares_ties():
    for ord in (1, -1, INFINITY, -INFINITY):
        check(
            distance.matrix_norm,
            lambda x, ord=ord: torch.linalg.matrix_norm(x, ord),
            [KINKS],
            {"ord": ord, "dim": (0, 1), "keepdim": False},
        )


@pytest.mark.parametrize("ord", ["fro", "nuc", INFINITY, -INFINITY, 1, -1, 2, -2])
def test_cond(ord):
    x = real(2, 3, 3)
    check(
        distance.cond, lambda x: torch.linalg.cond(x, ord), [x], {"ord": ord}, grad=False, rtol=1e-4
    )

    def by_inverse(x):  # PyTorch's own function raises in backward for a stack of matrices.
        inverse = torch.linalg.inv(x)
        return torch.linalg.matrix_norm(x, ord) * torch.linalg.matrix_norm(inverse, ord)

    if ord not in (2, -2):
        check(distance.cond, by_inverse, [x], {"ord": ord}, rtol=1e-3)


def test_cond_of_a_singular_matrix():
    assert distance.cond(jnp.ones((2, 2)), ord=1) == INFINITY


POINTS = np.array([[0, 0], [1, 0], [-3, 3]], np.float32)
DISTANCE_ORDS = [0, 0.5, 1, 1.5, 2, 3, INFINITY]


@pytest.mark.parametrize("ord", DISTANCE_ORDS)
def test_cdist(ord):
    check(
        distance.cdist,
        lambda a, b: torch.cdist(a, b, p=ord),
        [np.array([[0, 0], [1, 1]], np.float32), POINTS],
        {"ord": ord, "by_product": False},
    )
    check(
        distance.cdist,
        lambda a, b: torch.cdist(a, b, p=ord),
        [real(2, 1, 4, 3), real(3, 2, 3)],
        {"ord": ord, "by_product": False},
        grad_rtol=1e-4,
    )


def test_cdist_by_product():
    check(
        distance.cdist,
        lambda a, b: torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist"),
        [real(2, 4, 3), real(2, 5, 3)],
        {"ord": 2, "by_product": True},
        grad_rtol=1e-4,
    )


@pytest.mark.parametrize("ord", DISTANCE_ORDS)
def test_pdist(ord):
    check(distance.pdist, lambda x: torch.pdist(x, p=ord), [POINTS], {"ord": ord}, grad=ord != 0)


SMALL = np.array([[0, 0], [1e-9, 0], [3, 4]], np.float32)
ONES = np.ones((3, 2), np.float32)
ROWS = [
    (
        distance.cosine_similarity,
        lambda a, b, e: F.cosine_similarity(a, b),
        [SMALL, ONES + POINTS * 0, np.float32(1e-8)],
        {"dim": 1},
    ),
    (
        distance.cosine_similarity,
        lambda a, b, e: F.cosine_similarity(a, b, dim=0),
        [real(3, 1), real(3, 4), np.float32(1e-8)],
        {"dim": 0},
    ),
    (
        distance.pairwise_distance,
        lambda a, b, e: F.pairwise_distance(a, b, p=3, keepdim=True),
        [real(4, 3), real(3), np.float32(1e-6)],
        {"ord": 3, "keepdim": True},
    ),
    (distance.dist, lambda a, b: torch.dist(a, b, p=3), [real(2, 1), real(3)], {"ord": 3}),
    (
        distance.renorm,
        lambda x, m: torch.renorm(x, 2, 0, 1.0),
        [SMALL, np.float32(1)],
        {"ord": 2, "dim": 0},
    ),
    (
        distance.renorm,
        lambda x, m: torch.renorm(x, 1, 1, 0.5),
        [real(2, 3, 2), np.float32(0.5)],
        {"ord": 1, "dim": 1},
    ),
    (distance.corrcoef, torch.corrcoef, [real(3, 6)], {}),
    (distance.corrcoef, torch.corrcoef, [cplx(3, 6)], {}),
    (distance.corrcoef, torch.corrcoef, [real(6)], {}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0].__name__)
def test_distance_or_statistic(row):
    kernel, oracle, inputs, statics = row
    check(kernel, oracle, inputs, statics, grad_rtol=1e-4)


@pytest.mark.parametrize("frequencies", [None, np.array([1, 2, 1, 3])])
@pytest.mark.parametrize("weights", [None, np.array([0.5, 1, 2, 1], np.float32)])
@pytest.mark.parametrize("correction", [0, 1, 5])
@pytest.mark.filterwarnings("ignore:cov.* degrees of freedom")
def test_cov(frequencies, weights, correction):
    if correction == 5 and frequencies is not None:
        correction = 2
    for x in (real(2, 4), cplx(3, 4)):
        check(
            distance.cov,
            lambda x, f, w: torch.cov(x, correction=correction, fweights=f, aweights=w),
            [x, frequencies, weights],
            {"correction": correction},
            grad=correction < 4,
            grad_rtol=1e-4,
        )
