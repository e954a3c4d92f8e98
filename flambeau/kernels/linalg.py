"""Factorisations of matrices and what follows from them, on stacks (*, n, m).

The factorisations are LAPACK's (through `lax.linalg`), so signs and orders are LAPACK's, too. The
derivatives are written in terms of the factors; their source is M. Giles, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation" (2008), where no other
is named.
"""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from .common import cast, expand
from .products import adjoint, conjugate, matmul, transpose


def real_part(x):
    """The real part; real arrays pass through."""
    return lax.real(x) if np.issubdtype(x.dtype, np.complexfloating) else x


def identity_like(x, rows=None):
    """Identity matrices with the batch shape and type of `x`."""
    n = x.shape[-1] if rows is None else rows
    shape = (*x.shape[:-2], n, n)
    return cast(_index(shape, -2) == _index(shape, -1), x.dtype)


def _index(shape, axis):
    return lax.broadcasted_iota(np.int32, shape, axis % len(shape))


def triangle(x, *, lower, offset=0):
    """`x` with zeros above (`lower`) or below diagonal number `offset`."""
    distance = lax.sub(_index(x.shape, -1), _index(x.shape, -2))
    keep = distance <= offset if lower else distance >= offset
    return lax.select(keep, x, lax.full_like(x, 0))


def diagonal(x):
    """(*, n, m) -> (*, min(n, m))."""
    count = min(x.shape[-2:])
    square = x[..., :count, :count]
    on_diagonal = _index(square.shape, -2) == _index(square.shape, -1)
    return lax.reduce_sum(lax.select(on_diagonal, square, lax.full_like(square, 0)), (x.ndim - 2,))


def scale_columns(x, values):
    """x diag(values)."""
    return lax.mul(x, expand(lax.expand_dims(values, (values.ndim - 1,)), x.shape))


def scale_rows(x, values):
    """diag(values) x."""
    return lax.mul(x, expand(lax.expand_dims(values, (values.ndim,)), x.shape))


def broadcast_batches(*arrays):
    """The arrays with the leading axes (all but two) broadcast to a common shape."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    return tuple(expand(x, (*batch, *x.shape[-2:])) for x in arrays)


# --- LU and what is solved with it --------------------------------------------------------------


def _first_zero(values):
    """1 + the place of the first zero along the last axis, 0 where there is none (int32)."""
    zero = lax.eq(values, lax.full_like(values, 0))
    if values.shape[-1] == 0:
        return lax.full(values.shape[:-1], 0, np.int32)
    first = lax.add(lax.argmax(zero, values.ndim - 1, np.int32), np.int32(1))
    found = lax.reduce_or(zero, (values.ndim - 1,))
    return lax.select(found, first, lax.full_like(first, 0))


def lu_factor_ex(x):
    """P L U = x. Returns (LU packed in one matrix, pivots counted from 1, info).

    `info` is the place, from 1, of the first zero on U's diagonal, 0 where there is none.
    """
    packed, pivots, _ = lax.linalg.lu(x)
    return packed, lax.add(pivots, np.int32(1)), _first_zero(diagonal(packed))


def permutation_of_pivots(pivots, rows):
    """(*, k) pivots from 1 -> (*, rows): row i of the product P^T x is row permutation[i] of x."""
    return lax.linalg.lu_pivots_to_permutation(lax.sub(pivots, np.int32(1)), rows)


def _permutation_matrix(permutation, dtype):
    """P with P[permutation[i], i] = 1."""
    shape = (*permutation.shape, permutation.shape[-1])
    columns = lax.broadcast_in_dim(
        permutation, shape, (*range(permutation.ndim - 1), permutation.ndim)
    )
    return cast(_index(shape, -2) == cast(columns, np.int32), dtype)


def lu_unpack(packed, pivots):
    """The factors (P, L, U) of what `lu_factor_ex` returned."""
    rows, columns = packed.shape[-2:]
    count = min(rows, columns)
    lower = triangle(packed[..., :, :count], lower=True, offset=-1)
    lower = lax.add(lower, _eye_rectangle(lower))
    upper = triangle(packed[..., :count, :], lower=False)
    return _permutation_matrix(permutation_of_pivots(pivots, rows), packed.dtype), lower, upper


def _eye_rectangle(x):
    return cast(_index(x.shape, -2) == _index(x.shape, -1), x.dtype)


def lu(x):
    """The factors (P, L, U) of x = P L U."""
    packed, pivots, _ = lu_factor_ex(x)
    return lu_unpack(packed, pivots)


def _triangular(a, b, **options):
    return lax.linalg.triangular_solve(a, b, left_side=True, **options)


def lu_solve(packed, pivots, b, *, left=True, adjoint_of=False):
    """Solves A X = b (X A = b where not `left`; with A^H for A where `adjoint_of`)."""
    if not left:
        solved = lu_solve(packed, pivots, adjoint(b), adjoint_of=not adjoint_of)
        return adjoint(solved)
    batch = np.broadcast_shapes(packed.shape[:-2], b.shape[:-2])
    packed = expand(packed, (*batch, *packed.shape[-2:]))
    b = expand(b, (*batch, *b.shape[-2:]))
    permutation = permutation_of_pivots(pivots, packed.shape[-1])
    shuffle = expand(_permutation_matrix(permutation, packed.dtype), packed.shape)
    if adjoint_of:
        options = {"transpose_a": True, "conjugate_a": True}
        b = _triangular(packed, b, lower=False, **options)
        b = _triangular(packed, b, lower=True, unit_diagonal=True, **options)
        return matmul(shuffle, b)
    b = matmul(transpose(shuffle), b)
    b = _triangular(packed, b, lower=True, unit_diagonal=True)
    return _triangular(packed, b, lower=False)


def solve_ex(a, b, *, left):
    """X of A X = b (X A = b where not `left`) and `lu_factor_ex`'s info. Matrices, not vectors."""
    packed, pivots, info = lu_factor_ex(a)
    return lu_solve(packed, pivots, b, left=left), info


