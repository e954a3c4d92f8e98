"""Sorting along one axis and what follows from it: top k, medians, quantiles, modes.

NaN counts as the largest value everywhere; 0.0 and -0.0 are equal.
"""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from .common import cast, compute_dtype, expand
from .indexing import gather, scatter_add
from .reduce import INDEX, at_index, evenly_shared, is_inexact

_INT32 = np.dtype(np.int32)
_LOW_HALF = 2**32 - 1


def sort(x, *, dim, descending):
    """(values, indices): x in order along `dim`; equal values keep their order."""
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    indices = argsort(x, dim=dim, descending=descending)
    return gather(x, indices, dim=dim), indices


def sort_vjp(cts, inputs, outputs, needs, *, dim, descending=None):
    """Each value's gradient goes back to the place that it came from."""
    (x,) = inputs
    return (scatter_add(lax.full_like(x, 0), outputs[1], cts[0], dim=dim),)


def argsort(x, *, dim, descending):
    """The indices that sort x along `dim`; equal values keep their order."""
    if x.ndim == 0:
        return lax.full((), 0, INDEX)
    place = lax.broadcasted_iota(INDEX, x.shape, dim)
    key = _sortable(x, descending)
    if key.dtype == _INT32:
        # Key and index in one 64-bit integer: XLA's CPU sort is four times faster on one operand.
        packed = lax.bitwise_or(
            lax.shift_left(cast(key, INDEX), lax.full(x.shape, 32, INDEX)), place
        )
        ordered = lax.sort(packed, dimension=dim, is_stable=False)
        return lax.bitwise_and(ordered, lax.full_like(ordered, _LOW_HALF))
    return lax.sort((key, place), dimension=dim, is_stable=True, num_keys=1)[1]


def _sortable(x, descending):
    """Integers in the order of x: 32-bit ones where x has at most 32 bits, else 64-bit ones."""
    if is_inexact(x.dtype):
        wide = cast(x, compute_dtype(x.dtype))
        nan = lax.full_like(wide, np.nan)
        wide = lax.select(lax.ne(wide, wide), nan, wide)
        integer = _INT32 if wide.dtype.itemsize == 4 else INDEX
        key = lax.bitcast_convert_type(wide, integer)
        minus_zero = lax.full_like(key, np.iinfo(integer).min)
        key = lax.select(lax.eq(key, minus_zero), lax.full_like(key, 0), key)
        mirrored = lax.bitwise_xor(key, lax.full_like(key, np.iinfo(integer).max))
        key = lax.select(lax.lt(key, lax.full_like(key, 0)), mirrored, key)
    elif x.dtype.itemsize > 4 or x.dtype == np.uint32:
        key = cast(x, INDEX) if x.dtype != np.uint64 else x
    else:
        key = cast(x, _INT32)
    return lax.bitwise_not(key) if descending else key


def topk(x, *, k, dim, largest):
    """(values, indices): the `k` largest or smallest values along `dim`, in order."""
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    if compute_dtype(x.dtype) == np.float32 and 0 < k <= x.shape[dim] // 4:
        indices = _few_largest(x, k, dim, largest)
    else:
        ordered = argsort(x, dim=dim, descending=largest)
        indices = lax.slice_in_dim(ordered, 0, k, axis=dim)
    return gather(x, indices, dim=dim), indices


def topk_vjp(cts, inputs, outputs, needs, *, k, dim, largest):
    return sort_vjp(cts, inputs, outputs, needs, dim=dim)


def _few_largest(x, k, dim, largest):
    key = cast(x, np.dtype(np.float32))
    key = lax.select(lax.ne(key, key), lax.full_like(key, np.nan), key)
    key = key if largest else lax.neg(key)
    order = [axis for axis in range(x.ndim) if axis != dim] + [dim]
    indices = lax.top_k(lax.transpose(jax.lax.stop_gradient(key), order), k)[1]
    return cast(lax.transpose(indices, [int(i) for i in np.argsort(order)]), INDEX)


