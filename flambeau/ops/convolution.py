"""Convolutions and transposed convolutions: checks and defaults over one pair of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import conv as kernels
from . import checks
from .registry import declare

CONV = Op(kernels.conv, name="Convolution", vjp=kernels.conv_vjp)
CONV_TRANSPOSE = Op(kernels.conv_transpose, name="Convolution", vjp=kernels.conv_transpose_vjp)


def _check_types(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if bias is not None and bias.dtype is not x.dtype:
        raise RuntimeError(
            f"Input type ({_type_word(x)}) and bias type ({_type_word(bias)}) should be the same"
        )
    if weight.dtype is not x.dtype:
        if bias is not None:
            raise RuntimeError(
                f"Input type ({_type_word(x)}) and weight type ({_type_word(weight)}) should be "
                "the same"
            )
        raise RuntimeError(
            f"expected scalar type {scalar_type_name(x.dtype)} but found "
            f"{scalar_type_name(weight.dtype)}"
        )


def _type_word(x: Tensor) -> str:
    words = {"Float": "float", "Double": "double", "Half": "c10::Half", "Long": "long int"}
    name = scalar_type_name(x.dtype)
    return words.get(name, "c10::BFloat16" if name == "BFloat16" else name.lower())


def _check_shapes(
    x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool
) -> None:
    shape, channels = weight._dims(), x._dims()[1]
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    prefix = f"Given transposed=1, weight of size {checks.sizes(weight)}"
    if not transposed:
        prefix = f"Given groups={groups}, weight of size {checks.sizes(weight)}"
        if shape[0] % groups:
            raise RuntimeError(
                f"Given groups={groups}, expected weight to be divisible by {groups} at dimension "
                f"0, but got weight of size [{checks.sizes(weight)}] instead"
            )
    wanted = shape[0] if transposed else shape[1] * groups
    if channels != wanted:
        raise RuntimeError(
            f"{prefix}, expected input{checks.sizes(x)} to have {wanted} channels, but got "
            f"{channels} channels instead"
        )
    if transposed and shape[0] % groups:
        raise RuntimeError(
            f"Given transposed=1, expected weight to be divisible by {groups} at dimension 0, but "
            f"got weight of size {checks.sizes(weight)} instead"
        )
    out_channels = shape[1] * groups if transposed else shape[0]
    if bias is not None and bias._dims() != (out_channels,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size "
            f"{checks.sizes(weight)}, expected bias to be 1-dimensional with {out_channels} "
            f"elements, but got bias of size {checks.sizes(bias)} instead"
        )


def _check_numbers(stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")


def _batched(name: str, x: Any, weight: Any, rank: int) -> tuple[Tensor, bool]:
    """The input with a batch axis, and whether it had one."""
    checks.tensor(name, x)
    checks.tensor(name, weight, "weight", 2)
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got "
            f"input of size: {checks.sizes(x)}"
        )
    if x.ndim == rank + 2:
        return x, True
    return x.unsqueeze(0), False  # type: ignore[attr-defined]


def _pairs(
    padding: Any, rank: int, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: Any
) -> tuple[tuple[int, int], ...]:
    """The padding before and after each axis."""
    if not isinstance(padding, str):
        values = checks.integers(padding, rank, "padding")
        if min(values) < 0:
            raise RuntimeError("negative padding is not supported")
        return tuple((p, p) for p in values)
    if padding == "valid":
        return ((0, 0),) * rank
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((t // 2, t - t // 2) for t in totals)


def _check_reach(
    x: Tensor, kernel: tuple[int, ...], pairs: tuple[tuple[int, int], ...], dilation: Any
) -> None:
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padded = [n + a + b for n, (a, b) in zip(x._dims()[2:], pairs, strict=True)]
    if any(n < r for n, r in zip(padded, reach, strict=True)):
        raise RuntimeError(
            "Calculated padded input size per channel: "
            f"({' x '.join(map(str, padded))}). Kernel size: ({' x '.join(map(str, reach))}). "
            "Kernel size can't be greater than actual input size"
        )


def _conv(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    x, batched = _batched(f"conv{rank}d", input, weight, rank)
    axes = weight.ndim - 2
    stride = checks.integers(stride, rank, "stride")
    if axes != rank:
        raise RuntimeError(
            f"expected stride to be a single integer value or a list of {axes} values to match "
            f"the convolution dimensions, but got stride={list(stride)}"
        )
    dilation = checks.integers(dilation, rank, "dilation")
    _check_numbers(stride, dilation)
    kernel = weight._dims()[2:]
    pairs = _pairs(padding, rank, kernel, stride, dilation)
    _check_shapes(x, weight, bias, groups, False)
    _check_reach(x, kernel, pairs, dilation)
    _check_types(x, weight, bias)
    y = apply(CONV, (x, weight, bias), (stride, pairs, dilation, int(groups)))
    return checks.keep_format(y, x, weight) if batched else y.squeeze(0)


def _conv_transpose(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    x, batched = _batched(f"conv_transpose{rank}d", input, weight, rank)
    stride = checks.integers(stride, rank, "stride")
    padding = checks.integers(padding, rank, "padding")
    extra = checks.integers(output_padding, rank, "output_padding")
    dilation = checks.integers(dilation, rank, "dilation")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    _check_numbers(stride, dilation)
    _check_shapes(x, weight, bias, groups, True)
    rows = zip(extra, stride, dilation, strict=True)
    if any(o >= s and o >= d for o, s, d in rows):
        raise RuntimeError(_output_padding_message(extra, stride, dilation))
    _check_types(x, weight, bias)
    static = (stride, padding, extra, dilation, int(groups))
    y = apply(CONV_TRANSPOSE, (x, weight, bias), static)
    return checks.keep_format(y, x, weight) if batched else y.squeeze(0)


def _output_padding_message(extra: Any, stride: Any, dilation: Any) -> str:
    names = ("depth", "height", "width")[-len(extra) :] if len(extra) > 1 else ("height", "width")
    parts = []
    for word, values in (("output_padding", extra), ("stride", stride), ("dilation", dilation)):
        values = values if len(values) > 1 else (0 if word == "output_padding" else 1, *values)
        parts += [f"{word}_{n}: {v}" for n, v in zip(names, values, strict=True)]
    return "output padding must be smaller than either stride or dilation, but got " + " ".join(
        parts
    )


def _define(rank: int) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    def conv(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        return _conv(rank, input, weight, bias, stride, padding, dilation, groups)

    def conv_transpose(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        return _conv_transpose(
            rank, input, weight, bias, stride, padding, output_padding, groups, dilation
        )

    axes = ("", "L", "H, W", "D, H, W")[rank]
    conv.__doc__ = (
        f"Cross-correlation of (N, C_in, {axes}) with weight (C_out, C_in / groups, *kernel)."
    )
    conv_transpose.__doc__ = f"The transpose of `conv{rank}d`, weight (C_in, C_out / groups, *)."
    conv.__name__ = conv.__qualname__ = f"conv{rank}d"
    conv_transpose.__name__ = conv_transpose.__qualname__ = f"conv_transpose{rank}d"
    return declare(method=False)(conv), declare(method=False)(conv_transpose)


conv1d, conv_transpose1d = _define(1)
conv2d, conv_transpose2d = _define(2)
conv3d, conv_transpose3d = _define(3)
