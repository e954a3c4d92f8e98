"""Cross-entropy of an affine map, by parts of the batch: the logits never exist all at once."""

from __future__ import annotations

import jax
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.cross_entropy import cross_entropy
from flambeau.kernels.linear import linear


def linear_cross_entropy(
    x, weight, target, bias, class_weight, *, ignore_index, reduction, rows, wide
):
    """cross_entropy(x @ weight^T + bias, target), `rows` rows of x at a time.

    The derivative computes each part's logits anew (`jax.checkpoint`), so that it, too, holds
    those of one part only.

    Args:
        x: (N, I); weight: (C, I); target: (N,) classes; bias, class_weight: (C,) or None.
        wide: the type to compute in.
    """
    statics = {"ignore_index": ignore_index, "label_smoothing": 0.0}
    count = x.shape[0]
    matrix, shift = cast(weight, wide), None if bias is None else cast(bias, wide)
    if rows >= count:
        logits = linear(cast(x, wide), matrix, shift)
        loss = cross_entropy(logits, target, class_weight, reduction=reduction, **statics)
        return cast(loss, x.dtype)

    @jax.checkpoint
    def part(some, classes):
        logits = linear(cast(some, wide), matrix, shift)
        return cross_entropy(logits, classes, class_weight, reduction="none", **statics)

    whole = count // rows * rows
    stacked = lax.reshape(lax.slice_in_dim(x, 0, whole), (whole // rows, rows, x.shape[1]))
    classes = lax.reshape(lax.slice_in_dim(target, 0, whole), (whole // rows, rows))
    found = lax.map(lambda both: part(*both), (stacked, classes))
    losses = [lax.reshape(found, (whole,))]
    if whole < count:
        losses.append(part(lax.slice_in_dim(x, whole, count), target[whole:]))
    each = lax.concatenate(losses, 0) if len(losses) > 1 else losses[0]
    if reduction == "none":
        return cast(each, x.dtype)
    total = lax.reduce_sum(each, (0,))
    if reduction == "mean":
        total = lax.div(total, _share(target, class_weight, ignore_index, each.dtype))
    return cast(total, x.dtype)


def _share(target, class_weight, ignore_index, dtype):
    """The sum of the weights of the targets that are not ignored."""
    kept = lax.ne(target, lax.full_like(target, ignore_index))
    if class_weight is None:
        return lax.reduce_sum(cast(kept, dtype), (0,))
    inside = lax.select(kept, target, lax.full_like(target, 0))
    chosen = cast(class_weight, dtype)[inside]
    return lax.reduce_sum(lax.select(kept, chosen, lax.full_like(chosen, 0)), (0,))
