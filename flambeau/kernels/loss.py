"""Losses between two arrays: regression, likelihoods, margins.

`reduction` is 'none', 'mean' or 'sum'; operands have one shape unless a line says otherwise.
"""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from flambeau.kernels.activation import logsigmoid
from flambeau.kernels.common import broadcast, cast, expand
from flambeau.kernels.cross_entropy import reduce_loss
from flambeau.kernels.distance import pairwise_distance
from flambeau.kernels.elementwise import (
    above,
    absolute,
    at_least,
    at_most,
    below,
    number,
    plus,
    times,
    where,
    widened,
    widened_vjp,
)


def _weighted(losses, weight):
    if weight is None:
        return losses
    losses, weight = broadcast(losses, cast(weight, losses.dtype))
    return lax.mul(losses, weight)


def _clamped(x):
    """max(x, 0), which passes its gradient on at 0."""
    return where(below(x, 0), 0, x)


def _one_minus(x):
    return lax.sub(lax.full_like(x, 1), x)


# Regression.


@widened
def mse_loss(x, target, weight=None, *, reduction):
    """(x - t)^2."""
    x, target = broadcast(x, target)
    difference = lax.sub(x, target)
    return reduce_loss(_weighted(lax.mul(difference, difference), weight), reduction)


@widened
def l1_loss(x, target, weight=None, *, reduction):
    """|x - t|."""
    x, target = broadcast(x, target)
    return reduce_loss(_weighted(absolute(lax.sub(x, target)), weight), reduction)


@widened
def smooth_l1_loss(x, target, *, reduction, beta):
    """d^2 / (2 beta) for d = |x - t| < beta, else d - beta / 2 (arXiv:1504.08083)."""
    if beta == 0:
        return l1_loss(x, target, reduction=reduction)
    x, target = broadcast(x, target)
    size = absolute(lax.sub(x, target))
    square = times(lax.mul(size, size), 0.5 / beta)
    return reduce_loss(where(below(size, beta), square, plus(size, -0.5 * beta)), reduction)


@widened
def huber_loss(x, target, weight=None, *, reduction, delta):
    """d^2 / 2 for d = |x - t| <= delta, else delta * (d - delta / 2) (Huber 1964)."""
    x, target = broadcast(x, target)
    size = absolute(lax.sub(x, target))
    square = times(lax.mul(size, size), 0.5)
    straight = times(plus(size, -0.5 * delta), delta)
    losses = where(at_most(size, delta), square, straight)
    return reduce_loss(_weighted(losses, weight), reduction)


# Likelihoods.


def _log_or_least(x):
    """log(x), at least -100."""
    logarithm = lax.log(x)
    return where(below(logarithm, -100), -100, logarithm)


@widened
def binary_cross_entropy(x, target, weight, *, reduction):
    """-weight * (t log x + (1 - t) log(1 - x)), the logarithms at least -100."""
    negative = lax.mul(_one_minus(target), _log_or_least(_one_minus(x)))
    positive = lax.mul(target, _log_or_least(x))
    losses = lax.neg(lax.add(positive, negative))
    return reduce_loss(_weighted(losses, weight), reduction)


@widened_vjp
def binary_cross_entropy_vjp(cts, inputs, outputs, needs, *, reduction):
    """dx = g * weight * (x - t) / max(x (1 - x), 1e-12)."""
    x, target, weight = inputs
    g = _spread(cts[0], x, reduction)
    if weight is not None:
        g = lax.mul(g, expand(cast(weight, g.dtype), g.shape))
    variance = lax.mul(x, _one_minus(x))
    floor = where(below(variance, 1e-12), 1e-12, variance)
    dx = lax.mul(g, lax.div(lax.sub(x, target), floor)) if needs[0] else None
    dt = None
    if needs[1]:
        dt = lax.mul(g, lax.sub(lax.log(_one_minus(x)), lax.log(x)))
    return dx, dt, None


def _spread(g, x, reduction):
    """The gradient of every single loss."""
    if reduction == "mean":
        g = lax.div(g, number(x.size, g))
    return expand(g, x.shape)


