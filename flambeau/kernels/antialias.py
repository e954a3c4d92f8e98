"""Images at another size with the filters widened as they shrink, so that nothing is skipped."""

from __future__ import annotations

import numpy as np
from jax import numpy as jnp

from flambeau.kernels.common import cast
from flambeau.kernels.resample import along, source_scale, weigh_bytes

SHARPNESS = -0.5  # the coefficient of the cubic convolution here (Keys 1981)


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x):
    a, x = SHARPNESS, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS = {"linear": (_triangle, 1), "cubic": (_cubic, 2), "lanczos": (_lanczos, 3)}


def axis_weights(size, count, factor, align_corners, mode, real):
    """The shares (count, size) of the elements of an axis in each result."""
    shape, radius = FILTERS[mode]
    scale = source_scale(size, count, factor, align_corners, real)
    reach = real(radius) * max(scale, real(1))
    centres = scale * (np.arange(count).astype(real) + real(0.5))
    low = np.maximum((centres - reach + real(0.5)).astype(np.int64), 0)[:, None]
    high = np.minimum((centres + reach + real(0.5)).astype(np.int64), size)[:, None]
    places = np.arange(size)
    shrink = 1 / scale if scale >= 1 else real(1)
    weights = shape((places - centres[:, None] + real(0.5)) * shrink)
    weights = np.where((places >= low) & (places < high), weights, 0)
    total = weights.sum(1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


def interpolate_antialias(x, *, size, factors, mode, align_corners):
    """(N, C, H, W) at `size` by a 'linear', 'cubic' or 'lanczos' filter on each axis.

    The filter is as wide as what one result stands for. Bytes are rounded after each axis.

    Args:
        factors: the factor of each axis where it fixes the distances, else None.
    """
    if x.dtype == np.uint8:
        return _bytes(x, size, factors, align_corners, mode)
    real = np.float64 if x.dtype == np.float64 else np.float32
    result = cast(x, np.dtype(real))
    for axis in (3, 2):
        count, factor = size[axis - 2], factors[axis - 2]
        if count == x.shape[axis] and not factor:
            continue
        weights = axis_weights(x.shape[axis], count, factor, align_corners, mode, real)
        result = along(result, jnp.asarray(weights.astype(real)), axis)
    return cast(result, x.dtype)


def _bytes(x, size, factors, align_corners, mode):
    """The same of bytes, in whole numbers: weights of 15 bits, rounded after each axis."""
    result = cast(x, np.dtype(np.int32))
    for axis in (3, 2):
        count, factor = size[axis - 2], factors[axis - 2]
        if count == x.shape[axis] and not factor:
            continue
        weights = axis_weights(x.shape[axis], count, factor, align_corners, mode, np.float64)
        result = weigh_bytes(result, weights, axis)
    return cast(result, x.dtype)
