"""Factorisations up to the signs and rotations that they leave open: products and spectra."""

import pytest

from tests.parity.compare import compare, record, run
from tests.parity.libraries import ORACLE, subject


def matrix(t, *shape):
    count = 1
    for n in shape:
        count *= n
    return (t.arange(float(count)) ** 2 * 0.37).sin().view(*shape)


def symmetric(t, n):
    a = matrix(t, n, n)
    return a + a.t()


def svd(t):
    u, s, v = t.svd(matrix(t, 5, 3))
    return u @ t.diag(s) @ v.t(), s, u.t() @ u, v.t() @ v


def linalg_svd(t, full=False):
    u, s, vh = t.linalg.svd(matrix(t, 3, 5), full_matrices=full)
    return s, u @ u.t(), vh @ vh.t(), u.shape, vh.shape


def svd_lowrank(t):
    a = matrix(t, 6, 2) @ matrix(t, 2, 4)
    u, s, v = t.svd_lowrank(a, 2)
    return u @ t.diag(s) @ v.t(), s


def pca_lowrank(t):
    u, s, v = t.pca_lowrank(matrix(t, 6, 2) @ matrix(t, 2, 4), 2)
    return u @ t.diag(s) @ v.t(), s


def eigh(t):
    values, vectors = t.linalg.eigh(symmetric(t, 4))
    return values, vectors @ t.diag(values) @ vectors.t(), vectors.t() @ vectors


def qr(t):
    q, r = t.linalg.qr(matrix(t, 5, 3))
    return q @ r, q.t() @ q, r.abs()


def eig(t):
    values, _ = t.linalg.eig(matrix(t, 3, 3))
    return sorted((round(z.real, 4), round(z.imag, 4)) for z in values.tolist())


def lu(t):
    p, low, up = t.linalg.lu(matrix(t, 4, 4))
    return p @ low @ up, low, up


def gradient_of_the_projection(t):
    """The gradient of a function of the singular subspaces that no sign can change."""
    a = matrix(t, 5, 3).requires_grad_()
    u, s, vh = t.linalg.svd(a, full_matrices=False)
    ((u[:, :1] @ vh[:1]) * t.linspace(-1, 1, 15).view(5, 3)).sum().backward()
    return a.grad, s


def gradient_of_the_eigenprojection(t):
    a = symmetric(t, 4).requires_grad_()
    _, vectors = t.linalg.eigh(a)
    ((vectors[:, :1] @ vectors[:, :1].t()) * t.linspace(-1, 1, 16).view(4, 4)).sum().backward()
    return a.grad


PROGRAMS = [
    svd,
    linalg_svd,
    svd_lowrank,
    pca_lowrank,
    eigh,
    qr,
    eig,
    lu,
    gradient_of_the_projection,
    gradient_of_the_eigenprojection,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_invariants(program):
    expected, actual = (run(lib, lambda lib: program(lib.module)) for lib in (ORACLE, subject()))
    assert expected.error is None, expected.error
    assert actual.error is None, actual.error
    # Singular vectors of neighbouring singular values amplify rounding errors.
    assert not compare(expected.value, actual.value, "", 1e-4, False)


def test_a_wrong_factor_is_noticed():
    value = record(ORACLE, svd(ORACLE.module))
    other = record(ORACLE, svd(ORACLE.module))
    other[0].array[0, 0] += 1e-2
    assert compare(value, other, "", 1e-4, False)
