"""Weights as a length times a direction."""

from __future__ import annotations

from jax import lax

from .common import broadcast, cast, compute_dtype


def weight_norm(v, g, *, dim):
    """g * v / ||v||, one norm for each index of `dim` (Salimans and Kingma 2016, arXiv:1602.07868).

    v: any shape. g: as v, with 1 in place of all sizes but that of `dim`.
    """
    others = tuple(axis for axis in range(v.ndim) if axis != dim)
    wide = cast(v, compute_dtype(v.dtype))
    norm = lax.sqrt(lax.reduce_sum(lax.mul(wide, wide), others))
    length = lax.div(cast(g, wide.dtype), lax.broadcast_in_dim(norm, g.shape, (dim,)))
    return cast(lax.mul(*broadcast(wide, length)), v.dtype)
