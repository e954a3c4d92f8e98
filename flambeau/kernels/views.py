"""Views as data: read a view out of its base (`replay`), or write one into it (`put`).

A view is a chain of steps. A step is a plain tuple, its name first; everything in it is static.
What moves from call to call (the starts of slices) is kept apart, as offsets: numbers, one for each
step of `OFFSET_STEPS`, so that `x[i]` in a loop is one compiled program and not one for each `i`.

    ("reshape", shape)  ("permute", axes)  ("expand", shape)  ("select", axis) +start
    ("unsqueeze", shape, axis)
    ("slice", axis, length, step) +start   ("diagonal", offset, axis1, axis2)
    ("unfold", axis, size, step)           ("as_strided", shape, strides) +start
    ("bitcast", dtype)  ("real",)  ("imag",)  ("conj",)  ("as_real",)  ("as_complex",)
"""

from __future__ import annotations

import numpy as np
from jax import lax

from .common import cast, expand, unbroadcast

OFFSET_STEPS = frozenset({"select", "slice", "as_strided"})


def replay(base, *offsets, steps):
    """The view that `steps` (with `offsets`) describe, read out of `base`."""
    starts = iter(offsets)
    for step in steps:
        start = (next(starts),) if step[0] in OFFSET_STEPS else ()
        base = _READ[step[0]](base, *start, *step[1:])
    return base


def put(base, value, *offsets, steps):
    """`base` with the view that `steps` describe replaced by `value`."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    count = 1 if step[0] in OFFSET_STEPS else 0
    start, offsets = offsets[:count], offsets[count:]
    if rest:
        inner = _READ[step[0]](base, *start, *step[1:])
        value = put(inner, value, *offsets, steps=rest)
    return _WRITE[step[0]](base, value, *start, *step[1:])


def _starts(x, axis, start):
    zero = np.int64(0)
    return [start if i == axis else zero for i in range(x.ndim)]


def _read_select(x, start, axis):
    return lax.dynamic_index_in_dim(x, start, axis, keepdims=False)


def _write_select(base, value, start, axis):
    return lax.dynamic_update_index_in_dim(base, lax.expand_dims(value, (axis,)), start, axis)


def _read_slice(x, start, axis, length, step):
    if length == 0:
        return lax.slice_in_dim(x, 0, 0, axis=axis)
    extent = (length - 1) * step + 1
    if extent != x.shape[axis]:
        x = lax.dynamic_slice_in_dim(x, start, extent, axis)
    return x if step == 1 else lax.slice_in_dim(x, 0, extent, step, axis)


def _write_slice(base, value, start, axis, length, step):
    if length == 0:
        return base
    extent = (length - 1) * step + 1
    if step > 1:
        block = lax.dynamic_slice_in_dim(base, start, extent, axis)
        padding = [(0, 0, step - 1 if i == axis else 0) for i in range(base.ndim)]
        zero = np.zeros((), base.dtype)
        spread = lax.pad(value, zero, padding)
        position = lax.broadcasted_iota(np.int32, block.shape, axis)
        value = lax.select(lax.eq(lax.rem(position, np.int32(step)), np.int32(0)), spread, block)
    if extent == base.shape[axis]:
        return value
    return lax.dynamic_update_slice(base, value, _starts(base, axis, start))


def _read_reshape(x, shape):
    return lax.reshape(x, shape)


def _write_reshape(base, value, shape):
    return lax.reshape(value, base.shape)


def _read_unsqueeze(x, shape, axis):
    return lax.expand_dims(x, (axis,))


def _write_unsqueeze(base, value, shape, axis):
    return lax.reshape(value, base.shape)


def _read_permute(x, axes):
    return lax.transpose(x, axes)


def _write_permute(base, value, axes):
    return lax.transpose(value, tuple(np.argsort(axes)))


def _read_expand(x, shape):
    return expand(x, shape)


def _write_expand(base, value, shape):
    """Only where no axis was enlarged: two elements of a view never share one of the base."""
    return lax.reshape(value, base.shape)


def _diagonal_positions(shape, offset, axis1, axis2):
    rows, columns = shape[axis1], shape[axis2]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    steps = np.arange(length)
    return steps + max(-offset, 0), steps + max(offset, 0)


def _diagonal_last(x, axis1, axis2):
    order = [i for i in range(x.ndim) if i not in (axis1, axis2)] + [axis1, axis2]
    return lax.transpose(x, order), tuple(np.argsort(order))


def _read_diagonal(x, offset, axis1, axis2):
    rows, columns = _diagonal_positions(x.shape, offset, axis1, axis2)
    last, _ = _diagonal_last(x, axis1, axis2)
    flat = lax.reshape(last, (*last.shape[:-2], last.shape[-2] * last.shape[-1]))
    return _take_last(flat, rows * x.shape[axis2] + columns)


def _write_diagonal(base, value, offset, axis1, axis2):
    rows, columns = _diagonal_positions(base.shape, offset, axis1, axis2)
    last, back = _diagonal_last(base, axis1, axis2)
    flat = lax.reshape(last, (*last.shape[:-2], last.shape[-2] * last.shape[-1]))
    flat = _put_last(flat, value, rows * base.shape[axis2] + columns)
    return lax.transpose(lax.reshape(flat, last.shape), back)


def _take_last(x, positions):
    """`x[..., positions]` for a constant array of positions."""
    lead = x.ndim - 1
    numbers = lax.GatherDimensionNumbers(tuple(range(lead)), (lead,), (lead,))
    index = np.asarray(positions, np.int64)[:, None]
    return lax.gather(
        x,
        index,
        numbers,
        (*x.shape[:-1], 1),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def _put_last(x, value, positions):
    """`x` with `x[..., positions]` replaced; no position occurs twice."""
    lead = x.ndim - 1
    numbers = lax.ScatterDimensionNumbers(tuple(range(lead)), (lead,), (lead,))
    index = np.asarray(positions, np.int64)[:, None]
    return lax.scatter(
        x,
        index,
        value,
        numbers,
        unique_indices=True,
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def strided_positions(shape, strides):
    """Positions in flat memory, relative to the first element, of a strided view's elements."""
    positions = np.zeros((), np.int64)
    for size, stride in zip(shape, strides, strict=True):
        positions = positions[..., None] + np.arange(size, dtype=np.int64) * stride
    return positions.reshape(-1)


