"""Images at other points: interpolation to another size, sampling at a grid of points."""

from __future__ import annotations

import itertools
import math

import numpy as np
from jax import lax
from jax import numpy as jnp

from flambeau.kernels.common import NARROW, cast, expand
from flambeau.kernels.elementwise import is_nan, plus, times, where, widened

CUBIC = -0.75  # the coefficient of the cubic convolution (Keys 1981)


# To another size, one axis after another.


def source_scale(size, count, factor, align_corners, real):
    """How far apart the sources of neighbouring results are."""
    if align_corners:
        return real((size - 1) / (count - 1)) if count > 1 else real(0)
    return real(1 / factor) if factor else real(real(size) / real(count))


def _nearest_sources(size, count, factor, exact, real):
    scale = source_scale(size, count, factor, False, real)
    places = np.arange(count).astype(real)
    sources = np.floor((places + real(0.5)) * scale if exact else places * scale)
    return np.minimum(sources.astype(np.int64), size - 1)


def _sources(size, count, factor, align_corners, cubic, real):
    """Where each result lies between the elements of the axis."""
    scale = source_scale(size, count, factor, align_corners, real)
    places = np.arange(count).astype(real)
    if align_corners:
        return places * scale
    sources = (places + real(0.5)) * scale - real(0.5)
    return sources if cubic else np.maximum(sources, real(0))


def _near(t):
    return ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1


def _far(t):
    return ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC


def _linear_taps(size, sources):
    """(positions, weights) of the two neighbours."""
    low = np.minimum(sources.astype(np.int64), size - 1)
    share = np.clip(sources - low, 0, 1)
    return [(low, 1 - share), (np.minimum(low + 1, size - 1), share)]


def _cubic_taps(size, sources):
    """(positions, weights) of the four neighbours."""
    low = np.floor(sources)
    t = sources - low
    weights = (_far(t + 1), _near(t), _near(1 - t), _far(2 - t))
    positions = low.astype(np.int64)
    return [
        (np.clip(positions + shift, 0, size - 1), weight)
        for shift, weight in zip((-1, 0, 1, 2), weights, strict=True)
    ]


@widened
def interpolate(x, *, size, factors, mode, align_corners):
    """(N, C, *spatial) at `size`: 'nearest', 'nearest-exact', 'linear' or 'cubic' on each axis.

    Args:
        factors: the factor of each axis where it fixes the distances, else None.
    """
    if x.dtype == np.uint8 and not mode.startswith("nearest"):
        return _bytes(x, size, factors, mode, align_corners)
    real = np.float64 if x.dtype == np.float64 else np.float32
    for axis, (count, factor) in enumerate(zip(size, factors, strict=True), start=2):
        length = x.shape[axis]
        if mode.startswith("nearest"):
            if count == length and not factor:
                continue
            exact = mode == "nearest-exact"
            sources = _nearest_sources(length, count, factor, exact, real)
            x = jnp.take(x, sources, axis=axis, mode="clip")
            continue
        cubic = mode == "cubic"
        sources = _sources(length, count, factor, align_corners, cubic, real)
        taps = (_cubic_taps if cubic else _linear_taps)(length, sources)
        x = _weighted_taps(x, taps, axis)
    return x


