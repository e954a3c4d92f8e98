"""Products of vectors, matrices and tensors.

Sums of products of 16-bit floats are kept in float32 and rounded once. Integer products wrap, as
integer addition does.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from jax import lax

from .common import broadcast, cast, compute_dtype, expand, unbroadcast
from .elementwise import widened


def contract(a, b, contracting, batch=((), ())):
    """`lax.dot_general` that accumulates in the compute type and rounds to the operands' type."""
    accumulator = compute_dtype(a.dtype)
    product = lax.dot_general(a, b, (contracting, batch), preferred_element_type=accumulator)
    return cast(product, a.dtype)


def _contract_wide(a, b, contracting, batch=((), ())):
    """`contract` without the final rounding: the result has the compute type."""
    return lax.dot_general(
        a, b, (contracting, batch), preferred_element_type=compute_dtype(a.dtype)
    )


def _matrix_product(a, b):
    """(*, n, k) times (*, k, m), equal batch shapes, in the compute type."""
    batch = tuple(range(a.ndim - 2))
    return _contract_wide(a, b, ((a.ndim - 1,), (b.ndim - 2,)), (batch, batch))


def dot(a, b):
    """sum_i a_i b_i of two vectors."""
    return contract(a, b, ((0,), (0,)))


def vdot(a, b):
    """sum_i conj(a_i) b_i of two vectors."""
    return dot(conjugate(a), b)


def vecdot(a, b, *, dim):
    """sum_i conj(a_i) b_i along axis `dim` of the common shape."""
    a, b = broadcast(conjugate(a), b)
    axes = tuple(i for i in range(a.ndim) if i != dim)
    return contract(a, b, ((dim,), (dim,)), (axes, axes))


def conjugate(x):
    """The complex conjugate; real arrays pass through."""
    return lax.conj(x) if np.issubdtype(x.dtype, np.complexfloating) else x


def adjoint(x):
    """The conjugate transpose of the last two axes."""
    return conjugate(transpose(x))


def transpose(x):
    """The last two axes exchanged."""
    return lax.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def mv(matrix, vector):
    """(n, k) times (k) -> (n)."""
    return contract(matrix, vector, ((1,), (0,)))


def mm(a, b):
    """(n, k) times (k, m) -> (n, m)."""
    return contract(a, b, ((1,), (0,)))


def mm_vjp(cts, inputs, outputs, needs):
    """ga = g b^H, gb = a^H g. The barrier has a^H laid out once: XLA's CPU back end is several
    times slower where both operands are contracted along their first axis."""
    (a, b), g = inputs, cts[0]
    ga = contract(g, conjugate(b), ((1,), (1,))) if needs[0] else None
    gb = mm(lax.optimization_barrier(adjoint(a)), g) if needs[1] else None
    return ga, gb


def bmm(a, b):
    """(b, n, k) times (b, k, m) -> (b, n, m)."""
    return contract(a, b, ((2,), (1,)), ((0,), (0,)))


def matmul(a, b):
    """The matrix product with PyTorch's rules.

    1-d operands lose their axis in the result; leading axes broadcast. A stack times one matrix
    (or vector) is one product of the flattened stack.
    """
    if a.ndim == 1 and b.ndim == 1:
        return dot(a, b)
    if b.ndim <= 2:
        return contract(a, b, ((a.ndim - 1,), (0,)))
    if a.ndim == 1:
        return lax.squeeze(matmul(lax.expand_dims(a, (0,)), b), (b.ndim - 2,))
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = expand(a, (*batch, *a.shape[-2:]))
    b = expand(b, (*batch, *b.shape[-2:]))
    return cast(_matrix_product(a, b), a.dtype)


