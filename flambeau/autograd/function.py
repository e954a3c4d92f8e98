"""`torch.autograd.function`: custom functions and their context."""

from __future__ import annotations

from typing import Any

from ..core.function import Function, FunctionCtx, FunctionMeta, once_differentiable
from ..core.function import FunctionNode as BackwardCFunction


class InplaceFunction(Function):
    """`Function` under an old name.

    Args:
        inplace: kept as an attribute.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class NestedIOFunction(Function):
    """Raises: functions of nested tuples went with the old form of `Function`."""

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Raises: use `Function`."""
        raise NotImplementedError("flambeau.autograd.NestedIOFunction.apply")


__all__ = [
    "BackwardCFunction",
    "Function",
    "FunctionCtx",
    "FunctionMeta",
    "InplaceFunction",
    "NestedIOFunction",
    "once_differentiable",
]