def _shifted(positions, start):
    start = lax.convert_element_type(start, np.dtype(np.int64))
    return lax.reshape(lax.add(expand(start, positions.shape), positions), (positions.size, 1))


def _read_as_strided(x, start, shape, strides):
    flat = lax.reshape(x, (x.size,))
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))
    index = _shifted(strided_positions(shape, strides), start)
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.reshape(lax.gather(flat, index, numbers, (1,), mode=mode), shape)


def _write_as_strided(base, value, start, shape, strides):
    flat = lax.reshape(base, (base.size,))
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    index = _shifted(strided_positions(shape, strides), start)
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    flat = lax.scatter(flat, index, lax.reshape(value, (value.size,)), numbers, mode=mode)
    return lax.reshape(flat, base.shape)


def _unfold_strides(x, axis, size, step):
    strides = row_major(x.shape)
    count = (x.shape[axis] - size) // step + 1
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    moved = (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis])
    return shape, moved


def _read_unfold(x, axis, size, step):
    if x.ndim == 0:
        return lax.reshape(x, (size,))
    return _read_as_strided(x, np.int64(0), *_unfold_strides(x, axis, size, step))


def _write_unfold(base, value, axis, size, step):
    if base.ndim == 0:
        return lax.reshape(value, ())
    return _write_as_strided(base, value, np.int64(0), *_unfold_strides(base, axis, size, step))