def matmul_vjp(cts, inputs, outputs, needs):
    """A stack times one matrix is `mm` of the flattened stack; else what JAX derives."""
    (a, b), g = inputs, cts[0]
    if b.ndim == 2 and a.ndim > 2:
        flat = [lax.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1])) for x in (a, g)]
        ga, gb = mm_vjp((flat[1],), (flat[0], b), outputs, needs)
        return (None if ga is None else lax.reshape(ga, a.shape)), gb
    gradients = jax.vjp(matmul, a, b)[1](conjugate(g))
    return tuple(conjugate(x) if need else None for x, need in zip(gradients, needs, strict=True))


def _blend(start, product, beta, alpha, dtype):
    """beta start + alpha product, where `product` comes in the compute type."""
    wide = product.dtype
    result = lax.mul(product, expand(cast(alpha, wide), product.shape))
    if start is not None:
        scaled = lax.mul(cast(start, wide), expand(cast(beta, wide), start.shape))
        result = lax.add(expand(scaled, result.shape), result)
    return cast(result, dtype)


def addmm(start, a, b, beta, alpha):
    """beta start + alpha (a b). `start` is None where beta is 0: NaNs in it do not count."""
    return _blend(start, _contract_wide(a, b, ((1,), (0,))), beta, alpha, a.dtype)


def addmm_vjp(cts, inputs, outputs, needs):
    """beta g for `start`, alpha times `mm`'s derivative for the rest."""
    (start, a, b, beta, alpha), g = inputs, cts[0]
    ga, gb = (
        None if x is None else _scaled(x, alpha) for x in mm_vjp((g,), (a, b), outputs, needs[1:3])
    )
    gs = unbroadcast(_scaled(g, beta), start.shape) if needs[0] else None
    return gs, ga, gb, None, None


def _scaled(g, factor):
    """conj(factor) g, rounded once."""
    wide = cast(g, compute_dtype(g.dtype))
    factor = conjugate(cast(factor, wide.dtype))
    return cast(lax.mul(wide, expand(factor, wide.shape)), g.dtype)


def addmv(start, matrix, vector, beta, alpha):
    """beta start + alpha (matrix vector); `start` is None where beta is 0."""
    product = _contract_wide(matrix, vector, ((1,), (0,)))
    return _blend(start, product, beta, alpha, matrix.dtype)


def addr(start, a, b, beta, alpha):
    """beta start + alpha (a outer b); `start` is None where beta is 0."""
    wide = compute_dtype(a.dtype)
    return _blend(start, outer(cast(a, wide), cast(b, wide)), beta, alpha, a.dtype)


def baddbmm(start, a, b, beta, alpha):
    """beta start + alpha (a_i b_i) for every i; `start` is None where beta is 0."""
    return _blend(start, _matrix_product(a, b), beta, alpha, a.dtype)


def addbmm(start, a, b, beta, alpha):
    """beta start + alpha sum_i a_i b_i; `start` is None where beta is 0."""
    return _blend(start, _contract_wide(a, b, ((0, 2), (0, 1))), beta, alpha, a.dtype)


@widened
def outer(a, b):
    """(n), (m) -> (n, m): a_i b_j."""
    return lax.mul(
        lax.broadcast_in_dim(a, (a.shape[0], b.shape[0]), (0,)),
        lax.broadcast_in_dim(b, (a.shape[0], b.shape[0]), (1,)),
    )


