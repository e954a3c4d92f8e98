"""Python's operators on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.shortcut import shortcut
from ..core.tensor import Tensor
from .registry import FUNCTIONS, ROWS

OPERANDS = (Tensor, int, float, complex, np.generic, np.ndarray)


def _forward(name: str) -> Callable[..., Any]:
    def operator(self: Tensor, other: Any) -> Any:
        if not isinstance(other, operands):
            return NotImplemented
        return function(self, other)

    operands = Tensor if name == "matmul" else OPERANDS
    function = FUNCTIONS[name]
    short = ROWS[name].short
    return operator if short is None else shortcut(operator, **short)


def _reflected(name: str) -> Callable[..., Any]:
    def operator(self: Tensor, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return function(other, self)

    function = FUNCTIONS[name]
    return operator


def _number_minus(self: Tensor, other: Any) -> Any:
    if not isinstance(other, OPERANDS):
        return NotImplemented
    return FUNCTIONS["rsub"](self, other)


def _number_over(self: Tensor, other: Any) -> Any:
    # PyTorch multiplies by the reciprocal, which differs from a division in the last digit.
    if not isinstance(other, OPERANDS):
        return NotImplemented
    return FUNCTIONS["reciprocal"](self) * other


def _in_place(name: str) -> Callable[..., Any]:
    def operator(self: Tensor, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return getattr(self, name)(other)

    return operator


def _unary(name: str) -> Callable[..., Any]:
    def operator(self: Tensor) -> Any:
        return function(self)

    function = FUNCTIONS[name]
    short = ROWS[name].short
    return operator if short is None else shortcut(operator, **short)


ARITHMETIC = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
COMPARISON = ("eq", "ne", "lt", "le", "gt", "ge")
UNARY = {"neg": "neg", "pos": "positive", "abs": "abs"}


def attach() -> None:
    """Give `Tensor` the operators whose functions have been declared."""
    for operator, name in ARITHMETIC.items():
        if name not in FUNCTIONS:
            continue
        setattr(Tensor, f"__{operator}__", _forward(name))
        setattr(Tensor, f"__r{operator}__", _reflected(name))
        if name != "matmul" and hasattr(Tensor, name + "_"):
            setattr(Tensor, f"__i{operator}__", _in_place(name + "_"))
    Tensor.__rsub__ = _number_minus  # type: ignore[attr-defined]
    Tensor.__rtruediv__ = _number_over  # type: ignore[attr-defined]
    for name in COMPARISON:
        if name in FUNCTIONS:
            setattr(Tensor, f"__{name}__", _forward(name))
    for operator, name in UNARY.items():
        if name in FUNCTIONS:
            setattr(Tensor, f"__{operator}__", _unary(name))