def solve_ex_vjp(cts, inputs, outputs, needs, *, left):
    """gb = A^-H g; ga = -gb X^H (left), -X^H gb (right)."""
    a, b = inputs
    if cts[0] is None:
        return None, None
    gb = solve_ex(adjoint(a), cts[0], left=left)[0]
    ga = None
    if needs[0]:
        solution = adjoint(outputs[0])
        product = matmul(gb, solution) if left else matmul(solution, gb)
        ga = _sum_batches(lax.neg(product), a.shape)
    return ga, _sum_batches(gb, b.shape) if needs[1] else None


def _sum_batches(gradient, shape):
    """The gradient of `broadcast_batches` for one operand."""
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape[:-2]) if n == 1 and gradient.shape[extra + i] != 1
    )
    return lax.reshape(lax.reduce_sum(gradient, axes), shape) if axes else gradient


def inv_ex(x):
    """x^-1 and `lu_factor_ex`'s info."""
    return solve_ex(x, identity_like(x), left=True)


def inv_ex_vjp(cts, inputs, outputs, needs):
    """-x^-H g x^-H."""
    if cts[0] is None:
        return (None,)
    inverse = adjoint(outputs[0])
    return (lax.neg(matmul(matmul(inverse, cts[0]), inverse)),)


def det(x):
    """The determinant; its derivative, the cofactors, holds for singular matrices, too."""
    return jax.numpy.linalg.det(x)


def slogdet(x):
    """(sign, log |det x|); the sign has modulus 1."""
    sign, logarithm = jax.numpy.linalg.slogdet(x)
    return sign, logarithm


def logdet(x):
    """log det x: NaN for a negative determinant, -inf for zero; complex for complex x."""
    sign, logarithm = slogdet(x)
    if np.issubdtype(x.dtype, np.complexfloating):
        return lax.add(cast(logarithm, x.dtype), lax.log(sign))
    negative = lax.lt(sign, lax.full_like(sign, 0))
    return lax.select(negative, lax.full_like(logarithm, np.nan), logarithm)


