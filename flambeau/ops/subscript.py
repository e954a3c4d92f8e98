"""Reading and writing by subscript: `x[index]` and `x[index] = value`.

Integers, slices, None and Ellipsis make a view, in one chain of steps. Tensors of integers and
masks select elements: those go to `index` and `index_put_`, after the view of the rest was taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor, wrap
from ..core.views import check_writable, overwrite, view
from .copying import filled_like, fitted_value
from .registry import check_castable
from .views import reshape_to


def _subscript(self: Tensor, index: Any) -> Tensor:
    """`self[index]`"""
    if type(index) is int:
        shape = self._dims()
        if shape and -shape[0] <= index < shape[0]:
            return view(self, "SelectBackward0", (("select", 0),), (index % shape[0],))
    seen, advanced = parse(self, index)
    if advanced is None:
        return seen
    from .indexing import index as gather

    return gather(seen, advanced)


def _assign(self: Tensor, index: Any, value: Any) -> None:
    """`self[index] = value`"""
    target, advanced = parse(self, index)
    if advanced is None:
        _write(target, value)
        return
    from .indexing import index_put_

    if not isinstance(value, Tensor):
        value = _as_value(target, value)
    index_put_(target, advanced, value)


def _as_value(target: Tensor, value: Any) -> Tensor:
    if isinstance(value, (bool, int, float, complex, np.generic)):
        from ..core.data import host_array

        scalar = host_array(value)
        if scalar.dtype.kind == "c" and not target.dtype.is_complex:
            raise RuntimeError("value cannot be converted to type without overflow")
        return wrap(scalar.astype(target._dtype_numpy()), target.device)
    if isinstance(value, np.ndarray):
        return wrap(value.copy(), target.device)
    raise TypeError(f"can't assign a {type(value).__name__} to a {target.type()}")  # type: ignore[attr-defined]


def _write(target: Tensor, value: Any) -> None:
    if isinstance(value, Tensor):
        check_writable(target, (value,))
        shape = value._dims()
        extra = len(shape) - len(target._dims())
        if extra > 0 and all(n == 1 for n in shape[:extra]):
            value = reshape_to(value, shape[extra:])
        _check_broadcast(target, value)
        overwrite(target, fitted_value(target, value))
        return
    check_writable(target, shared=True)
    if isinstance(value, (bool, int, float, complex)):
        overwrite(target, filled_like(target, value))
        return
    overwrite(target, fitted_value(target, _as_value(target, value)))


def _check_broadcast(target: Tensor, value: Tensor) -> None:
    wide, narrow = target._dims(), value._dims()
    offset = len(wide) - len(narrow)
    if offset < 0 or any(n not in (1, wide[offset + i]) for i, n in enumerate(narrow)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(narrow)} cannot be broadcast to indexing "
            f"result of shape {list(wide)}"
            if offset < 0
            else _expand_message(wide, narrow, offset)
        )
    if value.dtype.is_complex and not target.dtype.is_complex:
        check_castable(value.dtype, target.dtype)


def _expand_message(wide: tuple[int, ...], narrow: tuple[int, ...], offset: int) -> str:
    at = max(i for i, n in enumerate(narrow) if n not in (1, wide[offset + i]))
    return (
        f"The expanded size of the tensor ({wide[offset + at]}) must match the existing size "
        f"({narrow[at]}) at non-singleton dimension {offset + at}.  Target sizes: {list(wide)}.  "
        f"Tensor sizes: {list(narrow)}"
    )


def parse(x: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None] | None]:
    """The view that the plain parts of `index` take, and the selecting tensors by axis of it."""
    items = _items(index)
    shape = x._dims()
    used = sum(_consumed(item) for item in items)
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    steps: list[tuple[Any, ...]] = []
    offsets: list[int] = []
    advanced: dict[int, Tensor] = {}
    sizes = list(shape)
    axis = 0
    label = "AliasBackward0"
    for item in items:
        if item is None:
            sizes.insert(axis, 1)
            steps.append(("unsqueeze", tuple(sizes), axis))
            axis += 1
            label = "UnsqueezeBackward0"
        elif item is Ellipsis:
            axis += len(shape) - used
        elif isinstance(item, slice):
            start, length, step = _bounds(item, sizes[axis])
            if (start, length, step) != (0, sizes[axis], 1):
                steps.append(("slice", axis, length, step))
                offsets.append(start)
                sizes[axis] = length
            label = "SliceBackward0"
            axis += 1
        elif isinstance(item, Tensor):
            if item.dtype.is_floating_point or item.dtype.is_complex:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            if item._dtype_numpy() == np.bool_ and not item._dims():
                sizes.insert(axis, 1)
                steps.append(("unsqueeze", tuple(sizes), axis))
                label = "UnsqueezeBackward0"
            advanced[axis] = item
            axis += max(_consumed(item), 1)
        else:
            size = sizes[axis]
            if not -size <= item < size:
                raise IndexError(
                    f"index {item} is out of bounds for dimension {_position(items, item)} with "
                    f"size {size}"
                )
            steps.append(("select", axis))
            offsets.append(item % size)
            del sizes[axis]
            label = "SelectBackward0"
    seen = x
    if steps or not advanced:
        seen = view(x, label, tuple(steps) or (("reshape", shape),), tuple(offsets))
    if not advanced:
        return seen, None
    return seen, [advanced.get(i) for i in range(max(advanced) + 1)]


def _position(items: tuple[Any, ...], item: Any) -> int:
    """The axis, as the user counts, that an out-of-range integer stands for."""
    at = next(i for i, other in enumerate(items) if other is item)
    return sum(_consumed(other) for other in items[:at])


def _consumed(item: Any) -> int:
    """How many axes of the tensor an item of a subscript takes up."""
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, Tensor) and item._dtype_numpy() in (np.bool_, np.uint8):
        return len(item._dims())
    return 1


def _items(index: Any) -> tuple[Any, ...]:
    """The subscript as a tuple of ints, slices, None, Ellipsis and tensors."""
    if isinstance(index, list) and any(
        isinstance(i, (slice, Tensor, list, tuple)) or i is None or i is Ellipsis for i in index
    ):
        index = tuple(index) if not all(isinstance(i, (list, tuple)) for i in index) else index
    items = index if isinstance(index, tuple) else (index,)
    return tuple([_item(i) for i in items])


def _item(item: Any) -> Any:
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        return item
    if isinstance(item, Tensor):
        if not item._dims() and item._dtype_numpy().kind in "iu":
            return int(item.item())
        return item
    if isinstance(item, (bool, np.bool_)):
        return wrap(np.array(bool(item)))
    if isinstance(item, (list, tuple, range, np.ndarray)):
        from ..core.data import host_array

        array = host_array(item) if len(item) else np.zeros((0,), np.int64)
        if array.ndim == 0:
            return int(array)
        return wrap(array)
    if hasattr(item, "__index__"):
        return item.__index__()
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type(item).__name__})"
    )


def _bounds(item: slice, size: int) -> tuple[int, int, int]:
    step = 1 if item.step is None else item.step.__index__()
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = item.indices(size)
    return start, max(0, -(-(stop - start) // step)), step


Tensor.__getitem__ = _subscript  # type: ignore[attr-defined]
Tensor.__setitem__ = _assign  # type: ignore[attr-defined]
