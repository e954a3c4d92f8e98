"""`torch.autograd.Variable`: what tensors with gradients were called before they were tensors."""

from __future__ import annotations

import warnings
from typing import Any

from ..core.tensor import Tensor, alias, wrap


class VariableMeta(type):
    """`isinstance(x, Variable)` means `isinstance(x, Tensor)`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=VariableMeta):
    """A tensor on the storage of `data`, without its history. Legacy.

    Args:
        data: a tensor.
        requires_grad: whether operations on the result are recorded.
        volatile: removed from PyTorch; warns.

    >>> import flambeau as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(  # type: ignore[misc]
        cls, data: Any = None, requires_grad: bool = False, volatile: Any = None, **kwargs: Any
    ) -> Tensor:
        if volatile is not None:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with torch.no_grad():` instead.",
                UserWarning,
                stacklevel=2,
            )
        if data is None:
            import numpy as np

            return wrap(np.zeros(0, np.float32))
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        result = alias(data)
        result.requires_grad = bool(requires_grad)
        return result


def variable(*args: Any, **kwargs: Any) -> Tensor:
    """Raises: `torch.tensor` has taken its place."""
    raise RuntimeError("torch.autograd.variable(...) is deprecated, use torch.tensor(...) instead")


variable.Variable = Variable  # type: ignore[attr-defined]
variable.VariableMeta = VariableMeta  # type: ignore[attr-defined]
