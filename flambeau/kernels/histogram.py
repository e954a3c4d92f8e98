"""Histograms, searches in sorted arrays, and integrals and derivatives of samples."""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from .common import broadcast, cast, compute_dtype, expand
from .elementwise import widened


def searchsorted(ordered, values, *, right, dtype):
    """How many of the ordered values are < each value (<= where `right`), row by row.

    `ordered` (n) or (*, n); `values` any shape, or (*, m). NaN is greater than all else: the
    comparison is "not (ordered >= value)".
    """
    size = ordered.shape[-1]
    low = lax.full(values.shape, 0, np.int32)
    high = lax.full(values.shape, size, np.int32)
    for _ in range(size.bit_length()):
        middle = lax.shift_right_logical(lax.add(low, high), lax.full_like(low, 1))
        found = _take(ordered, lax.min(middle, lax.full_like(middle, size - 1)))
        compare = lax.gt if right else lax.ge
        goes_right = lax.bitwise_not(compare(found, values))
        active = lax.lt(low, high)
        up = lax.bitwise_and(active, goes_right)
        down = lax.bitwise_and(active, lax.bitwise_not(goes_right))
        low = lax.select(up, lax.add(middle, lax.full_like(middle, 1)), low)
        high = lax.select(down, middle, high)
    return cast(low, dtype)


def _take(ordered, places):
    if ordered.ndim == 1:
        return ordered.at[places].get(mode="promise_in_bounds")
    rows = math.prod(ordered.shape[:-1])
    flat = lax.reshape(ordered, (rows, ordered.shape[-1]))
    index = lax.reshape(places, (rows, places.shape[-1]))
    row = lax.broadcasted_iota(np.int32, index.shape, 0)
    return lax.reshape(flat.at[row, index].get(mode="promise_in_bounds"), places.shape)


def _counted(places, weights, shape):
    """The weights summed at their places; places outside `shape` are dropped."""
    return lax.full(shape, 0, weights.dtype).at[places].add(weights, mode="drop")


def histc(x, low, high, *, bins):
    """How many values fall into each of `bins` equal parts of [low, high]; others do not count."""
    flat = lax.reshape(x, (x.size,))
    wide = compute_dtype(x.dtype)
    values, low, high = cast(flat, wide), cast(low, wide), cast(high, wide)
    share = lax.div(
        lax.sub(values, expand(low, values.shape)), expand(lax.sub(high, low), values.shape)
    )
    place = lax.floor(lax.mul(share, lax.full_like(share, bins)))
    place = lax.min(cast(place, np.int32), lax.full(values.shape, bins - 1, np.int32))
    inside = lax.bitwise_and(
        lax.ge(values, expand(low, values.shape)), lax.le(values, expand(high, values.shape))
    )
    place = lax.select(inside, place, lax.full_like(place, bins))
    return cast(_counted(place, lax.full_like(values, 1), (bins,)), x.dtype)


def histogramdd(points, weights, *edges, density):
    """(N, D) points -> counts (or sums of weights) in the cells between the D arrays of edges.

    A cell holds its lower edge; the last one its upper edge, too. `density` divides by the total
    and by each cell's volume.
    """
    places, shape = [], tuple(e.shape[0] - 1 for e in edges)
    for axis, edge in enumerate(edges):
        values = points[:, axis]
        place = lax.sub(searchsorted(edge, values, right=True, dtype=np.int32), np.int32(1))
        at_end = lax.eq(values, expand(edge[-1], values.shape))
        place = lax.select(at_end, lax.full_like(place, shape[axis] - 1), place)
        below = lax.lt(place, lax.full_like(place, 0))
        places.append(lax.select(below, lax.full_like(place, shape[axis]), place))
    if weights is None:
        weights = lax.full((points.shape[0],), 1, points.dtype)
    counts = _counted(tuple(places), weights, shape)
    if not density:
        return counts
    counts = lax.div(counts, expand(lax.reduce_sum(counts, tuple(range(counts.ndim))), shape))
    for axis, edge in enumerate(edges):
        widths = lax.sub(edge[1:], edge[:-1])
        counts = lax.div(counts, lax.broadcast_in_dim(widths, shape, (axis,)))
    return counts


# --- samples of a function ----------------------------------------------------------------------


def _ends(y, dim):
    """All but the first, and all but the last."""
    size = y.shape[dim]
    return (lax.slice_in_dim(y, 1, size, axis=dim), lax.slice_in_dim(y, 0, size - 1, axis=dim))


def _areas(y, x, step, dim):
    """The trapezia between neighbouring samples; the places are `x`, or `step` apart.

    Axis `dim` counts from the left in y and, as in PyTorch, in an x of more axes, too.
    """
    total = lax.add(*_ends(y, dim))
    if x is None:
        width = expand(cast(step, y.dtype), total.shape)
    else:
        if x.ndim == 1:
            x = lax.broadcast_in_dim(x, y.shape, (dim,))
        elif x.ndim < y.ndim:
            x = lax.reshape(x, (1,) * (y.ndim - x.ndim) + x.shape)
        total, width = broadcast(total, lax.sub(*_ends(x, dim)))
    return lax.mul(lax.mul(total, width), lax.full_like(total, 0.5))


@widened
def trapezoid(y, x, step, *, dim):
    """The integral of samples by the trapezium rule. Places `x`, or (None) `step` apart."""
    areas = _areas(y, x, step, dim)
    return lax.reduce_sum(areas, (dim,))


@widened
def cumulative_trapezoid(y, x, step, *, dim):
    """The integrals up to each sample but the first."""
    areas = _areas(y, x, step, dim)
    return lax.cumsum(areas, dim)


@widened
def gradient(x, spacing, *, dim, edge_order):
    """The derivative along an axis by differences of second order, of `edge_order` at the ends.

    `spacing` is a 0-d step, or the 1-d places of the samples. Source: B. Fornberg, "Generation of
    finite difference formulas on arbitrarily spaced grids" (1988).
    """
    size = x.shape[dim]
    if spacing.ndim == 0:
        widths = expand(cast(spacing, x.dtype), (size - 1,))
    else:
        widths = lax.sub(*_ends(cast(spacing, x.dtype), 0))

    def samples(start, count):
        return lax.slice_in_dim(x, start, start + count, axis=dim)

    def width(start, count):
        shape = tuple(count if i == dim else n for i, n in enumerate(x.shape))
        return lax.broadcast_in_dim(widths[start : start + count], shape, (dim,))

    parts = [_edge(samples, width, 0, 1, edge_order)]
    if size > 2:
        h, k = width(0, size - 2), width(1, size - 2)
        before, here, after = (samples(i, size - 2) for i in range(3))
        inner = h * h * after + (k * k - h * h) * here - k * k * before
        parts.append(lax.div(inner, h * k * (h + k)))
    parts.append(_edge(samples, width, size - 1, -1, edge_order))
    return lax.concatenate(parts, dim)


def _edge(samples, width, place, step, order):
    """The one-sided derivative at the sample `place`, looking in the direction `step`."""
    gap = (lambda i: place + i) if step > 0 else (lambda i: place - 1 - i)
    here, near = samples(place, 1), samples(place + step, 1)
    h = width(gap(0), 1)
    if order == 1:
        return step * lax.div(lax.sub(near, here), h)
    far, k = samples(place + 2 * step, 1), width(gap(1), 1)
    total = h + k
    slope = total * total * near - h * h * far - (total * total - h * h) * here
    return step * lax.div(slope, h * k * total)
