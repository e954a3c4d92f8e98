"""Gradients of convolutions, for those who write their own backward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.gradients import grad
from ..core.modes import enable_grad, is_grad_enabled
from ..core.tensor import Tensor
from ..ops.convolution import conv1d, conv2d, conv3d
from ..ops.registry import FUNCTIONS


def _through(place: int, convolve: Callable[..., Any], operands: list[Any], g: Tensor) -> Tensor:
    """The gradient of a convolution's operand number `place`."""
    record = is_grad_enabled() and any(t.requires_grad for t in (*operands, g))
    with enable_grad():
        variable = operands[place]
        operands[place] = variable.detach().requires_grad_()
        result = convolve(*operands)
        return grad(result, operands[place], g, create_graph=record)[0]


def _like(size: Sequence[int], tensor: Tensor) -> Tensor:
    return FUNCTIONS["zeros"](tuple(size), dtype=tensor.dtype, device=tensor.device)


def _define(rank: int, function: Callable[..., Tensor]) -> tuple[Any, Any]:
    def conv_input(
        input_size: Sequence[int],
        weight: Tensor,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        def convolve(x: Tensor, w: Tensor) -> Tensor:
            return function(x, w, None, stride, padding, dilation, groups)

        return _through(0, convolve, [_like(input_size, grad_output), weight], grad_output)

    def conv_weight(
        input: Tensor,
        weight_size: Sequence[int],
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        def convolve(x: Tensor, w: Tensor) -> Tensor:
            return function(x, w, None, stride, padding, dilation, groups)

        return _through(1, convolve, [input, _like(weight_size, grad_output)], grad_output)

    conv_input.__name__ = f"conv{rank}d_input"
    conv_weight.__name__ = f"conv{rank}d_weight"
    conv_input.__doc__ = f"The gradient of `conv{rank}d` for its input, which has `input_size`."
    conv_weight.__doc__ = f"The gradient of `conv{rank}d` for its weight, which has `weight_size`."
    return conv_input, conv_weight


conv1d_input, conv1d_weight = _define(1, conv1d)
conv2d_input, conv2d_weight = _define(2, conv2d)
conv3d_input, conv3d_weight = _define(3, conv3d)

__all__ = [
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_input",
    "conv3d_weight",
]
