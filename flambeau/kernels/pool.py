"""Pooling over the last 1, 2 or 3 axes (any number of them); leading axes are all batch.

Windows of at most `MOST_TAPS` elements are unrolled into shifted slices, which XLA fuses; larger
ones go through `lax.reduce_window`. Maxima remember which element of the window won, so that the
backward needs no comparison: the first of equal ones, and the last NaN, as PyTorch has it.
"""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from flambeau.kernels.common import cast, expand
from flambeau.kernels.elementwise import is_nan, number, times, where, widened

MOST_TAPS = 64


def window_count(size, kernel, stride, padding, dilation, ceil_mode):
    """How many windows fit on an axis; with `ceil_mode` the last may hang over its end.

    A window that would start in the padding after the end is dropped.
    """
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-reach // stride) if ceil_mode else reach // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def _counts(sizes, kernel, stride, padding, dilation, ceil_mode):
    return tuple(
        window_count(*row, ceil_mode)
        for row in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def _padded(x, value, counts, kernel, stride, padding, dilation):
    """`x` with `value` around its pooled axes, just as far as the windows reach."""
    lead = x.ndim - len(kernel)
    config = [(0, 0, 0)] * lead
    rows = zip(x.shape[lead:], counts, kernel, stride, padding, dilation, strict=True)
    for size, count, k, s, p, d in rows:
        config.append((p, (count - 1) * s + (k - 1) * d + 1 - size - p, 0))
    return lax.pad(x, number(value, x), config) if any(map(any, config)) else x


def _taps(kernel):
    return tuple(itertools.product(*map(range, kernel)))


def _shifted(padded, tap, counts, stride, dilation):
    """The element at position `tap` of every window."""
    lead = padded.ndim - len(tap)
    starts = [k * d for k, d in zip(tap, dilation, strict=True)]
    stops = [a + (n - 1) * s + 1 for a, n, s in zip(starts, counts, stride, strict=True)]
    return lax.slice(
        padded, (0,) * lead + tuple(starts), (*padded.shape[:lead], *stops), (1,) * lead + stride
    )


def _tiles(kernel, stride, padding, dilation):
    return kernel == stride and not any(padding) and all(d == 1 for d in dilation)


# Maxima.


def max_pool(x, *, kernel, stride, padding, dilation, ceil_mode):
    """y = the largest element of each window; the padding never wins."""
    return max_pool_with_indices(
        x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )[0]


def max_pool_with_indices(x, *, kernel, stride, padding, dilation, ceil_mode):
    """The largest element of each window and its flat position in the pooled axes (int64)."""
    statics = (kernel, stride, padding, dilation)
    if math.prod(kernel) > MOST_TAPS:
        return _gathered(x, _reduced_indices(x, *statics, ceil_mode), len(kernel))
    values, winners = _unrolled(x, *statics, ceil_mode)
    return values, _flat_indices(winners, x.shape, kernel, stride, padding, dilation)


def max_pool_forward(x, *, kernel, stride, padding, dilation, ceil_mode):
    """The maxima, and as residual the winner of each window."""
    statics = (kernel, stride, padding, dilation)
    if math.prod(kernel) > MOST_TAPS:
        values, winners = _gathered(x, _reduced_indices(x, *statics, ceil_mode), len(kernel))
    else:
        values, winners = _unrolled(x, *statics, ceil_mode)
    return (values,), (winners,)


def max_pool_with_indices_forward(x, *, kernel, stride, padding, dilation, ceil_mode):
    """The maxima and their indices, and as residual the winner of each window."""
    statics = (kernel, stride, padding, dilation)
    if math.prod(kernel) > MOST_TAPS:
        values, winners = _gathered(x, _reduced_indices(x, *statics, ceil_mode), len(kernel))
        return (values, winners), (winners,)
    values, winners = _unrolled(x, *statics, ceil_mode)
    return (values, _flat_indices(winners, x.shape, *statics)), (winners,)


def max_pool_vjp(cts, inputs, outputs, needs, *, kernel, stride, padding, dilation, ceil_mode):
    """dx = each window's gradient, given to its winner."""
    statics = (kernel, stride, padding, dilation, ceil_mode)
    return (_winners_gradient(cts[0], inputs[0].shape, outputs[1], *statics),)


def max_pool_with_indices_vjp(
    cts, inputs, outputs, needs, *, kernel, stride, padding, dilation, ceil_mode
):
    """dx = each window's gradient, given to its winner."""
    statics = (kernel, stride, padding, dilation, ceil_mode)
    return (_winners_gradient(cts[0], inputs[0].shape, outputs[2], *statics),)


def _winners_gradient(g, shape, winners, kernel, stride, padding, dilation, ceil_mode):
    if math.prod(kernel) > MOST_TAPS:
        return _scattered(g, winners, shape, len(kernel))
    lead = len(shape) - len(kernel)
    shares = [where(lax.eq(winners, number(n, winners)), g, 0) for n in range(math.prod(kernel))]
    if _tiles(kernel, stride, padding, dilation) and not ceil_mode:
        return _untiled(shares, shape, kernel)
    total = None
    for tap, share in zip(_taps(kernel), shares, strict=True):
        config = [(0, 0, 0)] * lead
        rows = zip(tap, shape[lead:], g.shape[lead:], stride, padding, dilation, strict=True)
        for k, size, count, s, p, d in rows:
            start = k * d - p
            config.append((start, size - start - ((count - 1) * s + 1), s - 1))
        put = lax.pad(share, number(0, share), config)
        total = put if total is None else lax.add(total, put)
    return total


def _unrolled(x, kernel, stride, padding, dilation, ceil_mode):
    """(maxima, winners): the winner is the number of the tap."""
    lead = x.ndim - len(kernel)
    sizes = x.shape[lead:]
    counts = _counts(sizes, kernel, stride, padding, dilation, ceil_mode)
    padded = _padded(x, _lowest(x.dtype), counts, kernel, stride, padding, dilation)
    firsts = _first_winners(counts, kernel, padding, dilation, stride)
    best = _shifted(padded, (0,) * len(kernel), counts, stride, dilation)
    winners = lax.full(best.shape, 0, np.dtype(np.int8))
    for n, tap in enumerate(_taps(kernel)[1:], start=1):
        values = _shifted(padded, tap, counts, stride, dilation)
        better = lax.bitwise_or(lax.gt(values, best), is_nan(values))
        if (firsts == n).any():
            better = lax.bitwise_or(better, expand(jnp.asarray(firsts == n), best.shape))
        best = lax.select(better, values, best)
        winners = where(better, n, winners)
    return best, winners


def _lowest(dtype):
    if jnp.issubdtype(dtype, jnp.floating):
        return -np.inf
    return np.iinfo(dtype).min


def _first_winners(counts, kernel, padding, dilation, stride):
    """The first tap of each window that lies inside the array: it beats the padding."""
    first = np.zeros((1,) * len(kernel), np.int64)
    rows = zip(counts, kernel, padding, dilation, stride, strict=True)
    for axis, (count, k, p, d, s) in enumerate(rows):
        skipped = np.maximum(0, -((np.arange(count) * s - p) // d))
        shape = [1] * len(kernel)
        shape[axis] = count
        first = first * k + skipped.reshape(shape)
    return first


def _flat_indices(winners, shape, kernel, stride, padding, dilation):
    """The winners' flat positions among the pooled axes of an array of `shape`."""
    lead = len(shape) - len(kernel)
    remaining = cast(winners, np.dtype(np.int32))
    coordinates = []
    for axis in reversed(range(len(kernel))):
        k = np.int32(kernel[axis])
        tap = lax.rem(remaining, lax.full_like(remaining, k))
        remaining = lax.div(remaining, lax.full_like(remaining, k))
        window = lax.broadcasted_iota(np.int32, winners.shape, lead + axis)
        start = lax.add(times(window, stride[axis]), np.int32(-padding[axis]))
        coordinates.append(lax.add(start, times(tap, dilation[axis])))
    flat = None
    for size, coordinate in zip(shape[lead:], reversed(coordinates), strict=True):
        wide = cast(coordinate, np.dtype(np.int64))
        flat = wide if flat is None else lax.add(times(flat, size), wide)
    return flat


def _reduced_indices(x, kernel, stride, padding, dilation, ceil_mode):
    """The winners' flat positions by `lax.reduce_window` over (value, position) pairs."""
    lead = x.ndim - len(kernel)
    counts = _counts(x.shape[lead:], kernel, stride, padding, dilation, ceil_mode)
    edges = [(0, 0)] * lead
    rows = zip(x.shape[lead:], counts, kernel, stride, padding, dilation, strict=True)
    for size, count, k, s, p, d in rows:
        edges.append((p, (count - 1) * s + (k - 1) * d + 1 - size - p))
    x = lax.stop_gradient(x)
    return lax.reduce_window(
        (x, _positions(x.shape, lead)),
        (number(_lowest(x.dtype), x), np.int64(np.iinfo(np.int64).max)),
        _better,
        (1,) * lead + kernel,
        (1,) * lead + stride,
        edges,
        window_dilation=(1,) * lead + dilation,
    )[1]


def _positions(shape, lead):
    flat = lax.iota(np.int64, math.prod(shape[lead:]))
    return expand(lax.reshape(flat, shape[lead:]), shape)


def _better(a, b):
    """The winner of two (value, position) pairs: NaN over numbers, the last NaN, the first tie."""
    (value, position), (other, place) = a, b
    nan, other_nan = is_nan(value), is_nan(other)
    tie = lax.bitwise_and(lax.eq(value, other), lax.lt(place, position))
    larger = lax.bitwise_or(lax.gt(other, value), tie)
    last_nan = lax.bitwise_and(
        other_nan, lax.bitwise_or(lax.bitwise_not(nan), lax.gt(place, position))
    )
    take = lax.bitwise_or(lax.bitwise_and(lax.bitwise_not(nan), larger), last_nan)
    return lax.select(take, other, value), lax.select(take, place, position)


def _gathered(x, indices, axes):
    """(x at `indices`, indices)."""
    lead = x.shape[: x.ndim - axes]
    flat = lax.reshape(x, (*lead, math.prod(x.shape[len(lead) :])))
    rows = lax.reshape(indices, (*lead, math.prod(indices.shape[len(lead) :])))
    values = jnp.take_along_axis(flat, rows, axis=-1, mode="clip")
    return lax.reshape(values, indices.shape), indices


def _scattered(g, indices, shape, axes):
    """Zeros of `shape` with `g` added at the flat positions `indices` of the last `axes` axes."""
    lead, pooled = math.prod(shape[: len(shape) - axes]), math.prod(shape[len(shape) - axes :])
    rows = lax.reshape(indices, (lead, indices.size // max(lead, 1)))
    offset = times(lax.broadcasted_iota(np.int64, rows.shape, 0), pooled)
    flat = jnp.zeros(lead * pooled, g.dtype)
    return lax.reshape(flat.at[lax.add(rows, offset)].add(lax.reshape(g, rows.shape)), shape)


def _untiled(shares, shape, kernel):
    """One array a tap, of one element a tile, put together to the whole of `shape`."""
    lead, axes = len(shape) - len(kernel), len(kernel)
    counts = shares[0].shape[lead:]
    expanded = [lax.reshape(s, (*s.shape, 1)) for s in shares]
    stacked = lax.concatenate(expanded, lead + axes) if len(shares) > 1 else expanded[0]
    tiles = lax.reshape(stacked, (*shape[:lead], *counts, *kernel))
    pairs = itertools.chain.from_iterable((lead + a, lead + axes + a) for a in range(axes))
    sizes = tuple(n * k for n, k in zip(counts, kernel, strict=True))
    whole = lax.reshape(lax.transpose(tiles, (*range(lead), *pairs)), (*shape[:lead], *sizes))
    rest = [(0, 0, 0)] * lead + [(0, n - m, 0) for n, m in zip(shape[lead:], sizes, strict=True)]
    return lax.pad(whole, number(0, whole), rest)


def max_unpool(x, indices, *, sizes):
    """Zeros with x at the flat positions `indices` of the last axes, which have `sizes`.

    Where positions repeat, the last one stays.
    """
    lead = x.shape[: x.ndim - len(sizes)]
    rows = lax.reshape(indices, (math.prod(lead), math.prod(x.shape[len(lead) :])))
    offset = times(lax.broadcasted_iota(np.int64, rows.shape, 0), math.prod(sizes))
    flat = jnp.zeros(math.prod(lead) * math.prod(sizes), x.dtype)
    put = flat.at[lax.add(cast(rows, np.dtype(np.int64)), offset)].set(lax.reshape(x, rows.shape))
    return lax.reshape(put, (*lead, *sizes))


def max_unpool_vjp(cts, inputs, outputs, needs, *, sizes):
    """dx = the gradient at each index, also where indices repeat."""
    g, indices = cts[0], inputs[1]
    return _gathered(g, indices, len(sizes))[0], None


# Averages.


@widened
def avg_pool(x, *, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """y = the sum of each window / its divisor.

    The divisor is the number of elements, padding included unless `count_include_pad` is False
    (never what hangs over the end of the padding), or `divisor_override`.
    """
    lead, ones = x.ndim - len(kernel), (1,) * len(kernel)
    sizes = x.shape[lead:]
    counts = _counts(sizes, kernel, stride, padding, ones, ceil_mode)
    if _tiles(kernel, stride, padding, ones) and not ceil_mode:
        sums = _tile_sums(x, counts, kernel)
    else:
        sums = _padded(x, 0, counts, kernel, stride, padding, ones)
        for axis in range(len(kernel)):
            sums = _axis_sums(sums, lead + axis, counts[axis], kernel[axis], stride[axis])
    if divisor_override is not None:
        divisor = np.full(ones, divisor_override)
    else:
        rows = zip(sizes, counts, kernel, stride, padding, strict=True)
        divisor = _outer([_window_lengths(*row, count_include_pad) for row in rows])
    return _divided(sums, divisor)


def _divided(sums, divisor):
    if divisor.min() == divisor.max():
        return lax.div(sums, lax.full_like(sums, number(divisor.flat[0], sums)))
    return lax.div(sums, expand(jnp.asarray(divisor.astype(sums.dtype)), sums.shape))


def _tile_sums(x, counts, kernel):
    lead, axes = x.ndim - len(kernel), len(kernel)
    used = tuple(n * k for n, k in zip(counts, kernel, strict=True))
    cropped = lax.slice(x, (0,) * x.ndim, (*x.shape[:lead], *used))
    pairs = itertools.chain.from_iterable(zip(counts, kernel, strict=True))
    tiles = lax.reshape(cropped, (*x.shape[:lead], *pairs))
    return lax.reduce_sum(tiles, tuple(range(lead + 1, lead + 2 * axes, 2)))


def _axis_sums(x, axis, count, kernel, stride):
    """Window sums along one axis of an array that is padded already."""
    if kernel > MOST_TAPS:
        window, steps = [1] * x.ndim, [1] * x.ndim
        window[axis], steps[axis] = kernel, stride
        return lax.reduce_window(x, number(0, x), lax.add, window, steps, "VALID")
    total = None
    for k in range(kernel):
        values = lax.slice_in_dim(x, k, k + (count - 1) * stride + 1, stride, axis)
        total = values if total is None else lax.add(total, values)
    return total


def _window_lengths(size, count, kernel, stride, padding, count_include_pad):
    starts = np.arange(count) * stride - padding
    ends = np.minimum(starts + kernel, size + padding)
    if count_include_pad:
        return ends - starts
    return np.minimum(ends, size) - np.maximum(starts, 0)


def _outer(lengths):
    """The product of one vector an axis, as an array with all the axes."""
    total = np.ones((1,) * len(lengths), np.int64)
    for axis, values in enumerate(lengths):
        shape = [1] * len(lengths)
        shape[axis] = len(values)
        total = total * values.reshape(shape)
    return total


# Adaptive pooling: window i covers [floor(i n / out), ceil((i + 1) n / out)).


def _adaptive_windows(size, count):
    places = np.arange(count)
    return places * size // count, -(-(places + 1) * size // count)


def _divides(sizes, counts):
    return all(n % m == 0 for n, m in zip(sizes, counts, strict=True))


@widened
def adaptive_avg_pool(x, *, output_size):
    """The mean of each of `output_size` windows, as equal as they can be, on the last axes."""
    lead = x.ndim - len(output_size)
    sizes = x.shape[lead:]
    if _divides(sizes, output_size):
        kernel = tuple(n // m for n, m in zip(sizes, output_size, strict=True))
        return times(_tile_sums(x, output_size, kernel), 1 / math.prod(kernel))
    lengths = []
    for axis, count in enumerate(output_size):
        starts, ends = _adaptive_windows(sizes[axis], count)
        lengths.append(ends - starts)
        windows, inside = _adaptive_gather(x, lead + axis, starts, ends)
        x = lax.reduce_sum(where(inside, windows, 0), (lead + axis + 1,))
    return _divided(x, _outer(lengths))


def _adaptive_gather(x, axis, starts, ends):
    """The windows along a new axis after `axis`, and which of their elements are inside."""
    places = starts[:, None] + np.arange((ends - starts).max())
    inside = places < ends[:, None]
    windows = jnp.take(x, np.minimum(places, x.shape[axis] - 1), axis=axis)
    mask = lax.broadcast_in_dim(jnp.asarray(inside), windows.shape, (axis, axis + 1))
    return windows, mask


def adaptive_max_pool(x, *, output_size):
    """(the largest element of each adaptive window, its flat position as int64)."""
    lead, axes = x.ndim - len(output_size), len(output_size)
    sizes = x.shape[lead:]
    if _divides(sizes, output_size) and 0 not in x.shape:
        kernel = tuple(n // m for n, m in zip(sizes, output_size, strict=True))
        none, ones = (0,) * axes, (1,) * axes
        return max_pool_with_indices(
            x, kernel=kernel, stride=kernel, padding=none, dilation=ones, ceil_mode=False
        )
    values, positions = lax.stop_gradient(x), _positions(x.shape, lead)
    for axis, count in enumerate(output_size):
        starts, ends = _adaptive_windows(sizes[axis], count)
        windows, inside = _adaptive_gather(values, lead + axis, starts, ends)
        places, _ = _adaptive_gather(positions, lead + axis, starts, ends)
        worst = np.iinfo(np.int64).max
        values, positions = lax.reduce(
            (where(inside, windows, _lowest(x.dtype)), where(inside, places, worst)),
            (number(_lowest(x.dtype), x), np.int64(worst)),
            _better,
            (lead + axis + 1,),
        )
    return _gathered(x, positions, axes)


def adaptive_max_pool_vjp(cts, inputs, outputs, needs, *, output_size):
    """dx = each window's gradient, given to its winner."""
    return (_scattered(cts[0], outputs[1], inputs[0].shape, len(output_size)),)


# Windows as columns.


def unfold(x, *, kernel, stride, padding, dilation):
    """(N, C, *spatial) to (N, C * taps, windows): every window as a column."""
    ones = (kernel, stride, padding, dilation)
    counts = _counts(x.shape[2:], *ones, False)
    padded = _padded(x, 0, counts, *ones)
    taps = _taps(kernel)
    shape = (*x.shape[:2], 1, math.prod(counts))
    columns = [lax.reshape(_shifted(padded, t, counts, stride, dilation), shape) for t in taps]
    stacked = lax.concatenate(columns, 2) if len(columns) > 1 else columns[0]
    return lax.reshape(stacked, (x.shape[0], x.shape[1] * len(taps), math.prod(counts)))


def fold(x, *, output_size, kernel, stride, padding, dilation):
    """The transpose of `unfold`: columns added at their places, (N, C, *output_size)."""
    shape = (x.shape[0], x.shape[1] // math.prod(kernel), *output_size)

    def columns(image):
        return unfold(image, kernel=kernel, stride=stride, padding=padding, dilation=dilation)

    return jax.linear_transpose(columns, jax.ShapeDtypeStruct(shape, x.dtype))(x)[0]
