"""Exponentials, logarithms, trigonometry and their inverses, element by element."""

from __future__ import annotations

import functools
import math

import numpy as np
from jax import lax

from flambeau.kernels.common import broadcast, cast, unbroadcast
from flambeau.kernels.elementwise import (
    number,
    plus,
    times,
    where,
    widen,
    widened,
    widened_vjp,
)


def conjugate(x):
    """The complex conjugate; a real array itself."""
    return lax.conj(x) if np.issubdtype(x.dtype, np.complexfloating) else x


def broadcasting_vjp(vjp):
    """A `NAME_vjp` written for operands of one shape: broadcasts them, sums the gradients back."""

    @functools.wraps(vjp)
    def run(cts, inputs, outputs, needs, **statics):
        same = broadcast(*(x for x in inputs if x is not None), cts[0])[:-1]
        filled = iter(same)
        wide = tuple(None if x is None else next(filled) for x in inputs)
        gradients = vjp(cts, wide, outputs, needs, **statics)
        return tuple(
            None if g is None or not need else unbroadcast(g, x.shape)
            for g, x, need in zip(gradients, inputs, needs, strict=True)
        )

    return run


# Exponentials and logarithms. The derivatives of the first four are cheap in the output.


@widened
def exp(x):
    """e^x."""
    return lax.exp(x)


@widened_vjp
def exp_vjp(cts, inputs, outputs, needs):
    """dx = g * conj(y)."""
    return (lax.mul(cts[0], conjugate(outputs[0])),)


@widened
def exp2(x):
    """2^x, exact for whole numbers."""
    if x.dtype.kind == "c":
        return lax.exp2(x)
    wide = cast(x, np.dtype(np.float64))
    limit = np.float64(2000)
    bounded = lax.clamp(lax.neg(limit), wide, limit)
    whole = lax.round(bounded, lax.RoundingMethod.TO_NEAREST_EVEN)
    fraction = lax.exp(times(lax.sub(bounded, whole), math.log(2)))
    exponent = lax.convert_element_type(where(lax.ne(whole, whole), 0, whole), np.int64)
    half = lax.shift_right_arithmetic(exponent, lax.full_like(exponent, 1))
    scaled = lax.mul(lax.mul(fraction, _power_of_two(half)), _power_of_two(lax.sub(exponent, half)))
    return cast(scaled, x.dtype)


def _power_of_two(exponent):
    """2^exponent in float64, from the bits, for |exponent| below 1023."""
    bits = lax.shift_left(plus(exponent, 1023), lax.full_like(exponent, 52))
    return lax.bitcast_convert_type(bits, np.float64)


@widened_vjp
def exp2_vjp(cts, inputs, outputs, needs):
    """dx = g * conj(y) * ln 2."""
    return (times(lax.mul(cts[0], conjugate(outputs[0])), math.log(2)),)


@widened
def expm1(x):
    """e^x - 1, exact for small x."""
    return lax.expm1(x)


@widened_vjp
def expm1_vjp(cts, inputs, outputs, needs):
    """dx = g * conj(y + 1)."""
    return (lax.mul(cts[0], conjugate(plus(outputs[0], 1))),)


@widened
def log(x):
    """The natural logarithm."""
    return lax.log(x)


@widened
def log1p(x):
    """log(1 + x), exact for small x."""
    return lax.log1p(x)


def log2(x):
    """The logarithm to base 2."""
    return _log_to_base(x, 2)


def log10(x):
    """The logarithm to base 10."""
    return _log_to_base(x, 10)


def _log_to_base(x, base):
    # One type wider, so that powers of the base give whole numbers.
    wide = {"f": np.float64, "c": np.complex128}["c" if x.dtype.kind == "c" else "f"]
    return cast(times(lax.log(cast(x, np.dtype(wide))), 1 / math.log(base)), x.dtype)


def log2_vjp(cts, inputs, outputs, needs):
    """dx = g / conj(x ln 2)."""
    return (_over(cts[0], inputs[0], math.log(2)),)


def log10_vjp(cts, inputs, outputs, needs):
    """dx = g / conj(x ln 10)."""
    return (_over(cts[0], inputs[0], math.log(10)),)


def _over(ct, x, factor):
    return cast(lax.div(widen(ct), conjugate(times(widen(x), factor))), x.dtype)


@widened
def logaddexp(a, b):
    """log(e^a + e^b) = max + log(1 + e^(min - max))."""
    return _log_sum(a, b, lambda x: lax.log1p(lax.exp(x)))


@widened
def logaddexp2(a, b):
    """log2(2^a + 2^b)."""
    return _log_sum(a, b, lambda x: times(lax.log1p(lax.exp2(x)), 1 / math.log(2)))


def _log_sum(a, b, correction):
    a, b = broadcast(a, b)
    if a.dtype.kind == "c":
        first = lax.ge(lax.real(a), lax.real(b))
        larger, smaller = lax.select(first, a, b), lax.select(first, b, a)
        return lax.add(larger, correction(lax.sub(smaller, larger)))
    larger = lax.max(a, b)
    gap = lax.neg(lax.abs(lax.sub(a, b)))
    # Equal infinities have no difference.
    return where(lax.ne(gap, gap), lax.add(a, b), lax.add(larger, correction(gap)))


@widened_vjp
@broadcasting_vjp
def logaddexp_vjp(cts, inputs, outputs, needs):
    """da = g / conj(1 + e^(b - a)), db likewise."""
    return _log_sum_vjp(cts[0], *inputs, lax.exp)


