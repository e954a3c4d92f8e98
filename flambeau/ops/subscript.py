"""Reading and writing by subscript: `x[index]` and `x[index] = value`.

Integers, slices, None and Ellipsis make a view, in one chain of steps. Tensors of integers and
masks select elements: those go to `index` and `index_put_`, after the view of the rest was taken.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core.batching import is_batched
from ..core.data import host_array
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..core.views import check_writable, overwrite, view
from .copying import copy_, fill_, fitted_value, same_elements
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
    if index is False:
        return
    target, advanced = parse(self, index, writing=True)
    if advanced is None:
        _write(target, value)
        return
    from .indexing import index_put_

    if not isinstance(value, Tensor):
        value = _as_value(target, value)
    index_put_(target, advanced, value)


def _as_value(target: Tensor, value: Any) -> Tensor:
    if isinstance(value, (bool, int, float, complex, np.generic)):
        scalar = host_array(value)
        if scalar.dtype.kind == "c" and not target.dtype.is_complex:
            raise RuntimeError("value cannot be converted to type without overflow")
        return wrap(scalar.astype(target._dtype_numpy()), target.device)
    kind = "numpy.ndarray" if isinstance(value, np.ndarray) else type(value).__name__
    raise TypeError(f"can't assign a {kind} to a {target.type()}")  # type: ignore[attr-defined]


def _write(target: Tensor, value: Any) -> None:
    if isinstance(value, Tensor):
        if same_elements(target, value):
            copy_(target, value)
            return
        shape = value._dims()
        if shape != target._dims() and shape[:1] == (1,):
            first = next((i for i, n in enumerate(shape) if n != 1), len(shape))
            value = reshape_to(value, shape[first:])
        check_writable(target, (value,), spread=True)
        _check_broadcast(target, value)
        overwrite(target, fitted_value(target, value))
        return
    check_writable(target)
    if isinstance(value, (bool, int, float, complex)):
        fill_(target, value)
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


def parse(
    x: Tensor, index: Any, writing: bool = False
) -> tuple[Tensor, list[Tensor | None] | None]:
    """The view that the plain parts of `index` take, and the selecting tensors by axis of it.

    Args:
        writing: all of `x` may be `x` itself, and need not be a view.
    """
    items = _items(index)
    shape = x._dims()
    used = sum(_consumed(item) for item in items)
    if used > len(shape):
        if not shape and type(index) is int:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
            )
        if not shape and isinstance(index, slice):
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
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
    if steps or not (advanced or writing):
        seen = view(x, label, tuple(steps), tuple(offsets))
    if not advanced:
        return seen, None
    return seen, [advanced.get(i) for i in range(max(advanced) + 1)]


def _position(items: tuple[Any, ...], item: Any) -> int:
    """The place of an out-of-range integer in the subscript, which PyTorch calls its dimension."""
    return next(i for i, other in enumerate(items) if other is item)


def _consumed(item: Any) -> int:
    """How many axes of the tensor an item of a subscript takes up."""
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, Tensor) and item._dtype_numpy() in (np.bool_, np.uint8):
        return len(item._dims())
    return 1


def _items(index: Any) -> tuple[Any, ...]:
    """The subscript as a tuple of ints, slices, None, Ellipsis and tensors."""
    if not isinstance(index, tuple):
        index = tuple(index) if _stands_for_tuple(index) else (index,)
    return tuple([_item(i) for i in index])


def _stands_for_tuple(index: Any) -> bool:
    """A list of anything but plain numbers is read as a tuple, with PyTorch's warning."""
    if not isinstance(index, (list, str)) or len(index) >= 32:
        return False
    kinds = (slice, Tensor, list, tuple, range, str, np.ndarray, type(None), type(Ellipsis))
    if not any(isinstance(i, kinds) for i in index):
        return False
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated and will be "
        "changed in pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be "
        "interpreted as tensor index, x[torch.tensor(seq)], which will result either in an error "
        "or a different result",
        UserWarning,
        stacklevel=5,
    )
    return True


def _item(item: Any) -> Any:
    if item is None or item is Ellipsis or type(item) is int or isinstance(item, slice):
        return item
    if isinstance(item, Tensor):
        kind = item._dtype_numpy()
        if kind == np.uint8 and not item._dims():
            return wrap(item._host() != 0)
        if kind == np.uint8:
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead.",
                UserWarning,
                stacklevel=5,
            )
            return wrap(item._host() != 0)
        one = not item._dims() and kind.kind in "iu"
        return int(item.item()) if one and not (modes.levels and is_batched(item)) else item
    if isinstance(item, (bool, np.bool_)):
        return wrap(np.array(bool(item)))
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(item, (list, tuple, range, np.ndarray)):
        array = host_array(item) if len(item) else np.zeros((0,), np.int64)
        if array.ndim == 0:
            return int(array)
        floating = array.dtype.kind == "f" and not isinstance(item, np.ndarray)
        return wrap(array.astype(np.int64) if floating else array)
    if hasattr(item, "__index__"):
        return item.__index__()
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type(item).__name__})"
    )


def _bounds(item: slice, size: int) -> tuple[int, int, int]:
    step = 1 if item.step is None else item.step.__index__()
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if step < 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = item.indices(size)
    return start, max(0, -(-(stop - start) // step)), step


Tensor.__getitem__ = _subscript  # type: ignore[attr-defined]
Tensor.__setitem__ = _assign  # type: ignore[attr-defined]
