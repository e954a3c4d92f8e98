"""Bits, truth values, whole numbers, and tests of numbers."""

from __future__ import annotations

import numpy as np

from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import integers, numbers
from .arguments import check_tensor, known
from .elementwise import binary, make_op, unary, unsupported
from .registry import declare

unary(
    "bitwise_not",
    integers.bitwise_not,
    "Every bit inverted; for bools, not",
    refusals=unsupported("fc"),
    inplace_function=False,
    differentiable=False,
)
for _name, _doc, _kernel_name, _refused in (
    ("bitwise_and", "The bits set in both", "bitwise_and_cpu", "fc"),
    ("bitwise_or", "The bits set in either", "bitwise_or_cpu", "fc"),
    ("bitwise_xor", "The bits set in one alone", "bitwise_xor_cpu", "fc"),
    ("bitwise_left_shift", "input * 2^other, in its bits", "lshift_cpu", "bfc"),
    ("bitwise_right_shift", "input / 2^other, rounded down", "rshift_cpu", "bfc"),
):
    binary(
        _name,
        getattr(integers, _name),
        _doc,
        numbers="both",
        refusals=unsupported(_refused),
        kernel_name=_kernel_name,
        differentiable=False,
    )
for _name, _doc in (
    ("gcd", "The greatest common divisor"),
    ("lcm", "The least common multiple"),
):
    binary(
        _name,
        getattr(integers, _name),
        _doc,
        refusals=unsupported("bfc"),
        differentiable=False,
        inplace_function=True,
    )
unary(
    "logical_not",
    integers.logical_not,
    "Whether the element is zero",
    result="bool",
    inplace_function=False,
    differentiable=False,
)
for _name, _doc in (
    ("logical_and", "Whether both are not zero"),
    ("logical_or", "Whether one is not zero"),
    ("logical_xor", "Whether one alone is not zero"),
):
    binary(_name, getattr(integers, _name), _doc, differentiable=False)


def _invert(self: Tensor) -> Tensor:
    if self.dtype.is_floating_point or self.dtype.is_complex:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return self.bitwise_not()  # type: ignore[attr-defined]


Tensor.__invert__ = _invert  # type: ignore[attr-defined]

# Tests of one number

for _name, _doc in (
    ("isnan", "Whether the element is not a number"),
    ("isinf", "Whether the element is infinite"),
    ("isfinite", "Whether the element is neither infinite nor NaN"),
    ("isreal", "Whether the imaginary part is zero"),
):
    unary(
        _name,
        getattr(numbers, _name),
        _doc,
        result="bool",
        differentiable=False,
        inplace=False,
        out=False,
    )
for _name, _doc in (
    ("isposinf", "Whether the element is plus infinity"),
    ("isneginf", "Whether the element is minus infinity"),
):
    unary(
        _name,
        getattr(numbers, _name),
        _doc,
        result="bool",
        refusals={"c": RuntimeError(f"{_name} does not support complex inputs.")},
        differentiable=False,
        inplace=False,
    )
unary(
    "signbit",
    numbers.signbit,
    "Whether the sign bit is set",
    result="bool",
    refusals={"c": NotImplementedError("signbit is not implemented for complex tensors.")},
    differentiable=False,
    inplace=False,
)

# Comparison of two tensors

ISCLOSE = make_op(numbers.isclose, differentiable=False)


@declare()
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, elementwise, as bools.

    Args:
        equal_nan: NaN is close to NaN.
    """
    check_tensor("isclose", input)
    check_tensor("isclose", other, "other", 2)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{input.dtype._scalar_name} did not match {other.dtype._scalar_name}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    static = (float(rtol), float(atol), bool(equal_nan), None)
    return apply(ISCLOSE, (input, other), static)


@declare()
def allclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether all elements are close: |input - other| <= atol + rtol * |other|.

    >>> import flambeau as torch
    >>> torch.allclose(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._host().all())


@declare()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both tensors have the same shape and equal elements."""
    check_tensor("equal", input)
    check_tensor("equal", other, "other", 2)
    if input._dims() != other._dims():
        return False
    if input.dtype is not other.dtype:
        return bool(input.eq(other).all())  # type: ignore[attr-defined]
    if known(input) is None or known(other) is None:
        return bool(input.eq(other).all())  # type: ignore[attr-defined]
    return bool(np.array_equal(input._host(), other._host()))
