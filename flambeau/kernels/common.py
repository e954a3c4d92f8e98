"""What several kernel files share: broadcasting, compute types, zero-filled arrays."""

from __future__ import annotations

import functools
import warnings

import jax
import numpy as np
from jax import lax

from flambeau.errors import broadcast_shapes

NARROW = (np.dtype("float16"), np.dtype(jax.numpy.bfloat16))


def broadcast(*arrays):
    """The arrays at their common shape, by NumPy's broadcasting rules."""
    shapes = [np.shape(a) for a in arrays]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        shape = functools.reduce(broadcast_shapes, shapes)  # raises in PyTorch's words
    return tuple(expand(a, shape) for a in arrays)


def expand(x, shape):
    """`x` broadcast to `shape`; its axes are aligned on the right."""
    if np.shape(x) == tuple(shape):
        return x
    offset = len(shape) - np.ndim(x)
    axes = tuple(range(offset, len(shape)))
    if x.dtype not in NARROW:
        return lax.broadcast_in_dim(x, shape, axes)
    # By way of float32, so that the derivative, a sum, is accumulated in it.
    wide = lax.convert_element_type(x, np.dtype(np.float32))
    return lax.convert_element_type(lax.broadcast_in_dim(wide, shape, axes), x.dtype)


def compute_dtype(dtype) -> np.dtype:
    """The type in which arithmetic on `dtype` is done: float32 for the 16-bit floats."""
    return np.dtype(np.float32) if dtype in NARROW else np.dtype(dtype)


def cast(x, dtype):
    """`x` as `dtype` (a NumPy dtype); no operation where it has it already."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind == "c" and np.dtype(dtype).kind != "c":
        warnings.warn(
            "Casting complex values to real discards the imaginary part", UserWarning, stacklevel=2
        )
        x = lax.real(x)
    return lax.convert_element_type(x, dtype)


def unbroadcast(gradient, shape):
    """The sum of `gradient` over the axes along which an operand of `shape` was broadcast."""
    if gradient.shape == tuple(shape):
        return gradient
    offset = gradient.ndim - len(shape)
    axes = tuple(range(offset)) + tuple(
        offset + i for i, n in enumerate(shape) if n == 1 and gradient.shape[offset + i] != 1
    )
    if axes:
        wide = cast(gradient, compute_dtype(gradient.dtype))
        gradient = cast(lax.reduce_sum(wide, axes), gradient.dtype)
    return lax.reshape(gradient, tuple(shape))
