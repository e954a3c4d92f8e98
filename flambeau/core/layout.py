"""Where the elements of a view lie: virtual strides, and the steps that read views from a base."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import broadcast_shapes
from ..kernels.views import OFFSET_STEPS, row_major

Shape = tuple[int, ...]
Step = tuple[Any, ...]


def layout(
    shape: Shape, strides: Shape, steps: tuple[Step, ...], offsets: tuple[int, ...], dtype: np.dtype
) -> tuple[Shape, int]:
    """Strides and storage offset of the view that `steps` take of an array of `shape`."""
    position = 0
    starts = iter(offsets)
    for step in steps:
        name = step[0]
        start = next(starts) if name in OFFSET_STEPS else 0
        if name == "as_strided":
            shape, strides, position = step[1], step[2], start
        elif name in ("select", "slice"):
            axis = step[1]
            position += start * strides[axis]
            if name == "select":
                shape = shape[:axis] + shape[axis + 1 :]
                strides = strides[:axis] + strides[axis + 1 :]
            else:
                shape = (*shape[:axis], step[2], *shape[axis + 1 :])
                strides = (*strides[:axis], strides[axis] * step[3], *strides[axis + 1 :])
        elif name == "reshape":
            strides = reshaped_strides(shape, strides, step[1]) or row_major(step[1])
            shape = step[1]
        elif name == "unsqueeze":
            at = step[2]
            inserted = shape[at] * strides[at] if at < len(shape) else 1
            shape, strides = step[1], (*strides[:at], inserted, *strides[at:])
        elif name == "permute":
            shape = tuple(shape[i] for i in step[1])
            strides = tuple(strides[i] for i in step[1])
        elif name == "expand":
            strides = expanded_strides(shape, strides, step[1])
            shape = step[1]
        elif name == "diagonal":
            shape, strides, moved = _diagonal(shape, strides, *step[1:])
            position += moved
        elif name == "unfold":
            shape, strides = _unfold(shape, strides, *step[1:])
        else:
            shape, strides, position, dtype = _reinterpret(shape, strides, position, dtype, step)
    return strides, position


def step_shape(shape: Shape, step: Step, itemsize: int) -> Shape:
    """The shape of the view that one step takes."""
    name = step[0]
    if name in ("reshape", "unsqueeze", "expand", "as_strided"):
        return step[1]
    if name == "select":
        return shape[: step[1]] + shape[step[1] + 1 :]
    if name == "slice":
        return (*shape[: step[1]], step[2], *shape[step[1] + 1 :])
    if name == "permute":
        return tuple(shape[i] for i in step[1])
    if name == "diagonal":
        return _diagonal(shape, shape, *step[1:])[0]
    if name == "unfold":
        return _unfold(shape, shape, *step[1:])[0]
    if name == "bitcast":
        return _rescaled(shape, itemsize, step[1].itemsize)
    if name == "as_real":
        return (*shape, 2)
    if name == "as_complex":
        return shape[:-1]
    return shape


def step_dtype(dtype: np.dtype, step: Step) -> np.dtype:
    """The element type of the view that one step takes."""
    name = step[0]
    if name == "bitcast":
        return step[1]
    if name in ("real", "imag", "as_real"):
        return np.dtype(f"f{dtype.itemsize // 2}")
    if name == "as_complex":
        return np.dtype(f"c{dtype.itemsize * 2}")
    return dtype


def _diagonal(shape: Shape, strides: Shape, offset: int, axis1: int, axis2: int):
    length = max(0, min(shape[axis1] + min(offset, 0), shape[axis2] - max(offset, 0)))
    rest = [i for i in range(len(shape)) if i not in (axis1, axis2)]
    moved = (offset * strides[axis2] if offset >= 0 else -offset * strides[axis1]) if length else 0
    return (
        (*(shape[i] for i in rest), length),
        (*(strides[i] for i in rest), strides[axis1] + strides[axis2]),
        moved,
    )


def _unfold(shape: Shape, strides: Shape, axis: int, size: int, step: int) -> tuple[Shape, Shape]:
    if not shape:
        return (size,), (1,)
    count = (shape[axis] - size) // step + 1
    return (
        (*shape[:axis], count, *shape[axis + 1 :], size),
        (*strides[:axis], strides[axis] * step, *strides[axis + 1 :], strides[axis]),
    )


def _rescaled(shape: Shape, old: int, new: int) -> Shape:
    return (*shape[:-1], shape[-1] * old // new) if shape and old != new else shape


def _reinterpret(shape: Shape, strides: Shape, position: int, dtype: np.dtype, step: Step):
    """Steps that change the element type: strides count elements, so they are scaled."""
    name = step[0]
    new_dtype = step_dtype(dtype, step)
    new_shape = step_shape(shape, step, dtype.itemsize)
    if name in ("real", "imag"):
        strides = tuple(2 * s for s in strides)
        return new_shape, strides, 2 * position + (name == "imag"), new_dtype
    if name == "as_real":
        return new_shape, (*(2 * s for s in strides), 1), 2 * position, new_dtype
    if name == "as_complex":
        return new_shape, tuple(s // 2 for s in strides[:-1]), position // 2, new_dtype
    if name == "bitcast" and dtype.itemsize != new_dtype.itemsize and shape:
        old, new = dtype.itemsize, new_dtype.itemsize
        strides = (*(s * old // new for s in strides[:-1]), 1)
        position = position * old // new
    return new_shape, strides, position, new_dtype


def reshaped_strides(shape: Shape, strides: Shape, new_shape: Shape) -> Shape | None:
    """Strides under which the same memory has `new_shape`; None where a copy is needed.

    Runs of axes that lie evenly in memory merge into one; each run must split into the new axes.
    """
    if 0 in shape:
        return strides if tuple(shape) == tuple(new_shape) else row_major(new_shape)
    runs: list[list[int]] = []  # [number of elements, stride of the innermost], innermost first
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if runs and (size == 1 or stride == runs[-1][0] * runs[-1][1]):
            runs[-1][0] *= size
        else:
            runs.append([size, stride])
    result: list[int] = [0] * len(new_shape)
    axis = len(new_shape) - 1
    outer = 1
    for count, stride in runs or [[1, 1]]:
        left, step = count, stride
        while axis >= 0 and (left > 1 or new_shape[axis] == 1):
            size = new_shape[axis]
            if left % size:
                return None
            result[axis] = step
            step *= size
            left //= size
            axis -= 1
        if left > 1:
            return None
        outer = step
    for i in range(axis, -1, -1):
        result[i] = outer
    return tuple(result)


def expanded_strides(shape: Shape, strides: Shape, new_shape: Shape) -> Shape:
    """Strides of a broadcast: 0 along new and enlarged axes."""
    offset = len(new_shape) - len(shape)
    result = [0] * len(new_shape)
    following = 1 if shape else 0
    for i in range(len(new_shape) - 1, -1, -1):
        if i >= offset:
            result[i] = strides[i - offset] if shape[i - offset] == new_shape[i] else 0
        elif new_shape[i] == 1:
            result[i] = following
        following = result[i] * new_shape[i]
    return tuple(result)


def is_contiguous(shape: Shape, strides: Shape) -> bool:
    """Whether the elements lie in row-major order without gaps."""
    if 0 in shape:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def may_overlap(shape: Shape, strides: Shape) -> bool:
    """Whether two elements of the view may share memory (writes to it are refused)."""
    if 0 in shape:
        return False
    if any(stride == 0 and size > 1 for size, stride in zip(shape, strides, strict=True)):
        return True
    reach = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size == 1:
            continue
        if stride < reach:
            return True
        reach = stride * (size - 1) + reach
    return False


def is_dense(shape: Shape, strides: Shape) -> bool:
    """Whether the elements fill a block of memory without overlap, in any order of the axes."""
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size == 0:
            return True
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def ordered_strides(shape: Shape, order: Shape) -> Shape:
    """Strides of memory in which the axes lie in this `order`, outermost first."""
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def suggests_channels_last(shape: Shape, strides: Shape) -> bool:
    """Whether the strides of a 4- or 5-d tensor, those of axes of size 1 included, are those of
    channels-last memory or of a part of it."""
    if strides[1] == 0:
        return False
    least = 0
    for axis in (1, *range(len(shape) - 1, 1, -1), 0):
        if shape[axis] == 0 or strides[axis] < least:
            return False
        if axis == 0 and least == strides[1]:
            return False
        least = strides[axis] * max(shape[axis], 1)
    return True


def propagated_strides(operands: list[tuple[Shape, Shape]], shape: Shape) -> Shape | None:
    """Memory order of a pointwise result: that of its operands; None for row-major.

    Operands of the same dense layout hand it on unchanged. Else the axes are ordered by the
    operands' strides, the first operand that tells two axes apart deciding.
    """
    first_shape, first = operands[0]
    if (
        all(o == (shape, first) for o in operands)
        and tuple(first_shape) == tuple(shape)
        and is_dense(shape, first)
    ):
        if is_contiguous(shape, first):
            return None
        nhwc = ordered_strides(shape, (0, 2, 3, 1)) if len(shape) == 4 else first
        same = all(n == 1 or a == b for n, a, b in zip(shape, first, nhwc, strict=True))
        return nhwc if same else first  # the strides of axes of size 1 are those of NHWC
    if all(s == shape and is_contiguous(s, t) for s, t in operands):
        return None
    ndim = len(shape)
    aligned = [(0,) * (ndim - len(s)) + _masked(s, t, shape) for s, t in operands]
    order = list(range(ndim - 1, -1, -1))  # innermost axis first

    def inner_first(a: int, b: int) -> int:
        for strides in aligned:
            if strides[a] == 0 or strides[b] == 0 or strides[a] == strides[b]:
                if strides[a] == strides[b] != 0 and shape[a] != shape[b]:
                    return -1 if shape[a] < shape[b] else 1
                continue
            return -1 if strides[a] < strides[b] else 1
        return 0

    for i in range(1, ndim):
        at = i
        for j in range(i - 1, -1, -1):
            comparison = inner_first(order[j], order[at])
            if comparison > 0:
                order[j], order[at] = order[at], order[j]
                at = j
            elif comparison < 0:
                break
    strides = [0] * ndim
    step = 1
    for axis in order:
        strides[axis] = step
        step *= max(shape[axis], 1)
    result = tuple(strides)
    return None if result == row_major(shape) else result


def _masked(shape: Shape, strides: Shape, result: Shape) -> Shape:
    """Strides with 0 where the operand is broadcast along the axis."""
    offset = len(result) - len(shape)
    return tuple(
        0 if size == 1 and result[offset + i] != 1 else stride
        for i, (size, stride) in enumerate(zip(shape, strides, strict=True))
    )


def inferred_shape(numel: int, shape: Shape) -> Shape:
    """`shape` with a single -1 replaced by what makes up `numel` elements."""
    if -1 not in shape:
        count = 1
        for i, size in enumerate(shape):
            if size < -1:
                raise RuntimeError(
                    f"invalid shape dimension {size} at index {i} of shape {list(shape)}"
                )
            count *= size
        if count != numel:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
        return shape
    known, at = 1, shape.index(-1)
    for i, size in enumerate(shape):
        if i == at:
            continue
        if size == -1:
            raise RuntimeError("only one dimension can be inferred")
        if size < 0:
            raise RuntimeError(
                f"invalid shape dimension {size} at index {i} of shape {list(shape)}"
            )
        known *= size
    if known == 0 and numel == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    if known == 0 or numel % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    return (*shape[:at], numel // known, *shape[at + 1 :])


def expanded_shape(shape: Shape, sizes: Shape, kind: str) -> Shape:
    """The shape that `expand(*sizes)` gives a tensor of `shape`; -1 keeps a size.

    Args:
        kind: what error messages call the tensor, as `torch.FloatTensor`.
    """
    if len(sizes) < len(shape):
        raise RuntimeError(
            f"expand({kind}{{{list(shape)}}}, size={list(sizes)}): the number of sizes provided "
            f"({len(sizes)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"
        )
    offset = len(sizes) - len(shape)
    result = []
    for i, size in enumerate(sizes):
        old = shape[i - offset] if i >= offset else 1
        if size == -1:
            if i < offset:
                raise RuntimeError(
                    f"The expanded size of the tensor ({size}) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            size = old
        elif i >= offset and old not in (1, size):
            raise RuntimeError(
                f"The expanded size of the tensor ({size}) must match the existing size ({old}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(sizes)}.  Tensor sizes: "
                f"{list(shape)}"
            )
        result.append(size)
    return tuple(result)


def host_replay(array: np.ndarray, steps: tuple[Step, ...], offsets: tuple[int, ...]):
    """The view of a NumPy array by NumPy itself; None where a step has no such form."""
    starts = iter(offsets)
    for step in steps:
        name = step[0]
        if name == "select":
            array = array[(*(slice(None),) * step[1], next(starts), ...)]  # 0-d: still a view
        elif name == "slice":
            start = next(starts)
            stop = start + (step[2] - 1) * step[3] + 1 if step[2] else start
            array = array[(slice(None),) * step[1] + (slice(start, stop, step[3]),)]
        elif name in ("reshape", "unsqueeze"):
            array = array.reshape(step[1])
        elif name == "permute":
            array = array.transpose(step[1])
        elif name == "expand":
            array = np.broadcast_to(array, step[1])
        else:
            return None
    return array


__all__ = [
    "broadcast_shapes",
    "expanded_shape",
    "host_replay",
    "inferred_shape",
    "is_contiguous",
    "is_dense",
    "layout",
    "may_overlap",
    "propagated_strides",
    "reshaped_strides",
    "step_dtype",
    "step_shape",
]
