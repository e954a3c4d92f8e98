"""NumPy's form of XLA's gather and scatter.

Both move windows of an operand. A column of the index array gives a window's start along one axis
of the operand (`start_index_map`); the other axes are taken whole (offset or window axes), or run
along with an axis of the index array (batching axes). NumPy does the same with one index array per
axis of the operand, all broadcast to the shape of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .elementwise import Function

RULES: dict[str, Any] = {}


def _along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector laid along one axis of an array of `ndim` axes."""
    shape = [1] * ndim
    shape[axis] = values.size
    return values.reshape(shape)


class _Windows:
    """Where the windows of a gather or scatter lie.

    Args:
        shape: the operand's. sizes: the windows', one for each axis of the operand.
        mapped: the operand's axis that each index column stands for.
        dropped: operand axes of size 1 in the window that the result lacks.
        batching, index_batching: axes of the operand and of the indices that run together.
        windows: the result's axes along which the windows lie.
        ndim: the result's number of axes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        sizes: Sequence[int],
        mapped: Sequence[int],
        dropped: Sequence[int],
        batching: Sequence[int],
        index_batching: Sequence[int],
        windows: Sequence[int],
        ndim: int,
    ):
        self.limits = [n - size for n, size in zip(shape, sizes, strict=True)]
        self.mapped = list(mapped)
        self.ndim = ndim
        self.lead = [i for i in range(ndim) if i not in windows]
        kept = [d for d in range(len(shape)) if d not in dropped and d not in batching]
        self.fixed: list[Any] = [np.int64(0)] * len(shape)
        for axis, d in zip(windows, kept, strict=True):
            self.fixed[d] = _along(np.arange(sizes[d]), axis, ndim)
        for d, at in zip(batching, index_batching, strict=True):
            self.fixed[d] = _along(np.arange(shape[d]), self.lead[at], ndim)

    def starts(self, indices: np.ndarray) -> list[np.ndarray]:
        """Each index column, its axes laid where the result has them."""
        shape = [1] * self.ndim
        for at, axis in enumerate(self.lead):
            shape[axis] = indices.shape[at]
        return [indices[..., k].reshape(shape).astype(np.int64) for k in range(len(self.mapped))]

    def positions(self, starts: Sequence[np.ndarray], clip: bool) -> tuple[Any, ...]:
        """One index array per axis of the operand."""
        found = list(self.fixed)
        for start, d in zip(starts, self.mapped, strict=True):
            inside = np.clip(start, 0, self.limits[d]) if clip else start
            found[d] = inside + found[d]
        return tuple(found)

    def inside(self, starts: Sequence[np.ndarray]) -> np.ndarray:
        """Which windows lie within the operand."""
        result: Any = np.True_
        for start, d in zip(starts, self.mapped, strict=True):
            result = result & (start >= 0) & (start <= self.limits[d])
        return result


def _whole_slices(
    numbers: Any, sizes: Sequence[int], shape: Sequence[int], ndim: int
) -> int | None:
    """The axis of which a gather takes whole slices, as `numpy.take` does; or None."""
    mapped = tuple(numbers.start_index_map)
    if len(mapped) != 1 or numbers.operand_batching_dims or numbers.collapsed_slice_dims != mapped:
        return None
    (axis,) = mapped
    if any(n != size for d, (n, size) in enumerate(zip(shape, sizes, strict=True)) if d != axis):
        return None
    count = ndim - len(shape) + 1
    lead = [i for i in range(ndim) if i not in numbers.offset_dims]
    return axis if lead == list(range(axis, axis + count)) else None


def _taken(axis: int, size: int, fill: Any) -> Function:
    """A gather of whole slices; indices beyond the end give the last one, or `fill`."""

    def taken(x: Any, indices: Any) -> Any:
        places = indices[..., 0]
        found = x.take(places, axis, mode="clip")
        if fill is None:
            return found
        outside = (places < 0) | (places >= size)
        if outside.any():
            found[(slice(None),) * axis + (outside,)] = fill
        return found

    return taken


def _gather(params: Any, ins: Any, outs: Any) -> Function:
    numbers, shape = params["dimension_numbers"], outs[0].shape
    fill = _fill_value(params, outs[0].dtype) if "FILL" in str(params["mode"]) else None
    sizes = params["slice_sizes"]
    axis = _whole_slices(numbers, sizes, ins[0].shape, len(shape))
    if axis is not None and ins[0].shape[axis] and sizes[axis] == 1:
        return _taken(axis, ins[0].shape[axis], fill)
    windows = _Windows(
        ins[0].shape,
        params["slice_sizes"],
        numbers.start_index_map,
        numbers.collapsed_slice_dims,
        numbers.operand_batching_dims,
        numbers.start_indices_batching_dims,
        numbers.offset_dims,
        len(shape),
    )

    def gathered(x: Any, indices: Any) -> Any:
        starts = windows.starts(indices)
        found = np.broadcast_to(x[windows.positions(starts, clip=True)], shape)
        return found if fill is None else np.where(windows.inside(starts), found, fill)

    return gathered


def _fill_value(params: Any, dtype: np.dtype) -> Any:
    value = params.get("fill_value")
    if value is None:
        if dtype.kind in "fc":
            value = np.nan
        elif dtype.kind == "b":
            value = True
        else:
            value = np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return np.asarray(value, dtype)


def _scatter(combine: Any) -> Callable[..., Function]:
    def make(params: Any, ins: Any, outs: Any) -> Function:
        numbers = params["dimension_numbers"]
        operand, updates = ins[0].shape, ins[2].shape
        dropped, batching = numbers.inserted_window_dims, numbers.operand_batching_dims
        kept = [d for d in range(len(operand)) if d not in dropped and d not in batching]
        sizes = [1] * len(operand)
        for axis, d in zip(numbers.update_window_dims, kept, strict=True):
            sizes[d] = updates[axis]
        windows = _Windows(
            operand,
            sizes,
            numbers.scatter_dims_to_operand_dims,
            dropped,
            batching,
            numbers.scatter_indices_batching_dims,
            numbers.update_window_dims,
            len(updates),
        )
        clip = "CLIP" in str(params["mode"])

        def scattered(x: Any, indices: Any, value: Any) -> Any:
            result = np.array(x)
            starts = windows.starts(indices)
            positions: Any = windows.positions(starts, clip)
            if not clip and not np.all(inside := windows.inside(starts)):
                mask = np.broadcast_to(inside, updates)
                positions = tuple(np.broadcast_to(p, updates)[mask] for p in positions)
                value = value[mask]
            if combine is None:
                result[positions] = value
            else:
                combine.at(result, positions, value)
            return result

        return scattered

    return make


RULES["gather"] = _gather
for _name, _combine in {
    "scatter": None,
    "scatter-add": np.add,
    "scatter_add": np.add,
    "scatter-mul": np.multiply,
    "scatter_mul": np.multiply,
    "scatter-min": np.minimum,
    "scatter_min": np.minimum,
    "scatter-max": np.maximum,
    "scatter_max": np.maximum,
}.items():
    RULES[_name] = _scatter(_combine)
