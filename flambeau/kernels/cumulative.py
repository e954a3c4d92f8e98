"""Cumulative functions along one axis `dim` (not negative), and finite differences."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from .common import cast, compute_dtype
from .indexing import scatter_add
from .reduce import INDEX, accumulated, is_inexact


def cumsum(x, *, dim, dtype=None):
    """out[i] = x[0] + ... + x[i]; integers and booleans sum to int64 unless `dtype` is given."""
    dtype, wide = accumulated(x, dtype)
    return cast(lax.cumsum(wide, dim) if x.ndim else wide, dtype)


def cumsum_vjp(cts, inputs, outputs, needs, *, dim, dtype=None):
    (ct,) = cts
    wide = cast(ct, compute_dtype(ct.dtype))
    summed = lax.cumsum(wide, dim, reverse=True) if ct.ndim else wide
    return (cast(cast(summed, ct.dtype), inputs[0].dtype),)


def cumprod(x, *, dim, dtype=None):
    """out[i] = x[0] * ... * x[i]; integers and booleans multiply to int64 unless `dtype` is
    given."""
    dtype, wide = accumulated(x, dtype)
    return cast(lax.cumprod(wide, dim) if x.ndim else wide, dtype)


def cumprod_vjp(cts, inputs, outputs, needs, *, dim, dtype=None):
    """sum_{j >= i} ct[j] out[j] / x[i] without zeros; with zeros, by the products themselves."""
    (x,) = inputs
    wide, factors = accumulated(_at_least_1d(x), dtype)
    ct = cast(_at_least_1d(cts[0]), factors.dtype)
    products, pull = jax.vjp(lambda a: lax.cumprod(a, dim), factors)
    real_part = lax.conj if np.issubdtype(factors.dtype, np.complexfloating) else lambda a: a
    zero = lax.full_like(factors, 0)

    def divided():
        summed = lax.cumsum(lax.mul(ct, real_part(products)), dim, reverse=True)
        return lax.div(summed, real_part(factors))

    def multiplied():
        return real_part(pull(real_part(ct))[0])

    has_zero = lax.reduce_or(lax.eq(factors, zero), tuple(range(factors.ndim)))
    gradient = lax.reshape(lax.cond(has_zero, multiplied, divided), x.shape)
    return (cast(cast(gradient, wide), x.dtype),)


def _at_least_1d(x):
    return x if x.ndim else lax.reshape(x, (1,))


def cummax(x, *, dim):
    """(values, indices): the largest value so far and its last place; NaN stays the largest."""
    return _cumulative_extreme(x, dim, lax.cummax)


def cummin(x, *, dim):
    """(values, indices): the smallest value so far and its last place; NaN stays the smallest."""
    return _cumulative_extreme(x, dim, lax.cummin)


def cummax_vjp(cts, inputs, outputs, needs, *, dim):
    """The gradient of each output goes to the index that was returned with it."""
    (x,) = inputs
    return (scatter_add(lax.full_like(x, 0), outputs[1], cts[0], dim=dim),)


cummin_vjp = cummax_vjp


def _cumulative_extreme(x, dim, accumulate):
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    if x.dtype == np.bool_:
        values, indices = _cumulative_extreme(cast(x, np.uint8), dim, accumulate)
        return cast(values, np.bool_), indices
    values = accumulate(x, dim)
    attains = lax.eq(x, values)
    if is_inexact(x.dtype):
        attains = lax.bitwise_or(attains, lax.ne(x, x))
    place = lax.broadcasted_iota(INDEX, x.shape, dim)
    place = lax.select(attains, place, lax.full_like(place, 0))
    return values, lax.cummax(place, dim)


def logcumsumexp(x, *, dim):
    """out[i] = log(exp(x[0]) + ... + exp(x[i]))."""
    wide = cast(x, compute_dtype(x.dtype))
    return cast(lax.cumlogsumexp(wide, dim), x.dtype) if x.ndim else x


def logcumsumexp_vjp(cts, inputs, outputs, needs, *, dim):
    """sum_{j >= i} ct[j] exp(x[i] - out[j]), in log space; of real numbers the positive and the
    negative part each for itself."""
    (x,) = inputs
    # In double: where |x| is large, the rounding of the differences would be exponentiated.
    work = np.complex128 if np.issubdtype(x.dtype, np.complexfloating) else np.float64
    ct, wide = (cast(_at_least_1d(a), work) for a in (cts[0], x))
    out = lax.cumlogsumexp(wide, dim)
    least = lax.full_like(ct, np.finfo(work).min)

    def part(size, present):
        logarithm = lax.log(lax.select(present, size, lax.full_like(size, 1)))
        logarithm = lax.select(present, logarithm, least)
        return lax.exp(lax.add(lax.cumlogsumexp(lax.sub(logarithm, out), dim, reverse=True), wide))

    zero = lax.full_like(ct, 0)
    if np.issubdtype(work, np.complexfloating):
        wide, out = lax.conj(wide), lax.conj(out)
        gradient = part(ct, lax.ne(ct, zero))
    else:
        gradient = lax.sub(part(ct, lax.gt(ct, zero)), part(lax.neg(ct), lax.lt(ct, zero)))
    return (cast(lax.reshape(gradient, x.shape), x.dtype),)


def diff(x, *, n, dim):
    """The `n`-th finite difference: out[i] = x[i + 1] - x[i], n times; booleans differ by xor."""
    for _ in range(n):
        length = x.shape[dim]
        if length == 0:
            break
        later = lax.slice_in_dim(x, min(1, length), length, axis=dim)
        sooner = lax.slice_in_dim(x, 0, length - 1, axis=dim)
        x = lax.bitwise_xor(later, sooner) if x.dtype == np.bool_ else lax.sub(later, sooner)
    return x