# --- order statistics -----------------------------------------------------------------------------


def kthvalue(x, *, k, dim, keepdim):
    """(values, indices): the `k`-th smallest value (from 1) along `dim`."""
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    indices = lax.slice_in_dim(argsort(x, dim=dim, descending=False), k - 1, k, axis=dim)
    return _pick(x, indices, dim, keepdim)


def kthvalue_vjp(cts, inputs, outputs, needs, *, k, dim, keepdim):
    return (at_index(cts[0], outputs[1], inputs[0].shape, dim),)


def median(x, *, dim, keepdim):
    """(values, indices): the lower of the middle values along `dim`; the first NaN if there is
    one."""
    return _median(x, dim, keepdim, nan_counts=True)


def nanmedian(x, *, dim, keepdim):
    """(values, indices): the lower of the middle values along `dim` that are not NaN."""
    return _median(x, dim, keepdim, nan_counts=False)


def median_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    return (at_index(cts[0], outputs[1], inputs[0].shape, dim),)


nanmedian_vjp = median_vjp


def median_all(x):
    """The lower of the middle values; NaN if one is among them."""
    return _median(lax.reshape(x, (x.size,)), 0, False, nan_counts=True)[0]


def nanmedian_all(x):
    """The lower of the middle values that are not NaN."""
    return _median(lax.reshape(x, (x.size,)), 0, False, nan_counts=False)[0]


def median_all_vjp(cts, inputs, outputs, needs):
    """Shared evenly by all values equal to the median."""
    return (evenly_shared(cts[0], inputs[0], outputs[0]),)


nanmedian_all_vjp = median_all_vjp


def mode(x, *, dim, keepdim):
    """(values, indices): the most frequent value along `dim` (the smallest of several) and its
    last place."""
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    values, indices = sort(x, dim=dim, descending=False)
    n = x.shape[dim]
    place = lax.broadcasted_iota(INDEX, x.shape, dim)
    previous = lax.slice_in_dim(values, 0, n - 1, axis=dim)
    current = lax.slice_in_dim(values, 1, n, axis=dim)
    low = [(1 if axis == dim else 0, 0, 0) for axis in range(x.ndim)]
    begins = lax.pad(lax.ne(previous, current), np.bool_(True), low)
    start = lax.cummax(lax.select(begins, place, lax.full_like(place, 0)), dim)
    length = lax.sub(place, start)
    longest = expand(lax.expand_dims(lax.reduce_max(length, (dim,)), (dim,)), x.shape)
    ends = lax.select(lax.eq(length, longest), place, lax.full_like(place, n))
    first = lax.expand_dims(lax.reduce_min(ends, (dim,)), (dim,))
    return _pick(x, gather(indices, first, dim=dim), dim, keepdim)


def mode_vjp(cts, inputs, outputs, needs, *, dim, keepdim):
    return (at_index(cts[0], outputs[1], inputs[0].shape, dim),)


