"""Pooling layers."""

from __future__ import annotations

from typing import Any

from ...core.tensor import Tensor
from .. import functional as F
from .module import Module
from .utils import _pair, _single, _triple


class _MaxPoolNd(Module):
    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    _axes = 0

    def forward(self, input: Tensor) -> Any:
        """The maxima of the windows, with their indices if asked for."""
        return getattr(F, f"max_pool{self._axes}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        """Options."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The largest element of each window of (N, C, L) or (C, L)."""

    _axes = 1


class MaxPool2d(_MaxPoolNd):
    """The largest element of each window of (N, C, H, W) or (C, H, W).

    H_out = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, or rounded up
    with `ceil_mode`.

    Example::

        >>> nn.MaxPool2d(2)(torch.arange(4.0).reshape(1, 2, 2))
        tensor([[[3.]]])
    """

    _axes = 2


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window of (N, C, D, H, W) or (C, D, H, W)."""

    _axes = 3


class _MaxUnpoolNd(Module):
    def extra_repr(self) -> str:
        """Options."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        each = {1: _single, 2: _pair, 3: _triple}[self._axes]
        self.kernel_size = each(kernel_size)
        self.stride = each(kernel_size if stride is None else stride)
        self.padding = each(padding)

    _axes = 0

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """The maxima at their indices, zeros elsewhere."""
        unpool = getattr(F, f"max_unpool{self._axes}d")
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpoolNd):
    """The maxima of `MaxPool1d` put back at their indices."""

    _axes = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """The maxima of `MaxPool2d` put back at their indices."""

    _axes = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """The maxima of `MaxPool3d` put back at their indices."""

    _axes = 3


class _AvgPoolNd(Module):
    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def extra_repr(self) -> str:
        """Options."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """The mean of each window of (N, C, L) or (C, L)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(kernel_size if stride is None else stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The means of the windows."""
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class _AvgPoolWithDivisor(_AvgPoolNd):
    __constants__ = [
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    ]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    _axes = 0

    def forward(self, input: Tensor) -> Tensor:
        """The means of the windows."""
        return getattr(F, f"avg_pool{self._axes}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_AvgPoolWithDivisor):
    """The mean of each window of (N, C, H, W) or (C, H, W)."""

    _axes = 2


class AvgPool3d(_AvgPoolWithDivisor):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)."""

    _axes = 3


class _LPPoolNd(Module):
    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    _axes = 0

    def forward(self, input: Tensor) -> Tensor:
        """The p-norms of the windows."""
        pool = getattr(F, f"lp_pool{self._axes}d")
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """Options."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """The p-norm of each window of the last axis."""

    _axes = 1


class LPPool2d(_LPPoolNd):
    """The p-norm of each window of the last 2 axes."""

    _axes = 2


class LPPool3d(_LPPoolNd):
    """The p-norm of each window of the last 3 axes."""

    _axes = 3


class _AdaptiveAvgPoolNd(Module):
    __constants__ = ["output_size"]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    _axes = 0

    def forward(self, input: Tensor) -> Tensor:
        """The means of the windows."""
        return getattr(F, f"adaptive_avg_pool{self._axes}d")(input, self.output_size)

    def extra_repr(self) -> str:
        """Options."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The means of windows, as equal as they can be, to a given length."""

    _axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The means of windows to a given size (H, W); None keeps an axis."""

    _axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The means of windows to a given size (D, H, W); None keeps an axis."""

    _axes = 3


class _AdaptiveMaxPoolNd(Module):
    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    _axes = 0

    def forward(self, input: Tensor) -> Any:
        """The maxima of the windows, with their indices if asked for."""
        pool = getattr(F, f"adaptive_max_pool{self._axes}d")
        return pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """Options."""
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The maxima of windows, as equal as they can be, to a given length."""

    _axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The maxima of windows to a given size (H, W); None keeps an axis."""

    _axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The maxima of windows to a given size (D, H, W); None keeps an axis."""

    _axes = 3


class _FractionalMaxPoolNd(Module):
    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]
    _axes = 0

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        each = {2: _pair, 3: _triple}[self._axes]
        self.kernel_size = each(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each(output_size)
        self.output_ratio = None if output_ratio is None else each(output_ratio)
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"FractionalMaxPool{self._axes}d requires specifying either an output size, or a "
                "pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        """The maxima of the windows, with their indices if asked for."""
        return getattr(F, f"fractional_max_pool{self._axes}d")(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maxima of windows of (N, C, H, W) or (C, H, W) at random places (arXiv:1412.6071).

    The windows number `output_size`, or the input's size times `output_ratio`, and are drawn anew
    in each call.

    Example::

        >>> nn.FractionalMaxPool2d(2, output_ratio=0.5)(torch.ones(1, 6, 8)).shape
        torch.Size([1, 3, 4])
    """

    _axes = 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """The maxima of windows of (N, C, D, H, W) or (C, D, H, W) at random places."""

    _axes = 3
