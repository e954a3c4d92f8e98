"""Activation functions of the `torch` namespace, and those that `nn.functional` adds to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.shortcut import shortcut
from ..core.tensor import Tensor
from ..errors import dimension
from ..kernels import activation as kernels
from . import checks
from .autocast import autocast
from .registry import FUNCTIONS, declare, in_place_twin


def _pointwise(kernel: Callable[..., Any], name: str | None = None) -> Op:
    vjp = getattr(kernels, kernel.__name__ + "_vjp", None)
    return Op(kernel, name=name, vjp=vjp, pointwise=True)


RELU = _pointwise(kernels.relu)
HARDTANH = _pointwise(kernels.hardtanh)
LEAKY_RELU = _pointwise(kernels.leaky_relu)
PRELU = _pointwise(kernels.prelu, "PreluKernel")
THRESHOLD = _pointwise(kernels.threshold)
HARDSHRINK = _pointwise(kernels.hardshrink)
SOFTSHRINK = _pointwise(kernels.softshrink)
HARDSIGMOID = _pointwise(kernels.hardsigmoid)
HARDSWISH = _pointwise(kernels.hardswish)
ELU = _pointwise(kernels.elu)
SOFTPLUS = _pointwise(kernels.softplus)
LOG_SIGMOID = _pointwise(kernels.logsigmoid, "LogSigmoid")
SILU = _pointwise(kernels.silu)
MISH = _pointwise(kernels.mish)
GELU = _pointwise(kernels.gelu)
SOFTSIGN = _pointwise(kernels.softsign, "Div")
TANHSHRINK = _pointwise(kernels.tanhshrink, "Sub")
GLU = Op(kernels.glu)
SOFTMAX = Op(kernels.softmax, vjp=kernels.softmax_vjp)
LOG_SOFTMAX = Op(kernels.log_softmax, vjp=kernels.log_softmax_vjp)
SOFTMIN = Op(kernels.softmin, name="Softmax", vjp=kernels.softmin_vjp)


@declare(inplace=True, inplace_function=True, short={"pointwise": True})
def relu(input: Tensor) -> Tensor:
    """max(input, 0)

    >>> torch.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    kind = checks.tensor("relu", input)._dtype_numpy().kind
    if kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    if kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    return apply(RELU, (input,))


@partial(shortcut, pointwise=True)
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """input, at least `min_val` and at most `max_val`"""
    dtype = checks.tensor("hardtanh", input).dtype
    if dtype is dtypes.bool:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if dtype is dtypes.uint8 and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if dtype.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    return apply(HARDTANH, (input,), (float(min_val), float(max_val)))


@partial(shortcut, pointwise=True)
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """input above 0, negative_slope * input elsewhere"""
    checks.floating("leaky_relu_cpu", checks.tensor("leaky_relu", input))
    return apply(LEAKY_RELU, (input,), (float(negative_slope),))


@declare(method=False, out=True)
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """value where input <= threshold, else input"""
    checks.floating("threshold_cpu", checks.tensor("threshold", input), integers=True)
    return apply(THRESHOLD, (input,), (float(threshold), float(value)))


