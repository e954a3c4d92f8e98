"""Padding by what the array itself holds, and shuffles between channels and pixels."""

from __future__ import annotations

import numpy as np
from jax import lax
from jax import numpy as jnp


def _sources(size, before, after, mode):
    """For every position of a padded axis, the position that it copies."""
    places = np.arange(-before, size + after)
    if mode == "replicate":
        return np.clip(places, 0, size - 1)
    if mode == "circular":
        return places % size
    period = 2 * (size - 1)
    folded = np.abs(places) % max(period, 1)
    return np.where(folded >= size, period - folded, folded)


def pad(x, *, pads, mode):
    """`x` with margins on its last axes, by 'reflect', 'replicate' or 'circular'.

    Args:
        pads: a pair (before, after) for each of the last axes, in their order; negative ones crop.
    """
    first = x.ndim - len(pads)
    for axis, (before, after) in enumerate(pads, start=first):
        if before == after == 0:
            continue
        if mode == "circular" and min(before, after) < 0:
            # What is left after cropping is what continues.
            x = lax.slice_in_dim(x, max(-before, 0), x.shape[axis] - max(-after, 0), axis=axis)
            before, after = max(before, 0), max(after, 0)
        x = jnp.take(x, _sources(x.shape[axis], before, after, mode), axis=axis, mode="clip")
    return x


def pixel_shuffle(x, *, factor):
    """(*, C r^2, H, W) to (*, C, H r, W r) (arXiv:1609.05158)."""
    *lead, channels, height, width = x.shape
    split = (*lead, channels // factor**2, factor, factor, height, width)
    n = len(lead)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    moved = lax.transpose(lax.reshape(x, split), order)
    return lax.reshape(moved, (*lead, channels // factor**2, height * factor, width * factor))


def pixel_unshuffle(x, *, factor):
    """(*, C, H r, W r) to (*, C r^2, H, W)."""
    *lead, channels, height, width = x.shape
    split = (*lead, channels, height // factor, factor, width // factor, factor)
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    moved = lax.transpose(lax.reshape(x, split), order)
    return lax.reshape(moved, (*lead, channels * factor**2, height // factor, width // factor))


def channel_shuffle(x, *, groups):
    """Channels dealt out from `groups` piles in turn (arXiv:1707.01083)."""
    split = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    order = (0, 2, 1, *range(3, len(split)))
    return lax.reshape(lax.transpose(lax.reshape(x, split), order), x.shape)