@widened
def binary_cross_entropy_with_logits(x, target, weight, pos_weight, *, reduction):
    """-weight * (pos_weight * t log sigmoid(x) + (1 - t) log sigmoid(-x))."""
    negative = lax.mul(_one_minus(target), lax.neg(logsigmoid(lax.neg(x))))
    positive = lax.mul(target, lax.neg(logsigmoid(x)))
    if pos_weight is not None:
        positive = lax.mul(positive, expand(cast(pos_weight, x.dtype), x.shape))
    return reduce_loss(_weighted(lax.add(positive, negative), weight), reduction)


@widened
def kl_div(x, target, *, reduction, log_target):
    """t * (log t - x); with `log_target` exp(t) * (t - x). 'batchmean' divides by the batch."""
    x, target = broadcast(x, target)
    if log_target:
        losses = lax.mul(lax.exp(target), lax.sub(target, x))
    else:
        # t log t is 0 at 0, where its derivative is NaN, as PyTorch's.
        zero = lax.eq(target, number(0, target))
        entropy = where(zero, 0, lax.mul(target, lax.log(target)))
        losses = lax.sub(entropy, lax.mul(target, x))
    if reduction == "batchmean":
        total = reduce_loss(losses, "sum")
        return lax.div(total, number(losses.shape[0] if losses.ndim else 1, total))
    return reduce_loss(losses, reduction)


@widened
def poisson_nll_loss(x, target, *, reduction, log_input, full, eps):
    """exp(x) - t x, or x - t log(x + eps); `full` adds Stirling's log(t!) for t > 1."""
    x, target = broadcast(x, target)
    if log_input:
        losses = lax.sub(lax.exp(x), lax.mul(target, x))
    else:
        losses = lax.sub(x, lax.mul(target, lax.log(plus(x, eps))))
    if full:
        stirling = lax.add(
            lax.sub(lax.mul(target, lax.log(target)), target),
            times(lax.log(times(target, 2 * math.pi)), 0.5),
        )
        losses = lax.add(losses, where(above(target, 1), stirling, 0))
    return reduce_loss(losses, reduction)


@widened
def gaussian_nll_loss(x, target, var, *, reduction, full, eps):
    """(log v + (x - t)^2 / v) / 2 for v = max(var, eps); its gradient takes v for var itself."""
    x, target, var = broadcast(x, target, cast(var, x.dtype))
    lift = lax.stop_gradient(lax.sub(where(below(var, eps), eps, var), var))
    variance = lax.add(var, lift)
    difference = lax.sub(x, target)
    scaled = lax.div(lax.mul(difference, difference), variance)
    losses = times(lax.add(lax.log(variance), scaled), 0.5)
    if full:
        losses = plus(losses, 0.5 * math.log(2 * math.pi))
    return reduce_loss(losses, reduction)


# Margins.


@widened
def soft_margin_loss(x, target, *, reduction):
    """log(1 + exp(-t x)), t being 1 or -1."""
    x, target = broadcast(x, target)
    return reduce_loss(lax.neg(logsigmoid(lax.mul(target, x))), reduction)


@widened
def hinge_embedding_loss(x, target, *, reduction, margin):
    """x where t = 1, max(0, margin - x) where t = -1."""
    x, target = broadcast(x, target)
    hinge = _clamped(plus(lax.neg(x), margin))
    apart = where(lax.eq(target, number(1, target)), 0, hinge)
    alike = where(lax.eq(target, number(-1, target)), 0, x)
    return reduce_loss(lax.add(apart, alike), reduction)


@widened
def margin_ranking_loss(x1, x2, target, *, reduction, margin):
    """max(0, margin - t * (x1 - x2))."""
    x1, x2, target = broadcast(x1, x2, target)
    losses = _clamped(plus(lax.neg(lax.mul(target, lax.sub(x1, x2))), margin))
    return reduce_loss(losses, reduction)


@widened
def cosine_embedding_loss(x1, x2, target, *, reduction, margin):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1.

    Args:
        x1, x2: (N, D) or (D,).
        target: (N,) or ().
    """
    last = (x1.ndim - 1,)
    squares = [plus(lax.reduce_sum(lax.mul(x, x), last), 1e-12) for x in (x1, x2)]
    length = lax.sqrt(lax.mul(*squares))
    cosine, target = broadcast(lax.div(lax.reduce_sum(lax.mul(x1, x2), last), length), target)
    alike = where(lax.eq(target, number(1, target)), _one_minus(cosine), 0)
    apart = where(lax.eq(target, number(-1, target)), _clamped(plus(cosine, -margin)), 0)
    return reduce_loss(lax.add(alike, apart), reduction)


@widened
def triplet_margin_loss(anchor, positive, negative, *, reduction, margin, p, eps, swap):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)).

    With `swap`, the distance to the negative is the smaller of anchor's and positive's.
    """

    def distance(x, y):
        return pairwise_distance(x, y, number(eps, x), ord=p, keepdim=False)

    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = lax.min(far, distance(positive, negative))
    return reduce_loss(_clamped(plus(lax.sub(near, far), margin)), reduction)