def inner(a, b):
    """The sum of products over the last axis of both; a 0-d operand scales the other."""
    if a.ndim == 0 or b.ndim == 0:
        return lax.mul(*broadcast(a, b))
    return contract(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


def tensordot(a, b, *, dims_a, dims_b):
    """The sum of products over the paired axes; an axis of size 1 meets the sum of its partner."""
    for i, j in zip(dims_a, dims_b, strict=True):
        if a.shape[i] == 1 and b.shape[j] != 1:
            b = _sum_keeping(b, j)
        elif b.shape[j] == 1 and a.shape[i] != 1:
            a = _sum_keeping(a, i)
    return contract(a, b, (tuple(dims_a), tuple(dims_b)))


def _sum_keeping(x, axis):
    summed = cast(lax.reduce_sum(cast(x, compute_dtype(x.dtype)), (axis,)), x.dtype)
    return lax.expand_dims(summed, (axis,))


@widened
def kron(a, b):
    """The Kronecker product of arrays of any rank; the shorter shape is padded on the left."""
    rank = max(a.ndim, b.ndim)
    shape_a = (1,) * (rank - a.ndim) + a.shape
    shape_b = (1,) * (rank - b.ndim) + b.shape
    pairs = tuple(zip(shape_a, shape_b, strict=True))
    both = tuple(n for pair in pairs for n in pair)
    product = lax.mul(
        lax.broadcast_in_dim(lax.reshape(a, shape_a), both, tuple(range(0, 2 * rank, 2))),
        lax.broadcast_in_dim(lax.reshape(b, shape_b), both, tuple(range(1, 2 * rank, 2))),
    )
    return lax.reshape(product, tuple(n * m for n, m in pairs))


def cross(a, b, *, dim):
    """The vector product along axis `dim`, of size 3, of the common shape."""
    a, b = broadcast(a, b)
    a1, a2, a3 = (lax.slice_in_dim(a, i, i + 1, axis=dim) for i in range(3))
    b1, b2, b3 = (lax.slice_in_dim(b, i, i + 1, axis=dim) for i in range(3))
    parts = (a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1)
    return lax.concatenate(parts, dim)


def trace(x):
    """The sum of the main diagonal of a matrix; integers are summed as int64."""
    on_diagonal = lax.eq(lax.broadcasted_iota(np.int32, x.shape, 0), _columns(x))
    values = lax.select(on_diagonal, x, lax.full_like(x, 0))
    if x.dtype.kind in "iu":
        return lax.reduce_sum(cast(values, np.int64), (0, 1))
    return cast(lax.reduce_sum(cast(values, compute_dtype(x.dtype)), (0, 1)), x.dtype)


def _columns(x):
    return lax.broadcasted_iota(np.int32, x.shape, x.ndim - 1)


def multi_dot(*matrices):
    """The product of a chain of matrices (or of a vector at either end), cheapest order first.

    The order comes from the classic dynamic programme (Cormen et al., "Introduction to
    Algorithms", section 15.2).
    """
    first, last = matrices[0].ndim == 1, matrices[-1].ndim == 1
    chain = list(matrices)
    if first:
        chain[0] = lax.expand_dims(chain[0], (0,))
    if last:
        chain[-1] = lax.expand_dims(chain[-1], (1,))
    split = _chain_order(tuple(m.shape[0] for m in chain) + (chain[-1].shape[1],))

    def product(i, j):
        if i == j:
            return chain[i]
        middle = split[i, j]
        return mm(product(i, middle), product(middle + 1, j))

    result = product(0, len(chain) - 1)
    return lax.squeeze(result, (0,) * first + (1,) * last)


def _chain_order(sizes):
    """For each stretch (i, j) of the chain, where to split it."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


def matrix_power(x, *, n):
    """x multiplied `n` >= 0 times, by repeated squaring."""
    if n == 0:
        rows = lax.broadcasted_iota(np.int32, x.shape, x.ndim - 2)
        return cast(rows == _columns(x), x.dtype)
    result, square = None, x
    while True:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        if not n:
            return result
        square = matmul(square, square)


def vander(x, *, columns, increasing):
    """(*, n) -> (*, n, columns): the powers 0 .. columns - 1 of each value."""
    if columns == 0:
        return lax.full((*x.shape, 0), 0, x.dtype)
    powers = [lax.full_like(x, 1)]
    for _ in range(columns - 1):
        powers.append(lax.mul(powers[-1], x))
    if not increasing:
        powers.reverse()
    return lax.concatenate([lax.expand_dims(p, (x.ndim,)) for p in powers], x.ndim)
