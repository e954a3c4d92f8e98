"""Histograms, sorted searches, trapezia and gradients against the oracle."""

import numpy as np
import pytest
import torch

from flambeau.kernels import histogram

from .against_oracle import check

random = np.random.RandomState(0)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


NAN = float("nan")
SEARCHES = [
    (np.array([1, 2, 2, 3], np.float32), np.array([[0, 1, 2], [2.5, 3, 4]], np.float32)),
    (np.array([1, 2, NAN], np.float32), np.array([NAN, 2, 1], np.float32)),
    (np.array([1, 2, 2, 3]), np.array([2, 9])),
    (np.sort(real(3, 5)), real(3, 4)),
    (np.sort(real(2, 3, 8)), real(2, 3, 2)),
    (np.array([5], np.float32), np.array([4, 5, 6], np.float32)),
    (np.array([], np.float32), np.array([4], np.float32)),
]


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("case", range(len(SEARCHES)))
def test_searchsorted(case, right):
    check(
        histogram.searchsorted,
        lambda o, v: torch.searchsorted(o, v, right=right),
        list(SEARCHES[case]),
        {"right": right, "dtype": np.dtype(np.int64)},
        grad=False,
    )


def test_histc():
    x = np.concatenate([real(40), [-1, 0, 0.5, 1, NAN]]).astype(np.float32)
    for low, high, bins in ((-1, 1, 4), (0, 0.5, 3)):
        check(
            histogram.histc,
            lambda x, a, b, low=low, high=high, bins=bins: torch.histc(x, bins, low, high),
            [x, np.float32(low), np.float32(high)],
            {"bins": bins},
            grad=False,
        )


@pytest.mark.parametrize("density", [False, True])
def test_histogram(density):
    points, weights = real(50, 2), np.abs(real(50))
    edges = [np.array([-1, 0, 0.2, 2], np.float32), np.linspace(-1, 1, 5).astype(np.float32)]
    points[0] = edges[0][-1], edges[1][-1]

    def oracle(points, weights, *edges):
        return torch.histogramdd(points, list(edges), weight=weights, density=density).hist

    for w in (weights, None):
        check(
            histogram.histogramdd,
            oracle,
            [points, w, *edges],
            {"density": density},
            grad=False,
        )


@pytest.mark.parametrize("kernel", [histogram.trapezoid, histogram.cumulative_trapezoid])
def test_trapezoid(kernel):
    oracle = getattr(torch, kernel.__name__)
    y, step = real(3, 4), np.float32(0.3)
    check(kernel, lambda y, x, h: oracle(y, dx=0.3, dim=0), [y, None, step], {"dim": 0})
    check(kernel, lambda y, x, h: oracle(y, x), [y, real(4), None], {"dim": 1})
    check(kernel, lambda y, x, h: oracle(y, x, dim=0), [y, real(3), None], {"dim": 0})
    check(kernel, lambda y, x, h: oracle(y, x, dim=0), [y, real(3, 4), None], {"dim": 0})


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("size", [3, 6])
def test_gradient(edge_order, size):
    places = np.cumsum(np.abs(real(size)) + 0.1).astype(np.float32)
    x, statics = real(2, size), {"dim": 1, "edge_order": edge_order}
    check(
        lambda x: histogram.gradient(x, np.array(0.5, np.float32), **statics),
        lambda x: torch.gradient(x, spacing=0.5, dim=1, edge_order=edge_order)[0],
        [x],
        rtol=1e-4,
        atol=1e-5,
    )

    def at_places(x, c):
        return torch.gradient(x, spacing=(c.detach(),), dim=(1,), edge_order=edge_order)[0]

    check(
        lambda x: histogram.gradient(x, places, **statics),
        lambda x: at_places(x, torch.tensor(places)),
        [x],
        rtol=1e-4,
        atol=1e-4,
    )