@widened_vjp
@broadcasting_vjp
def logaddexp2_vjp(cts, inputs, outputs, needs):
    """da = g / conj(1 + 2^(b - a)), db likewise."""
    return _log_sum_vjp(cts[0], *inputs, lax.exp2)


def _log_sum_vjp(ct, a, b, power):
    return (
        lax.div(ct, conjugate(plus(power(lax.sub(b, a)), 1))),
        lax.div(ct, conjugate(plus(power(lax.sub(a, b)), 1))),
    )


@widened
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return lax.logistic(x)


@widened_vjp
def sigmoid_vjp(cts, inputs, outputs, needs):
    """dx = g * conj((1 - y) * y)."""
    y = outputs[0]
    slope = lax.mul(lax.sub(lax.full_like(y, 1), y), y)
    return (lax.mul(cts[0], conjugate(slope)),)


# Roots


@widened
def sqrt(x):
    """The square root."""
    return lax.sqrt(x)


@widened_vjp
def sqrt_vjp(cts, inputs, outputs, needs):
    """dx = g / conj(2y)."""
    return (lax.div(cts[0], conjugate(times(outputs[0], 2))),)


@widened
def rsqrt(x):
    """1 / sqrt(x)."""
    return lax.rsqrt(x)


@widened_vjp
def rsqrt_vjp(cts, inputs, outputs, needs):
    """dx = -g * conj(y^3) / 2."""
    y = outputs[0]
    return (times(lax.mul(cts[0], conjugate(lax.mul(y, lax.mul(y, y)))), -0.5),)


# Trigonometry


@widened
def sin(x):
    """The sine of radians."""
    return lax.sin(x)


@widened
def cos(x):
    """The cosine of radians."""
    return lax.cos(x)


@widened
def tan(x):
    """The tangent of radians."""
    return lax.tan(x)


@widened_vjp
def tan_vjp(cts, inputs, outputs, needs):
    """dx = g * conj(1 + y^2)."""
    y = outputs[0]
    return (lax.mul(cts[0], conjugate(plus(lax.mul(y, y), 1))),)


@widened
def asin(x):
    """The inverse sine."""
    return lax.asin(x)


@widened
def acos(x):
    """The inverse cosine."""
    return lax.acos(x)


@widened
def atan(x):
    """The inverse tangent."""
    return lax.atan(x)


@widened
def sinh(x):
    """The hyperbolic sine."""
    return lax.sinh(x)


@widened
def cosh(x):
    """The hyperbolic cosine."""
    return lax.cosh(x)


@widened
def tanh(x):
    """The hyperbolic tangent."""
    return lax.tanh(x)


@widened_vjp
def tanh_vjp(cts, inputs, outputs, needs):
    """dx = g * conj(1 - y^2)."""
    y = outputs[0]
    slope = lax.sub(lax.full_like(y, 1), lax.mul(y, y))
    return (lax.mul(cts[0], conjugate(slope)),)


@widened
def asinh(x):
    """The inverse hyperbolic sine."""
    return lax.asinh(x)


@widened
def acosh(x):
    """The inverse hyperbolic cosine."""
    return lax.acosh(x)


@widened_vjp
def acosh_vjp(cts, inputs, outputs, needs):
    """dx = g / conj(sqrt(x - 1) sqrt(x + 1)); the product of roots picks the principal branch."""
    x = inputs[0]
    if x.dtype.kind == "c":
        root = lax.mul(lax.sqrt(plus(x, -1)), lax.sqrt(plus(x, 1)))
    else:
        root = lax.sqrt(plus(lax.mul(x, x), -1))
    return (lax.div(cts[0], conjugate(root)),)


@widened
def atanh(x):
    """The inverse hyperbolic tangent."""
    return lax.atanh(x)


@widened
def atan2(y, x):
    """The angle of the point (x, y)."""
    return lax.atan2(*broadcast(y, x))


@widened_vjp
@broadcasting_vjp
def atan2_vjp(cts, inputs, outputs, needs):
    """dy = g x / (x^2 + y^2), dx = -g y / (x^2 + y^2); both 0 at the origin."""
    y, x = inputs
    squared = lax.add(lax.mul(x, x), lax.mul(y, y))
    origin = lax.eq(squared, number(0, squared))
    inverse = where(origin, 0, lax.div(lax.full_like(squared, 1), squared))
    return (
        lax.mul(lax.mul(cts[0], x), inverse),
        lax.mul(lax.mul(cts[0], lax.neg(y)), inverse),
    )


@widened
def hypot(a, b):
    """sqrt(a^2 + b^2) without overflow."""
    a, b = broadcast(lax.abs(a), lax.abs(b))
    larger, smaller = lax.max(a, b), lax.min(a, b)
    ratio = lax.div(smaller, larger)
    length = lax.mul(larger, lax.sqrt(plus(lax.mul(ratio, ratio), 1)))
    length = where(lax.eq(larger, number(0, a)), larger, length)
    infinite = lax.bitwise_or(lax.eq(a, number(math.inf, a)), lax.eq(b, number(math.inf, b)))
    return where(infinite, math.inf, length)


@widened_vjp
@broadcasting_vjp
def hypot_vjp(cts, inputs, outputs, needs):
    """da = g a / y, db = g b / y."""
    return tuple(lax.mul(cts[0], lax.div(x, outputs[0])) for x in inputs)


def deg2rad(x):
    """x * pi / 180."""
    return cast(times(widen(x), math.pi / 180), x.dtype)


def rad2deg(x):
    """x * 180 / pi."""
    return cast(times(widen(x), 180 / math.pi), x.dtype)
