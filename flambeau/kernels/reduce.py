"""Reductions over several axes: sums, products, extrema, moments, logical and counting reductions.

Every kernel takes `dim`, the axes to reduce (a tuple, none negative; all of them for a full
reduction), and `keepdim`. The 16-bit floats are reduced in float32 and rounded once.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from jax import lax

from .common import cast, compute_dtype, expand
from .indexing import as_type, extreme

INDEX = np.dtype(np.int64)


def kept(shape, dim):
    """The shape after a reduction that keeps its axes at length 1."""
    return tuple(1 if axis in dim else n for axis, n in enumerate(shape))


def restore(x, shape, dim):
    """A reduced array, kept axes or not, spread again over the `shape` that it came from."""
    return expand(lax.reshape(x, kept(shape, dim)), shape)


def _finish(reduced, shape, dim, keepdim, dtype):
    reduced = cast(reduced, dtype)
    return lax.reshape(reduced, kept(shape, dim)) if keepdim else reduced


def _count(shape, dim) -> int:
    return math.prod(shape[axis] for axis in dim)


def _is_integral(dtype) -> bool:
    return dtype == np.bool_ or np.issubdtype(dtype, np.integer)


def is_inexact(dtype) -> bool:
    """Whether the type is floating or complex: whether it can hold NaN."""
    return jax.dtypes.issubdtype(dtype, np.inexact)


def _is_nan(x):
    return lax.ne(x, x)


def accumulated(x, dtype):
    """The result type of a sum or product (int64 for integers unless given), and x in its
    compute type."""
    dtype = np.dtype(dtype if dtype is not None else INDEX if _is_integral(x.dtype) else x.dtype)
    if np.issubdtype(x.dtype, np.complexfloating) and not np.issubdtype(dtype, np.complexfloating):
        x = lax.real(x)
    return dtype, cast(cast(x, dtype), compute_dtype(dtype))


# --- sums and products ----------------------------------------------------------------------------


def sum(x, *, dim, keepdim, dtype=None):
    """The sum over `dim`; integers and booleans sum to int64 unless `dtype` says otherwise."""
    dtype, x = accumulated(x, dtype)
    if dtype == np.bool_:
        return _finish(lax.reduce_or(x, dim), x.shape, dim, keepdim, dtype)
    return _finish(lax.reduce_sum(x, dim), x.shape, dim, keepdim, dtype)


def sum_vjp(cts, inputs, outputs, needs, *, dim, keepdim, dtype=None):
    """ct for every value."""
    (x,) = inputs
    return (restore(as_type(cts[0], x.dtype), x.shape, dim),)


def mean(x, *, dim, keepdim, dtype=None):
    """The sum over `dim` divided by the number of values."""
    dtype, x = accumulated(x, dtype)
    total = lax.reduce_sum(x, dim)
    average = lax.div(total, lax.full_like(total, _count(x.shape, dim)))
    return _finish(average, x.shape, dim, keepdim, dtype)


def mean_vjp(cts, inputs, outputs, needs, *, dim, keepdim, dtype=None):
    """ct / N for every value."""
    (x,) = inputs
    ct = cast(cts[0], compute_dtype(cts[0].dtype))
    share = lax.div(ct, lax.full_like(ct, _count(x.shape, dim)))
    return (restore(as_type(share, x.dtype), x.shape, dim),)


def nansum(x, *, dim, keepdim, dtype=None):
    """The sum over `dim` of the values that are not NaN."""
    return sum(_nan_to_zero(x), dim=dim, keepdim=keepdim, dtype=dtype)


def nanmean(x, *, dim, keepdim, dtype=None):
    """The mean over `dim` of the values that are not NaN."""
    dtype, numbers = accumulated(_nan_to_zero(x), dtype)
    present = cast(lax.eq(x, x), numbers.dtype)
    average = lax.div(lax.reduce_sum(numbers, dim), lax.reduce_sum(present, dim))
    return _finish(average, x.shape, dim, keepdim, dtype)


def _nan_to_zero(x):
    return lax.select(_is_nan(x), lax.full_like(x, 0), x)


def prod(x, *, dim, keepdim, dtype=None):
    """The product over `dim`; integers and booleans multiply to int64 unless `dtype` is given."""
    dtype, x = accumulated(x, dtype)
    if dtype == np.bool_:
        return _finish(lax.reduce_and(x, dim), x.shape, dim, keepdim, dtype)
    return _finish(lax.reduce_prod(x, dim), x.shape, dim, keepdim, dtype)


def prod_vjp(cts, inputs, outputs, needs, *, dim, keepdim, dtype=None):
    """ct * product / x without zeros; with zeros, ct times the product of the other factors."""
    (x,) = inputs
    wide, factors = accumulated(x, dtype)
    work = factors.dtype
    ct = restore(cast(cts[0], work), x.shape, dim)
    if np.issubdtype(work, np.complexfloating):
        factors = lax.conj(factors)
    product = restore(lax.reduce_prod(factors, dim), x.shape, dim)
    zero = lax.full_like(factors, 0)
    gradient = lax.cond(
        lax.reduce_or(lax.eq(factors, zero), tuple(range(x.ndim))),
        lambda: lax.mul(ct, _product_of_others(factors, dim)),
        lambda: lax.div(lax.mul(ct, product), factors),
    )
    return (cast(cast(gradient, wide), x.dtype),)


def _product_of_others(x, dim):
    """For each element the product over `dim` of all the others, by products from both ends."""
    rest = tuple(axis for axis in range(x.ndim) if axis not in dim)
    order = (*rest, *dim)
    moved = lax.transpose(x, order)
    shape = moved.shape
    rows = lax.reshape(moved, (*shape[: len(rest)], _count(x.shape, dim)))
    last, one = rows.ndim - 1, lax.full((), 1, x.dtype)

    def before(reverse):
        products = lax.cumprod(rows, last, reverse=reverse)
        low, high = (-1, 1) if reverse else (1, -1)
        return lax.pad(products, one, [(0, 0, 0)] * last + [(low, high, 0)])

    others = lax.reshape(lax.mul(before(False), before(True)), shape)
    return lax.transpose(others, tuple(int(i) for i in np.argsort(order)))


# --- logical and counting reductions --------------------------------------------------------------


def any(x, *, dim, keepdim):
    """Whether a value over `dim` is not zero; uint8 stays uint8, all else gives bool."""
    return _finish(lax.reduce_or(_truth(x), dim), x.shape, dim, keepdim, _truth_dtype(x))


def all(x, *, dim, keepdim):
    """Whether no value over `dim` is zero; uint8 stays uint8, all else gives bool."""
    return _finish(lax.reduce_and(_truth(x), dim), x.shape, dim, keepdim, _truth_dtype(x))


def count_nonzero(x, *, dim):
    """The number of values over `dim` that are not zero, as int64."""
    return lax.reduce_sum(cast(_truth(x), INDEX), dim)


def _truth(x):
    return x if x.dtype == np.bool_ else lax.ne(x, lax.full_like(x, 0))


def _truth_dtype(x):
    return np.dtype(np.uint8 if x.dtype == np.uint8 else np.bool_)


# --- extrema --------------------------------------------------------------------------------------


def amax(x, *, dim, keepdim):
    """The largest value over `dim`; NaN if one is among them."""
    return _finish(_reduce_extreme(x, dim, True), x.shape, dim, keepdim, x.dtype)


def amin(x, *, dim, keepdim):
    """The smallest value over `dim`; NaN if one is among them."""
    return _finish(_reduce_extreme(x, dim, False), x.shape, dim, keepdim, x.dtype)


def amax_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    """Shared evenly by all values that attain the extremum; NaN where the extremum is NaN."""
    (x,) = inputs
    work = compute_dtype(x.dtype)
    wins = cast(lax.eq(x, restore(outputs[0], x.shape, dim)), work)
    winners = restore(lax.reduce_sum(wins, dim), x.shape, dim)
    ct = restore(cast(cts[0], work), x.shape, dim)
    return (cast(lax.div(lax.mul(ct, wins), winners), x.dtype),)


amin_vjp = amax_vjp


def aminmax(x, *, dim, keepdim):
    """(amin, amax)."""
    return amin(x, dim=dim, keepdim=keepdim), amax(x, dim=dim, keepdim=keepdim)


def aminmax_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    (x,) = inputs
    total = lax.full_like(x, 0)
    for ct, output in zip(cts, outputs, strict=True):
        if ct is not None:
            (share,) = amax_vjp((ct,), inputs, (output,), needs, dim=dim, keepdim=keepdim)
            total = lax.add(total, share)
    return (total,)


def max_all(x):
    """The largest of all values; NaN if one is among them."""
    return _reduce_extreme(x, tuple(range(x.ndim)), True)


def min_all(x):
    """The smallest of all values; NaN if one is among them."""
    return _reduce_extreme(x, tuple(range(x.ndim)), False)


def max_all_vjp(cts, inputs, outputs, needs):
    """Shared evenly by all values equal to the result; by all NaNs where it is NaN."""
    return (evenly_shared(cts[0], inputs[0], outputs[0]),)


min_all_vjp = max_all_vjp


def evenly_shared(ct, x, result):
    """The gradient of picking the 0-d `result` among x, split over all its occurrences."""
    result = expand(result, x.shape)
    wins = lax.eq(x, result)
    if is_inexact(x.dtype):
        wins = lax.bitwise_or(wins, lax.bitwise_and(_is_nan(x), _is_nan(result)))
    work = compute_dtype(x.dtype)
    weight = cast(wins, work)
    share = lax.div(cast(ct, work), lax.reduce_sum(weight, tuple(range(x.ndim))))
    return cast(lax.mul(weight, expand(share, x.shape)), x.dtype)


def max(x, *, dim, keepdim):
    """(values, indices): the largest value over the axis `dim` and its first place."""
    return _extreme_with_index(x, dim, keepdim, True)


def min(x, *, dim, keepdim):
    """(values, indices): the smallest value over the axis `dim` and its first place."""
    return _extreme_with_index(x, dim, keepdim, False)


def max_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    """All of the gradient goes to the index that was returned."""
    (x,) = inputs
    return (at_index(cts[0], outputs[1], x.shape, dim),)


min_vjp = max_vjp


def argmax(x, *, dim, keepdim):
    """The first place of the largest value over the axis `dim`; None: of all, flattened."""
    return _argument(x, dim, keepdim, True)


def argmin(x, *, dim, keepdim):
    """The first place of the smallest value over the axis `dim`; None: of all, flattened."""
    return _argument(x, dim, keepdim, False)


def at_index(ct, index, shape, dim):
    """`ct` at `index` along the axis `dim` of an array of zeros of `shape`."""
    if not shape:
        return lax.reshape(at_index(ct, index, (1,), 0), ())
    here = lax.eq(lax.broadcasted_iota(INDEX, shape, dim), restore(index, shape, (dim,)))
    ct = restore(ct, shape, (dim,))
    return lax.select(here, ct, lax.full_like(ct, 0))


def _reduce_extreme(x, dim, largest):
    if not dim:
        return x
    return (lax.reduce_max if largest else lax.reduce_min)(x, dim)


def _extreme_with_index(x, dim, keepdim, largest):
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    value = _reduce_extreme(x, (dim,), largest)
    wins = lax.eq(x, restore(value, x.shape, (dim,)))
    if is_inexact(x.dtype):
        wins = lax.bitwise_or(wins, _is_nan(x))
    place = lax.broadcasted_iota(np.dtype(np.int32), x.shape, dim)
    place = lax.select(wins, place, lax.full_like(place, extreme(place.dtype, largest=True)))
    index = lax.reduce_min(place, (dim,))
    return (
        _finish(value, x.shape, (dim,), keepdim, x.dtype),
        _finish(index, x.shape, (dim,), keepdim, INDEX),
    )


def _argument(x, dim, keepdim, largest):
    if dim is not None:
        return _extreme_with_index(x, dim, keepdim, largest)[1]
    index = _extreme_with_index(lax.reshape(x, (x.size,)), 0, False, largest)[1]
    return lax.reshape(index, (1,) * x.ndim) if keepdim else index


# --- moments --------------------------------------------------------------------------------------


def var_mean(x, *, dim, correction, keepdim):
    """(variance, mean): sum |x - mean|^2 / max(0, N - correction), in two passes."""
    work = compute_dtype(x.dtype)
    centred, average = _centred(cast(x, work), dim)
    if np.issubdtype(work, np.complexfloating):
        squares = lax.add(lax.square(lax.real(centred)), lax.square(lax.imag(centred)))
    else:
        squares = lax.square(centred)
    total = lax.reduce_sum(squares, dim)
    freedom = _count(x.shape, dim) - correction
    variance = lax.div(total, lax.full_like(total, freedom if freedom > 0 else 0))
    narrow = x.dtype if squares.dtype == work else squares.dtype
    return (
        _finish(variance, x.shape, dim, keepdim, narrow),
        _finish(average, x.shape, dim, keepdim, x.dtype),
    )


def var_mean_vjp(cts, inputs, outputs, needs, *, dim, correction, keepdim):
    """ct_var * 2 (x - mean) / (N - correction) + ct_mean / N."""
    (x,) = inputs
    work = compute_dtype(x.dtype)
    gradient = None
    if cts[0] is not None:
        centred, _ = _centred(cast(x, work), dim)
        freedom = _count(x.shape, dim) - correction
        scale = 2.0 / freedom if freedom else math.inf
        ct = cast(cts[0], compute_dtype(cts[0].dtype))
        ct = lax.mul(ct, lax.full_like(ct, scale))
        gradient = lax.mul(restore(cast(ct, work), x.shape, dim), centred)
    if len(cts) > 1 and cts[1] is not None:
        ct = restore(cast(cts[1], work), x.shape, dim)
        share = lax.div(ct, lax.full_like(ct, _count(x.shape, dim)))
        gradient = share if gradient is None else lax.add(gradient, share)
    return (cast(gradient, x.dtype),)


def var(x, *, dim, correction, keepdim):
    """sum |x - mean|^2 / max(0, N - correction)."""
    return var_mean(x, dim=dim, correction=correction, keepdim=keepdim)[0]


var_vjp = var_mean_vjp


def std(x, *, dim, correction, keepdim):
    """The square root of `var`."""
    return std_mean(x, dim=dim, correction=correction, keepdim=keepdim)[0]


def std_mean(x, *, dim, correction, keepdim):
    """(standard deviation, mean)."""
    work = compute_dtype(x.dtype)
    variance, average = var_mean(cast(x, work), dim=dim, correction=correction, keepdim=keepdim)
    narrow = x.dtype if variance.dtype == work else variance.dtype
    return cast(lax.sqrt(variance), narrow), cast(average, x.dtype)


def std_mean_vjp(cts, inputs, outputs, needs, *, dim, correction, keepdim):
    """The gradient of `var` by ct / (2 std), taken as 0 where std is 0."""
    ct = cts[0]
    if ct is not None:
        deviation = cast(outputs[0], compute_dtype(outputs[0].dtype))
        halved = lax.div(cast(ct, deviation.dtype), lax.mul(deviation, lax.full_like(deviation, 2)))
        flat = lax.eq(deviation, lax.full_like(deviation, 0))
        ct = lax.select(flat, lax.full_like(halved, 0), halved)
    return var_mean_vjp(
        (ct, *cts[1:]), inputs, outputs, needs, dim=dim, correction=correction, keepdim=keepdim
    )


std_vjp = std_mean_vjp


def _centred(x, dim):
    average = lax.reduce_sum(x, dim)
    average = lax.div(average, lax.full_like(average, _count(x.shape, dim)))
    return lax.sub(x, restore(average, x.shape, dim)), average


# --- log-sum-exp ----------------------------------------------------------------------------------


def logsumexp(x, *, dim, keepdim):
    """log(sum(exp(x))) over `dim`, computed as m + log(sum(exp(x - m))) with m the largest."""
    work = compute_dtype(x.dtype) if is_inexact(x.dtype) else np.dtype(np.float32)
    narrow = x.dtype if is_inexact(x.dtype) else work
    wide = cast(x, work)
    if _count(x.shape, dim) == 0:
        empty = lax.log(lax.reduce_sum(wide, dim))
        return _finish(empty, x.shape, dim, keepdim, narrow)
    size = lax.real(wide) if np.issubdtype(work, np.complexfloating) else wide
    top = lax.stop_gradient(lax.reduce_max(size, dim))
    top = cast(lax.select(lax.is_finite(top), top, lax.full_like(top, 0)), work)
    total = lax.reduce_sum(lax.exp(lax.sub(wide, restore(top, x.shape, dim))), dim)
    return _finish(lax.add(lax.log(total), top), x.shape, dim, keepdim, narrow)


def logsumexp_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    """ct * exp(x - out): NaN where x and out are the same infinity."""
    (x,) = inputs
    work = compute_dtype(x.dtype)
    out = restore(cast(outputs[0], work), x.shape, dim)
    ct = restore(cast(cts[0], work), x.shape, dim)
    share = lax.exp(lax.sub(cast(x, work), out))
    share = lax.conj(share) if np.issubdtype(work, np.complexfloating) else share
    return (cast(lax.mul(ct, share), x.dtype),)
