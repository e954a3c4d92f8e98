"""Norms of vectors and matrices, distances, and statistics that are built like them.

At a zero vector PyTorch takes the subgradient 0; ties of a maximum share its gradient evenly.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from jax import lax

from .common import broadcast, cast, compute_dtype, expand, unbroadcast
from .decompositions import svdvals
from .linalg import inv_ex, real_part
from .products import adjoint, matmul

INFINITY = float("inf")


def _kept(shape, dim):
    return tuple(1 if i in dim else n for i, n in enumerate(shape))


def _restored(x, shape, dim):
    """A reduced array spread over the axes that were reduced."""
    return expand(lax.reshape(x, _kept(shape, dim)), shape)


def _sign(x):
    """x / |x|, and 0 at 0."""
    return lax.sign(x)


def _where(condition, x, y):
    return lax.select(condition, x, y)


def _is_zero(x):
    return lax.eq(x, lax.full_like(x, 0))


def _power(x, exponent):
    """x ** exponent for x >= 0 and a static exponent."""
    if exponent == 0:
        return lax.full_like(x, 1)
    if exponent == 1:
        return x
    return lax.pow(x, lax.full_like(x, exponent))


# --- vectors ------------------------------------------------------------------------------------


def vector_norm(x, *, ord, dim, keepdim):
    """(sum |x_i|^ord)^(1/ord) over the axes `dim`; the number of non-zeros for ord 0, the largest
    and the smallest modulus for the infinities. The result is real."""
    wide = cast(x, compute_dtype(x.dtype))
    result = _norm(wide, float(ord), tuple(dim))
    shape = _kept(x.shape, dim) if keepdim else result.shape
    result = lax.reshape(result, shape)
    return result if wide.dtype == x.dtype else cast(result, x.dtype)


def vector_norm_vjp(cts, inputs, outputs, needs, *, ord, dim, keepdim):
    """x |x|^(p - 2) g / norm^(p - 1), with the limits at 0; none for p = 0."""
    if ord == 0:
        return (None,)
    (x,), (g,) = inputs, cts
    wide = cast(x, compute_dtype(x.dtype))
    real = real_part(wide).dtype
    shape = tuple(n for i, n in enumerate(x.shape) if i not in dim)
    g = lax.reshape(cast(g, real), shape)
    norm = None if ord == 1 else lax.reshape(cast(outputs[0], real), shape)
    return (cast(_norm_gradient(wide, norm, g, float(ord), tuple(dim)), x.dtype),)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _norm(x, ord, dim):
    """`vector_norm` without its axes, for other kernels to differentiate through."""
    sizes = lax.abs(x)
    if ord == INFINITY:
        return lax.reduce_max(sizes, dim)
    if ord == -INFINITY:
        return lax.reduce_min(sizes, dim)
    if ord == 0:
        return lax.reduce_sum(cast(lax.bitwise_not(_is_zero(sizes)), sizes.dtype), dim)
    if ord == 1:
        return lax.reduce_sum(sizes, dim)
    if ord == 2:
        return lax.sqrt(lax.reduce_sum(_squares(x), dim))
    return _power(lax.reduce_sum(_power(sizes, ord), dim), 1 / ord)


def _squares(x):
    if np.issubdtype(x.dtype, np.complexfloating):
        a, b = lax.real(x), lax.imag(x)
        return lax.add(lax.mul(a, a), lax.mul(b, b))
    return lax.mul(x, x)


def _norm_gradient(x, norm, g, ord, dim):
    """The gradient of `_norm` in PyTorch's convention; `norm` and `g` lack the axes `dim`."""
    if ord == 0:
        return lax.full_like(x, 0)
    g = _restored(g, x.shape, dim)
    if ord == 1:
        return lax.mul(_sign(x), cast(g, x.dtype))
    norm = _restored(norm, x.shape, dim)
    if abs(ord) == INFINITY:
        sizes = lax.abs(x)
        hit = lax.bitwise_or(lax.eq(sizes, norm), lax.ne(sizes, sizes))
        share = cast(hit, norm.dtype)
        count = _restored(lax.reduce_sum(share, dim), x.shape, dim)
        return lax.mul(_sign(x), cast(lax.mul(lax.div(share, count), g), x.dtype))
    zero = _is_zero(norm)
    safe = _where(zero, lax.full_like(norm, 1), norm)
    if ord == 2:
        scale = _where(zero, lax.full_like(norm, 0), lax.div(g, safe))
        return lax.mul(x, cast(scale, x.dtype))
    scale = _where(zero, lax.full_like(norm, 0), lax.div(g, _power(safe, ord - 1)))
    sizes = lax.abs(x)
    at_zero = _is_zero(sizes)
    weight = _power(_where(at_zero, lax.full_like(sizes, 1), sizes), ord - 1)
    weight = _where(at_zero, lax.full_like(weight, 0), weight)
    return lax.mul(_sign(x), cast(lax.mul(weight, scale), x.dtype))


