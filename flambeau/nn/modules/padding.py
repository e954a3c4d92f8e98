"""Padding layers."""

from __future__ import annotations

from typing import Any

from ...core.tensor import Tensor
from .. import functional as F
from .module import Module
from .utils import _ntuple


class _PadNd(Module):
    """Margins on the last `_axes` axes, in one of the modes of `F.pad`."""

    __constants__ = ["padding"]
    _axes = 0
    _mode = ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._axes)(padding)

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """Options."""
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        if input.ndim not in (self._axes + 1, self._axes + 2):
            raise ValueError(
                f"expected {self._axes + 1}D or {self._axes + 2}D input (got {input.ndim}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Margins that continue from the other end, on the last axis."""

    _axes = 1


class CircularPad2d(_CircularPadNd):
    """Margins that continue from the other end, on the last 2 axes."""

    _axes = 2


class CircularPad3d(_CircularPadNd):
    """Margins that continue from the other end, on the last 3 axes."""

    _axes = 3


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    _axes = 0

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._axes)(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """Options."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Margins of one value on the last axis."""

    _axes = 1


class ConstantPad2d(_ConstantPadNd):
    """Margins of one value on the last 2 axes."""

    _axes = 2


class ConstantPad3d(_ConstantPadNd):
    """Margins of one value on the last 3 axes."""

    _axes = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Options."""
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """Margins of 0 on the last axis."""

    _axes = 1


class ZeroPad2d(_ZeroPadNd):
    """Margins of 0 on the last 2 axes."""

    _axes = 2


class ZeroPad3d(_ZeroPadNd):
    """Margins of 0 on the last 3 axes."""

    _axes = 3


class ReflectionPad1d(_PadNd):
    """Margins that mirror the last axis, its ends not repeated."""

    _axes = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Margins that mirror the last 2 axes, their ends not repeated."""

    _axes = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Margins that mirror the last 3 axes, their ends not repeated."""

    _axes = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Margins that repeat the ends of the last axis."""

    _axes = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Margins that repeat the ends of the last 2 axes."""

    _axes = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Margins that repeat the ends of the last 3 axes."""

    _axes = 3
    _mode = "replicate"
