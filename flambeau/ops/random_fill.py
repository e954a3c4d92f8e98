"""Draws in place: `uniform_`, `normal_`, `bernoulli_`, `random_` and the other distributions.

A draw fills memory in order: a transposed tensor gets its values in the order in which its elements
lie, as in PyTorch, not row by row.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import dtypes
from ..core import random as core
from ..core.batching import (
    check_in_place_draw,
    check_same_draw,
    draw_shape,
    lift_drawn,
)
from ..core.data import storable
from ..core.execute import Op
from ..core.layout import expanded_shape, is_contiguous
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.random import FLOAT64, largest_integer
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..core.views import check_writable, overwrite
from ..dtypes import BY_NUMPY
from ..kernels import random as kernels
from .arguments import known, not_implemented_for
from .copying import ASSIGN
from .generator import generator_for
from .registry import declare

Sample = Callable[[int, np.dtype], np.ndarray]  # (how many, of which type) -> flat values

BERNOULLI = Op(kernels.bernoulli, vjp=kernels.no_gradient)

_C_NAMES = {
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
    "uint16": "short unsigned int",
    "uint32": "unsigned int",
    "uint64": "long unsigned int",
    "bool": "bool",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
}
_REAL = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): FLOAT64}


# Values in the order of memory


def arranged(
    flat: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...] | None
) -> np.ndarray:
    """Values in the order of memory as an array of `shape`, whose elements lie by `strides`."""
    if strides is None or is_contiguous(shape, strides):
        return flat.reshape(shape)
    axes = sorted(range(len(shape)), key=lambda axis: -strides[axis])
    ordered = flat.reshape([shape[axis] for axis in axes])
    return np.ascontiguousarray(ordered.transpose(np.argsort(axes)))


def drawn(
    sample: Sample, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None
) -> Any:
    """The values that `sample` draws, arranged for a tensor of these strides.

    A complex number is drawn as its real and its imaginary part.
    """

    def values() -> np.ndarray:
        count = math.prod(shape)
        if dtype in _REAL:
            flat = sample(2 * count, _REAL[dtype]).view(dtype)
        else:
            flat = sample(count, dtype)
        return arranged(flat, shape, strides)

    if modes.levels:
        shape, strides = draw_shape(shape), None
        return lift_drawn(core.draw(values, shape, dtype))
    return core.draw(values, shape, dtype)


def strides_of(x: Tensor) -> tuple[int, ...] | None:
    """The strides of a tensor; None for one that lies row by row."""
    return None if x._is_plain() else x._strides_offset()[0]


def fill_randomly(x: Tensor, sample: Sample, label: str) -> Tensor:
    """Store draws into `x`, through whatever view it is. Returns `x`.

    Args:
        label: the name of the node on the tape where `x` has a history; its gradient is zero.
    """
    check_writable(x)
    if modes.levels:
        check_in_place_draw(x)
    shape, dtype, device = tuple(x._dims()), x._dtype_numpy(), x.device
    if device.type == "meta":
        value = wrap(jax.ShapeDtypeStruct(shape, dtype), device)
    else:
        value = wrap(drawn(sample, shape, dtype, strides_of(x)), device)
    return _stored(x, value, label)


def _stored(x: Tensor, value: Tensor, label: str) -> Tensor:
    if modes.grad and x.requires_grad:
        value = apply(ASSIGN, (x, value), label=label)
    return overwrite(x, value)


# Arguments


def _bound(
    function: str, names: tuple[str, ...], args: tuple[Any, ...], keywords: dict[str, Any]
) -> dict[str, Any]:
    """Arguments by name (`from` is a name that no Python parameter can have)."""
    if len(args) > len(names):
        raise TypeError(
            f"{function}() takes from 0 to {len(names)} positional arguments but {len(args)} were "
            "given"
        )
    found = dict(zip(names, args, strict=False))
    for name, value in keywords.items():
        if name not in names:
            raise TypeError(f"{function}() got an unexpected keyword argument '{name}'")
        if name in found:
            raise TypeError(f"{function}() got multiple values for argument '{name}'")
        found[name] = value
    return found


def real(function: str, name: str, position: int, value: Any) -> float:
    """A real number from a number, a NumPy scalar or a 0-d tensor."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return float(value)
    if isinstance(value, Tensor) and not value._dims() and not value.dtype.is_complex:
        return float(value.item())
    raise TypeError(
        f"{function}(): argument '{name}' (position {position}) must be float, not "
        f"{type(value).__name__}"
    )