def _norm_forward(x, ord, dim):
    norm = _norm(x, ord, dim)
    return norm, (x, norm)


def _norm_backward(ord, dim, residuals, g):
    x, norm = residuals
    gradient = _norm_gradient(x, norm, g, ord, dim)
    # JAX's cotangent of a complex value is the conjugate of PyTorch's gradient.
    return (lax.conj(gradient) if np.issubdtype(x.dtype, np.complexfloating) else gradient,)


_norm.defvjp(_norm_forward, _norm_backward)


# --- matrices -----------------------------------------------------------------------------------


def matrix_norm(x, *, ord, dim, keepdim):
    """The norm of the matrices over the two axes `dim`.

    `ord`: 'fro' (root of the sum of squares), 'nuc' (sum of singular values), 2 and -2 (largest
    and smallest singular value), 1 and -1 (largest and smallest column sum of moduli), inf and
    -inf (the same of rows).
    """
    if ord == "fro":
        return vector_norm(x, ord=2, dim=dim, keepdim=keepdim)
    if ord == "nuc" or abs(ord) == 2:
        rest = tuple(i for i in range(x.ndim) if i not in dim)
        values = svdvals(lax.transpose(x, (*rest, *dim)))
        axis = (values.ndim - 1,)
        if ord == "nuc":
            result = lax.reduce_sum(values, axis)
        else:
            result = (lax.reduce_max if ord == 2 else lax.reduce_min)(values, axis)
    else:
        summed, kept = (dim[0], dim[1]) if abs(ord) == 1 else (dim[1], dim[0])
        sums = _norm(x, 1.0, (summed,))
        kept -= kept > summed
        result = (lax.reduce_max if ord > 0 else lax.reduce_min)(sums, (kept,))
    return lax.reshape(result, _kept(x.shape, dim)) if keepdim else result


def cond(x, *, ord):
    """The condition number |x| |x^-1| in a norm of `matrix_norm`; inf for a singular matrix."""
    if ord in (2, -2):
        values = svdvals(x)
        ends = values[..., 0], values[..., -1]
        return lax.div(*(ends if ord == 2 else ends[::-1]))
    inverse, info = inv_ex(x)
    dim = (x.ndim - 2, x.ndim - 1)
    product = lax.mul(
        matrix_norm(x, ord=ord, dim=dim, keepdim=False),
        matrix_norm(inverse, ord=ord, dim=dim, keepdim=False),
    )
    return _where(lax.eq(info, np.int32(0)), product, lax.full_like(product, INFINITY))


# --- distances ----------------------------------------------------------------------------------


def dist(a, b, *, ord):
    """The norm of all of a - b."""
    difference = lax.sub(*broadcast(a, b))
    return vector_norm(difference, ord=ord, dim=tuple(range(difference.ndim)), keepdim=False)


def pairwise_distance(a, b, eps, *, ord, keepdim):
    """The norm of a - b + eps along the last axis."""
    difference = lax.sub(*broadcast(a, b))
    difference = lax.add(difference, expand(cast(eps, difference.dtype), difference.shape))
    return vector_norm(difference, ord=ord, dim=(difference.ndim - 1,), keepdim=keepdim)