def row_major(shape):
    """The strides of a contiguous array of `shape`, in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _read_bitcast(x, dtype):
    """Reinterpret the bytes; the last axis grows or shrinks with the item size."""
    old, new = x.dtype.itemsize, dtype.itemsize
    if x.dtype == np.bool_:
        x = lax.convert_element_type(x, np.dtype(np.uint8))
    if new > old:
        ratio = new // old
        x = lax.reshape(x, (*x.shape[:-1], x.shape[-1] // ratio, ratio))
    if dtype == np.bool_:
        x = lax.bitcast_convert_type(x, np.dtype(np.uint8))
        out = lax.ne(x, np.zeros((), np.uint8))
    else:
        out = lax.bitcast_convert_type(x, dtype)
    if new < old:
        out = lax.reshape(out, (*out.shape[:-2], out.shape[-2] * out.shape[-1]))
    return out


def _write_bitcast(base, value, dtype):
    return lax.reshape(_read_bitcast(value, base.dtype), base.shape)


def _read_real(x):
    return lax.real(x)


def _write_real(base, value):
    return lax.complex(value, lax.imag(base))


def _read_imag(x):
    return lax.imag(x)


def _write_imag(base, value):
    return lax.complex(lax.real(base), value)


def _read_conj(x):
    return lax.conj(x)


def _write_conj(base, value):
    return lax.conj(value)


def _read_as_real(x):
    last = (x.ndim,)
    return lax.concatenate(
        [lax.expand_dims(lax.real(x), last), lax.expand_dims(lax.imag(x), last)], x.ndim
    )


def _read_as_complex(x):
    axis = x.ndim - 1
    real = lax.index_in_dim(x, 0, axis, keepdims=False)
    imag = lax.index_in_dim(x, 1, axis, keepdims=False)
    return lax.complex(real, imag)


def _write_as_real(base, value):
    return _read_as_complex(value)


def _write_as_complex(base, value):
    return _read_as_real(value)


_READ = {
    "reshape": _read_reshape,
    "unsqueeze": _read_unsqueeze,
    "permute": _read_permute,
    "expand": _read_expand,
    "select": _read_select,
    "slice": _read_slice,
    "diagonal": _read_diagonal,
    "unfold": _read_unfold,
    "as_strided": _read_as_strided,
    "bitcast": _read_bitcast,
    "real": _read_real,
    "imag": _read_imag,
    "conj": _read_conj,
    "as_real": _read_as_real,
    "as_complex": _read_as_complex,
}
_WRITE = {
    "reshape": _write_reshape,
    "unsqueeze": _write_unsqueeze,
    "permute": _write_permute,
    "expand": _write_expand,
    "select": _write_select,
    "slice": _write_slice,
    "diagonal": _write_diagonal,
    "unfold": _write_unfold,
    "as_strided": _write_as_strided,
    "bitcast": _write_bitcast,
    "real": _write_real,
    "imag": _write_imag,
    "conj": _write_conj,
    "as_real": _write_as_real,
    "as_complex": _write_as_complex,
}


def stack(*arrays):
    """Arrays of one shape, stacked along a new first axis."""
    return lax.concatenate([lax.expand_dims(a, (0,)) for a in arrays], 0)


def pieces(x, *, axis, sizes, keep):
    """Consecutive pieces of `x` along `axis`; without that axis where `keep` is False."""
    starts = np.cumsum((0, *sizes))
    cut = [lax.slice_in_dim(x, int(s), int(s) + n, axis=axis) for s, n in zip(starts, sizes)]  # noqa: B905
    return tuple(cut if keep else [lax.squeeze(c, (axis,)) for c in cut])


def pieces_vjp(cts, inputs, outputs, needs, *, axis, sizes, keep):
    """The pieces' gradients put together, zeros where none arrived."""
    x = inputs[0]
    parts = []
    for ct, size in zip(cts, sizes, strict=True):
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        parts.append(lax.full(shape, 0, x.dtype) if ct is None else lax.reshape(ct, shape))
    return (lax.concatenate(parts, axis),)


def assign(target, value):
    """`value` broadcast and cast to `target`'s shape and type; what `copy_` stores."""
    return expand(cast(value, target.dtype), target.shape)


def assign_vjp(cts, inputs, outputs, needs):
    """Nothing flows to the overwritten values; `value` gets the gradient, summed and cast back."""
    target, value = inputs
    (ct,) = cts
    old = lax.full_like(target, 0) if needs[0] else None
    new = None
    if needs[1]:
        if not np.issubdtype(value.dtype, np.complexfloating) and ct.dtype.kind == "c":
            ct = lax.real(ct)
        new = cast(unbroadcast(ct, value.shape), value.dtype)
    return old, new