def whole(function: str, value: Any) -> int:
    """A 64-bit integer from an integer, a NumPy one or a 0-d integer tensor."""
    if isinstance(value, Tensor) and not value._dims() and not value.dtype.is_floating_point:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(
            f"{function}() received an invalid combination of arguments - got "
            f"({type(value).__name__})"
        )
    result = value.__index__()
    if not -(1 << 63) <= result < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    return result


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RuntimeError(message)


def _c_name(dtype: dtypes.dtype) -> str:
    return _C_NAMES[str(dtype).removeprefix("torch.")]


def check_floating(x: Tensor, kernel: str, allow_complex: bool = True) -> None:
    """Raise as PyTorch's kernel does for integers, and for complex numbers unless allowed."""
    dtype = x.dtype
    if (dtype.is_floating_point and dtype.itemsize > 1) or (dtype.is_complex and allow_complex):
        return
    raise not_implemented_for(kernel, dtype)


# Continuous distributions


@declare(function=False)
def uniform_(self: Tensor, *args: Any, generator: Any = None, **keywords: Any) -> Tensor:
    """Fill with uniform values in [from, to).

    Args:
        from: the lower bound, 0 by default.
        to: the upper bound, 1 by default.
        generator: where the numbers come from; the default generator by default.

    Raises:
        RuntimeError: the bounds are out of order, or out of the type's range.
    """
    bounds = _bound("uniform_", ("from", "to"), args, keywords)
    low = real("uniform_", "from", 1, bounds.get("from", 0.0))
    high = real("uniform_", "to", 2, bounds.get("to", 1.0))
    source = generator_for("uniform_", generator)
    if self.device.type != "meta":
        check_uniform(self.dtype, low, high)
    return fill_randomly(self, lambda n, t: source.uniform(n, low, high, t), "UniformBackward0")


def check_uniform(dtype: dtypes.dtype, low: float, high: float) -> None:
    """Raise where `uniform_` cannot draw from [low, high) in this type."""
    real_type = dtype.to_real()
    if not real_type.is_floating_point or real_type.itemsize == 1:
        raise not_implemented_for("check_uniform_bounds", dtype)
    largest = float(dtypes.finfo(real_type).max)
    name = _c_name(real_type)
    _require(abs(low) <= largest, f"from is out of bounds for {name}")
    _require(abs(high) <= largest, f"to is out of bounds for {name}")
    _require(
        low <= high,
        f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}",
    )
    _require(
        high - low <= largest,
        f"uniform_ expects to-from <= std::numeric_limits<{scalar_type_name(real_type)}>::max(), "
        f"but found to={high:g} and from={low:g} which result in to-from to exceed the limit",
    )