def cosine_similarity(a, b, eps, *, dim):
    """a . b / (max(|a|, eps) max(|b|, eps)) along axis `dim` of the common shape.

    The gradient of a clamped norm is the norm's own.
    """
    dtype = a.dtype
    a, b = (cast(v, compute_dtype(dtype)) for v in broadcast(a, b))

    def scaled(x):
        norm = _norm(x, 2.0, (dim,))
        floor = expand(cast(eps, norm.dtype), norm.shape)
        norm = lax.add(norm, lax.stop_gradient(lax.sub(lax.max(norm, floor), norm)))
        return lax.div(x, _restored(norm, x.shape, (dim,)))

    return cast(lax.reduce_sum(lax.mul(scaled(a), scaled(b)), (dim,)), dtype)


def cdist(a, b, *, ord, by_product):
    """(*, P, M), (*, R, M) -> (*, P, R): the norms of a_i - b_j.

    `by_product` computes |a|^2 + |b|^2 - 2 a . b, one matrix product, for ord 2.
    """
    if by_product:
        squares_a = lax.reduce_sum(_squares(a), (a.ndim - 1,))
        squares_b = lax.reduce_sum(_squares(b), (b.ndim - 1,))
        product = matmul(a, adjoint(b))
        total = lax.add(*broadcast(squares_a[..., :, None], squares_b[..., None, :]))
        total = lax.sub(total, lax.add(product, product))
        return lax.sqrt(lax.max(total, lax.full_like(total, 0)))
    difference = _pairs(a, b)
    return vector_norm(difference, ord=ord, dim=(difference.ndim - 1,), keepdim=False)


def _pairs(a, b):
    """a_i - b_j for all i and j."""
    return lax.sub(*broadcast(a[..., :, None, :], b[..., None, :, :]))


def cdist_vjp(cts, inputs, outputs, needs, *, ord, by_product):
    """The sums over the other side of `_distance_gradient`; 0 where points coincide."""
    (a, b), g = inputs, cts[0]
    distance = None if ord in (0, 1) else outputs[0]
    if ord == 2:
        zero = _is_zero(distance)
        safe = _where(zero, lax.full_like(distance, 1), distance)
        weight = _where(zero, lax.full_like(g, 0), lax.div(g, safe))
        ga = _weighted_differences(weight, a, b) if needs[0] else None
        gb = _weighted_differences(adjoint(weight), b, a) if needs[1] else None
    else:
        each = _distance_gradient(_pairs(a, b), distance, g, ord)
        ga = lax.reduce_sum(each, (each.ndim - 2,)) if needs[0] else None
        gb = lax.neg(lax.reduce_sum(each, (each.ndim - 3,))) if needs[1] else None
    return (
        None if ga is None else unbroadcast(ga, a.shape),
        None if gb is None else unbroadcast(gb, b.shape),
    )


def _weighted_differences(weight, a, b):
    """sum_j weight_ij (a_i - b_j)."""
    total = lax.expand_dims(lax.reduce_sum(weight, (weight.ndim - 1,)), (weight.ndim - 1,))
    return lax.sub(lax.mul(*broadcast(total, a)), matmul(weight, b))


def _distance_gradient(difference, distance, g, ord):
    """Of |difference| along the last axis; unlike `vector_norm`'s, ties of a maximum do not share
    but each take the whole gradient."""
    axis = (difference.ndim - 1,)
    if ord == INFINITY:
        hit = lax.eq(lax.abs(difference), _restored(distance, difference.shape, axis))
        spread = lax.mul(_sign(difference), _restored(g, difference.shape, axis))
        return _where(hit, spread, lax.full_like(spread, 0))
    return _norm_gradient(difference, distance, g, float(ord), axis)


def pdist(x, *, ord):
    """(N, M) -> (N (N - 1) / 2): the distances of all pairs of rows i < j."""
    first, second = np.triu_indices(x.shape[0], 1)
    difference = lax.sub(x[first], x[second])
    return vector_norm(difference, ord=ord, dim=(1,), keepdim=False)


