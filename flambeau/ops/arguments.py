"""What many tensor functions do with their arguments: NumPy's names, axes, values on the host."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax.core
import numpy as np

from .. import dtypes
from ..core.layout import propagated_strides
from ..core.legacy import scalar_type_name
from ..core.levels import known_values
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import dimension
from ..kernels.views import row_major

_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input"}


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take `axis`, `keepdims` and `x` for `dim`, `keepdim` and `input`; a first
    parameter `input` must be a tensor."""
    takes_tensor = function.__code__.co_varnames[0] == "input"

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if takes_tensor and args and not isinstance(args[0], Tensor):
            check_tensor(function.__name__, args[0])
        if kwargs:
            for name in _NUMPY_NAMES.keys() & kwargs.keys():
                kwargs[_NUMPY_NAMES[name]] = kwargs.pop(name)
        return function(*args, **kwargs)

    return call


def invalid_arguments(function: str, *given: Any) -> TypeError:
    """The error for arguments that no overload of a function takes."""
    kinds = ", ".join(type(g).__name__ for g in given)
    return TypeError(f"{function}() received an invalid combination of arguments - got ({kinds})")


def check_tensor(function: str, value: Any, name: str = "input", position: int = 1) -> None:
    """Raise TypeError where an argument is not a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be Tensor, not "
            f"{type(value).__name__}"
        )


def check_tensors(function: str, tensors: Any) -> tuple[Tensor, ...]:
    """A sequence of tensors as a tuple."""
    if isinstance(tensors, Tensor):
        raise TypeError(
            f"{function}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    found = tuple(tensors)
    for at, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}"
            )
    return found


def axes_of(function: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """The axes that `dim` names, none negative; all of them for None and for no axes at all.

    A 0-d tensor has none, but takes 0 and -1.
    """
    if type(dim) is int:
        axis = dimension(dim, ndim)
        return (axis,) if ndim else ()
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, (float, str, bool)):
        raise invalid_arguments(function, dim)
    axes = tuple([dimension(d, ndim) for d in integers(function, dim)])
    if not axes:
        return tuple(range(ndim))
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
    return tuple(sorted(axes)) if ndim else ()


def integers(function: str, values: Any) -> tuple[int, ...]:
    """One integer or a sequence of them as a tuple of ints."""
    try:
        if hasattr(values, "__index__"):
            return (operator.index(values),)
        return tuple([operator.index(v) for v in values])
    except TypeError:
        raise invalid_arguments(function, values) from None


def integer(function: str, value: Any, name: str = "dim", position: int = 1) -> int:
    """An integer argument as an int."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be int, not "
            f"{type(value).__name__}"
        )
    return operator.index(value)


def known(x: Tensor) -> np.ndarray | None:
    """The value of a tensor where it can be read at once: on the CPU, outside a compiled function.

    Inside a function that is being transformed these are the values of all examples, in another
    shape: good for checks of each by itself.

    Used for checks of indices: elsewhere an index out of range is not noticed.
    """
    if modes.levels:
        return known_values(x)
    storage = x._storage
    if storage.device.type != "cpu" or isinstance(storage.array, jax.core.Tracer):
        return None
    return x._host()


def not_implemented_for(kernel: str, dtype: dtypes.dtype) -> NotImplementedError:
    """The error for an element type that a function does not take."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_type_name(dtype)}'")


def set_memory_order(x: Tensor, order: Sequence[int]) -> None:
    """Give a fresh tensor the strides of memory with its axes in `order`, outermost first."""
    shape, strides = x._dims(), [0] * x.dim()
    for axis, step in zip(order, row_major([shape[i] for i in order]), strict=True):
        strides[axis] = step
    x._storage.strides = tuple(strides)


def follow_layout(result: Tensor, x: Tensor) -> Tensor:
    """Give a fresh tensor the order of axes in memory that `x`, of the same rank, has."""
    if not x._is_plain() and result.dim():
        shape = result._dims()
        result._storage.strides = propagated_strides([(shape, x._strides_offset()[0])], shape)
    return result


def move_axis_in_memory(x: Tensor, axis: int, place: int) -> None:
    """Give a fresh tensor the strides of one whose axis `axis` was at `place` when it was made."""
    order = [i for i in range(x.dim()) if i != axis]
    order.insert(place, axis)
    set_memory_order(x, order)


_C_NAMES = {
    "bool": "bool",
    "float32": "float",
    "float64": "double",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
}


def c_name(dtype: dtypes.dtype) -> str:
    """The name of an element type as some of PyTorch's messages have it."""
    name = str(dtype).removeprefix("torch.")
    return _C_NAMES.get(name, f"c10::{scalar_type_name(dtype)}")