@declare(out=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where -lambd <= input <= lambd, else input"""
    checks.floating("hardshrink_cpu", checks.tensor("hardshrink", input))
    return apply(HARDSHRINK, (input,), (float(lambd),))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input moved towards 0 by lambd, 0 where it would pass it"""
    checks.floating("softshrink_check", checks.tensor("softshrink", input))
    if not 0 <= lambd <= dtypes.finfo(input.dtype).max:
        raise RuntimeError(
            f"lambda must be in range [0, {dtypes.finfo(input.dtype).max:.6g}] for input dtype "
            f"{scalar_type_name(input.dtype)}, but found {lambd:g}"
        )
    return apply(SOFTSHRINK, (input,), (float(lambd),))


def hardsigmoid(input: Tensor) -> Tensor:
    """input / 6 + 1 / 2, between 0 and 1"""
    checks.floating("hardsigmoid_cpu", checks.tensor("hardsigmoid", input))
    return apply(HARDSIGMOID, (input,))


def hardswish(input: Tensor) -> Tensor:
    """input * hardsigmoid(input)"""
    checks.floating("hardswish_cpu", checks.tensor("hardswish", input))
    return apply(HARDSWISH, (input,))


def _elu(input: Tensor, alpha: float, scale: float, input_scale: float, label: str) -> Tensor:
    checks.floating("elu_cpu", input)
    return apply(ELU, (input,), (alpha, scale, input_scale), label)


@partial(shortcut, pointwise=True)
def elu(input: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """input above 0, alpha * (exp(input) - 1) elsewhere"""
    checks.tensor("elu", input)
    return _elu(input, float(alpha), float(scale), float(input_scale), "EluBackward0")


@declare(method=False)
def selu(input: Tensor) -> Tensor:
    """ELU with the constants of self-normalising networks"""
    checks.tensor("selu", input)
    return _elu(input, kernels.SELU_ALPHA, kernels.SELU_SCALE, 1.0, "EluBackward0")


@declare(method=False)
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """input above 0, alpha * (exp(input / alpha) - 1) elsewhere"""
    checks.tensor("celu", input)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(input, float(alpha), 1.0, 1 / float(alpha), "CeluBackward0")


@autocast("softplus")
@partial(shortcut, pointwise=True)
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold"""
    checks.floating("softplus_cpu", checks.tensor("softplus", input))
    return apply(SOFTPLUS, (input,), (float(beta), float(threshold)))


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-input)))"""
    checks.floating("log_sigmoid_cpu", checks.tensor("log_sigmoid", input))
    return apply(LOG_SIGMOID, (input,))


@partial(shortcut, pointwise=True)
def silu(input: Tensor) -> Tensor:
    """input * sigmoid(input)"""
    if not checks.tensor("silu", input).dtype.is_complex:
        checks.floating("silu_cpu", input)
    return apply(SILU, (input,))


@partial(shortcut, pointwise=True)
def mish(input: Tensor) -> Tensor:
    """input * tanh(softplus(input))"""
    checks.floating("mish_cpu", checks.tensor("mish", input))
    return apply(MISH, (input,))


@partial(shortcut, pointwise=True)
def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """input * Phi(input), exactly ('none') or by its 'tanh' approximation"""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    checks.floating("GeluKernelImpl", checks.tensor("gelu", input))
    return apply(GELU, (input,), (approximate,))


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)"""
    return apply(SOFTSIGN, (_floating(checks.tensor("softsign", input), "abs_cpu"),))


def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)"""
    x = checks.tensor("tanhshrink", input)
    return apply(TANHSHRINK, (_floating(x, "tanhshrink"),))


def _floating(x: Tensor, kernel: str) -> Tensor:
    """Integers in the default type."""
    if x.dtype is dtypes.bool:
        checks.floating(kernel, x)
    if x.dtype.is_floating_point or x.dtype.is_complex:
        return x
    return x.to(dtypes.get_default_dtype())  # type: ignore[attr-defined]


@declare()
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input above 0, weight * input elsewhere; one weight, or one a channel (axis 1)"""
    checks.floating("prelu_cpu", checks.tensor("prelu", input))
    checks.tensor("prelu", weight, "weight", 2)
    shape = input._dims()
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            "prelu: Type promoting not supported. Got "
            f"{scalar_type_name(input.dtype)} and {scalar_type_name(weight.dtype)}"
        )
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.numel() != 1:
        channels = shape[1] if len(shape) > 1 else 1
        if not shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != weight.numel():
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
        weight = weight.view(-1, *(1,) * (len(shape) - 2))  # type: ignore[attr-defined]
    elif weight.ndim:
        weight = weight.view(())  # type: ignore[attr-defined]
    return apply(PRELU, (input, weight))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b being the halves of input along `dim`"""
    if not checks.tensor("glu", input).ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = dimension(dim, input.ndim)
    if input._dims()[axis] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {axis} is size {input._dims()[axis]}"
        )
    checks.floating("glu_cpu", input)
    return apply(GLU, (input,), (axis,))


def _over_axis(op: Op, name: str, kernel: str, input: Tensor, dim: int, dtype: Any) -> Tensor:
    axis = dimension(dim, checks.tensor(name, input).ndim)
    if dtype is None:
        checks.floating(kernel, input)
        return apply(op, (input,), (axis, None))
    if not input.dtype.is_floating_point:
        return apply(op, (input.to(dtype),), (axis, None))  # type: ignore[attr-defined]
    return apply(op, (input,), (axis, dtype.numpy))


@declare(out=True, short={})
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input) / sum(exp(input)) over `dim`

    >>> torch.softmax(torch.zeros(2, 2), dim=1)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    return _over_axis(SOFTMAX, "softmax", "softmax_lastdim_kernel_impl", input, dim, dtype)


@declare(out=True, short={})
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """input - log(sum(exp(input))) over `dim`"""
    kernel = "log_softmax_lastdim_kernel_impl"
    return _over_axis(LOG_SOFTMAX, "log_softmax", kernel, input, dim, dtype)


def softmin(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """softmax(-input)"""
    return _over_axis(SOFTMIN, "softmin", "softmax_lastdim_kernel_impl", input, dim, dtype)


IN_PLACE = {
    function.__name__: in_place_twin(function, function.__name__ + "_")
    for function in (
        hardtanh,
        leaky_relu,
        hardsigmoid,
        hardswish,
        elu,
        silu,
        mish,
        threshold,
        selu,
        celu,
    )
}
FUNCTIONS.update((name + "_", IN_PLACE[name]) for name in ("threshold", "selu", "celu"))
