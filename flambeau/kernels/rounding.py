"""Rounding, and the divisions with a remainder."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from flambeau.kernels.common import NARROW, broadcast, cast
from flambeau.kernels.elementwise import number, plus, times, where, widen, widened, widened_vjp
from flambeau.kernels.transcendental import broadcasting_vjp, exp2


def is_integral(x) -> bool:
    """Whether `x` holds integers or truth values."""
    return x.dtype.kind in "iub"


def floor(x):
    """The largest whole number not above x."""
    return x if is_integral(x) else lax.floor(x)


def ceil(x):
    """The smallest whole number not below x."""
    return x if is_integral(x) else lax.ceil(x)


def trunc(x):
    """x without its fraction."""
    if is_integral(x):
        return x
    return where(lax.lt(x, number(0, x)), lax.ceil(x), lax.floor(x))


def frac(x):
    """x - trunc(x)."""
    return lax.sub(x, lax.stop_gradient(trunc(x)))


def round(x, *, decimals=0):
    """The nearest number with `decimals` digits after the point; halves go to the even one."""
    if is_integral(x):
        return x
    if decimals == 0:
        return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    wide = widen(x)
    scale = number(10.0 ** abs(decimals), wide)
    forward, back = (lax.mul, lax.div) if decimals > 0 else (lax.div, lax.mul)
    rounded = lax.round(forward(wide, scale), lax.RoundingMethod.TO_NEAREST_EVEN)
    return cast(back(rounded, scale), x.dtype)


def round_vjp(cts, inputs, outputs, needs, *, decimals=0):
    """0 everywhere."""
    return (lax.full_like(inputs[0], 0),)


# Division with a whole quotient


@widened
def fmod(a, b):
    """The remainder with the sign of `a`: a - trunc(a / b) b."""
    return lax.rem(*broadcast(a, b))


@widened
def remainder(a, b):
    """The remainder with the sign of `b`: a - floor(a / b) b."""
    a, b = broadcast(a, b)
    rest = lax.rem(a, b)
    if a.dtype.kind in "ub":
        return rest
    zero = number(0, a)
    other_side = lax.ne(lax.lt(b, zero), lax.lt(rest, zero))
    return lax.select(lax.bitwise_and(lax.ne(rest, zero), other_side), lax.add(rest, b), rest)


def trunc_divide(a, b):
    """a / b, rounded to its type, and then towards zero."""
    a, b = broadcast(a, b)
    if is_integral(a):
        return lax.div(a, b)
    quotient = lax.div(widen(a), widen(b))
    if a.dtype in NARROW:
        # Without this, XLA may drop the rounding between the two conversions.
        limits = jnp.finfo(a.dtype)
        quotient = lax.reduce_precision(quotient, limits.nexp, limits.nmant)
    return cast(trunc(quotient), a.dtype)


@widened
def floor_divide(a, b):
    """a / b rounded down; exactly, by way of the remainder."""
    a, b = broadcast(a, b)
    if a.dtype.kind in "ub":
        return lax.div(a, b)
    zero = number(0, a)
    rest = lax.rem(a, b)
    other_side = lax.bitwise_and(lax.ne(rest, zero), lax.ne(lax.lt(b, zero), lax.lt(rest, zero)))
    if is_integral(a):
        quotient = lax.div(a, b)
        return lax.select(other_side, plus(quotient, -1), quotient)
    quotient = lax.div(lax.sub(a, rest), b)
    quotient = where(other_side, plus(quotient, -1), quotient)
    below = lax.floor(quotient)
    below = where(lax.gt(lax.sub(quotient, below), number(0.5, a)), plus(below, 1), below)
    true = lax.div(a, b)
    signed_zero = times(true, 0)
    signed_zero = where(lax.ne(signed_zero, signed_zero), quotient, signed_zero)
    result = where(lax.eq(quotient, zero), signed_zero, below)
    return where(lax.eq(b, zero), true, result)


def _no_slope(cts, inputs, outputs, needs):
    return tuple(
        lax.full_like(x, 0) if need else None for x, need in zip(inputs, needs, strict=True)
    )


def trunc_divide_vjp(cts, inputs, outputs, needs):
    """0 everywhere."""
    return _no_slope(cts, inputs, outputs, needs)


def floor_divide_vjp(cts, inputs, outputs, needs):
    """0 everywhere."""
    return _no_slope(cts, inputs, outputs, needs)


@broadcasting_vjp
def fmod_vjp(cts, inputs, outputs, needs):
    """da = g, db = -g trunc(a / b)."""
    return cts[0], lax.neg(lax.mul(cts[0], trunc_divide(*inputs)))


@broadcasting_vjp
def remainder_vjp(cts, inputs, outputs, needs):
    """da = g, db = -g floor(a / b)."""
    return cts[0], lax.neg(lax.mul(cts[0], floor_divide(*inputs)))


# Mantissa and exponent


def frexp(x):
    """(m, e) with x = m * 2^e and 0.5 <= |m| < 1; e is int32, and 0 where x is 0 or not finite."""
    wide = cast(x, np.dtype(np.float64))
    bits = lax.bitcast_convert_type(wide, np.int64)
    field = lax.bitwise_and(lax.shift_right_logical(bits, np.int64(52)), np.int64(0x7FF))
    # Subnormals get a normal exponent by a factor of 2^54.
    tiny = lax.eq(field, np.int64(0))
    scaled = where(tiny, times(wide, 2.0**54), wide)
    bits = lax.bitcast_convert_type(scaled, np.int64)
    field = lax.bitwise_and(lax.shift_right_logical(bits, np.int64(52)), np.int64(0x7FF))
    plain = lax.bitwise_and(lax.ne(wide, np.float64(0)), lax.lt(field, np.int64(0x7FF)))
    exponent = lax.sub(field, np.int64(1022))
    exponent = lax.sub(exponent, where(tiny, 54, lax.full_like(exponent, 0)))
    bits = lax.bitwise_or(lax.bitwise_and(bits, np.int64(~(0x7FF << 52))), np.int64(1022 << 52))
    mantissa = where(plain, lax.bitcast_convert_type(bits, np.float64), wide)
    return cast(mantissa, x.dtype), cast(where(plain, exponent, 0), np.dtype(np.int32))


def frexp_vjp(cts, inputs, outputs, needs):
    """dx = g / 2^e."""
    ct = cts[0]
    if ct is None:
        return (lax.full_like(inputs[0], 0),)
    power = exp2(cast(outputs[1], widen(ct).dtype))
    return (cast(lax.div(widen(ct), power), ct.dtype),)


@widened
def ldexp(x, exponent):
    """x * 2^exponent."""
    x, exponent = broadcast(x, exponent)
    return lax.mul(x, exp2(exponent))


@widened_vjp
@broadcasting_vjp
def ldexp_vjp(cts, inputs, outputs, needs):
    """dx = g 2^exponent, dexponent = g x 2^exponent ln 2."""
    x, exponent = inputs
    of_x = lax.mul(cts[0], exp2(exponent))
    return of_x, times(lax.mul(of_x, x), math.log(2))
