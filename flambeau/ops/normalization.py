"""Normalisations: checks, running statistics and defaults over the kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.batching import is_batched
from ..core.execute import Op
from ..core.op import apply
from ..core.state import modes
from ..core.tensor import Tensor, alias
from ..core.views import overwrite
from ..errors import BATCHED_STATISTICS
from ..kernels import norm as kernels
from . import checks
from .registry import declare

BATCH_NORM = Op(
    kernels.batch_norm_train,
    name="NativeBatchNorm",
    vjp=kernels.batch_norm_train_vjp,
    forward=kernels.batch_norm_train_forward,
)
BATCH_NORM_EVAL = Op(kernels.batch_norm_eval, name="NativeBatchNorm")
INSTANCE_NORM = Op(
    kernels.instance_norm,
    name="View",
    vjp=kernels.instance_norm_vjp,
    forward=kernels.instance_norm_forward,
)
LAYER_NORM = Op(
    kernels.layer_norm,
    name="NativeLayerNorm",
    vjp=kernels.layer_norm_vjp,
    forward=kernels.layer_norm_forward,
)
GROUP_NORM = Op(
    kernels.group_norm,
    name="NativeGroupNorm",
    vjp=kernels.group_norm_vjp,
    forward=kernels.group_norm_forward,
)
RMS_NORM = Op(kernels.rms_norm, name="FusedRmsNorm")
CROSS_MAP_LRN = Op(kernels.cross_map_lrn)
LOCAL_RESPONSE_NORM = Op(kernels.local_response_norm, name="Div")


def _write(target: Tensor, value: Tensor) -> None:
    """Store a new running statistic; statistics have no gradient."""
    previous, modes.grad = modes.grad, False
    try:
        overwrite(target, alias(value))
    finally:
        modes.grad = previous


def _check_channels(x: Tensor, **parameters: Tensor | None) -> None:
    channels = x._dims()[1] if x.ndim > 1 else 0
    for name, parameter in parameters.items():
        if parameter is not None and parameter.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter.numel()}")


@declare(method=False)
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """(input - mean) / sqrt(variance + eps) * weight + bias for each channel (axis 1)."""
    if checks.tensor("batch_norm", input).ndim == 1 and not input.numel():
        return input.clone()  # type: ignore[attr-defined]
    if not training:
        for name, statistic in (("running_mean", running_mean), ("running_var", running_var)):
            if statistic is None:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
    _check_channels(
        input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    checks.floating("batch_norm", input)
    if not training:
        inputs = (input, weight, bias, running_mean, running_var)
        return checks.keep_format(apply(BATCH_NORM_EVAL, inputs, (float(eps),)), input)
    y = _train(BATCH_NORM, input, weight, bias, running_mean, running_var, momentum, eps)
    return checks.keep_format(y, input)


def _train(
    op: Op,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    if running_mean is None or running_var is None:
        return apply(op, (x, weight, bias, None, None, None), (float(eps),))
    if not x.numel():  # nothing moves the running statistics
        running_mean, running_var = (t.clone() for t in (running_mean, running_var))  # type: ignore[attr-defined]
    inputs = (x, weight, bias, alias(running_mean), alias(running_var), float(momentum))
    y, mean, var = apply(op, inputs, (float(eps),))
    if modes.levels and is_batched(mean) and not is_batched(running_mean):
        raise RuntimeError(BATCHED_STATISTICS)
    _write(running_mean, mean)
    _write(running_var, var)
    return y


@declare(method=False)
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Batch normalisation of each instance by itself."""
    checks.tensor("instance_norm", input)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false"
            )
        return apply(
            BATCH_NORM_EVAL, (input, weight, bias, running_mean, running_var), (float(eps),)
        )
    return _train(INSTANCE_NORM, input, weight, bias, running_mean, running_var, momentum, eps)


def _check_normalized(input: Tensor, normalized_shape: Sequence[int], star: str) -> tuple[int, ...]:
    shape = tuple(int(n) for n in normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            f"one element, but got normalized_shape = {list(shape)}"
        )
    if input._dims()[-len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*{star}{', '.join(map(str, shape))}], but got input of size{checks.sizes(input)}"
        )
    return shape