def _median(x, dim, keepdim, *, nan_counts):
    if x.ndim == 0:
        return x, lax.full((), 0, INDEX)
    n = x.shape[dim]
    indices = argsort(x, dim=dim, descending=False)
    rank = None
    if is_inexact(x.dtype):
        missing = lax.expand_dims(lax.reduce_sum(cast(lax.ne(x, x), INDEX), (dim,)), (dim,))
        present = lax.sub(lax.full_like(missing, n), missing)
        last = lax.full_like(missing, n - 1)
        half = lax.div(lax.sub(present, lax.full_like(missing, 1)), lax.full_like(missing, 2))
        half = lax.max(half, lax.full_like(half, 0))
        if nan_counts:
            first_nan = lax.min(present, last)
            some = lax.gt(missing, lax.full_like(missing, 0))
            half = lax.select(some, first_nan, lax.full_like(half, (n - 1) // 2))
        rank = half
    if rank is None:
        middle = (n - 1) // 2
        return _pick(x, lax.slice_in_dim(indices, middle, middle + 1, axis=dim), dim, keepdim)
    return _pick(x, gather(indices, rank, dim=dim), dim, keepdim)


def _pick(x, indices, dim, keepdim):
    values = gather(x, indices, dim=dim)
    if keepdim:
        return values, indices
    return lax.squeeze(values, (dim,)), lax.squeeze(indices, (dim,))


def quantile(x, q, *, dim, keepdim, interpolation, ignore_nan):
    """The `q`-quantiles along `dim`: q * (n - 1) is the rank in order, from 0.

    Between two ranks: `linear` interpolates, `lower`, `higher`, `nearest` (ties to even) and
    `midpoint` say it. NaN in the data gives NaN, unless `ignore_nan`.

    Args:
        q: 0-d or 1-d, of the type of x.
    Returns:
        The reduced shape, with the axis of `q`, if it has one, in front.
    """
    moved = _axis_last(x, dim)
    axis, n = moved.ndim - 1, moved.shape[-1]
    ordered, _ = sort(moved, dim=axis, descending=False)
    missing = lax.expand_dims(lax.reduce_sum(cast(lax.ne(moved, moved), x.dtype), (axis,)), (axis,))
    rows = (*moved.shape[:-1], q.size)
    q_row = lax.broadcast_in_dim(lax.reshape(q, (q.size,)), rows, (axis,))
    missing = expand(missing, rows)
    one = lax.full_like(missing, 1)
    present = lax.sub(lax.full_like(missing, n), missing)
    last = lax.full_like(missing, n - 1)
    if ignore_nan:
        rank = lax.mul(q_row, lax.sub(present, one))
        rank = lax.max(rank, lax.full_like(rank, 0))
    else:
        some = lax.gt(missing, lax.full_like(missing, 0))
        rank = lax.select(some, last, lax.mul(q_row, last))
    if interpolation == "lower":
        rank = lax.floor(rank)
    elif interpolation == "higher":
        rank = lax.ceil(rank)
    elif interpolation == "nearest":
        rank = lax.round(rank, lax.RoundingMethod.TO_NEAREST_EVEN)
    below = lax.floor(rank)
    low = gather(ordered, cast(below, INDEX), dim=axis)
    result = low
    if interpolation in ("linear", "midpoint"):
        high = gather(ordered, cast(lax.ceil(rank), INDEX), dim=axis)
        weight = lax.sub(rank, below)
        if interpolation == "midpoint":
            weight = lax.full_like(weight, 0.5)
        result = _interpolate(low, high, weight)
    return _quantile_shape(result, x.ndim, dim, q.ndim, keepdim)


def _interpolate(low, high, weight):
    """low + weight * (high - low), reckoned from the nearer end."""
    step = lax.sub(high, low)
    rest = lax.sub(lax.full_like(weight, 1), weight)
    return lax.select(
        lax.lt(weight, lax.full_like(weight, 0.5)),
        lax.add(low, lax.mul(weight, step)),
        lax.sub(high, lax.mul(step, rest)),
    )


def _axis_last(x, dim):
    """The axis `dim` (None: all, flattened) as the last one."""
    if dim is None or x.ndim == 0:
        return lax.reshape(x, (x.size,))
    return lax.transpose(x, [axis for axis in range(x.ndim) if axis != dim] + [dim])


def _quantile_shape(result, ndim, dim, q_ndim, keepdim):
    """(..., q) to (q, ...), with the reduced axes kept where wanted and q's dropped if 0-d."""
    axis = result.ndim - 1
    result = lax.transpose(result, [axis, *range(axis)])
    if keepdim:
        gone = tuple(range(1, ndim + 1)) if dim is None or ndim == 0 else (dim + 1,)
        result = lax.expand_dims(result, gone) if ndim else result
    return lax.squeeze(result, (0,)) if q_ndim == 0 else result