def weigh_bytes(x, weights, axis):
    """Bytes (as int32) of an axis mixed by weights (count, size), and rounded."""
    bits = 0
    while bits < 22 and int(0.5 + weights.max() * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    whole = np.trunc(weights * (1 << bits) + np.where(weights < 0, -0.5, 0.5)).astype(np.int32)
    total = along(x, jnp.asarray(whole), axis)
    rounded = lax.add(total, lax.full_like(total, 1 << (bits - 1) if bits else 0))
    shifted = lax.shift_right_arithmetic(rounded, lax.full_like(rounded, bits))
    return lax.clamp(np.int32(0), shifted, np.int32(255))


def along(x, matrix, axis):
    """The elements of an axis (the last or the one before) mixed by a matrix."""
    moved = lax.dot_general(x, matrix, (((axis,), (1,)), ((), ())))
    return moved if axis == 3 else lax.transpose(moved, (0, 1, 3, 2))


def _bytes(x, size, factors, mode, align_corners):
    """(N, C, H, W) of bytes in whole numbers, the last axis first."""
    result = cast(x, np.dtype(np.int32))
    for axis in (3, 2):
        count, factor = size[axis - 2], factors[axis - 2]
        length, cubic = x.shape[axis], mode == "cubic"
        if count == length and not factor:
            continue
        sources = _sources(length, count, factor, align_corners, cubic, np.float64)
        weights = np.zeros((count, length))
        for positions, shares in (_cubic_taps if cubic else _linear_taps)(length, sources):
            np.add.at(weights, (np.arange(count), positions), shares)
        result = weigh_bytes(result, weights, axis)
    return cast(result, x.dtype)


def _weighted_taps(x, taps, axis):
    total = None
    for positions, weights in taps:
        values = jnp.take(x, positions, axis=axis, mode="clip")
        factors = jnp.asarray(weights.astype(x.dtype))
        product = lax.mul(values, lax.broadcast_in_dim(factors, values.shape, (axis,)))
        total = product if total is None else lax.add(total, product)
    return total


# At the points of a grid.


def _pixel(place, size, align_corners):
    """A coordinate in [-1, 1] in pixels."""
    if align_corners:
        return times(plus(place, 1), (size - 1) / 2)
    return times(plus(times(plus(place, 1), size), -1), 0.5)


def _clipped(place, size):
    low = lax.bitwise_or(lax.le(place, lax.full_like(place, 0)), is_nan(place))
    high = lax.ge(place, lax.full_like(place, size - 1))
    return where(low, 0, where(high, size - 1, place))


def _reflected(place, size, align_corners):
    """A coordinate mirrored at the ends until it lies between them."""
    low, span = (0.0, size - 1) if align_corners else (-0.5, size)
    if span == 0:
        return lax.full_like(place, 0)
    distance = plus(place, -low)
    distance = where(lax.lt(distance, lax.full_like(distance, 0)), lax.neg(distance), distance)
    flips = lax.stop_gradient(lax.floor(times(distance, 1 / span)))
    rest = lax.sub(distance, times(flips, span))
    odd = lax.eq(lax.rem(flips, lax.full_like(flips, 2)), lax.full_like(flips, 1))
    return plus(where(odd, plus(lax.neg(rest), span), rest), low)


def _padded(place, size, padding_mode, align_corners):
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        place = _reflected(place, size, align_corners)
    return _clipped(place, size)


def _grid_taps(place, size, mode, padding_mode, align_corners):
    """(position, weight or None) of the neighbours of a place on one axis."""
    if mode == "bicubic":
        low = lax.stop_gradient(lax.floor(place))
        t = lax.sub(place, low)
        return [
            (_padded(plus(low, shift), size, padding_mode, align_corners), weight)
            for shift, weight in zip((-1, 0, 1, 2), _cubic_weights(t), strict=True)
        ]
    place = _padded(place, size, padding_mode, align_corners)
    if mode == "nearest":
        nearest = lax.round(place, lax.RoundingMethod.TO_NEAREST_EVEN)
        return [(lax.stop_gradient(nearest), None)]
    low = lax.stop_gradient(lax.floor(place))
    share = lax.sub(place, low)
    return [(low, plus(lax.neg(share), 1)), (plus(low, 1), share)]


def _cubic_weights(t):
    one = lax.full_like(t, 1)

    def near(s):
        inner = plus(times(s, CUBIC + 2), -(CUBIC + 3))
        return lax.add(lax.mul(lax.mul(inner, s), s), one)

    def far(s):
        inner = plus(times(s, CUBIC), -5 * CUBIC)
        inner = plus(lax.mul(inner, s), 8 * CUBIC)
        return plus(lax.mul(inner, s), -4 * CUBIC)

    return far(plus(t, 1)), near(t), near(lax.sub(one, t)), far(plus(lax.neg(t), 2))


@widened
def grid_sample(x, grid, *, mode, padding_mode, align_corners):
    """x (N, C, *spatial) at the points of `grid` (N, *out, axes): (N, C, *out).

    A point is (x, y) or (x, y, z), the last axis first, -1 and 1 being the ends of an axis.

    Args:
        mode: 'bilinear', 'nearest' or 'bicubic'.
        padding_mode: what lies outside: 'zeros', the 'border', or the image by 'reflection'.
        align_corners: the ends are the centres of the last pixels rather than their edges.
    """
    sizes, axes = x.shape[2:], grid.shape[-1]
    batch, out = grid.shape[0], grid.shape[1:-1]
    points = math.prod(out)
    taps = []
    for axis in range(axes):
        place = lax.index_in_dim(grid, axes - 1 - axis, grid.ndim - 1, keepdims=False)
        pixel = _pixel(lax.reshape(place, (batch, points)), sizes[axis], align_corners)
        taps.append(_grid_taps(pixel, sizes[axis], mode, padding_mode, align_corners))
    flat = lax.reshape(x, (*x.shape[:2], math.prod(sizes)))
    total = None
    for corner in itertools.product(*taps):
        values = _corner_values(flat, [position for position, _ in corner], sizes)
        for _, weight in corner:
            if weight is not None:
                values = lax.mul(values, lax.broadcast_in_dim(weight, values.shape, (0, 2)))
        total = values if total is None else lax.add(total, values)
    return lax.reshape(total, (*x.shape[:2], *out))


def _corner_values(flat, positions, sizes):
    """The pixels at whole positions (N, points) of each axis; 0 outside: (N, C, points)."""
    inside, index = None, None
    for position, size in zip(positions, sizes, strict=True):
        within = lax.bitwise_and(
            lax.ge(position, lax.full_like(position, 0)),
            lax.lt(position, lax.full_like(position, size)),
        )
        whole = cast(where(within, position, 0), np.dtype(np.int64))
        index = whole if index is None else lax.add(times(index, size), whole)
        inside = within if inside is None else lax.bitwise_and(inside, within)
    shape = (*flat.shape[:2], index.shape[1])
    spread = lax.broadcast_in_dim(index, shape, (0, 2))
    values = jnp.take_along_axis(flat, spread, axis=2, mode="clip")
    return where(lax.broadcast_in_dim(inside, shape, (0, 2)), values, 0)


def affine_grid(theta, *, size, align_corners):
    """The points that the affine maps `theta` (N, axes, axes + 1) send a grid of `size` to."""
    axes = len(size)
    wide = np.float32 if theta.dtype in NARROW else theta.dtype
    lines = []
    for count in size:
        line = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
        lines.append(line if align_corners else line * (count - 1) / count)
    base = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(size)], -1)
    points = jnp.asarray(base.reshape(-1, axes + 1).astype(wide))
    batch = theta.shape[0]
    points = expand(points, (batch, *points.shape))
    grid = lax.dot_general(points, cast(theta, np.dtype(wide)), (((2,), (2,)), ((0,), (0,))))
    return cast(lax.reshape(grid, (batch, *size, axes)), theta.dtype)
