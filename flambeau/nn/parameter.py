"""Tensors that modules own: parameters and buffers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..core.tensor import Tensor, alias, wrap
from ..dtypes import get_default_dtype


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
        result = type(self)(values, self.requires_grad)
        memo[id(self)] = result
        for name, value in self.__dict__.items():
            if not hasattr(Tensor, name) and name != "_storage":
                result.__dict__[name] = copy.deepcopy(value, memo)
        return result

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


def is_lazy(parameter: Any) -> bool:
    """Whether a parameter still waits for its shape."""
    return getattr(parameter, "_is_uninitialized", False)


__all__ = ["Buffer", "Parameter"]
