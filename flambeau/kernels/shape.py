"""Shape functions that copy: joining, repeating, reordering, triangles, diagonals, padding, and
writing one array over a part of another. Axes are never negative."""

from __future__ import annotations

import numpy as np
from jax import lax

from .common import cast

# --- joining --------------------------------------------------------------------------------------


def cat(*xs, dim):
    """The arrays one after the other along `dim`; empty vectors among wider ones are left out."""
    used = [x for x in xs if not _is_left_out(x, xs)]
    return used[0] if len(used) == 1 else lax.concatenate(used, dim)


def cat_vjp(cts, inputs, outputs, needs, *, dim):
    """Each array's part of the gradient."""
    gradients, start = [], 0
    for x, need in zip(inputs, needs, strict=True):
        if _is_left_out(x, inputs):
            gradients.append(lax.full((0,), 0, cts[0].dtype))
            continue
        stop = start + x.shape[dim]
        gradients.append(lax.slice_in_dim(cts[0], start, stop, axis=dim) if need else None)
        start = stop
    return tuple(gradients)


def _is_left_out(x, among):
    return x.shape == (0,) and any(a.ndim > 1 for a in among)


def stack(*xs, dim):
    """The arrays side by side along a new axis `dim`."""
    return cat(*(lax.expand_dims(x, (dim,)) for x in xs), dim=dim)


def stack_vjp(cts, inputs, outputs, needs, *, dim):
    """Each array's slice of the gradient."""
    return tuple(
        lax.index_in_dim(cts[0], at, dim, keepdims=False) if need else None
        for at, need in enumerate(needs)
    )


def block_diag(*xs):
    """The matrices along the diagonal of one matrix, zeros elsewhere."""
    rows, columns = sum(x.shape[0] for x in xs), sum(x.shape[1] for x in xs)
    joined = lax.full((rows, columns), 0, xs[0].dtype)
    row = column = 0
    for x in xs:
        joined = lax.dynamic_update_slice(joined, x, (row, column))
        row, column = row + x.shape[0], column + x.shape[1]
    return joined


# --- repeating ------------------------------------------------------------------------------------


def repeat(x, *, repeats):
    """x laid out `repeats[i]` times along each axis; more repeats than axes add axes in front."""
    shape = (1,) * (len(repeats) - x.ndim) + x.shape
    split = tuple(n for pair in zip(repeats, shape, strict=True) for n in pair)
    spread = lax.broadcast_in_dim(lax.reshape(x, shape), split, tuple(range(1, 2 * len(shape), 2)))
    return lax.reshape(spread, tuple(r * n for r, n in zip(repeats, shape, strict=True)))


def repeat_interleave(x, *, repeats, dim):
    """Each slice along `dim` repeated `repeats` times on the spot."""
    spread = lax.broadcast_in_dim(
        x,
        (*x.shape[: dim + 1], repeats, *x.shape[dim + 1 :]),
        tuple(axis for axis in range(x.ndim + 1) if axis != dim + 1),
    )
    return lax.reshape(spread, (*x.shape[:dim], x.shape[dim] * repeats, *x.shape[dim + 1 :]))


# --- reordering -----------------------------------------------------------------------------------


def flip(x, *, dims):
    """x in reverse order along `dims`."""
    return lax.rev(x, dims)


def flip_vjp(cts, inputs, outputs, needs, *, dims):
    return (lax.rev(cts[0], dims),)


def roll(x, *, shifts, dims):
    """x shifted by `shifts[i]` along `dims[i]`; what leaves at one end enters at the other."""
    for shift, dim in zip(shifts, dims, strict=True):
        n = x.shape[dim]
        cut = (-shift) % n if n else 0
        if cut:
            front = lax.slice_in_dim(x, 0, cut, axis=dim)
            x = lax.concatenate([lax.slice_in_dim(x, cut, n, axis=dim), front], dim)
    return x


def roll_all(x, *, shift):
    """The flattened x shifted by `shift`, in the shape of x."""
    return lax.reshape(roll(lax.reshape(x, (x.size,)), shifts=(shift,), dims=(0,)), x.shape)


def rot90(x, *, k, dims):
    """x turned `k` quarter turns in the plane of `dims`, from the first towards the second."""
    first, second = dims
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    quarter = k % 4
    if quarter == 0:
        return x
    if quarter == 2:
        return lax.rev(x, dims)
    if quarter == 1:
        return lax.transpose(lax.rev(x, (second,)), order)
    return lax.rev(lax.transpose(x, order), (second,))


# --- triangles and diagonals ----------------------------------------------------------------------


def tril(x, *, diagonal):
    """The lower triangle of the last two axes, up to the given diagonal; zeros above."""
    return lax.select(_lower(x.shape, diagonal), x, lax.full_like(x, 0))


def triu(x, *, diagonal):
    """The upper triangle of the last two axes, from the given diagonal; zeros below."""
    return lax.select(_lower(x.shape, diagonal - 1), lax.full_like(x, 0), x)


def tril_vjp(cts, inputs, outputs, needs, *, diagonal):
    return (tril(cts[0], diagonal=diagonal),)


def triu_vjp(cts, inputs, outputs, needs, *, diagonal):
    return (triu(cts[0], diagonal=diagonal),)


