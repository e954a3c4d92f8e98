"""The tensor as an object: detaching, subclasses, sharing, Python functions over its elements."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.tensor import Tensor, alias, wrap
from ..core.views import check_writable, overwrite, view
from .arguments import check_tensor
from .registry import declare


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


def _contains(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, bool, int, float, complex, np.generic)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return bool((self == element).any())  # type: ignore[attr-defined]


def _delete(self: Tensor, index: Any) -> None:
    raise TypeError("Tensor does not support deleting items")


Tensor.__contains__ = _contains  # type: ignore[attr-defined]
Tensor.__delitem__ = _delete  # type: ignore[attr-defined]


def _volatile(self: Tensor) -> bool:
    """Removed: always False."""
    warnings.warn(
        "volatile was removed (Variable.volatile is always False)", UserWarning, stacklevel=2
    )
    return False


Tensor.volatile = property(_volatile)  # type: ignore[attr-defined]
Tensor.name = property(lambda self: None, doc="A leaf's name: None.")  # type: ignore[attr-defined]
