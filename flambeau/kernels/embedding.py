"""Looking rows up in a table, and reducing bags of them."""

from __future__ import annotations

import numpy as np
from jax import lax
from jax import numpy as jnp

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import number, where, widen


def _rows(weight, indices):
    """weight[indices]: (*, D)."""
    return jnp.take(weight, indices, axis=0, mode="clip")


def embedding(weight, indices, *, padding_idx, scale_grad_by_freq):
    """weight[indices]: (V, D) and (*) give (*, D).

    Args:
        padding_idx: the row that gets no gradient; -1 for none.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
    """
    return _rows(weight, indices)


def embedding_vjp(cts, inputs, outputs, needs, *, padding_idx, scale_grad_by_freq):
    """dweight = the gradients of each row's look-ups, added up."""
    weight, indices = inputs
    flat = lax.reshape(indices, (indices.size,))
    rows = lax.reshape(widen(cts[0]), (flat.size, *weight.shape[1:]))
    return (
        cast(_row_sums(rows, flat, weight, padding_idx, scale_grad_by_freq), weight.dtype),
        None,
    )


def _row_sums(rows, indices, weight, padding_idx, scale_grad_by_freq):
    """The rows added up at their indices, in the shape of `weight`."""
    if padding_idx >= 0:
        kept = lax.ne(indices, number(padding_idx, indices))
        rows = where(lax.broadcast_in_dim(kept, rows.shape, (0,)), rows, 0)
    if scale_grad_by_freq:
        counts = jnp.zeros(weight.shape[0], rows.dtype).at[indices].add(number(1, rows))
        frequency = jnp.take(counts, indices, mode="clip")
        rows = lax.div(rows, lax.broadcast_in_dim(frequency, rows.shape, (0,)))
    return jnp.zeros(weight.shape, rows.dtype).at[indices].add(rows)


def bag_numbers(offsets, count):
    """Which bag each of `count` indices belongs to, from the bags' first positions."""
    places = lax.iota(offsets.dtype, count)
    return lax.sub(jnp.searchsorted(offsets, places, side="right").astype(np.int64), np.int64(1))


def embedding_bag(
    weight, indices, offsets, sample_weights, *, mode, padding_idx, scale_grad_by_freq, bags
):
    """The sum, mean or maximum of the rows of each bag.

    Args:
        weight: (V, D); indices: (B,); offsets: (bags,) or (bags + 1,), each bag's start.
        sample_weights: (B,) factors of the rows, for mode 'sum', or None.
        padding_idx: the row that does not count; -1 for none.

    Returns:
        (bags, D), and what PyTorch returns with it: each index's bag, each bag's size, and, for
        'max', the row that each maximum came from.
    """
    numbers = bag_numbers(offsets, indices.size)
    kept = lax.full_like(indices, True, np.dtype(bool))
    if padding_idx >= 0:
        kept = lax.ne(indices, number(padding_idx, indices))
    sizes = jnp.zeros(bags, np.int64).at[numbers].add(cast(kept, np.dtype(np.int64)))
    rows = widen(_rows(weight, indices))
    if mode == "max":
        result, winners = _bag_maxima(rows, indices, numbers, kept, bags)
    else:
        if sample_weights is not None:
            factors = cast(widen(sample_weights), rows.dtype)
            rows = lax.mul(rows, lax.broadcast_in_dim(factors, rows.shape, (0,)))
        rows = where(lax.broadcast_in_dim(kept, rows.shape, (0,)), rows, 0)
        result = jnp.zeros((bags, rows.shape[1]), rows.dtype).at[numbers].add(rows)
        if mode == "mean":
            counts = lax.max(sizes, lax.full_like(sizes, 1))
            divisor = lax.broadcast_in_dim(cast(counts, rows.dtype), result.shape, (0,))
            result = lax.div(result, divisor)
        winners = sizes if mode == "mean" else lax.full_like(sizes, 0)
    return cast(result, weight.dtype), numbers, sizes, winners


def _bag_maxima(rows, indices, numbers, kept, bags):
    """The maxima of each bag (0 for an empty one) and the rows they came from."""
    counted = lax.broadcast_in_dim(kept, rows.shape, (0,))
    values = where(counted, lax.stop_gradient(rows), -np.inf)
    empty = jnp.full((bags, rows.shape[1]), -np.inf, rows.dtype)
    maxima = empty.at[numbers].max(values)
    at_maximum = lax.eq(values, jnp.take(maxima, numbers, axis=0, mode="clip"))
    places = lax.broadcasted_iota(np.int64, rows.shape, 0)
    far = jnp.full((bags, rows.shape[1]), indices.size, np.int64)
    candidates = where(lax.bitwise_and(at_maximum, counted), places, indices.size)
    first = far.at[numbers].min(candidates)
    found = lax.lt(first, np.int64(indices.size))
    if indices.size == 0:
        return lax.full(first.shape, 0, rows.dtype), first
    place = where(found, first, 0)
    chosen = jnp.take_along_axis(rows, place, axis=0, mode="clip")
    winners = jnp.take(indices, place, mode="clip")
    return where(found, chosen, 0), where(found, cast(winners, np.dtype(np.int64)), 0)


def embedding_bag_vjp(cts, inputs, outputs, needs, *, mode, padding_idx, scale_grad_by_freq, bags):
    """Gradients of the table and of the factors."""
    weight, indices, offsets, sample_weights = inputs
    g = widen(cts[0])
    if mode == "max":
        winners = outputs[3]
        found = lax.gt(outputs[2], np.int64(0))
        g = where(lax.broadcast_in_dim(found, g.shape, (0,)), g, 0)
        columns = lax.broadcasted_iota(np.int64, g.shape, 1)
        dw = jnp.zeros(weight.shape, g.dtype).at[winners, columns].add(g)
        return cast(dw, weight.dtype), None, None, None
    numbers = bag_numbers(offsets, indices.size)
    if mode == "mean":
        sizes = lax.max(outputs[2], lax.full_like(outputs[2], 1))
        g = lax.div(g, lax.broadcast_in_dim(cast(sizes, g.dtype), g.shape, (0,)))
    # What lies behind the last bag's end is in none.
    rows = jnp.take(g, numbers, axis=0, mode="fill", fill_value=0)
    dw = ds = None
    if sample_weights is not None and needs[3]:
        products = lax.reduce_sum(lax.mul(rows, widen(_rows(weight, indices))), (1,))
        if padding_idx >= 0:
            products = where(lax.ne(indices, number(padding_idx, indices)), products, 0)
        ds = cast(products, sample_weights.dtype)
    if needs[0]:
        if sample_weights is not None:
            factors = cast(widen(sample_weights), rows.dtype)
            rows = lax.mul(rows, lax.broadcast_in_dim(factors, rows.shape, (0,)))
        dw = _row_sums(rows, indices, weight, padding_idx, scale_grad_by_freq)
        dw = cast(dw, weight.dtype)
    return dw, None, None, ds