def pdist_vjp(cts, inputs, outputs, needs, *, ord):
    """Each pair's gradient, added to one row and subtracted from the other."""
    (x,) = inputs
    first, second = np.triu_indices(x.shape[0], 1)
    distance = None if ord in (0, 1) else outputs[0]
    each = _distance_gradient(lax.sub(x[first], x[second]), distance, cts[0], ord)
    return (lax.full_like(x, 0).at[first].add(each).at[second].add(lax.neg(each)),)


def renorm(x, maxnorm, *, ord, dim):
    """The slices of x along axis `dim`, those of a norm above `maxnorm` scaled down to it."""
    wide = cast(x, compute_dtype(x.dtype))
    others = tuple(i for i in range(x.ndim) if i != dim)
    norm = _norm(wide, float(ord), others)
    limit = expand(cast(maxnorm, norm.dtype), norm.shape)
    # The small number is part of the definition: it keeps the quotient finite.
    shrunk = lax.div(limit, lax.add(norm, lax.full_like(norm, 1e-7)))
    factor = _where(lax.gt(norm, limit), shrunk, lax.full_like(norm, 1))
    factor = cast(_restored(factor, x.shape, others), wide.dtype)
    return cast(lax.mul(wide, factor), x.dtype)


# --- covariance ---------------------------------------------------------------------------------


def cov(x, frequencies, weights, *, correction):
    """(variables, observations) -> (variables, variables), or 0-d for one variable.

    The observations count `frequencies` times and weigh `weights` (either may be None); the
    divisor is sum(w) - correction * sum(w weights) / sum(w), w their product, at least 0.
    """
    rows = lax.reshape(x, (1, x.size)) if x.ndim < 2 else x
    count = rows.shape[1]
    real = real_part(rows).dtype
    if frequencies is None and weights is None:
        total = lax.full((), count, real)
        divisor = lax.full((), max(count - correction, 0), real)
        weighted = rows
    else:
        parts = [cast(v, real) for v in (frequencies, weights) if v is not None]
        w = parts[0] if len(parts) == 1 else lax.mul(*parts)
        total = lax.reduce_sum(w, (0,))
        lost = lax.full((), correction, real)
        if weights is not None:
            share = lax.reduce_sum(lax.mul(w, cast(weights, real)), (0,))
            lost = lax.mul(lost, lax.div(share, total))
        divisor = lax.max(lax.sub(total, lost), lax.full((), 0, real))
        w = expand(cast(w, rows.dtype), rows.shape)
        weighted = lax.mul(rows, w)
    mean = lax.div(lax.reduce_sum(weighted, (1,)), expand(cast(total, rows.dtype), rows.shape[:1]))
    centred = lax.sub(rows, expand(mean[:, None], rows.shape))
    left = centred if weighted is rows else lax.mul(centred, w)
    product = matmul(left, adjoint(centred))
    result = _over(product, expand(divisor, product.shape))
    return lax.reshape(result, ()) if rows.shape[0] == 1 else result


def _over(x, divisor):
    """x / divisor for a real divisor, part by part: 1j / 0 is NaN + inf j."""
    if np.issubdtype(x.dtype, np.complexfloating):
        return lax.complex(lax.div(lax.real(x), divisor), lax.div(lax.imag(x), divisor))
    return lax.div(x, divisor)


def corrcoef(x):
    """cov(x)_ij / sqrt(cov_ii cov_jj), clipped to [-1, 1]; 1 for a single variable."""
    covariance = cov(x, None, None, correction=1)
    if covariance.ndim == 0:
        return lax.div(covariance, covariance)
    spread = lax.sqrt(covariance[np.arange(x.shape[0]), np.arange(x.shape[0])])
    result = lax.div(covariance, expand(spread[:, None], covariance.shape))
    result = lax.div(result, expand(spread[None, :], covariance.shape))
    return _clipped(result)


def _clipped(x):
    """x (or its two parts) within [-1, 1]."""
    if np.issubdtype(x.dtype, np.complexfloating):
        return lax.complex(_clipped(lax.real(x)), _clipped(lax.imag(x)))
    return lax.clamp(lax.full((), -1, x.dtype), x, lax.full((), 1, x.dtype))