def _check_parameter(name: str, parameter: Tensor | None, shape: tuple[int, ...]) -> None:
    if parameter is not None and parameter._dims() != shape:
        raise RuntimeError(
            f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
            f"{checks.sizes(parameter)} and normalized_shape = {list(shape)}"
        )


@declare(method=False, short={})
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Tensor:
    """(input - mean) / sqrt(variance + eps) * weight + bias over the last axes.

    >>> torch.layer_norm(torch.tensor([1.0, 3.0]), (2,))
    tensor([-1.0000,  1.0000])
    """
    checks.tensor("layer_norm", input)
    shape = _check_normalized(input, normalized_shape, ", ")
    _check_parameter("weight", weight, shape)
    _check_parameter("bias", bias, shape)
    checks.floating("LayerNormKernelImpl", input)
    return apply(LAYER_NORM, (input, weight, bias), (len(shape), float(eps)))


@declare(method=False)
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last axes."""
    checks.tensor("rms_norm", input)
    shape = _check_normalized(input, normalized_shape, "")
    _check_parameter("weight", weight, shape)
    static = (len(shape), None if eps is None else float(eps))
    return apply(RMS_NORM, (input, weight), static, "MulBackward0")


@declare(method=False)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalised over the channels of each group and all positions."""
    if checks.tensor("group_norm", input).ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    channels = input._dims()[1]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {checks.sizes(input)} and num_groups={num_groups}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter._dims() != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in "
                f"input, but got {name} of shape {checks.sizes(parameter)} and input of shape "
                f"{checks.sizes(input)}"
            )
    checks.floating("GroupNormKernelImpl", input)
    y = apply(GROUP_NORM, (input, weight, bias), (int(num_groups), float(eps)))
    return checks.keep_format(y, input)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of the neighbouring channels' squares)^beta"""
    if checks.tensor("local_response_norm", input).ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality {' ' * 24} input (got {input.ndim} dimensions)"
        )
    return apply(LOCAL_RESPONSE_NORM, (input,), (int(size), float(alpha), float(beta), float(k)))


def cross_map_lrn(input: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """`local_response_norm` over (size - 1) // 2 channels on either side."""
    static = (int(size), float(alpha), float(beta), float(k))
    return apply(CROSS_MAP_LRN, (input,), static, "CrossMapLRN2dBackward")


def per_channel(x: Tensor) -> int:
    """How many values normalise together in each channel."""
    return math.prod(n for axis, n in enumerate(x._dims()) if axis != 1)


@declare(method=False)
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """`batch_norm` with the statistics that it used: (output, mean, 1 / sqrt(var + eps))."""
    y = batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)
    if not training:
        empty = input.new_empty((0,))  # type: ignore[attr-defined]
        return y, empty, empty.clone()  # type: ignore[attr-defined]
    axes = tuple(a for a in range(input.ndim) if a != 1)
    return y, *_statistics(input.detach(), axes, eps)


def _statistics(x: Tensor, axes: tuple[int, ...], eps: float, keepdim: bool = False) -> Any:
    mean, rstd = apply(STATISTICS, (x,), (axes, float(eps), keepdim))
    return mean, rstd


@declare(method=False)
def native_layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Any:
    """`layer_norm` with the statistics that it used: (output, mean, 1 / sqrt(var + eps))."""
    y = layer_norm(input, normalized_shape, weight, bias, eps)
    axes = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    return y, *_statistics(input.detach(), axes, eps, keepdim=True)


@declare(method=False)
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> Any:
    """`group_norm` with the statistics that it used: (output, mean, 1 / sqrt(var + eps))."""
    y = group_norm(input, group, weight, bias, eps)
    split = input.reshape(N, group, C // group * HxW)  # type: ignore[attr-defined]
    return y, *_statistics(split, (2,), eps)


STATISTICS = Op(kernels.statistics, name="Statistics")
