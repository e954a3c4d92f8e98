"""Max pooling over windows whose places are drawn at random (arXiv:1412.6071)."""

from __future__ import annotations

import itertools

import numpy as np
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import is_nan, number, times, where
from flambeau.kernels.pool import _gathered, _scattered


def _starts(samples, size, window, count):
    """The first element of each of `count` windows on an axis, (N, C, count).

    floor((i + u) a) - floor(u a) with a = (size - window) / (count - 1), and the last window at
    the end.
    """
    last = lax.full((*samples.shape, 1), size - window, np.dtype(np.int64))
    if count < 2:
        return lax.slice_in_dim(last, 0, count, axis=samples.ndim)
    alpha = lax.div(number(size - window, samples), number(count - 1, samples))
    shape = (*samples.shape, count - 1)
    steps = lax.broadcasted_iota(samples.dtype, shape, len(shape) - 1)
    base = lax.broadcast_in_dim(samples, shape, tuple(range(samples.ndim)))
    whole = np.dtype(np.int64)
    places = cast(lax.mul(lax.add(steps, base), lax.full_like(base, alpha)), whole)
    first = cast(lax.mul(base, lax.full_like(base, alpha)), whole)
    return lax.concatenate([lax.sub(places, first), last], len(shape) - 1)


def fractional_max_pool(x, samples, *, kernel, output_size):
    """(the largest element of each window, its flat position in the pooled axes).

    Args:
        x: (N, C, *spatial).
        samples: (N, C, axes) in [0, 1): what shifts the windows of each axis, in two dimensions
            the last axis first.
    """
    spatial = x.shape[2:]
    order = range(len(spatial)) if len(spatial) == 3 else reversed(range(len(spatial)))
    starts = []
    for axis, place in enumerate(order):
        u = lax.index_in_dim(samples, place, 2, keepdims=False)
        starts.append(_starts(u, spatial[axis], kernel[axis], output_size[axis]))
    values = lax.stop_gradient(x)
    best = winners = None
    for tap in itertools.product(*map(range, kernel)):
        flat = _flat(starts, tap, spatial, (*x.shape[:2], *output_size))
        found, _ = _gathered(values, flat, len(spatial))
        if best is None:
            best, winners = found, flat
            continue
        better = lax.bitwise_or(lax.gt(found, best), is_nan(found))
        best, winners = lax.select(better, found, best), where(better, flat, winners)
    return _gathered(x, winners, len(spatial))


def _flat(starts, tap, spatial, shape):
    """The flat position of the element `tap` of every window."""
    flat = None
    for axis, (start, k, size) in enumerate(zip(starts, tap, spatial, strict=True)):
        place = lax.broadcast_in_dim(lax.add(start, np.int64(k)), shape, (0, 1, axis + 2))
        flat = place if flat is None else lax.add(times(flat, size), place)
    return flat


def fractional_max_pool_vjp(cts, inputs, outputs, needs, *, kernel, output_size):
    """dx = each window's gradient, given to its winner."""
    return _scattered(cts[0], outputs[1], inputs[0].shape, len(output_size)), None
