"""Rounding, division with a remainder, mantissa and exponent."""

from __future__ import annotations

from typing import Any

from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import rounding as kernels
from .arguments import check_tensor, invalid_arguments, not_implemented_for
from .elementwise import (
    UNSUPPORTED,
    binary,
    check_divisor,
    kind_of,
    make_op,
    unary,
    unsupported,
    without_derivative,
)
from .pointwise import promoted
from .registry import declare, store_out
from .return_types import named_result


def _no_complex(name: str) -> dict[str, Exception]:
    return {
        "b": UNSUPPORTED,
        "c": NotImplementedError(f"{name} is not supported for complex inputs"),
    }


for _name, _doc, _aliases in (
    ("floor", "The largest whole number not above input", ()),
    ("ceil", "The smallest whole number not below input", ()),
    ("trunc", "input without its fraction", ("fix",)),
):
    unary(
        _name,
        getattr(kernels, _name),
        _doc,
        refusals=_no_complex(_name),
        kernel_name=f"{_name}_vml_cpu",
        aliases=_aliases,
    )
frac = unary(
    "frac", kernels.frac, "The fraction: input - trunc(input)", refusals=unsupported("bic")
)

ROUND = make_op(kernels.round)


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest number with `decimals` digits after the point; halves go to the even one.

    >>> import flambeau as torch
    >>> torch.round(torch.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    """
    if out is not None:
        return store_out(out, round, "round", (input,), {"decimals": decimals})
    check_tensor("round", input)
    refused = "bc" if decimals == 0 else "bic"
    if kind_of(input.dtype) in refused:
        raise not_implemented_for("round_cpu" if decimals else "round_vml_cpu", input.dtype)
    label = "RoundBackward1" if decimals else None
    return apply(ROUND, (input,), (int(decimals), None), label)


declare(inplace=True, inplace_function=True, out=True)(round)

# Quotients and remainders

fmod = binary(
    "fmod",
    kernels.fmod,
    "The remainder of input / other, with the sign of input",
    numbers="other",
    refusals=unsupported("bc"),
    label="FmodBackward1",
    number_label="FmodBackward0",
    check=check_divisor,
)

REMAINDER = make_op(kernels.remainder)


def remainder(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """The remainder of input / other, with the sign of other: input - other * floor(input / other).

    >>> import flambeau as torch
    >>> torch.remainder(torch.tensor([-3, 5]), 3)
    tensor([0, 2])
    """
    if out is not None:
        return store_out(out, remainder, "remainder", (input, other), {})
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise invalid_arguments("remainder", input, other)
    a, b, common = promoted(input, other)
    if kind_of(common) in "bc":
        raise not_implemented_for("remainder_cpu", common)
    check_divisor(a, b, common)
    if not isinstance(a, Tensor):
        result = apply(REMAINDER, (a, b.detach()), (common.numpy,))
        return without_derivative(result, (b,), "remainder")
    label = "RemainderBackward1" if isinstance(b, Tensor) else None
    return apply(REMAINDER, (a, b), (common.numpy,), label)


declare(inplace=True, out=True)(remainder)

QUOTIENTS = {"trunc": make_op(kernels.trunc_divide), "floor": make_op(kernels.floor_divide)}


def rounded_division(input: Any, other: Any, rounding_mode: str) -> Tensor:
    """input / other rounded towards zero ("trunc") or down ("floor")."""
    if rounding_mode not in QUOTIENTS:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    a, b, common = promoted(input, other)
    if kind_of(common) in "bc":
        raise not_implemented_for(f"div_{rounding_mode}_cpu", common)
    check_divisor(a, b, common)
    return apply(QUOTIENTS[rounding_mode], (a, b), (common.numpy,), "DivBackward2")


def floor_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input / other rounded down. It has no derivative: the backward pass raises.

    >>> import flambeau as torch
    >>> torch.floor_divide(torch.tensor([4.0, -3.0]), 2)
    tensor([ 2., -2.])
    """
    if out is not None:
        return store_out(out, floor_divide, "floor_divide", (input, other), {})
    if not any(isinstance(x, Tensor) and x.requires_grad for x in (input, other)):
        return rounded_division(input, other, "floor")
    a, b = (x.detach() if isinstance(x, Tensor) else x for x in (input, other))
    return without_derivative(rounded_division(a, b, "floor"), (input, other), "floor_divide")


declare(inplace=True, out=True)(floor_divide)

# Mantissa and exponent

FREXP = make_op(kernels.frexp)
ldexp = binary("ldexp", kernels.ldexp, "input * 2^other", result="float", inplace_function=True)


@declare(out=True)
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent) with input = mantissa * 2^exponent and 0.5 <= |mantissa| < 1."""
    check_tensor("frexp", input)
    if not input.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    mantissa, exponent = apply(FREXP, (input,), (None,))
    return named_result("frexp", ("mantissa", "exponent"))((mantissa, exponent.detach()))