def _rows(x, *others):
    """x as (N, C), the others with the same leading axis, and whether x was a vector."""
    if x.ndim == 0:
        x, *others = (lax.reshape(a, (1,)) for a in (x, *others))
    if x.ndim == 1:
        return True, *(lax.expand_dims(a, (0,)) for a in (x, *others))
    return False, x, *others


@widened
def multi_margin_loss(x, target, weight, *, reduction, p, margin):
    """sum over j != t of weight[t] * max(0, margin - x[t] + x[j])^p / C.

    Args:
        x: (N, C) or (C,); target: (N,) or (), classes; weight: (C,) or None.
    """
    if x.ndim < 2:
        single, x, target = True, lax.reshape(x, (1, x.size)), lax.reshape(target, (1,))
    else:
        single = False
    is_target = lax.eq(
        lax.broadcasted_iota(target.dtype, x.shape, 1),
        lax.broadcast_in_dim(target, x.shape, (0,)),
    )
    chosen = lax.reduce_sum(where(is_target, x, 0), (1,))
    gap = plus(lax.sub(x, lax.broadcast_in_dim(chosen, x.shape, (0,))), margin)
    hinge = where(at_most(gap, 0), 0, gap)
    if p == 2:
        hinge = lax.mul(hinge, hinge)
    losses = lax.reduce_sum(where(is_target, 0, hinge), (1,))
    if weight is not None:
        spread = lax.broadcast_in_dim(cast(weight, x.dtype), x.shape, (1,))
        losses = lax.mul(losses, lax.reduce_sum(where(is_target, spread, 0), (1,)))
    losses = times(losses, 1 / x.shape[1])
    return reduce_loss(lax.reshape(losses, ()) if single else losses, reduction)


@widened
def multilabel_margin_loss(x, target, *, reduction):
    """sum over j in the targets, i not, of max(0, 1 - (x[t[j]] - x[i])) / C.

    Args:
        x: (N, C) or (C,); target: the same shape, classes up to the first negative one.
    """
    single, x, target = _rows(x, target)
    valid = lax.cummin(cast(at_least(target, 0), np.dtype(np.int8)), axis=1)
    listed = lax.eq(valid, number(1, valid))
    shape = (*x.shape, x.shape[1])
    named = lax.eq(
        lax.broadcasted_iota(target.dtype, shape, 2),
        lax.broadcast_in_dim(target, shape, (0, 1)),
    )
    named = lax.bitwise_and(named, lax.broadcast_in_dim(listed, shape, (0, 1)))
    is_target = lax.reduce_or(named, (1,))
    scores = lax.broadcast_in_dim(x, shape, (0, 2))
    chosen = lax.reduce_sum(where(named, scores, 0), (2,))
    gap = plus(lax.sub(scores, lax.broadcast_in_dim(chosen, shape, (0, 1))), 1)
    counted = lax.bitwise_and(
        lax.broadcast_in_dim(listed, shape, (0, 1)),
        lax.bitwise_not(lax.broadcast_in_dim(is_target, shape, (0, 2))),
    )
    hinge = where(lax.bitwise_and(counted, above(gap, 0)), gap, 0)
    losses = times(lax.reduce_sum(hinge, (1, 2)), 1 / x.shape[1])
    return reduce_loss(lax.reshape(losses, ()) if single else losses, reduction)


@widened
def multilabel_soft_margin_loss(x, target, weight, *, reduction):
    """The mean over the last axis of -weight * (t log sigmoid(x) + (1 - t) log sigmoid(-x))."""
    losses = binary_cross_entropy_with_logits(x, target, weight, None, reduction="none")
    total = lax.reduce_sum(losses, (x.ndim - 1,))
    return reduce_loss(times(total, 1 / x.shape[-1]), reduction)
