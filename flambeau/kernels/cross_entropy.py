"""Negative log-likelihood and cross-entropy. Classes lie along axis 1, or axis 0 of a vector."""

from __future__ import annotations

import numpy as np
from jax import lax

from flambeau.kernels.activation import log_softmax
from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import number, plus, times, where, widen


def reduce_loss(losses, reduction):
    """The losses themselves ('none'), their 'mean' or their 'sum'."""
    if reduction == "none":
        return losses
    total = lax.reduce_sum(losses, tuple(range(losses.ndim)))
    if reduction == "sum":
        return total
    return lax.div(total, number(losses.size, total))


def _class_axis(x):
    return 1 if x.ndim > 1 else 0


def _others(x):
    axis = _class_axis(x)
    return tuple(a for a in range(x.ndim) if a != axis)


def _along_classes(values, x):
    """One value a position, repeated for every class."""
    return lax.broadcast_in_dim(values, x.shape, _others(x))


def _is_target(target, x):
    """True at the target's class of every position."""
    classes = lax.broadcasted_iota(target.dtype, x.shape, _class_axis(x))
    return lax.eq(classes, _along_classes(target, x))


def _sum_classes(x):
    return lax.reduce_sum(x, (_class_axis(x),))


def _weights(weight, x):
    """The class weights in the shape of x; ones without."""
    if weight is None:
        return lax.full_like(x, 1)
    return lax.broadcast_in_dim(cast(weight, x.dtype), x.shape, (_class_axis(x),))


def _valid(target, ignore_index):
    return lax.ne(target, number(ignore_index, target))


def _total_weight(target, weights, ignore_index):
    """The sum of the weights of the targets that are not ignored."""
    chosen = _sum_classes(where(_is_target(target, weights), weights, 0))
    kept = where(_valid(target, ignore_index), chosen, 0)
    return lax.reduce_sum(kept, tuple(range(kept.ndim)))


def nll_loss(x, target, weight, *, ignore_index, reduction):
    """-weight[t] * x[t]; its 'mean' is divided by the sum of weight[t].

    Args:
        x: (N, C, *) or (C,), log-probabilities.
        target: (N, *) or (), classes.
        weight: (C,) or None.
        ignore_index: the class that counts for nothing.
    """
    wide, target = widen(x), _index(target)
    weights = _weights(weight, wide)
    chosen = where(_is_target(target, wide), lax.mul(weights, wide), 0)
    losses = where(_valid(target, ignore_index), lax.neg(_sum_classes(chosen)), 0)
    if reduction != "mean":
        return cast(reduce_loss(losses, reduction), x.dtype)
    total = _total_weight(target, weights, ignore_index)
    return cast(lax.div(reduce_loss(losses, "sum"), total), x.dtype)


def _index(target):
    return cast(target, np.dtype(np.int64)) if target.dtype == np.uint8 else target


def cross_entropy(x, target, weight, *, ignore_index, reduction, label_smoothing):
    """nll_loss(log_softmax(x), target), for e = label_smoothing mixed with all classes:

    (1 - e) * weight[t] * -log p[t] + e / C * sum over c of weight[c] * -log p[c].
    """
    statics = {
        "ignore_index": ignore_index,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    return cross_entropy_forward(x, target, weight, **statics)[0][0]


def cross_entropy_forward(x, target, weight, *, ignore_index, reduction, label_smoothing):
    """The loss, and as residuals the maximum and the log of the sum of each position."""
    wide, target = widen(x), _index(target)
    largest = lax.reduce_max(lax.stop_gradient(wide), (_class_axis(x),))
    centred = lax.sub(wide, _along_classes(largest, wide))
    log_sum = lax.log(_sum_classes(lax.exp(centred)))
    weights = _weights(weight, wide)
    surprise = lax.mul(weights, lax.sub(_along_classes(log_sum, wide), centred))
    losses = _sum_classes(where(_is_target(target, wide), surprise, 0))
    if label_smoothing:
        even = times(_sum_classes(surprise), label_smoothing / _classes(x))
        losses = lax.add(times(losses, 1 - label_smoothing), even)
    losses = where(_valid(target, ignore_index), losses, 0)
    if reduction == "mean":
        total = _total_weight(target, weights, ignore_index)
        loss = lax.div(reduce_loss(losses, "sum"), total)
    else:
        loss = reduce_loss(losses, reduction)
    return (cast(loss, x.dtype),), (largest, log_sum)


def _classes(x):
    return x.shape[_class_axis(x)]


def cross_entropy_vjp(cts, inputs, outputs, needs, *, ignore_index, reduction, label_smoothing):
    """dx[c] = g * (p[c] * the sum over k of a[k] - a[c]), a[c] being what -log p[c] weighs."""
    x, target, weight = inputs
    largest, log_sum = outputs[1], outputs[2]
    wide, target, g = widen(x), _index(target), widen(cts[0])
    weights = _weights(weight, wide)
    if reduction == "mean":
        g = lax.div(g, _total_weight(target, weights, ignore_index))
    g = lax.broadcast_in_dim(g, target.shape, tuple(range(g.ndim)))
    share = where(_is_target(target, wide), weights, 0)
    if label_smoothing:
        even = times(weights, label_smoothing / _classes(x))
        share = lax.add(times(share, 1 - label_smoothing), even)
    centred = lax.sub(wide, _along_classes(largest, wide))
    probabilities = lax.exp(lax.sub(centred, _along_classes(log_sum, wide)))
    total = _along_classes(_sum_classes(share), wide)
    slope = lax.sub(lax.mul(probabilities, total), share)
    gradient = lax.mul(slope, _along_classes(g, wide))
    kept = _along_classes(_valid(target, ignore_index), wide)
    return cast(where(kept, gradient, 0), x.dtype), None, None


def cross_entropy_probabilities(x, target, weight, *, reduction, label_smoothing):
    """-sum over c of weight[c] * target[c] * log_softmax(x)[c]; its mean is over positions.

    Args:
        x, target: (N, C, *) or (C,); the target holds probabilities.
    """
    wide, shares = widen(x), widen(target)
    if label_smoothing:
        shares = plus(times(shares, 1 - label_smoothing), label_smoothing / _classes(x))
    products = lax.mul(log_softmax(wide, dim=_class_axis(x)), cast(shares, wide.dtype))
    losses = lax.neg(_sum_classes(lax.mul(products, _weights(weight, wide))))
    if reduction == "mean":
        count = x.size // max(_classes(x), 1)
        loss = lax.div(reduce_loss(losses, "sum"), number(count, losses))
    else:
        loss = reduce_loss(losses, reduction)
    return cast(loss, x.dtype)