def diagonal(x, *, offset, dim1, dim2):
    """The diagonal of the axes `dim1` and `dim2`, as a new last axis."""
    rest = [axis for axis in range(x.ndim) if axis not in (dim1, dim2)]
    moved = lax.transpose(x, [*rest, dim1, dim2])
    *batch, rows, columns = moved.shape
    count = diagonal_length(rows, columns, offset)
    if count == 0:
        return lax.full((*batch, 0), 0, x.dtype)
    first = offset if offset >= 0 else -offset * columns
    flat = lax.reshape(moved, (*batch, rows * columns))
    stop = first + (count - 1) * (columns + 1) + 1
    return lax.slice_in_dim(flat, first, stop, columns + 1, axis=len(batch))


def diag_embed(x, *, offset, dim1, dim2):
    """Matrices with the last axis of x on a diagonal; `dim1`, `dim2`: their axes in the result."""
    *batch, n = x.shape
    size = n + abs(offset)
    return _on_diagonal(x, offset, (*batch, size, size), dim1, dim2)


def diagonal_length(rows, columns, offset) -> int:
    """How many elements the diagonal `offset` of a matrix has."""
    if offset >= 0:
        return max(min(rows, columns - offset), 0)
    return max(min(rows + offset, columns), 0)


def _lower(shape, diagonal):
    axis = len(shape) - 1
    row = lax.broadcasted_iota(np.int32, shape, axis - 1)
    column = lax.broadcasted_iota(np.int32, shape, axis)
    bound = int(np.clip(diagonal, -shape[-2] - 1, shape[-1] + 1))
    return lax.le(lax.sub(column, row), lax.full_like(row, bound))


def _on_diagonal(x, offset, shape, dim1, dim2):
    """Zeros of `shape` (..., rows, columns) with x on a diagonal, its matrices then moved to the
    axes `dim1`, `dim2`."""
    *batch, rows, columns = shape
    count, size = x.shape[-1], rows * columns
    zero = lax.full((), 0, x.dtype)
    if count == 0:
        matrices = lax.full(shape, 0, x.dtype)
    else:
        first = offset if offset >= 0 else -offset * columns
        last = first + (count - 1) * (columns + 1)
        padding = [(0, 0, 0)] * len(batch) + [(first, size - last - 1, columns)]
        matrices = lax.reshape(lax.pad(x, zero, padding), shape)
    rest = iter(range(len(batch)))
    order = [
        len(batch) if axis == dim1 else len(batch) + 1 if axis == dim2 else next(rest)
        for axis in range(len(shape))
    ]
    return lax.transpose(matrices, order)


# --- padding --------------------------------------------------------------------------------------


def constant_pad(x, value, *, pads):
    """x with `pads[axis] = (before, after)` values added at each axis; negative pads cut."""
    return lax.pad(x, cast(value, x.dtype), [(low, high, 0) for low, high in pads])


# --- writing over a part --------------------------------------------------------------------------


def select_scatter(x, source, *, dim, index):
    """x with `source` in place of `x.select(dim, index)`."""
    return slice_scatter(x, lax.expand_dims(source, (dim,)), dim=dim, start=index, step=1)


def slice_scatter(x, source, *, dim, start, step):
    """x with `source` at start, start + step, ... along `dim`."""
    count = source.shape[dim]
    if count == 0:
        return x
    if step == 1:
        begin = tuple(start if axis == dim else 0 for axis in range(x.ndim))
        return lax.dynamic_update_slice(x, source, begin)
    n = x.shape[dim]
    after = n - (start + (count - 1) * step + 1)
    padding = [(start, after, step - 1) if axis == dim else (0, 0, 0) for axis in range(x.ndim)]
    spread = lax.pad(source, lax.full((), 0, x.dtype), padding)
    written = np.zeros(n, bool)
    written[start : start + count * step : step] = True
    return lax.select(_along(written, x.shape, dim), spread, x)


def diagonal_scatter(x, source, *, offset, dim1, dim2):
    """x with `source` in place of `diagonal(x, offset, dim1, dim2)`."""
    batch = [n for axis, n in enumerate(x.shape) if axis not in (dim1, dim2)]
    shape = (*batch, x.shape[dim1], x.shape[dim2])
    spread = _on_diagonal(source, offset, shape, dim1, dim2)
    row = lax.broadcasted_iota(np.int32, x.shape, dim1)
    column = lax.broadcasted_iota(np.int32, x.shape, dim2)
    here = lax.eq(lax.sub(column, row), lax.full_like(row, offset))
    return lax.select(here, spread, x)


def as_strided_scatter(x, source, *, size, stride, offset):
    """x, its elements in a row, with `source` at the places offset + sum_i index_i * stride_i."""
    places = np.full(size, offset, np.int64)
    for axis, step in enumerate(stride):
        steps = np.arange(size[axis]) * step
        places += steps.reshape([-1 if i == axis else 1 for i in range(len(size))])
    flat = lax.reshape(x, (x.size,))
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    written = lax.scatter(flat, places.reshape(-1, 1), lax.reshape(source, (source.size,)), numbers)
    return lax.reshape(written, x.shape)


def _along(mask, shape, dim):
    """A constant 1-d mask along `dim`, repeated over the other axes."""
    return lax.broadcast_in_dim(mask, shape, (dim,))
