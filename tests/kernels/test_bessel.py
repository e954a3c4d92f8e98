"""Bessel and Airy functions and orthogonal polynomials against the oracle."""

import numpy as np
import pytest
import torch
from scipy import special

from flambeau.kernels import bessel

from .against_oracle import check

NAN, INFINITY = float("nan"), float("inf")
ENDS = [-INFINITY, -1e-3, 0, 1e-30, 1e-3, INFINITY, NAN]
LINE = np.concatenate([np.linspace(-30, 60, 301), [1e3], ENDS])
FUNCTIONS = [
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "spherical_bessel_j0",
    "airy_ai",
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name, dtype):
    # PyTorch's J, Y and Ai are good to some 1e-6 in either precision (test_accuracy has ours).
    tolerance = {"rtol": 1e-5, "atol": 4e-6}
    line = LINE[:-8] if name == "airy_ai" else LINE
    check(getattr(bessel, name), getattr(torch.special, name), [line.astype(dtype)], **tolerance)


PRECISE = {
    "bessel_j0": special.j0,
    "bessel_j1": special.j1,
    "bessel_y0": special.y0,
    "bessel_y1": special.y1,
    "scaled_modified_bessel_k0": special.k0e,
    "scaled_modified_bessel_k1": special.k1e,
    "airy_ai": lambda x: special.airy(x)[0],
}


@pytest.mark.parametrize("name", PRECISE)
def test_accuracy(name):
    x = np.linspace(0.01, 60, 500)
    ours = np.asarray(getattr(bessel, name)(x))
    np.testing.assert_allclose(ours, PRECISE[name](x), rtol=1e-11, atol=1e-14)


def test_airy_below_zero():
    x = np.linspace(-30, 0, 400)
    np.testing.assert_allclose(bessel.airy_ai(x), special.airy(x)[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["modified_bessel_i0", "modified_bessel_i1"])
def test_growing_function(name):
    line = np.concatenate([np.linspace(-30, 30, 61), [NAN]])
    check(getattr(bessel, name), getattr(torch.special, name), [line], rtol=1e-12)


POLYNOMIALS = [
    *(f"chebyshev_polynomial_{kind}" for kind in "tuvw"),
    *(f"shifted_chebyshev_polynomial_{kind}" for kind in "tuvw"),
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
]


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomial(name):
    x = np.array([-2, -1, -0.5, 0, 0.3, 1, 1.5])[:, None]
    degree = np.array([-1, 0, 1, 2, 2.7, 5, 9])
    check(getattr(bessel, name), getattr(torch.special, name), [x, degree], rtol=1e-9, atol=1e-9)


def test_hermite_limit():
    for dtype in (np.float32, np.float64):
        x, degree = np.array([0.01], dtype), np.array([129, 513], dtype)
        check(
            bessel.hermite_polynomial_he,
            torch.special.hermite_polynomial_he,
            [x, degree],
            rtol=1e-4,
        )
