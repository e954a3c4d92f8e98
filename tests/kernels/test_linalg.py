"""Factorisations, solvers and functions of matrices against the oracle."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.test_util import check_grads

from flambeau.kernels import decompositions, linalg

from .against_oracle import check

random = np.random.RandomState(0)


def draw(*shape, dtype=np.float64):
    x = random.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * random.standard_normal(shape)
    return x.astype(dtype)


def definite(*shape, dtype=np.float64):
    x = draw(*shape, dtype=dtype)
    return (x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])).astype(dtype)


def hermitian(*shape, dtype=np.float64):
    x = draw(*shape, dtype=dtype)
    return x + np.conj(np.swapaxes(x, -1, -2))


TYPES = [np.float32, np.float64, np.complex128]


def name(value):
    return getattr(value, "__name__", None)


def close(dtype):
    """Factorisations of float32 matrices agree to a few units of their condition number."""
    return {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-9}


SOLVERS = [
    (linalg.lu_factor_ex, torch.linalg.lu_factor_ex, [(2, 4, 4)], {}),
    (linalg.lu_factor_ex, torch.linalg.lu_factor_ex, [(5, 3)], {}),
    (linalg.lu_factor_ex, torch.linalg.lu_factor_ex, [(3, 5)], {}),
    (linalg.lu, torch.linalg.lu, [(2, 4, 3)], {}),
    (linalg.solve_ex, torch.linalg.solve_ex, [(2, 3, 3), (2, 3, 4)], {"left": True}),
    (
        linalg.solve_ex,
        lambda a, b: torch.linalg.solve_ex(a, b, left=False),
        [(3, 3), (2, 4, 3)],
        {"left": False},
    ),
    (linalg.inv_ex, torch.linalg.inv_ex, [(2, 3, 3)], {}),
    (linalg.det, torch.linalg.det, [(2, 4, 4)], {}),
    (linalg.slogdet, torch.linalg.slogdet, [(2, 4, 4)], {}),
    (
        linalg.solve_triangular,
        lambda a, b: torch.linalg.solve_triangular(a, b, upper=True),
        [(3, 3), (2, 3, 2)],
        {"upper": True, "left": True, "unitriangular": False},
    ),
    (
        linalg.solve_triangular,
        lambda a, b: torch.linalg.solve_triangular(
            a, b, upper=False, left=False, unitriangular=True
        ),
        [(2, 3, 3), (1, 2, 3)],
        {"upper": False, "left": False, "unitriangular": True},
    ),
    (linalg.qr, lambda x: torch.linalg.qr(x), [(2, 4, 3)], {"mode": "reduced"}),
    (linalg.qr, lambda x: torch.linalg.qr(x), [(2, 3, 4)], {"mode": "reduced"}),
    (linalg.qr, lambda x: torch.linalg.qr(x, mode="complete"), [(3, 3)], {"mode": "complete"}),
    (decompositions.svdvals, torch.linalg.svdvals, [(2, 3, 4)], {}),
    (decompositions.matrix_exp, torch.linalg.matrix_exp, [(2, 3, 3)], {}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES, ids=name)
@pytest.mark.parametrize("row", SOLVERS, ids=lambda r: r[0].__name__)
def test_solver(row, dtype):
    kernel, oracle, shapes, statics = row
    check(kernel, oracle, [draw(*s, dtype=dtype) for s in shapes], statics, **close(dtype))


FORWARD_ONLY = [
    (linalg.geqrf, torch.geqrf, [(4, 3)], {}),
    (linalg.qr, lambda x: torch.linalg.qr(x, mode="complete"), [(4, 2)], {"mode": "complete"}),
    (linalg.qr, lambda x: torch.linalg.qr(x, mode="r"), [(4, 2)], {"mode": "r"}),
    (linalg.logdet, torch.logdet, [(6, 3, 3)], {}),
]


@pytest.mark.parametrize("dtype", TYPES, ids=name)
@pytest.mark.parametrize("row", FORWARD_ONLY, ids=lambda r: r[0].__name__)
def test_forward(row, dtype):
    kernel, oracle, shapes, statics = row
    inputs = [draw(*s, dtype=dtype) for s in shapes]
    check(kernel, oracle, inputs, statics, grad=False, **close(dtype))


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_cholesky_family(dtype, upper):
    x, b = definite(2, 4, 4, dtype=dtype), draw(4, 2, dtype=dtype)
    factor = np.linalg.cholesky(x)
    factor = np.conj(np.swapaxes(factor, -1, -2)) if upper else factor
    statics, tolerance = {"upper": upper}, close(dtype)
    check(
        linalg.cholesky_ex,
        lambda a: torch.linalg.cholesky_ex(a, upper=upper),
        [x],
        statics,
        **tolerance,
    )
    check(
        linalg.cholesky_solve,
        lambda b, f: torch.cholesky_solve(b, f, upper=upper),
        [b, factor],
        statics,
        **tolerance,
    )
    check(
        linalg.cholesky_inverse,
        lambda f: torch.cholesky_inverse(f, upper=upper),
        [factor],
        statics,
        **tolerance,
    )


def test_cholesky_info_names_the_first_bad_minor():
    x = np.stack([np.eye(4), np.diag([1.0, 2, -1, 4]), np.diag([0.0, 1, 1, 1])])
    info = linalg.cholesky_ex(jnp.asarray(x), upper=False)[1]
    assert info.tolist() == torch.linalg.cholesky_ex(torch.tensor(x))[1].tolist() == [0, 3, 1]


@pytest.mark.parametrize("dtype", TYPES, ids=name)
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_lu_solve(dtype, left, adjoint):
    packed, pivots = torch.linalg.lu_factor(torch.tensor(draw(2, 3, 3, dtype=dtype)))
    b = draw(3, 4, dtype=dtype) if left else draw(4, 3, dtype=dtype)
    check(
        linalg.lu_solve,
        lambda f, p, b: torch.linalg.lu_solve(f, p, b, left=left, adjoint=adjoint),
        [packed.numpy(), pivots.numpy(), b],
        {"left": left, "adjoint_of": adjoint},
        **close(dtype),
    )


@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_householder(dtype):
    x, tau = (t.numpy() for t in torch.geqrf(torch.tensor(draw(2, 5, 3, dtype=dtype))))
    tolerance = close(dtype)
    check(linalg.householder_product, torch.linalg.householder_product, [x, tau], **tolerance)
    for left in (True, False):
        for transposed in (True, False):
            c = draw(2, 5, 2, dtype=dtype) if left else draw(2, 2, 5, dtype=dtype)
            check(
                linalg.ormqr,
                lambda *a, left=left, transposed=transposed: torch.ormqr(
                    *a, left=left, transpose=transposed
                ),
                [x, tau, c],
                {"left": left, "transposed": transposed},
                **tolerance,
            )


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_hermitian_eigenvalues(dtype, upper):
    check(
        decompositions.eigvalsh,
        lambda x: torch.linalg.eigvalsh(x, UPLO="U" if upper else "L"),
        [hermitian(2, 4, 4, dtype=dtype)],
        {"upper": upper},
        **close(dtype),
    )


def _same_vectors(ours, theirs, axis, tolerance):
    """Equal up to a sign or phase of each vector: PyTorch's depend on the LAPACK it is built with,
    and one build chooses them by the size of the matrix."""
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    phase = (np.conj(ours) * theirs).sum(axis, keepdims=True)
    np.testing.assert_allclose(np.abs(phase), 1, **tolerance)
    np.testing.assert_allclose(ours * phase, theirs, **tolerance)


DECOMPOSITIONS = [
    (decompositions.eigh, torch.linalg.eigh, hermitian, (2, 4, 4), {"upper": False}, {1: -2}),
    (
        decompositions.eigh,
        lambda x: torch.linalg.eigh(x, UPLO="U"),
        hermitian,
        (3, 3),
        {"upper": True},
        {1: -2},
    ),
    (decompositions.eig, torch.linalg.eig, draw, (2, 4, 4), {}, {1: -2}),
    *(
        (
            decompositions.svd,
            lambda x: torch.linalg.svd(x, full_matrices=False),
            draw,
            shape,
            {"full_matrices": False},
            {0: -2, 2: -1},
        )
        for shape in ((3, 3), (5, 3), (2, 3, 5))
    ),
]


@pytest.mark.parametrize("dtype", TYPES, ids=name)
@pytest.mark.parametrize("row", DECOMPOSITIONS, ids=lambda r: r[0].__name__)
def test_decomposition(row, dtype):
    """Values, and gradients of a loss that does not see the signs of the vectors."""
    kernel, oracle, make, shape, statics, vectors = row
    x, tolerance = make(*shape, dtype=dtype), close(dtype)
    ours = kernel(jnp.asarray(x), **statics)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = oracle(tensor)
    loss, cotangents = 0, []
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        weight = draw(*a.shape, dtype=np.zeros(0, dtype).real.dtype)
        if i in vectors:
            _same_vectors(a, b, vectors[i], tolerance)
        else:
            np.testing.assert_allclose(np.asarray(a), b.detach().numpy(), **tolerance)
        loss = loss + (b.abs() ** 2 * torch.tensor(weight)).sum()
        cotangents.append(2 * a * weight)
    loss.backward()
    rule = getattr(decompositions, kernel.__name__ + "_vjp")
    (found,) = rule(tuple(cotangents), (jnp.asarray(x),), ours, (True,), **statics)
    tolerance = {k: 10 * v for k, v in tolerance.items()}
    np.testing.assert_allclose(np.asarray(found), tensor.grad.numpy(), **tolerance)


def test_full_singular_vectors():
    x = draw(5, 3)
    u, s, vh = decompositions.svd(jnp.asarray(x), full_matrices=True)
    assert u.shape == (5, 5)
    np.testing.assert_allclose((u[:, :3] * s) @ vh, x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(u.T @ u, np.eye(5), atol=1e-12)


@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_eigenvalue_gradients(dtype):
    check(decompositions.eigvals, torch.linalg.eigvals, [draw(4, 4, dtype=dtype)], **close(dtype))


def test_repeated_values_have_gradients():
    x = jnp.eye(3)
    g = jnp.asarray([1.0, 2.0, 3.0])
    for kernel, statics in (
        (decompositions.eigvalsh, {"upper": False}),
        (decompositions.svdvals, {}),
    ):
        rule = getattr(decompositions, kernel.__name__ + "_vjp")
        assert jnp.isfinite(rule((g,), (x,), (None,), (True,), **statics)[0]).all()


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (2, 3, 3)])
@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_pinv(shape, dtype):
    real = np.zeros(0, dtype).real.dtype
    scalars = [real.type(0), real.type(np.finfo(real).eps * max(shape))]
    x = draw(*shape, dtype=dtype)
    check(
        decompositions.pinv,
        lambda x, a, r: torch.linalg.pinv(x),
        [x, *scalars],
        {"hermitian": False},
        **close(dtype),
    )
    assert (
        decompositions.matrix_rank(x, *scalars, hermitian=False).tolist()
        == torch.linalg.matrix_rank(torch.tensor(x)).tolist()
    )


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("dtype", TYPES, ids=name)
def test_lstsq(shape, dtype):
    real = np.zeros(0, dtype).real.dtype
    a, b = draw(*shape, dtype=dtype), draw(shape[0], 2, dtype=dtype)
    rtol = real.type(np.finfo(real).eps * max(shape))

    def oracle(a, b, rtol):
        solution = torch.linalg.lstsq(a, b).solution
        rest = torch.linalg.lstsq(a, b, driver="gelsd")
        return solution, rest.rank, rest.singular_values.detach()

    check(decompositions.lstsq, oracle, [a, b, rtol], **close(dtype))


def test_determinant_of_singular_matrices():
    x = draw(2, 4, 4)
    x[0, 3] = x[0, 0] + x[0, 1]
    x[1, 2:] = x[1, :2]
    check(linalg.det, torch.linalg.det, [x], rtol=1e-8, atol=1e-9)


def test_matrix_exp_of_large_and_mixed_norms():
    x = np.stack([0.01 * draw(3, 3), 4 * draw(3, 3), np.zeros((3, 3))])
    check(decompositions.matrix_exp, torch.linalg.matrix_exp, [x], rtol=1e-9)
    check_grads(decompositions.matrix_exp, (jnp.asarray(x[0]),), 2, ["rev"])
