"""Connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

import math

import jax
import numpy as np
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.cross_entropy import reduce_loss
from flambeau.kernels.elementwise import number, times, where


def ctc_loss(log_probs, targets, input_lengths, target_lengths, *, blank, reduction, zero_infinity):
    """-log of the probability of all alignments of the targets (Graves et al. 2006).

    Args:
        log_probs: (T, N, C), logarithms of probabilities.
        targets: (N, S), classes without `blank`, padded.
        input_lengths, target_lengths: (N,).
        zero_infinity: whether an impossible target costs 0 rather than inf.

    Returns:
        (N,), their sum, or the mean over the batch of loss / max(target length, 1).
    """
    losses = _ctc_losses(log_probs, targets, input_lengths, target_lengths, blank)
    if zero_infinity:
        losses = where(lax.eq(losses, number(math.inf, losses)), 0, losses)
    return _reduce_ctc(losses, target_lengths, reduction)


def _reduce_ctc(losses, target_lengths, reduction):
    if reduction == "mean":
        lengths = lax.max(target_lengths, lax.full_like(target_lengths, 1))
        losses = lax.div(losses, cast(lengths, losses.dtype))
    return reduce_loss(losses, reduction)


def _ctc_losses(log_probs, targets, input_lengths, target_lengths, blank):
    time, batch, _ = log_probs.shape
    labels = _with_blanks(targets, blank)
    width = labels.shape[1]
    steps = _label_scores(log_probs, labels)
    nothing = -math.inf
    places = lax.broadcasted_iota(np.int32, (batch, width), 1)
    alpha = where(lax.lt(places, np.int32(2)), steps[0], nothing)
    before = lax.pad(labels, number(blank, labels), ((0, 0, 0), (2, -2, 0)))
    may_skip = lax.bitwise_and(lax.ne(labels, number(blank, labels)), lax.ne(labels, before))
    lengths = lax.broadcast_in_dim(input_lengths, (batch, width), (0,))

    def step(carried, given):
        t, scores = given
        one = lax.pad(carried, number(nothing, carried), ((0, 0, 0), (1, -1, 0)))
        two = lax.pad(carried, number(nothing, carried), ((0, 0, 0), (2, -2, 0)))
        reached = _log_add(_log_add(carried, one), where(may_skip, two, nothing))
        inside = lax.lt(lax.broadcast_in_dim(t, lengths.shape, ()), lengths)
        return lax.select(inside, lax.add(reached, scores), carried), None

    times_left = lax.add(lax.iota(lengths.dtype, time - 1), number(1, lengths))
    alpha, _ = lax.scan(step, alpha, (times_left, steps[1:]))
    last = lax.broadcast_in_dim(times(target_lengths, 2), (batch, width), (0,))
    wide_places = cast(places, last.dtype)
    at_end = lax.bitwise_or(
        lax.eq(wide_places, last), lax.eq(wide_places, lax.sub(last, number(1, last)))
    )
    ends = where(at_end, alpha, nothing)
    # No input at all: only the empty target is possible.
    empty = lax.eq(input_lengths, number(0, input_lengths))
    total = _log_sum(ends)
    no_target = lax.eq(target_lengths, number(0, target_lengths))
    certain = where(no_target, lax.full_like(total, 0), nothing)
    return lax.neg(lax.select(empty, certain, total))


def _with_blanks(targets, blank):
    """(N, 2 S + 1): a blank before, between and after the classes."""
    config = ((0, 0, 0), (1, 1, 1))
    return lax.pad(targets, number(blank, targets), config)


def _label_scores(log_probs, labels):
    """(T, N, labels): the log-probability of every label at every time."""
    classes = lax.broadcasted_iota(labels.dtype, (*labels.shape, log_probs.shape[2]), 2)
    chosen = lax.eq(classes, lax.broadcast_in_dim(labels, classes.shape, (0, 1)))
    shape = (log_probs.shape[0], *classes.shape)
    spread = lax.broadcast_in_dim(log_probs, shape, (0, 1, 3))
    mask = lax.broadcast_in_dim(chosen, shape, (1, 2, 3))
    return lax.reduce_sum(where(mask, spread, 0), (3,))


def _log_add(a, b):
    """log(exp(a) + exp(b)); -inf, with finite derivatives, where both are."""
    larger = lax.stop_gradient(lax.max(a, b))
    shift = where(lax.is_finite(larger), larger, 0)
    total = lax.add(lax.exp(lax.sub(a, shift)), lax.exp(lax.sub(b, shift)))
    return _safe_log(total, shift)


def _log_sum(x):
    largest = lax.stop_gradient(lax.reduce_max(x, (1,)))
    shift = where(lax.is_finite(largest), largest, 0)
    total = lax.reduce_sum(lax.exp(lax.sub(x, lax.broadcast_in_dim(shift, x.shape, (0,)))), (1,))
    return _safe_log(total, shift)


def _safe_log(total, shift):
    nothing = lax.eq(total, number(0, total))
    return where(nothing, -math.inf, lax.add(lax.log(where(nothing, 1, total)), shift))


def ctc_loss_vjp(cts, inputs, outputs, needs, *, blank, reduction, zero_infinity):
    """The gradient that PyTorch takes: exp(log_probs) - the posterior of each class.

    It is that of the scores under a log-softmax, which makes it the same from there on; where
    the loss is infinite it is NaN, or 0 with `zero_infinity`.
    """
    log_probs, targets, input_lengths, target_lengths = inputs

    def losses_of(values):
        return _ctc_losses(values, targets, input_lengths, target_lengths, blank)

    losses, pull = jax.vjp(losses_of, log_probs)
    (minus_posterior,) = pull(lax.full_like(losses, 1))
    share = jax.vjp(lambda v: _reduce_ctc(v, target_lengths, reduction), losses)[1](cts[0])[0]
    slope = lax.add(lax.exp(log_probs), minus_posterior)
    infinite = lax.eq(losses, number(math.inf, losses))
    shape = log_probs.shape
    slope = where(
        lax.broadcast_in_dim(infinite, shape, (1,)), 0.0 if zero_infinity else math.nan, slope
    )
    gradient = lax.mul(slope, lax.broadcast_in_dim(share, shape, (1,)))
    place = lax.broadcasted_iota(input_lengths.dtype, shape, 0)
    inside = lax.lt(place, lax.broadcast_in_dim(input_lengths, shape, (1,)))
    return where(inside, gradient, 0), None, None, None