@declare(function=False)
def normal_(self: Tensor, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Tensor:
    """Fill with normal values. Of a complex number each part has the variance std**2 / 2.

    Raises:
        RuntimeError: `std` is negative.
    """
    mean, std = real("normal_", "mean", 1, mean), real("normal_", "std", 2, std)
    source = generator_for("normal_", generator)
    if self.device.type != "meta":
        _require(std >= 0, f"normal expects std >= 0.0, but found std {std:g}")
        check_floating(self, "normal_kernel_cpu")
    return fill_randomly(self, normal_sample(self, source, mean, std), "NormalBackward0")


def normal_sample(x: Tensor, source: core.Generator, mean: float, std: float) -> Sample:
    """Normal draws for `x`, whose order in memory decides by which of two ways they are made."""
    contiguous = x._is_plain() or is_contiguous(tuple(x._dims()), x._strides_offset()[0])
    if x.dtype.is_complex:
        std = std / math.sqrt(2)
    return lambda n, t: source.normal(n, mean, std, t, contiguous)


@declare(function=False)
def log_normal_(self: Tensor, mean: Any = 1.0, std: Any = 2.0, *, generator: Any = None) -> Tensor:
    """Fill with exponentials of normal values.

    Raises:
        RuntimeError: `std` is not positive.
    """
    mean, std = real("log_normal_", "mean", 1, mean), real("log_normal_", "std", 2, std)
    source = generator_for("log_normal_", generator)
    _require(std > 0, f"log_normal_ expects std > 0.0, but found std={std:g}")
    check_floating(self, "log_normal_cpu", allow_complex=False)
    return fill_randomly(
        self, lambda n, t: source.log_normal(n, mean, std, t), "LogNormalBackward0"
    )


@declare(function=False)
def exponential_(self: Tensor, lambd: Any = 1.0, *, generator: Any = None) -> Tensor:
    """Fill with exponential values of rate `lambd`.

    Raises:
        RuntimeError: the rate is not positive, or the type is not a floating one.
    """
    rate = real("exponential_", "lambd", 1, lambd)
    source = generator_for("exponential_", generator)
    _require(
        self.dtype.is_floating_point,
        "Exponential distribution is a continuous probability distribution. dtype must be a "
        f"floating point but you specified {scalar_type_name(self.dtype)}",
    )
    _require(rate > 0, f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    return fill_randomly(self, lambda n, t: source.exponential(n, rate, t), "ExponentialBackward0")


@declare(function=False)
def cauchy_(self: Tensor, median: Any = 0.0, sigma: Any = 1.0, *, generator: Any = None) -> Tensor:
    """Fill with Cauchy values.

    Raises:
        RuntimeError: `sigma` is not positive, or the type is not a floating one.
    """
    median, sigma = real("cauchy_", "median", 1, median), real("cauchy_", "sigma", 2, sigma)
    source = generator_for("cauchy_", generator)
    _require(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _require(
        self.dtype.is_floating_point,
        "Cauchy distribution is a continuous probability distribution. dtype must be a floating "
        f"point but you specified {scalar_type_name(self.dtype)}",
    )
    return fill_randomly(self, lambda n, t: source.cauchy(n, median, sigma, t), "CauchyBackward0")


# Discrete distributions


@declare(function=False)
def geometric_(self: Tensor, p: Any, *, generator: Any = None) -> Tensor:
    """Fill with numbers of trials up to the first success.

    Raises:
        RuntimeError: `p` is not in (0, 1).
    """
    p = real("geometric_", "p", 1, p)
    source = generator_for("geometric_", generator)
    _require(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if self.dtype.is_complex or self.dtype is dtypes.bool:
        raise not_implemented_for("geometric_cpu", self.dtype)
    return fill_randomly(self, lambda n, t: source.geometric(n, p, t), "GeometricBackward0")


@declare(function=False)
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fill with 1 with probability `p` (a number, or a tensor of probabilities), else 0.

    Raises:
        RuntimeError: a probability is not in [0, 1].
    """
    source = generator_for("bernoulli_", generator)
    if isinstance(p, Tensor):
        return bernoulli_into(self, p, source)
    p = real("bernoulli_", "p", 1, p)
    if self.device.type != "meta":
        _require(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        if self.dtype.is_complex:
            raise not_implemented_for("bernoulli_scalar_cpu_", self.dtype)
    return fill_randomly(self, lambda n, t: source.bernoulli(n, p).astype(t), "BernoulliBackward2")


def bernoulli_into(x: Tensor, p: Tensor, source: core.Generator) -> Tensor:
    """Store draws with the probabilities `p`, broadcast to its shape, into `x`."""
    check_writable(x, (p,))
    shape = tuple(x._dims())
    expanded_shape(tuple(p._dims()), shape, p.type())
    value = bernoulli_of(p, source, shape, x._dtype_numpy(), strides_of(x), "BernoulliBackward1")
    return _stored(x, value, "BernoulliBackward1")


def bernoulli_of(
    p: Tensor,
    source: core.Generator,
    shape: tuple[int, ...],
    dtype: np.dtype,
    strides: tuple[int, ...] | None,
    label: str,
) -> Tensor:
    """Draws with the probabilities `p`, broadcast to `shape`: one word each, two for float64."""
    if BY_NUMPY[dtype].is_complex:
        raise not_implemented_for("bernoulli_tensor_cpu_self_", BY_NUMPY[dtype])
    if not p.dtype.is_floating_point:
        raise not_implemented_for("bernoulli_tensor_cpu_p_", p.dtype)
    values = known(p)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message "
            "be improved?  If so, please report an enhancement request to PyTorch.)"
        )
    if modes.levels:
        check_same_draw(p)
    wide = FLOAT64 if p._dtype_numpy() == FLOAT64 else np.dtype(np.float32)
    if p.device.type == "meta":
        uniforms = wrap(jax.ShapeDtypeStruct(shape, wide), p.device)
    else:
        uniforms = wrap(drawn(lambda n, t: source.uniform(n, dtype=t), shape, wide, strides))
    return apply(BERNOULLI, (p, uniforms), (dtype,), label=label)


@declare(function=False)
def random_(self: Tensor, *args: Any, generator: Any = None, **keywords: Any) -> Tensor:
    """Fill with whole numbers of equal probability.

    `random_()` draws from 0 to the largest number that the type counts to, `random_(to)` from 0 to
    `to - 1`, `random_(from, to)` from `from` to `to - 1`; `to=None` stands for no limit.

    Raises:
        RuntimeError: the range is empty, or out of the type's range.
    """
    if len(args) == 1 and not keywords:
        args, keywords = (), {"to": args[0]}
    bounds = _bound("random_", ("from", "to"), args, keywords)
    source = generator_for("random_", generator)
    if not bounds:
        if self.dtype.is_complex or str(self.dtype) in (
            "torch.uint16",
            "torch.uint32",
            "torch.uint64",
        ):
            raise not_implemented_for("random_kernel_cpu", self.dtype)
        return fill_randomly(self, source.random, "RandomBackward2")
    low = whole("random_", bounds.get("from", 0))
    high = None if bounds.get("to") is None else whole("random_", bounds["to"])
    label = "RandomBackward0" if "from" in bounds else "RandomBackward1"
    return fill_randomly(self, integer_sample(self.dtype, source, low, high), label)


def integer_sample(
    dtype: dtypes.dtype, source: core.Generator, low: int, high: int | None
) -> Sample:
    """Draws of whole numbers in [low, high), after PyTorch's checks of the bounds."""
    if high is not None and low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    _check_whole_bound(dtype, "from", low)
    if high is not None:
        _check_whole_bound(dtype, "to - 1", high - 1)
    if dtype.is_floating_point:
        low, high = _rounded_bounds(dtype, low, high)
    if high is None:
        high = largest_integer(storable(dtype)) + 1
    return lambda n, t: source.integers(n, low, high, t)


def _rounded_bounds(dtype: dtypes.dtype, low: int, high: int | None) -> tuple[int, int | None]:
    """Bounds beyond the numbers that a floating type counts without gaps, moved inwards."""
    holder = storable(dtype)
    digits = largest_integer(holder).bit_length() - 1

    def rounded(value: int) -> int:
        single = np.float64(value).astype(np.float32 if dtype.itemsize < 8 else np.float64)
        return int(single.astype(holder))

    def gap(value: int) -> int:
        return 1 << (abs(value).bit_length() - digits)

    if rounded(low + 1) < low:
        low = rounded(low + 1) + gap(low + 1)
    if high is None:
        return low, None
    if rounded(high - 1) >= high:
        high = rounded(high - 1) - gap(high - 1)
    _require(
        low < high,
        "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
        f"from={low} >= to={high}",
    )
    return low, high


def _check_whole_bound(dtype: dtypes.dtype, name: str, value: int) -> None:
    if dtype.is_complex:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types"
        )
    if dtype is dtypes.bool:
        lowest, highest = 0, 1
    elif dtype.is_floating_point:
        lowest, highest = -float(dtypes.finfo(dtype).max), float(dtypes.finfo(dtype).max)
    else:
        lowest, highest = dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max
    _require(lowest <= value <= highest, f"{name} is out of bounds for {_c_name(dtype)}")
    if dtype.is_floating_point:
        limit = largest_integer(storable(dtype))
        if not -limit <= value <= limit:
            digits = limit.bit_length() - 1
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision "
                f"limitations {_c_name(dtype)} can support discrete uniform distribution only "
                "within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance",
                UserWarning,
                stacklevel=4,
            )
