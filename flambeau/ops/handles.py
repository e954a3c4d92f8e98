"""The tensor as an object: detaching, subclasses, sharing, Python functions over its elements."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import formats
from ..core.tensor import Tensor, alias, wrap
from ..core.views import check_writable, overwrite, view
from ..kernels.views import row_major
from .arguments import check_tensor
from .registry import declare
from .views import sizes_of


@declare(method=False)
def detach(input: Tensor) -> Tensor:
    """The same storage without its history: writes show on both sides."""
    check_tensor("detach", input)
    return input.detach()


@declare(method=False)
def detach_(input: Tensor) -> Tensor:
    """Forget the tensor's history."""
    check_tensor("detach_", input)
    return input.detach_()


@declare(function=False)
def as_subclass(self: Tensor, cls: type) -> Tensor:
    """The same tensor as an instance of `cls`, a subclass of Tensor."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(
            "Creating a Tensor subclass from a class that does not inherit from Tensor is not "
            "possible. Make sure your class inherits from Tensor."
        )
    result = view(self, "AliasBackward0", ()) if self.requires_grad else alias(self)
    result.__class__ = cls
    return result


@declare(function=False)
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool = True) -> Tensor:
    """The tensor itself: its layout is dense already."""
    return self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]


@declare(function=False)
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Raises: pinned memory serves copies to an accelerator, which XLA arranges by itself."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


@declare(function=False)
def dense_dim(self: Tensor) -> int:
    """The number of axes."""
    return self.dim()


@declare(function=False)
def sparse_dim(self: Tensor) -> int:
    """The number of sparse axes: none."""
    return 0


@declare(function=False)
def dim_order(self: Tensor) -> tuple[int, ...]:
    """The axes from the outermost in memory to the innermost."""
    strides = self._strides_offset()[0]
    return tuple(sorted(range(len(strides)), key=lambda axis: -strides[axis]))


@declare(function=False)
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both tensors see the same storage in the same way."""
    return (
        self._storage is tensor._storage
        and self._dims() == tensor._dims()
        and self._strides_offset() == tensor._strides_offset()
    )


@declare()
def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is spread over processes: never."""
    return False


@declare(method=False)
def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made under `inference_mode`."""
    return input.is_inference()


@declare(method=False)
def is_storage(obj: Any, /) -> bool:
    """Whether `obj` is a storage: tensors' storages are not handed out."""
    return False


@declare(function=False)
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace every element by `callable(element)`, in Python and on the CPU."""
    return _in_python("apply_", self, (), callable)


@declare(function=False)
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace every element by `callable(element, element of tensor)`, in Python."""
    return _in_python("map_", self, (tensor,), callable)


@declare(function=False)
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace every element by `callable(element, element of x, element of y)`, in Python."""
    return _in_python("map2_", self, (x, y), callable)


def _in_python(
    name: str, x: Tensor, others: tuple[Tensor, ...], function: Callable[..., Any]
) -> Tensor:
    if any(t.requires_grad for t in (x, *others)):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use "
            f"var.detach().{name}() instead."
        )
    check_writable(x)
    columns = [np.broadcast_to(t._host(), x._dims()).ravel().tolist() for t in (x, *others)]
    values = [function(*items) for items in zip(*columns, strict=True)]
    array = np.array(values).astype(x._dtype_numpy()).reshape(x._dims())
    return overwrite(x, wrap(array, x.device))


def _volatile(self: Tensor) -> bool:
    """Removed: always False."""
    warnings.warn(
        "volatile was removed (Variable.volatile is always False)", UserWarning, stacklevel=2
    )
    return False


Tensor.volatile = property(_volatile)  # type: ignore[attr-defined]
Tensor.name = property(lambda self: None, doc="A leaf's name: None.")  # type: ignore[attr-defined]


# Resizing


@declare(function=False)
def resize_(self: Tensor, *sizes: Any, memory_format: Any = formats.contiguous_format) -> Tensor:
    """Give the tensor another shape in place, in row-major order over its own storage.

    Elements that the storage has no room for are added, with unspecified values. A storage that
    other tensors see cannot grow.

    >>> import flambeau as torch
    >>> torch.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if memory_format is not formats.contiguous_format:
        raise NotImplementedError(f"flambeau.Tensor.resize_(memory_format={memory_format})")
    shape = sizes_of(sizes)
    if shape == self._dims():
        return self
    if any(size < 0 for size in shape):
        raise RuntimeError("numel: integer multiplication overflow")
    offset = self._strides_offset()[1]
    elements = offset + math.prod(shape)
    storage = self._storage
    if elements > math.prod(storage.array.shape):
        # This function and the tensor are the only ones who know the storage.
        if sys.getrefcount(storage) > 3 or self._base is not None:
            raise NotImplementedError("flambeau.Tensor.resize_ of a storage that others see")
        _grow(self, elements)
    _see(self, shape, offset)
    return self


def _grow(x: Tensor, elements: int) -> None:
    """Make room for so many elements; the first ones are kept."""
    storage = x._storage
    if storage.device.type == "meta":
        storage.write(jax.ShapeDtypeStruct((elements,), storage.array.dtype))
    else:
        old = np.asarray(storage.array).reshape(-1)
        flat = np.zeros(elements, old.dtype)
        flat[: old.size] = old
        storage.write(flat)
    storage.strides = None


def _see(x: Tensor, shape: tuple[int, ...], offset: int) -> None:
    """Let `x` read `shape` from its storage in row-major order, beginning at `offset`."""
    whole = wrap(x._storage.array, x.device)
    whole._storage = x._storage
    x.data = whole.as_strided(shape, row_major(shape), offset).detach()  # type: ignore[attr-defined]


@declare()
def resize_as_(
    self: Tensor, other: Tensor, *, memory_format: Any = formats.contiguous_format
) -> Tensor:
    """Give the tensor the shape of `other` in place."""
    return resize_(self, other._dims(), memory_format=memory_format)


@declare(function=False)
def set_(self: Tensor, source: Any = None) -> Tensor:
    """Let the tensor see the storage of `source`, in the same way; without it, nothing."""
    if source is None:
        source = wrap(np.zeros(0, self._dtype_numpy()), self.device)
    if not isinstance(source, Tensor):
        raise NotImplementedError("flambeau.Tensor.set_ from a bare storage")
    if source.dtype is not self.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {_c_type(source)} to a tensor of type {_c_type(self)}"
        )
    self.data = source.detach()
    return self


def _c_type(x: Tensor) -> str:
    names = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}
    found = str(x.dtype).removeprefix("torch.")
    return names.get(found, found)