def solve_triangular(a, b, *, upper, left, unitriangular):
    """X of a X = b (X a = b where not `left`) with triangular a."""
    a, b = broadcast_batches(a, b)
    return lax.linalg.triangular_solve(
        a, b, left_side=left, lower=not upper, unit_diagonal=unitriangular
    )


def triangular_solve(b, a, *, upper, transposed, unitriangular):
    """X of a X = b, or of a^T X = b."""
    a, b = broadcast_batches(a, b)
    return _triangular(a, b, lower=not upper, transpose_a=transposed, unit_diagonal=unitriangular)


# --- Cholesky -----------------------------------------------------------------------------------


def cholesky_ex(x, *, upper):
    """L L^H = x (U^H U = x where `upper`), from that triangle of x alone.

    Returns (factor, info): info is the order of the first leading minor that isn't positive, 0
    where the factorisation succeeds; the factor is NaN where it does not.
    """
    source = adjoint(x) if upper else x
    factor = lax.linalg.cholesky(source, symmetrize_input=False)
    failed = lax.reduce_or(lax.ne(factor, factor), (x.ndim - 2, x.ndim - 1))
    none = lax.full(failed.shape, 0, np.int32)
    info = lax.cond(
        lax.reduce_or(failed, tuple(range(failed.ndim))),
        lambda s: lax.select(failed, _first_bad_minor(s), none),
        lambda s: none,
        lax.stop_gradient(source),
    )
    return (adjoint(factor) if upper else factor), info


def _first_bad_minor(x):
    """The order of the first leading minor that isn't positive, by elimination without pivoting."""
    n = x.shape[-1]
    if n == 0:
        return lax.full(x.shape[:-2], 0, np.int32)

    def eliminate(k, state):
        rest, info = state
        pivot = real_part(lax.dynamic_index_in_dim(diagonal(rest), k, x.ndim - 2, False))
        bad = lax.bitwise_and(lax.eq(info, np.int32(0)), lax.bitwise_not(pivot > 0))
        order = lax.full_like(info, cast(k, np.int32) + np.int32(1))
        column = lax.dynamic_index_in_dim(rest, k, x.ndim - 1, False)
        square = lax.mul(column[..., :, None], conjugate(column)[..., None, :])
        pivots = expand(cast(pivot, x.dtype)[..., None, None], x.shape)
        return lax.sub(rest, lax.div(square, pivots)), lax.select(bad, order, info)

    start = (x, lax.full(x.shape[:-2], 0, np.int32))
    return lax.fori_loop(0, n, eliminate, start)[1]


def cholesky_ex_vjp(cts, inputs, outputs, needs, *, upper):
    """The symmetric gradient L^-H Phi(L^H g) L^-1: Phi halves the diagonal of the lower triangle.

    Source: I. Murray, "Differentiation of the Cholesky decomposition" (2016).
    """
    if cts[0] is None:
        return (None,)
    factor, gradient = outputs[0], cts[0]
    if upper:
        factor, gradient = adjoint(factor), adjoint(gradient)
    product = triangle(matmul(adjoint(factor), gradient), lower=True)
    middle = lax.add(product, adjoint(triangle(product, lower=True, offset=-1)))
    middle = lax.mul(middle, lax.full_like(middle, 0.5))
    middle = _triangular(factor, middle, lower=True, transpose_a=True, conjugate_a=True)
    return (lax.linalg.triangular_solve(factor, middle, left_side=False, lower=True),)


def cholesky_solve(b, factor, *, upper):
    """X of A X = b, given the Cholesky factor of A."""
    factor, b = broadcast_batches(factor, b)
    if upper:
        b = _triangular(factor, b, lower=False, transpose_a=True, conjugate_a=True)
        return _triangular(factor, b, lower=False)
    b = _triangular(factor, b, lower=True)
    return _triangular(factor, b, lower=True, transpose_a=True, conjugate_a=True)


