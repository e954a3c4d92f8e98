"""Tensors that modules own: parameters and buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor, alias, wrap
from ..dtypes import get_default_dtype
from ..ops.registry import FUNCTIONS


def _as_class(cls: type, data: Tensor | None) -> Any:
    """A tensor of class `cls` on the storage of `data`, without its history."""
    if data is None:
        data = wrap(np.zeros(0, get_default_dtype().numpy))
    if not isinstance(data, Tensor):
        raise TypeError(
            f"{cls.__name__}: expected a Tensor or None as data, got {type(data).__name__}; make "
            "one with flambeau.tensor(data)"
        )
    return alias(data, cls)


class Parameter(Tensor):
    """A tensor that, assigned to an attribute of a `Module`, becomes one of its parameters.

    Args:
        data: the values; shared, not copied.
        requires_grad: whether it is trained.

    Example::

        >>> nn.Parameter(torch.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        result = _as_class(cls, data)
        if requires_grad:
            if not (result.dtype.is_floating_point or result.dtype.is_complex):
                raise RuntimeError(
                    "Only Tensors of floating point and complex dtype can require gradients"
                )
            result.requires_grad = True
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        values = self.data.clone()  # type: ignore[attr-defined]
        memo[id(self)] = type(self)(values, self.requires_grad)
        return memo[id(self)]

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        plain = alias(self)
        plain._requires_grad = self._requires_grad
        return "Parameter containing:\n" + plain.__repr__(**options)


class Buffer(Tensor):
    """A tensor that, assigned to an attribute of a `Module`, becomes one of its buffers.

    Args:
        data: the values; shared, not copied.
        persistent: whether it is part of the module's `state_dict`.
    """

    persistent: bool = True

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        result = _as_class(cls, data)
        result._requires_grad = data is not None and data.requires_grad
        result.persistent = persistent
        return result

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        plain = alias(self)
        plain._requires_grad = self._requires_grad
        return plain.__repr__(**options)


_NO_SHAPE = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
    "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. "
    "Call `forward` to initialize the parameters before accessing their attributes."
)
_NO_VALUE = (
    "Attempted to use an uninitialized parameter in an operation. This error happens when you are "
    "using a `LazyModule` or explicitly manipulating "
    "`torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` "
    "with a dummy batch to initialize the parameters before calling torch functions"
)


class UninitializedTensorMixin:
    """What tensors share that wait for their shape."""

    cls_to_become: type

    @property
    def shape(self) -> Any:
        """Raises: there is none yet."""
        raise RuntimeError(_NO_SHAPE)

    def numel(self) -> int:
        """Raises: there are none yet."""
        raise ValueError(_NO_VALUE)

    def share_memory_(self) -> Any:
        """Raises: there is nothing to share yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    def _array(self) -> Any:
        raise ValueError(_NO_VALUE)

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become a tensor of this shape, its values uninitialised."""
        own: Any = self
        made = FUNCTIONS["empty"](
            tuple(shape),
            device=own.device if device is None else device,
            dtype=own.dtype if dtype is None else dtype,
        )
        own.data = made
        own.__class__ = self.cls_to_become

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        own: Any = self
        if id(self) not in memo:
            made = type(own)(own.requires_grad, device=own.device, dtype=own.dtype)
            memo[id(self)] = made
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        own: Any = self
        return type(own), (own.requires_grad, str(own.device), own.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _empty(cls: type, device: Any, dtype: Any) -> Any:
    return _as_class(cls, FUNCTIONS["empty"]((0,), device=device, dtype=dtype))


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is found at the first `forward`."""

    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        result = _empty(cls, device, dtype)
        result._requires_grad = requires_grad
        return result


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is found at the first `forward`."""

    cls_to_become = Tensor

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        result = _empty(cls, device, dtype)
        result._requires_grad = requires_grad
        result.persistent = persistent
        return result


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer still waits for its shape."""
    return isinstance(param, UninitializedTensorMixin)


__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]
