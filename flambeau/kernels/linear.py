"""Affine maps of the last axis."""

from __future__ import annotations

import numpy as np
from jax import lax

from flambeau.kernels.common import NARROW, cast
from flambeau.kernels.elementwise import widen


def _product(x, y, contract_x, contract_y, batch=((), ())):
    """A dot product of two arrays, 16-bit floats accumulated in float32."""
    wide = np.dtype(np.float32) if x.dtype in NARROW else None
    dimensions = ((contract_x, contract_y), batch)
    return lax.dot_general(x, y, dimensions, preferred_element_type=wide)


def linear(x, weight, bias):
    """x @ weight^T + bias: (*, I), (O, I) and (O,) give (*, O); also (I,) for the weight."""
    y = _product(x, weight, (x.ndim - 1,), (weight.ndim - 1,))
    if bias is not None:
        wide = cast(widen(bias), y.dtype)
        axes = tuple(range(y.ndim - bias.ndim, y.ndim))
        y = lax.add(y, lax.broadcast_in_dim(wide, y.shape, axes))
    return cast(y, x.dtype)


def bilinear(x1, x2, weight, bias):
    """y[o] = sum over i, j of x1[i] * weight[o, i, j] * x2[j], + bias[o].

    Args:
        x1: (*, I); x2: (*, J); weight: (O, I, J); bias: (O,) or None.
    """
    lead = x1.shape[:-1]
    count = int(np.prod(lead, dtype=np.int64))
    left = lax.reshape(widen(x1), (count, x1.shape[-1]))
    right = lax.reshape(widen(x2), (count, x2.shape[-1]))
    mapped = _product(left, widen(weight), (1,), (1,))
    y = _product(mapped, right, (2,), (1,), ((0,), (0,)))
    if bias is not None:
        y = lax.add(y, lax.broadcast_in_dim(widen(bias), y.shape, (1,)))
    return cast(lax.reshape(y, (*lead, weight.shape[0])), x1.dtype)
