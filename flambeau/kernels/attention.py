"""Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762).

With S = scale * query key^T + mask, P = softmax(S), and D the weights after dropout:

    y = D value,  dvalue = D^T g,  dP = (g value^T) * dropout,  dS = P * (dP - sum(dP * P)),
    dquery = scale * dS key,  dkey = scale * dS^T query.
"""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from flambeau.kernels.common import cast, expand, unbroadcast
from flambeau.kernels.elementwise import where, widen


def _batched(*arrays):
    """The arrays with common leading axes, their last two left as they are."""
    lead = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    return tuple(expand(a, (*lead, *a.shape[-2:])) for a in arrays)


def _product(x, y, contract_x, contract_y):
    """A matrix product for every leading index; the contracted axes count from the end."""
    batch = tuple(range(x.ndim - 2))
    contracted = ((x.ndim + contract_x,), (y.ndim + contract_y,))
    return lax.dot_general(x, y, (contracted, (batch, batch)))


def _filled(value, like):
    return lax.broadcast_in_dim(lax.convert_element_type(value, like.dtype), like.shape, ())


def _kept(reduced, x):
    """A value a row, repeated along the last axis."""
    return lax.broadcast_in_dim(reduced, x.shape, tuple(range(x.ndim - 1)))


def _weights(query, key, mask, scale, is_causal, safe):
    scores = _product(query, key, -1, -1)
    scores = lax.mul(scores, _filled(scale, scores))
    if is_causal:
        rows = lax.broadcasted_iota(np.int32, scores.shape, scores.ndim - 2)
        columns = lax.broadcasted_iota(np.int32, scores.shape, scores.ndim - 1)
        scores = where(lax.ge(rows, columns), scores, -math.inf)
    if mask is not None:
        if mask.dtype == np.bool_:
            scores = where(expand(mask, scores.shape), scores, -math.inf)
        else:
            scores = lax.add(scores, expand(cast(mask, scores.dtype), scores.shape))
    last = scores.ndim - 1
    largest = lax.stop_gradient(lax.reduce_max(scores, (last,)))
    if safe:
        # A row that may look at nothing gets no weights, rather than NaN.
        largest = where(lax.eq(largest, lax.full_like(largest, -math.inf)), 0, largest)
    weights = lax.exp(lax.sub(scores, _kept(largest, scores)))
    total = lax.reduce_sum(weights, (last,))
    if safe:
        total = where(lax.eq(total, lax.full_like(total, 0)), 1, total)
    return lax.div(weights, _kept(total, scores))


def _dropped(weights, keep, factor):
    if keep is None:
        return weights
    factors = lax.mul(expand(cast(keep, weights.dtype), weights.shape), _filled(factor, weights))
    return lax.mul(weights, factors)


def _run(query, key, value, mask, keep, factor, scale, is_causal, safe):
    """(result, weights, weights after dropout)."""
    dtype = query.dtype
    query, key, value = _batched(widen(query), widen(key), widen(value))
    weights = _weights(query, key, widen(mask), scale, is_causal, safe)
    dropped = _dropped(weights, keep, factor)
    return cast(_product(dropped, value, -1, -2), dtype), weights, cast(dropped, dtype)


def attention(query, key, value, mask, keep, factor, scale, *, is_causal, safe):
    """softmax(scale * query key^T + mask) value.

    Args:
        query: (*, L, E); key: (*, S, E); value: (*, S, V).
        mask: broadcasts to (*, L, S): bools (True: look) or numbers to add; or None.
        keep: for dropout, which weights remain, multiplied by `factor`; or None.
        is_causal: position i sees positions up to i.
        safe: a row without anything to look at is 0 rather than NaN.
    """
    return _run(query, key, value, mask, keep, factor, scale, is_causal, safe)[0]


def attention_forward(query, key, value, mask, keep, factor, scale, *, is_causal, safe):
    """The same, with the weights as residual."""
    y, weights, _ = _run(query, key, value, mask, keep, factor, scale, is_causal, safe)
    return (y,), (weights,)


def attention_vjp(cts, inputs, outputs, needs, *, is_causal, safe):
    """Gradients of query, key, value and of a mask of numbers."""
    return _gradients(cts[0], None, inputs, outputs[1], needs)


def attention_with_weights(query, key, value, mask, keep, factor, scale, *, is_causal, safe):
    """(result, weights after dropout)."""
    y, _, dropped = _run(query, key, value, mask, keep, factor, scale, is_causal, safe)
    return y, dropped


def attention_with_weights_forward(
    query, key, value, mask, keep, factor, scale, *, is_causal, safe
):
    """The same, with the weights before dropout as residual."""
    y, weights, dropped = _run(query, key, value, mask, keep, factor, scale, is_causal, safe)
    return (y, dropped), (weights,)


def attention_with_weights_vjp(cts, inputs, outputs, needs, *, is_causal, safe):
    """Gradients of query, key, value and of a mask of numbers."""
    return _gradients(cts[0], cts[1], inputs, outputs[2], needs)


def _gradients(g, g_weights, inputs, weights, needs):
    query, key, value, mask, keep, factor, scale = inputs
    wide_query, wide_key, wide_value = _batched(widen(query), widen(key), widen(value))
    dq = dk = dv = dm = None
    d_dropped = None if g_weights is None else widen(g_weights)
    if g is not None:
        g = widen(g)
        if needs[2]:
            dv = _product(_dropped(weights, keep, factor), g, -2, -2)
            dv = cast(unbroadcast(dv, value.shape), value.dtype)
        through = _product(g, wide_value, -1, -1)
        d_dropped = through if d_dropped is None else lax.add(d_dropped, through)
    if d_dropped is not None and (needs[0] or needs[1] or needs[3]):
        d_weights = _dropped(d_dropped, keep, factor)
        mean = lax.reduce_sum(lax.mul(d_weights, weights), (weights.ndim - 1,))
        d_scores = lax.mul(weights, lax.sub(d_weights, _kept(mean, weights)))
        if needs[3]:
            dm = cast(unbroadcast(d_scores, mask.shape), mask.dtype)
        scaled = lax.mul(d_scores, _filled(scale, d_scores))
        if needs[0]:
            dq = cast(unbroadcast(_product(scaled, wide_key, -1, -2), query.shape), query.dtype)
        if needs[1]:
            dk = cast(unbroadcast(_product(scaled, wide_query, -2, -2), key.shape), key.dtype)
    return dq, dk, dv, dm, None, None, None
