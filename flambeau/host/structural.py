"""NumPy's form of XLA's primitives that move, reduce, multiply and select elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementwise import Function
from .source import Expressed, undispatched

SMALL = 1 << 14  # elements: up to here filling an array is faster than a view without strides

RULES: dict[str, Any] = {}


def rule(name: str) -> Any:
    """Register a rule for the primitive `name`."""

    def register(function: Any) -> Any:
        RULES[name] = function
        return function

    return register


# Shapes


def enlarged(shape: tuple[int, ...]) -> Function:
    """Broadcasting to `shape`."""
    if int(np.prod(shape, dtype=np.int64)) > SMALL:
        return lambda x: np.broadcast_to(x, shape)

    def filled(x: Any) -> Any:
        result = np.empty(shape, x.dtype)
        result[...] = x
        return result

    return filled


@rule("broadcast_in_dim")
def _broadcast_in_dim(params: Any, ins: Any, outs: Any) -> Function:
    shape, axes = params["shape"], params["broadcast_dimensions"]
    aligned = [1] * len(shape)
    for axis, size in zip(axes, ins[0].shape, strict=True):
        aligned[axis] = size
    grown = enlarged(shape)
    return lambda x, *_: grown(np.reshape(x, aligned))


@rule("reshape")
def _reshape(params: Any, ins: Any, outs: Any) -> Function:
    shape = params["new_sizes"]
    if params.get("dimensions") is not None:
        raise NotImplementedError("reshape with dimensions")
    return Expressed("{0}.reshape({shape})", shape=shape)


@rule("squeeze")
def _squeeze(params: Any, ins: Any, outs: Any) -> Function:
    return Expressed("{0}.reshape({shape})", shape=outs[0].shape)


RULES["expand_dims"] = RULES["squeeze"]


@rule("transpose")
def _transpose(params: Any, ins: Any, outs: Any) -> Function:
    axes = params["permutation"]
    if tuple(axes) == tuple(range(len(axes)))[::-1]:
        return Expressed("{0}.T")
    return Expressed("{0}.transpose({axes})", axes=axes)


@rule("rev")
def _rev(params: Any, ins: Any, outs: Any) -> Function:
    axes = params["dimensions"]
    return lambda x: np.flip(x, axes)


@rule("slice")
def _slice(params: Any, ins: Any, outs: Any) -> Function:
    steps = params["strides"] or (1,) * len(params["start_indices"])
    index = tuple(
        slice(a, b, c)
        for a, b, c in zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    )
    return Expressed("{0}[{index}]", index=index)


@rule("split")
def _split(params: Any, ins: Any, outs: Any) -> Function:
    at, axis = np.cumsum(params["sizes"])[:-1], params["axis"]
    return lambda x: np.split(x, at, axis)


@rule("concatenate")
def _concatenate(params: Any, ins: Any, outs: Any) -> Function:
    axis = params["dimension"]
    if len(ins) == 2:
        join = undispatched(np.concatenate)
        return Expressed("{join}(({0}, {1}), {axis})", join=join, axis=axis)
    return lambda *xs: np.concatenate(xs, axis)


@rule("pad")
def _pad(params: Any, ins: Any, outs: Any) -> Function:
    shape, config = outs[0].shape, params["padding_config"]
    target, source = [], []
    for size, n, (low, _, interior) in zip(ins[0].shape, shape, config, strict=True):
        step = interior + 1
        first = max(0, -(low // step)) if low < 0 else 0
        last = size - 1
        while last >= first and low + last * step >= n:
            last -= 1
        source.append(slice(first, last + 1))
        begin = low + first * step
        target.append(
            slice(begin, begin + (last - first) * step + 1 if last >= first else begin, step)
        )
    into, taken = tuple(target), tuple(source)
    if 0 in ins[0].shape or any(s.stop <= s.start for s in source):
        return lambda x, value: np.full(shape, value, x.dtype)

    def padded(x: Any, value: Any) -> Any:
        result = np.full(shape, value, x.dtype)
        result[into] = x[taken]
        return result

    return padded


@rule("iota")
def _iota(params: Any, ins: Any, outs: Any) -> Function:
    shape, axis = params["shape"], params["dimension"]
    aligned = [1] * len(shape)
    aligned[axis] = shape[axis]
    values = np.broadcast_to(np.arange(shape[axis], dtype=outs[0].dtype).reshape(aligned), shape)
    return lambda *_: values


def _clamped(starts: Any, sizes: Any, shape: Any) -> tuple[slice, ...]:
    return tuple(
        slice(begin, begin + n)
        for n, begin in (
            (n, min(max(int(s), 0), total - n))
            for s, n, total in zip(starts, sizes, shape, strict=True)
        )
    )


@rule("dynamic_slice")
def _dynamic_slice(params: Any, ins: Any, outs: Any) -> Function:
    sizes, shape = params["slice_sizes"], ins[0].shape
    return lambda x, *starts: x[_clamped(starts, sizes, shape)]


@rule("dynamic_update_slice")
def _dynamic_update_slice(params: Any, ins: Any, outs: Any) -> Function:
    shape, sizes = ins[0].shape, ins[1].shape

    def updated(x: Any, value: Any, *starts: Any) -> Any:
        result = np.array(x)
        result[_clamped(starts, sizes, shape)] = value
        return result

    return updated


# Reductions

for _name, _ufunc in {
    "reduce_max": np.maximum,
    "reduce_min": np.minimum,
    "reduce_prod": np.multiply,
    "reduce_or": np.bitwise_or,
    "reduce_and": np.bitwise_and,
    "reduce_xor": np.bitwise_xor,
    "reduce_sum": np.add,
}.items():

    def _reduction(params: Any, ins: Any, outs: Any, ufunc: Any = _ufunc) -> Function:
        axes, dtype, shape = tuple(params["axes"]), outs[0].dtype, outs[0].shape
        identity = None
        if any(ins[0].shape[a] == 0 for a in axes):
            if ufunc in (np.maximum, np.minimum):
                low = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
                high = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
                identity = low if ufunc is np.maximum else high
            else:
                identity = ufunc.identity
            return lambda x: np.full(shape, identity, dtype)
        if not axes:
            return lambda x: x
        where = None if len(axes) == ins[0].ndim else axes[0] if len(axes) == 1 else axes
        if ufunc in (np.maximum, np.minimum, np.bitwise_or, np.bitwise_and, np.bitwise_xor):
            return Expressed("{reduce}({0}, {axes})", reduce=ufunc.reduce, axes=where)
        if dtype.kind in "fc":
            return Expressed("{reduce}({0}, {axes})", reduce=ufunc.reduce, axes=where)
        return lambda x: ufunc.reduce(x, axes, dtype)

    RULES[_name] = _reduction

for _name, _function in {"argmax": np.argmax, "argmin": np.argmin}.items():

    def _arg(params: Any, ins: Any, outs: Any, function: Any = _function) -> Function:
        (axis,) = params["axes"]
        dtype = outs[0].dtype
        return lambda x: function(x, axis).astype(dtype)

    RULES[_name] = _arg

for _name, _ufunc in {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
}.items():

    def _cumulative(params: Any, ins: Any, outs: Any, ufunc: Any = _ufunc) -> Function:
        axis, dtype = params["axis"], outs[0].dtype
        if params["reverse"]:
            return lambda x: np.flip(ufunc.accumulate(np.flip(x, axis), axis, dtype), axis)
        return lambda x: ufunc.accumulate(x, axis, dtype)

    RULES[_name] = _cumulative


# Products


@rule("dot_general")
def _dot_general(params: Any, ins: Any, outs: Any) -> Function:
    (left, right), (left_batch, right_batch) = params["dimension_numbers"]
    x, y, dtype = ins[0], ins[1], outs[0].dtype
    if dtype.kind not in "fc" or x.dtype != dtype or y.dtype != dtype:
        raise NotImplementedError("dot_general of mixed or integer types")
    free_x = [i for i in range(x.ndim) if i not in left and i not in left_batch]
    free_y = [i for i in range(y.ndim) if i not in right and i not in right_batch]
    order_x = [*left_batch, *free_x, *left]
    order_y = [*right_batch, *right, *free_y]
    batch = [x.shape[i] for i in left_batch]
    inner = int(np.prod([x.shape[i] for i in left], dtype=np.int64))
    rows = int(np.prod([x.shape[i] for i in free_x], dtype=np.int64))
    columns = int(np.prod([y.shape[i] for i in free_y], dtype=np.int64))
    shape_x, shape_y = (*batch, rows, inner), (*batch, inner, columns)
    shape = outs[0].shape
    if not batch and x.ndim == y.ndim == 2 and len(left) == 1:
        first = "{0}" if left[0] == 1 else "{0}.T"
        second = "{1}" if right[0] == 0 else "{1}.T"
        if inner == 1:  # an outer product
            return Expressed(f"{first} * {second}")
        return Expressed(f"{{dot}}({first}, {second})", dot=undispatched(np.dot))
    first, second = _arranged("{0}", x, order_x, shape_x), _arranged("{1}", y, order_y, shape_y)
    text = f"{{product}}({first}, {second})"
    if shape != (*batch, rows, columns):
        text += ".reshape({shape})"
    return Expressed(
        text,
        product=np.matmul if batch else np.dot,
        shape=shape,
        order0=tuple(order_x),
        shape0=shape_x,
        order1=tuple(order_y),
        shape1=shape_y,
    )


def _arranged(operand: str, x: Any, order: list[int], shape: tuple[int, ...]) -> str:
    """The text of an operand with its axes in another order and shape."""
    number = operand[1]
    text = operand
    if order != list(range(x.ndim)):
        text += f".transpose({{order{number}}})"
    if tuple(x.shape[i] for i in order) != shape:
        text += f".reshape({{shape{number}}})"
    return text


# Selection


@rule("sort")
def _sort(params: Any, ins: Any, outs: Any) -> Function:
    axis, keys = params["dimension"], params["num_keys"]
    if keys != 1 or ins[0].dtype.kind == "c":
        raise NotImplementedError("sort by several keys")
    if len(ins) == 1:
        return lambda x: [np.sort(x, axis, kind="stable")]

    def ordered(*xs: Any) -> Any:
        order = np.argsort(xs[0], axis, kind="stable")
        return [np.take_along_axis(x, order, axis) for x in xs]

    return ordered
