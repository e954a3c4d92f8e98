"""Pooling functions."""

from __future__ import annotations

import math
from typing import Any

from ...core.op import apply
from ...core.tensor import Tensor
from ...ops import fractional_pool as fractional
from ...ops import pooling as ops
from ...ops.autocast import autocast
from ...ops.checks import integers
from ...ops.registry import FUNCTIONS


def _define_max(rank: int) -> tuple[Any, Any, Any]:
    values = FUNCTIONS[f"max_pool{rank}d"]

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> tuple[Tensor, Tensor]:
        return ops.max_pool(rank, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    def max_pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        options = (kernel_size, stride, padding, dilation, ceil_mode)
        return with_indices(input, *options) if return_indices else values(input, *options)

    @autocast(f"max_unpool{max(rank, 2)}d")
    def max_unpool(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        return _max_unpool(rank, input, indices, kernel_size, stride, padding, output_size)

    max_pool.__name__ = f"max_pool{rank}d"
    with_indices.__name__ = f"max_pool{rank}d_with_indices"
    max_unpool.__name__ = f"max_unpool{rank}d"
    max_pool.__doc__ = f"The largest element of each window of the last {rank} axes."
    with_indices.__doc__ = f"`max_pool{rank}d` with the indices of the maxima."
    max_unpool.__doc__ = f"The maxima of `max_pool{rank}d` put back at their indices."
    return max_pool, with_indices, max_unpool


def _max_unpool(
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    kernel = integers(kernel_size, rank, "kernel_size")
    steps = kernel if stride is None else integers(stride, rank, "stride")
    pads = integers(padding, rank, "padding")
    if input.ndim < rank:
        raise IndexError("tuple index out of range")
    given = input._dims()[input.ndim - rank :]
    default = tuple(
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(given, steps, kernel, pads, strict=True)
    )
    if output_size is None:
        return ops.max_unpool(rank, input, indices, default)
    size = tuple(output_size)
    if len(size) == rank + 2:
        size = size[2:]
    if len(size) != rank:
        raise ValueError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it "
            f"has a length of '{len(size)}'"
        )
    for axis, (wanted, base, s) in enumerate(zip(size, default, steps, strict=True)):
        if not base - s < wanted < base + s:
            raise ValueError(
                f'invalid output_size "{tuple(size)}" (dim {axis} must be between {base - s} and '
                f"{base + s})"
            )
    return ops.max_unpool(rank, input, indices, size)


max_pool1d, max_pool1d_with_indices, max_unpool1d = _define_max(1)
max_pool2d, max_pool2d_with_indices, max_unpool2d = _define_max(2)
max_pool3d, max_pool3d_with_indices, max_unpool3d = _define_max(3)
avg_pool1d = ops.avg_pool1d
adaptive_avg_pool1d = ops.adaptive_avg_pool1d


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of the last 2 axes."""
    options = (stride, padding, ceil_mode, count_include_pad, divisor_override)
    return ops.avg_pool(2, input, kernel_size, *options)


@autocast("avg_pool3d")
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of the last 3 axes."""
    options = (stride, padding, ceil_mode, count_include_pad, divisor_override)
    return ops.avg_pool(3, input, kernel_size, *options)


def _check_sizes(input: Tensor, output_size: Any) -> None:
    if isinstance(output_size, (list, tuple)) and input.ndim <= len(output_size):
        raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of windows, as many as `output_size` says, of the last 2 axes."""
    _check_sizes(input, output_size)
    return ops.adaptive_avg_pool(2, input, output_size)


@autocast("adaptive_avg_pool3d")
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of windows, as many as `output_size` says, of the last 3 axes."""
    _check_sizes(input, output_size)
    return ops.adaptive_avg_pool(3, input, output_size)


def _define_adaptive_max(rank: int) -> tuple[Any, Any]:
    @autocast(f"adaptive_max_pool{rank}d")
    def with_indices(
        input: Tensor, output_size: Any, return_indices: bool = False
    ) -> tuple[Tensor, Tensor]:
        return ops.adaptive_max_pool(rank, input, output_size)

    @autocast(f"adaptive_max_pool{rank}d")
    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        if rank > 1:
            _check_sizes(input, output_size)
        both = ops.adaptive_max_pool(rank, input, output_size)
        return both if return_indices else both[0]

    adaptive_max_pool.__name__ = f"adaptive_max_pool{rank}d"
    with_indices.__name__ = f"adaptive_max_pool{rank}d_with_indices"
    adaptive_max_pool.__doc__ = f"The maxima of `output_size` windows of the last {rank} axes."
    with_indices.__doc__ = f"`adaptive_max_pool{rank}d` with the indices of the maxima."
    return adaptive_max_pool, with_indices


adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _define_adaptive_max(1)
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _define_adaptive_max(2)
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _define_adaptive_max(3)


def _fractional_size(rank: int, input: Tensor, output_size: Any, output_ratio: Any) -> Any:
    """The output size, or the input's times the ratio."""
    if output_size is not None:
        return output_size
    if output_ratio is None:
        raise ValueError(
            f"fractional_max_pool{rank}d requires specifying either an output_size or an "
            "output_ratio"
        )
    if rank == 2 and len(output_ratio) > 2:
        raise ValueError(
            "fractional_max_pool2d requires output_ratio to either be a single Int or tuple of "
            "Ints."
        )
    ratios = output_ratio
    if rank == 3 and not isinstance(ratios, (list, tuple)):
        ratios = (ratios,) * rank
    return tuple(int(input.size(i - rank) * ratios[i]) for i in range(rank))


def _define_fractional(rank: int) -> tuple[Any, Any]:
    def with_indices(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        size = _fractional_size(rank, input, output_size, output_ratio)
        if _random_samples is None:
            _random_samples = fractional.random_samples(input, rank)
        return fractional.fractional_max_pool(rank, input, kernel_size, size, _random_samples)

    @autocast(f"fractional_max_pool{rank}d")
    def fractional_max_pool(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        both = with_indices(
            input, kernel_size, output_size, output_ratio, _random_samples=_random_samples
        )
        return both if return_indices else both[0]

    name = f"fractional_max_pool{rank}d"
    fractional_max_pool.__name__ = name
    with_indices.__name__ = f"{name}_with_indices"
    fractional_max_pool.__doc__ = (
        f"The maxima of windows at random places of the last {rank} axes (arXiv:1412.6071)."
    )
    with_indices.__doc__ = f"`{name}` with the indices of the maxima."
    return fractional_max_pool, with_indices


fractional_max_pool2d, fractional_max_pool2d_with_indices = _define_fractional(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _define_fractional(3)


def _lp_pool(
    rank: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    kernel = integers(kernel_size, rank, "kernel_size")
    powers = input.pow(norm_type)  # type: ignore[attr-defined]
    mean = ops.avg_pool(rank, powers, kernel, stride, 0, ceil_mode, True, None)
    size = mean.abs()  # type: ignore[attr-defined]
    total = mean.sign() * FUNCTIONS["relu"](size) * math.prod(kernel)  # type: ignore[attr-defined]
    return total.pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of input^p over each window)^(1 / p)"""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of input^p over each window)^(1 / p)"""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of input^p over each window)^(1 / p)"""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Windows of (N, C, H, W) as columns: (N, C * taps, windows)."""
    single = input.ndim == 3
    x = input.unsqueeze(0) if single else input  # type: ignore[attr-defined]
    values = (kernel_size, stride, padding, dilation)
    names = ("kernel_size", "stride", "padding", "dilation")
    static = tuple(integers(v, 2, n) for v, n in zip(values, names, strict=True))
    columns = apply(ops.UNFOLD, (x,), static)
    return columns.squeeze(0) if single else columns


def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns (N, C * taps, windows) added at their places: (N, C, *output_size)."""
    single = input.ndim == 2
    x = input.unsqueeze(0) if single else input  # type: ignore[attr-defined]
    kernel = integers(kernel_size, 2, "kernel_size")
    if x._dims()[1] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x._dims()[1]} and kernel_size=({kernel[0]}, {kernel[1]})."
        )
    static = (
        integers(output_size, 2, "output_size"),
        kernel,
        integers(stride, 2, "stride"),
        integers(padding, 2, "padding"),
        integers(dilation, 2, "dilation"),
    )
    image = apply(ops.FOLD, (x,), static)
    return image.squeeze(0) if single else image


__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "unfold",
]
