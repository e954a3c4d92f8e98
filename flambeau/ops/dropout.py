"""Dropout in its forms, and rrelu: functions that draw a mask or slopes as they go.

Masks come from the default generator, in the order of the input's memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.layout import propagated_strides
from ..core.op import apply
from ..core.random import FLOAT32, FLOAT64, draw
from ..core.tensor import Tensor, wrap
from ..core.views import check_writable
from ..kernels import random as kernels
from .arguments import check_tensor, not_implemented_for
from .generator import default_generator, generator_for
from .random_fill import drawn, real, strides_of
from .registry import check_castable, declare, store

DROPOUT = Op(kernels.dropout, name="Mul", pointwise=True)
SHIFT = Op(kernels.shift, name="Add", pointwise=True)
RRELU = Op(kernels.rrelu, name="RreluWithNoise")
RRELU_EVALUATED = Op(kernels.rrelu_evaluated, name="RreluWithNoise")

_SELU_LIMIT = 1.7580993408473766  # scale * alpha of selu, which tends to minus this
_BOOL = np.dtype(bool)


# Note [Rounding of dropout]
# PyTorch multiplies by a noise tensor of the input's type, whose elements are 0 or 1 / (1 - p). So
# the factors are rounded to that type before they are used; alpha dropout multiplies and adds in
# two steps, and so do we: one program would fuse them into one rounding.


def _left_alone(function: str, x: Any, p: float, train: Any, features: bool) -> bool:
    """Whether dropout returns `x` itself; raises PyTorch's errors."""
    check_tensor(function, x)
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0 or not train or not x.numel():
        return True
    if features and x.dim() < 2 and p < 1:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if p < 1 and x.dtype.is_complex:
        raise not_implemented_for("bernoulli_scalar_cpu_", x.dtype)
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        check_castable(dtypes.float32, x.dtype)
    return False


def _mask(x: Tensor, keep: float, features: bool) -> Any:
    """An array: True with probability `keep`, for each element or each channel of each sample."""
    shape = tuple(x._dims())
    strides = strides_of(x)
    if features:
        shape, strides = shape[:2] + (1,) * (len(shape) - 2), None
    elif strides is not None:
        strides = propagated_strides([(shape, strides)], shape)
    if x.device.type == "meta":
        return jax.ShapeDtypeStruct(shape, _BOOL)
    return drawn(lambda n, t: default_generator.bernoulli(n, keep), shape, _BOOL, strides)


def _wide(dtype: np.dtype) -> np.dtype:
    return FLOAT64 if dtype == FLOAT64 else FLOAT32


def _rounded(dtype: np.dtype, value: float) -> float:
    """`value` as the type holds it (Note [Rounding of dropout])."""
    return float(_wide(dtype).type(value).astype(dtype))


def _dropped(x: Tensor, p: float, features: bool) -> Tensor:
    if p == 1:
        return apply(DROPOUT, (x, np.zeros((), _BOOL), 0.0))
    dtype = x._dtype_numpy()
    one = _wide(dtype).type(1)
    scale = _rounded(dtype, float(one / _wide(dtype).type(1 - p)))
    return apply(DROPOUT, (x, _mask(x, 1 - p, features), scale))


def _alpha_dropped(x: Tensor, p: float, features: bool) -> Tensor:
    if p == 1:
        return _dropped(x, p, features)
    dtype = x._dtype_numpy()
    scale = 1 / math.sqrt((_SELU_LIMIT * _SELU_LIMIT * p + 1) * (1 - p))
    kept = _rounded(dtype, _SELU_LIMIT * scale * p)
    limit = _wide(dtype).type(_rounded(dtype, -_SELU_LIMIT * scale))
    dropped = _rounded(dtype, float(limit + _wide(dtype).type(_SELU_LIMIT * scale * p)))
    mask = _mask(x, 1 - p, features)
    scaled = apply(DROPOUT, (x, mask, _rounded(dtype, scale)))
    return apply(SHIFT, (scaled, mask, kept, dropped))


def _declare_dropout(
    name: str, body: Callable[[Tensor, float, bool], Tensor], features: bool, what: str
) -> None:
    """`torch.name(input, p, train)` and `torch.name_`, which write into the input."""

    def function(input: Tensor, p: float, train: bool) -> Tensor:
        rate = real(name, "p", 2, p)
        if _left_alone(name, input, rate, train, features):
            return input
        return body(input, rate, features)

    def in_place(input: Tensor, p: float, train: bool) -> Tensor:
        rate = real(name + "_", "p", 2, p)
        if _left_alone(name + "_", input, rate, train, features):
            return input
        check_writable(input)
        return store(input, body(input, rate, features))

    function.__doc__ = f"{what} with probability `p` while `train`."
    in_place.__doc__ = f"`{name}` in place."
    for made, public in ((function, name), (in_place, name + "_")):
        made.__name__ = made.__qualname__ = public
        declare(method=False)(made)


_declare_dropout("dropout", _dropped, False, "Zero each element, and divide the others by 1 - p,")
_declare_dropout(
    "feature_dropout", _dropped, True, "Zero each channel, and divide the others by 1 - p,"
)
_declare_dropout(
    "alpha_dropout", _alpha_dropped, False, "Set each element to selu's limit, keep the mean,"
)
_declare_dropout(
    "feature_alpha_dropout",
    _alpha_dropped,
    True,
    "Set each channel to selu's limit, keep the mean,",
)


@declare(method=False)
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: Any = None,
) -> Tensor:
    """`input` where positive, elsewhere times a slope drawn from [lower, upper).

    Args:
        training: draw slopes; otherwise (lower + upper) / 2 is used.
        generator: where the slopes come from; the default generator by default.

    Raises:
        RuntimeError: `lower` is more than `upper`.

    Source: Xu et al., "Empirical evaluation of rectified activations in convolutional network",
    2015.
    """
    return _rrelu("rrelu", input, lower, upper, training, generator)


@declare(method=False)
def rrelu_(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: Any = None,
) -> Tensor:
    """`rrelu` in place."""
    check_tensor("rrelu_", input)
    check_writable(input)
    return store(input, _rrelu("rrelu_", input, lower, upper, training, generator))


def _rrelu(
    function: str, input: Tensor, lower: Any, upper: Any, training: Any, generator: Any
) -> Tensor:
    check_tensor(function, input)
    low, high = real(function, "lower", 2, lower), real(function, "upper", 3, upper)
    source = generator_for(function, generator)
    if low > high:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return apply(RRELU_EVALUATED, (input, (low + high) / 2))
    dtype = input._dtype_numpy()
    if dtype not in (FLOAT32, FLOAT64):
        raise not_implemented_for("rrelu_with_noise_out_cpu", input.dtype)
    if input.device.type == "meta":
        slopes = wrap(jax.ShapeDtypeStruct(tuple(input._dims()), dtype), input.device)
        return apply(RRELU, (input, slopes))
    falling = input._host() <= 0
    start, stop = float(dtype.type(low)), float(dtype.type(high))

    def drawn_slopes() -> np.ndarray:
        """Slopes for the elements that are not positive, in their order, and 1 for the others."""
        slopes = np.ones(falling.shape, dtype)
        slopes[falling] = source.engine.doubles(int(falling.sum())) * (stop - start) + start
        return slopes

    return apply(RRELU, (input, wrap(draw(drawn_slopes, falling.shape, dtype), input.device)))
