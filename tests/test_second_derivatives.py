"""Second derivatives of linear algebra and special functions against the oracle, in float64."""

import numpy as np
import pytest
import torch

import flambeau

random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape)


def positive(*shape):
    return random.uniform(0.2, 0.9, shape)


def definite(n):
    a = normal(n, n)
    return a @ a.T + np.eye(n)


def symmetric(n):
    a = normal(n, n)
    return a + a.T


ROWS = {
    "mm": (lambda t, a, b: t.mm(a, b), normal(2, 3), normal(3, 4)),
    "matmul": (lambda t, a, b: a @ b, normal(5, 2, 3), normal(3, 4)),
    "addmm": (
        lambda t, c, a, b: t.addmm(c, a, b, beta=0.5, alpha=2),
        normal(4),
        normal(2, 3),
        normal(3, 4),
    ),
    "einsum": (lambda t, a, b: t.einsum("bij,bjk->bki", a, b), normal(2, 2, 3), normal(2, 3, 4)),
    "inverse": (lambda t, a: t.inverse(a), normal(3, 3)),
    "solve": (lambda t, a, b: t.linalg.solve(a, b), normal(3, 3), normal(3, 2)),
    "det": (lambda t, a: t.det(a), normal(4, 4)),
    "slogdet": (lambda t, a: t.slogdet(a)[1], normal(3, 3)),
    "cholesky": (lambda t, a: t.linalg.cholesky(a), definite(3)),
    "cholesky_inverse": (lambda t, a: t.cholesky_inverse(a.tril()), definite(3)),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a.tril()), normal(3, 2), definite(3)),
    "qr": (lambda t, a: t.linalg.qr(a)[1], normal(4, 3)),
    "eigh": (lambda t, a: t.linalg.eigh(a)[1].abs(), symmetric(3)),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a), symmetric(3)),
    "eig": (lambda t, a: t.linalg.eig(a)[1].abs(), normal(3, 3)),
    "eigvals": (lambda t, a: t.linalg.eigvals(a).abs(), normal(3, 3)),
    "svd": (lambda t, a: t.linalg.svd(a, full_matrices=False)[0].abs(), normal(4, 3)),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), normal(4, 3)),
    "pinv": (lambda t, a: t.linalg.pinv(a), normal(4, 3)),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, normal(4, 3), normal(4, 2)),
    "matrix_exp": (lambda t, a: t.matrix_exp(a), normal(3, 3)),
    "lu": (lambda t, a: t.linalg.lu(a)[2], normal(3, 3)),
    "householder": (lambda t, a, b: t.orgqr(a, b), normal(4, 3), positive(3)),
    "norm": (lambda t, a: t.norm(a, 3, dim=1), normal(3, 4)),
    "nuclear_norm": (lambda t, a: t.norm(a, "nuc"), normal(3, 4)),
    "renorm": (lambda t, a: t.renorm(a, 2, 0, 1.0), normal(3, 4)),
    "cosine_similarity": (lambda t, a, b: t.cosine_similarity(a, b), normal(3, 4), normal(3, 4)),
    "corrcoef": (lambda t, a: t.corrcoef(a), normal(3, 5)),
    "rfft2": (lambda t, a: t.fft.rfft2(a).abs(), normal(4, 5)),
    "irfft": (lambda t, a: t.fft.irfft(t.fft.rfft(a)) ** 2, normal(6)),
    "stft": (
        lambda t, a, w: t.stft(a, 8, window=w, return_complex=True).abs(),
        normal(20),
        positive(8),
    ),
    "trapezoid": (lambda t, a, b: t.trapezoid(a, b), normal(4), normal(4)),
    "polygamma": (lambda t, a: t.polygamma(2, a), positive(4)),
    "mvlgamma": (lambda t, a: t.mvlgamma(a + 2, 2), positive(4)),
    "xlogy": (lambda t, a, b: t.xlogy(a, b), positive(4), positive(4)),
    "erfinv": (lambda t, a: t.erfinv(a), positive(4)),
    "lgamma": (lambda t, a: t.lgamma(a), positive(4)),
    "sinc": (lambda t, a: t.sinc(a), positive(4)),
    "logit": (lambda t, a: t.logit(a), positive(4)),
    "log_ndtr": (lambda t, a: t.special.log_ndtr(a), positive(4)),
    "i1e": (lambda t, a: t.special.i1e(a), positive(4)),
}


def derivatives(library, function, arrays):
    """The gradients of a weighted sum of the result, and those of their sum of squares."""
    inputs = [library.tensor(a, requires_grad=True) for a in arrays]
    result = function(library, *inputs)
    weights = np.random.default_rng(1).standard_normal(tuple(result.shape))
    loss = (result * library.tensor(weights)).sum()
    first = library.autograd.grad(loss, inputs, create_graph=True)
    total = sum((g * g).sum() for g in first)
    second = library.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    return [g.detach().numpy() for g in (*first, *second)]


@pytest.mark.parametrize("name", ROWS)
def test_second_derivative(name):
    function, *arrays = ROWS[name]
    expected = derivatives(torch, function, arrays)
    for ours, theirs in zip(derivatives(flambeau, function, arrays), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-7)
