"""Activation functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...core.tensor import Tensor
from ...ops import activation as ops
from ...ops.dropout import rrelu as _rrelu
from ...ops.registry import FUNCTIONS

logsigmoid = ops.logsigmoid
softshrink = ops.softshrink
hardshrink = ops.hardshrink
softsign = ops.softsign
tanhshrink = ops.tanhshrink
prelu = ops.prelu
gelu = ops.gelu


def _twin(name: str) -> Callable[..., Tensor]:
    return FUNCTIONS[name + "_"] if name + "_" in FUNCTIONS else ops.IN_PLACE[name]


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold"""
    return ops.softplus(input, beta, threshold)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))"""
    return FUNCTIONS["sigmoid"](input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent"""
    return FUNCTIONS["tanh"](input)


def relu_(input: Tensor) -> Tensor:
    """In-place version of `relu`."""
    return _twin("relu")(input)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """In-place version of `hardtanh`."""
    return _twin("hardtanh")(input, min_val, max_val)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """In-place version of `leaky_relu`."""
    return _twin("leaky_relu")(input, negative_slope)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place version of `elu`."""
    return _twin("elu")(input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place version of `celu`."""
    return _twin("celu")(input, alpha)


def selu_(input: Tensor) -> Tensor:
    """In-place version of `selu`."""
    return _twin("selu")(input)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """In-place version of `threshold`."""
    return _twin("threshold")(input, threshold, value)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """In-place version of `rrelu`."""
    return _twin("rrelu")(input, lower, upper, training)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)

    >>> F.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return relu_(input) if inplace else ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6)"""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """input between `min_val` and `max_val`"""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return (hardtanh_ if inplace else ops.hardtanh)(input, min_val, max_val)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input above 0, negative_slope * input elsewhere"""
    return (leaky_relu_ if inplace else ops.leaky_relu)(input, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input above 0, alpha * (exp(input) - 1) elsewhere"""
    return (elu_ if inplace else ops.elu)(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU with the constants of self-normalising networks"""
    return selu_(input) if inplace else ops.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input above 0, alpha * (exp(input / alpha) - 1) elsewhere"""
    return celu_(input, alpha) if inplace else ops.celu(input, alpha)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU with random slopes between `lower` and `upper`, in evaluation their mean"""
    return (rrelu_ if inplace else _rrelu)(input, lower, upper, training)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """value where input <= threshold, else input"""
    return (threshold_ if inplace else ops.threshold)(input, threshold, value)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """input / 6 + 1 / 2, between 0 and 1"""
    return (_twin("hardsigmoid") if inplace else ops.hardsigmoid)(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * hardsigmoid(input)"""
    return (_twin("hardswish") if inplace else ops.hardswish)(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)"""
    return (_twin("silu") if inplace else ops.silu)(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input))"""
    return (_twin("mish") if inplace else ops.mish)(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b being the halves of input along `dim`"""
    return ops.glu(input, dim)


def _axis(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """`dim`, or the axis that early versions chose."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        UserWarning,
        stacklevel=stacklevel + 1,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(input) / sum(exp(input)) over `dim`"""
    return ops.softmax(input, _axis("softmax", input, dim, _stacklevel), dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-input)"""
    return ops.softmin(input, _axis("softmin", input, dim, _stacklevel), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(input))"""
    return ops.log_softmax(input, _axis("log_softmax", input, dim, _stacklevel), dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau); with `hard` one-hot, by its gradient soft."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = logits.detach().clone().exponential_()  # type: ignore[attr-defined]
    gumbels = (logits - noise.log()) / tau  # type: ignore[operator]
    soft = ops.softmax(gumbels, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]  # type: ignore[attr-defined]
    chosen = soft.detach().mul(0.0).scatter_(dim, index, 1.0)  # type: ignore[attr-defined]
    return chosen - soft.detach() + soft  # type: ignore[operator]


__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]
