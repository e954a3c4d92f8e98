"""Powers, reciprocals and absolute values."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import power as kernels
from .arguments import check_tensor, invalid_arguments, not_implemented_for
from .elementwise import complex_type, make_op, unary
from .pointwise import promoted
from .registry import declare, in_place_twin, store_out

POWER = make_op(kernels.power, "Pow")
POWER_FIXED = make_op(kernels.power_fixed, "Pow")


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input to the power of exponent; one of them may be a number.

    >>> import flambeau as torch
    >>> torch.pow(torch.tensor([1, 2, 3]), 2)
    tensor([1, 4, 9])
    """
    if out is not None:
        return store_out(out, pow, "pow", (input, exponent), {})
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise invalid_arguments("pow", input, exponent)
    try:
        base, power, common = promoted(input, exponent)
    except TypeError:
        raise invalid_arguments("pow", input, exponent) from None
    if common is dtypes.bool:
        raise not_implemented_for("pow", common)
    if isinstance(power, Tensor):
        label = "PowBackward1" if isinstance(base, Tensor) else "PowBackward2"
        return apply(POWER, (base, power), (common.numpy,), label)
    whole = not (common.is_floating_point or common.is_complex)
    if whole and power < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if (whole and power <= 8) or power in kernels.FIXED_EXPONENTS:
        fixed = int(power) if power == int(power.real) else float(power.real)
        return apply(POWER_FIXED, (base,), (fixed, common.numpy))
    return apply(POWER, (base, power), (common.numpy,))


declare(inplace=True, out=True, short={"pointwise": True})(pow)


def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input to the power of exponent, in float64 (or complex128)."""
    if out is not None:
        return store_out(out, float_power, "float_power", (input, exponent), {})
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise invalid_arguments("float_power", input, exponent)
    base, power, common = promoted(input, exponent)
    wide = dtypes.complex128 if common.is_complex else dtypes.float64
    number = complex if common.is_complex else float
    base, power = (x.to(wide) if isinstance(x, Tensor) else number(x) for x in (base, power))
    return pow(base, power)


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place version of `float_power`, for float64 and complex128 tensors."""
    complex_result = self.dtype.is_complex or isinstance(exponent, complex)
    needed = dtypes.complex128 if complex_result else dtypes.float64
    if self.dtype is not needed:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype._scalar_name} but the "
            f"operation's result requires dtype {needed._scalar_name}"
        )
    return _float_power_twin(self, exponent)


_float_power_twin = in_place_twin(float_power, "float_power_")
declare(out=True)(float_power)
declare(function=False)(float_power_)

reciprocal = unary("reciprocal", kernels.reciprocal, "1 / input", result="float")


def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * input"""
    check_tensor("square", input)
    return pow(input, 2, out=out)


declare(inplace=True, inplace_function=True, out=True, short={"pointwise": True})(square)

ABS = make_op(kernels.absolute, "Abs")


def abs(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The absolute value; of a complex number, its length."""
    check_tensor("abs", input)
    if input.dtype is dtypes.bool:
        raise not_implemented_for("abs_cpu", input.dtype)
    if out is not None:
        if out.dtype is not input.dtype.to_real():
            raise RuntimeError(
                f"Found dtype {out.dtype._scalar_name} but expected "
                f"{input.dtype.to_real()._scalar_name}"
            )
        return store_out(out, abs, "abs", (input,), {})
    return apply(ABS, (input,), (complex_type(input.dtype),))


def abs_(self: Tensor) -> Tensor:
    """In-place version of `abs`."""
    if self.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return _abs_twin(self)


_abs_twin = in_place_twin(abs, "abs_")
declare(out=True, aliases=("absolute",), short={"pointwise": True})(abs)
declare()(abs_)
declare(function=False, name="absolute_")(abs_)
