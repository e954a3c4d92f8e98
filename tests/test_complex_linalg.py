"""Complex linear algebra, transforms and norms against the oracle: values and gradients."""

import numpy as np
import pytest
import torch

import flambeau

random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def definite(n):
    a = normal(n, n)
    return a @ a.conj().T + np.eye(n)


ROWS = {
    "mm": (lambda t, a, b: t.mm(a, b), normal(2, 3), normal(3, 4)),
    "matmul": (lambda t, a, b: a @ b, normal(5, 2, 3), normal(3, 4)),
    "mv": (lambda t, a, b: t.mv(a, b), normal(2, 3), normal(3)),
    "dot": (lambda t, a, b: t.dot(a, b), normal(3), normal(3)),
    "vdot": (lambda t, a, b: t.vdot(a, b), normal(3), normal(3)),
    "vecdot": (lambda t, a, b: t.linalg.vecdot(a, b), normal(2, 3), normal(2, 3)),
    "bmm": (lambda t, a, b: t.bmm(a, b), normal(2, 2, 3), normal(2, 3, 2)),
    "addmm": (
        lambda t, c, a, b: t.addmm(c, a, b, beta=0.5 + 1j, alpha=2j),
        normal(4),
        normal(2, 3),
        normal(3, 4),
    ),
    "outer": (lambda t, a, b: t.outer(a, b), normal(3), normal(2)),
    "kron": (lambda t, a, b: t.kron(a, b), normal(2, 2), normal(2, 1)),
    "cross": (lambda t, a, b: t.linalg.cross(a, b), normal(2, 3), normal(2, 3)),
    "tensordot": (lambda t, a, b: t.tensordot(a, b, 1), normal(2, 3), normal(3, 2)),
    "einsum": (lambda t, a, b: t.einsum("ij,kj->ik", a, b), normal(2, 3), normal(4, 3)),
    "trace": (lambda t, a: t.trace(a), normal(3, 3)),
    "multi_dot": (
        lambda t, a, b, c: t.linalg.multi_dot([a, b, c]),
        normal(2, 3),
        normal(3, 4),
        normal(4, 2),
    ),
    "vander": (lambda t, a: t.linalg.vander(a), normal(3)),
    "inverse": (lambda t, a: t.inverse(a), normal(3, 3)),
    "solve": (lambda t, a, b: t.linalg.solve(a, b), normal(3, 3), normal(3, 2)),
    "solve_right": (lambda t, a, b: t.linalg.solve(a, b, left=False), normal(3, 3), normal(2, 3)),
    "det": (lambda t, a: t.det(a), normal(4, 4)),
    "slogdet_sign": (lambda t, a: t.slogdet(a)[0], normal(3, 3)),
    "slogdet": (lambda t, a: t.slogdet(a)[1], normal(3, 3)),
    "logdet": (lambda t, a: t.logdet(a), normal(3, 3)),
    "cholesky": (lambda t, a: t.linalg.cholesky(a), definite(3)),
    "cholesky_inverse": (lambda t, a: t.cholesky_inverse(a.tril()), definite(3)),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a.tril()), normal(3, 2), definite(3)),
    "qr": (lambda t, a: t.linalg.qr(a)[1], normal(4, 3)),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a), definite(3)),
    "eigvals": (lambda t, a: t.linalg.eigvals(a), normal(3, 3)),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), normal(4, 3)),
    "svd_left": (lambda t, a: t.linalg.svd(a, full_matrices=False)[0].abs(), normal(4, 3)),
    "svd_right": (lambda t, a: t.linalg.svd(a, full_matrices=False)[2].abs(), normal(3, 4)),
    "eigh": (lambda t, a: t.linalg.eigh(a)[1].abs(), definite(3)),
    "pinv": (lambda t, a: t.linalg.pinv(a), normal(4, 3)),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, normal(4, 3), normal(4, 2)),
    "matrix_exp": (lambda t, a: t.matrix_exp(a), normal(3, 3)),
    "matrix_power": (lambda t, a: t.matrix_power(a, -2), normal(3, 3)),
    "solve_triangular": (
        lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True),
        definite(3),
        normal(3, 2),
    ),
    "triangular_solve": (
        lambda t, a, b: t.triangular_solve(b, a, transpose=True)[0],
        definite(3),
        normal(3, 2),
    ),
    "lu": (lambda t, a: t.linalg.lu(a)[2], normal(3, 3)),
    "lu_solve": (
        lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, adjoint=True),
        normal(3, 3),
        normal(3, 2),
    ),
    "householder_product": (lambda t, a, b: t.orgqr(a, b), normal(4, 3), normal(3)),
    "ormqr": (
        lambda t, a, b, c: t.ormqr(a, b, c, transpose=True),
        normal(4, 3),
        normal(3),
        normal(4, 2),
    ),
    "norm_2": (lambda t, a: t.norm(a, dim=1), normal(3, 4)),
    "norm_3": (lambda t, a: t.norm(a, 3, dim=1), normal(3, 4)),
    "norm_1": (lambda t, a: t.norm(a, 1), normal(3, 4)),
    "norm_inf": (lambda t, a: t.norm(a, float("inf")), normal(3, 4)),
    "nuclear_norm": (lambda t, a: t.norm(a, "nuc"), normal(3, 4)),
    "matrix_norm": (lambda t, a: t.linalg.matrix_norm(a, 1), normal(3, 4)),
    "renorm": (lambda t, a: t.renorm(a, 2, 0, 1.0), normal(3, 4)),
    "dist": (lambda t, a, b: t.dist(a, b), normal(3), normal(3)),
    "cov": (lambda t, a: t.cov(a), normal(3, 5)),
    "corrcoef": (lambda t, a: t.corrcoef(a), normal(3, 5)),
    "fft": (lambda t, a: t.fft.fft(a), normal(2, 5)),
    "ifft": (lambda t, a: t.fft.ifft(a, norm="ortho"), normal(2, 5)),
    "irfft": (lambda t, a: t.fft.irfft(a), normal(4)),
    "hfft": (lambda t, a: t.fft.hfft(a), normal(4)),
    "stft": (
        lambda t, a: t.stft(a, 8, window=t.ones(8, dtype=t.float64), return_complex=True),
        normal(20),
    ),
    "istft": (lambda t, a: t.istft(a, 8, window=t.ones(8, dtype=t.float64)), normal(5, 6)),
    "trapezoid": (lambda t, a, b: t.trapezoid(a, b), normal(4), normal(4)),
    "gradient": (lambda t, a: t.gradient(a)[0], normal(5)),
    "sinc": (lambda t, a: t.sinc(a), normal(4)),
    "mixed_kron": (lambda t, a: t.kron(a, t.ones(2, 2, dtype=t.float64)), normal(2, 2)),
}


def results(library, function, arrays):
    """The result, and the gradients of the inputs for one fixed cotangent."""
    inputs = [library.tensor(a, requires_grad=True) for a in arrays]
    result = function(library, *inputs)
    generator = np.random.default_rng(1)
    cotangent = generator.standard_normal(tuple(result.shape))
    if result.is_complex():
        cotangent = cotangent + 1j * generator.standard_normal(tuple(result.shape))
    gradients = library.autograd.grad(result, inputs, library.tensor(cotangent))
    return [x.detach().resolve_conj().numpy() for x in (result, *gradients)]


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
@pytest.mark.parametrize("name", ROWS)
def test_complex(name):
    function, *arrays = ROWS[name]
    expected = results(torch, function, arrays)
    for ours, theirs in zip(results(flambeau, function, arrays), expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-8)