def cholesky_solve_vjp(cts, inputs, outputs, needs, *, upper):
    """gb = A^-1 g; for the factor -(gb X^H + X gb^H) L, all of it, not its triangle alone."""
    b, factor = inputs
    gb = cholesky_solve(cts[0], factor, upper=upper)
    gf = None
    if needs[1]:
        product = matmul(gb, adjoint(outputs[0]))
        gf = _factor_gradient(lax.add(product, adjoint(product)), factor, upper)
    return _sum_batches(gb, b.shape) if needs[0] else None, gf


def _factor_gradient(common, factor, upper):
    """-common L, or -U common, summed over batches that the factor lacks."""
    gradient = matmul(factor, common) if upper else matmul(common, factor)
    return lax.neg(_sum_batches(gradient, factor.shape))


def cholesky_inverse(factor, *, upper):
    """A^-1, given the Cholesky factor of A."""
    return cholesky_solve(identity_like(factor), factor, upper=upper)


def cholesky_inverse_vjp(cts, inputs, outputs, needs, *, upper):
    """-A^-1 (g + g^H) A^-1 L, all of it, not its triangle alone."""
    inverse = outputs[0]
    both = lax.add(cts[0], adjoint(cts[0]))
    return (_factor_gradient(matmul(matmul(inverse, both), inverse), inputs[0], upper),)


# --- QR -----------------------------------------------------------------------------------------


def qr(x, *, mode):
    """x = Q R. `mode`: 'reduced', 'complete', or 'r' for R alone (Q is then empty)."""
    if mode == "r":
        upper = lax.linalg.qr(x, full_matrices=False)[1]
        return lax.full((0,), 0, x.dtype), upper
    return lax.linalg.qr(x, full_matrices=mode == "complete")


def qr_vjp(cts, inputs, outputs, needs, *, mode):
    """JAX's derivative, with PyTorch's refusals."""
    (x,) = inputs
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    if mode == "complete" and x.shape[-2] > x.shape[-1]:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        )
    primals, pull = jax.vjp(lambda x: qr(x, mode=mode), x)
    filled = (lax.full_like(y, 0) if g is None else g for g, y in zip(cts, primals, strict=True))
    return (conjugate(pull(tuple(conjugate(g) for g in filled))[0]),)


def geqrf(x):
    """The Householder form of QR: R and the reflectors below it, and their factors tau."""
    raw, tau = jax.numpy.linalg.qr(x, mode="raw")
    return transpose(raw), tau


def _reflectors(x):
    """The unit lower triangular (trapezoidal) reflectors of `geqrf`'s matrix."""
    return lax.add(triangle(x, lower=True, offset=-1), _eye_rectangle(x))


def _apply_reflectors(vectors, tau, c, *, reverse, conjugated):
    """c := H_i c for all i, H_i = 1 - tau_i v_i v_i^H; from the last where `reverse`."""
    tau = conjugate(tau) if conjugated else tau
    columns = lax.transpose(vectors, (vectors.ndim - 1, *range(vectors.ndim - 1)))
    factors = lax.transpose(tau, (tau.ndim - 1, *range(tau.ndim - 1)))

    def step(c, reflector):
        vector, factor = reflector
        column = lax.expand_dims(vector, (vector.ndim,))
        weight = lax.mul(column, expand(factor[..., None, None], column.shape))
        return lax.sub(c, matmul(weight, matmul(adjoint(column), c))), None

    return lax.scan(step, c, (columns, factors), reverse=reverse)[0]


def householder_product(x, tau):
    """The first m columns of H_1 H_2 ... H_k, from the reflectors below the diagonal of x."""
    vectors = _reflectors(x)[..., : tau.shape[-1]]
    return _apply_reflectors(vectors, tau, _eye_rectangle(x), reverse=True, conjugated=False)


def ormqr(x, tau, c, *, left, transposed):
    """Q c, Q^H c, c Q or c Q^H, where Q is the product of all of x's reflectors."""
    vectors = _reflectors(x)[..., : tau.shape[-1]]
    if not left:
        flipped = ormqr(x, tau, adjoint(c), left=True, transposed=not transposed)
        return adjoint(flipped)
    return _apply_reflectors(vectors, tau, c, reverse=not transposed, conjugated=transposed)
