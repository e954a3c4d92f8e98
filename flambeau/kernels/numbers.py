"""Signs, limits, tests and combinations of numbers, element by element."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from flambeau.kernels.common import broadcast, cast
from flambeau.kernels.elementwise import is_nan, number, plus, times, where, widen, widened_vjp
from flambeau.kernels.transcendental import broadcasting_vjp, conjugate


def is_complex(x) -> bool:
    """Whether `x` holds complex numbers."""
    return x.dtype.kind == "c"


def is_inexact(x) -> bool:
    """Whether `x` holds floats or complex numbers (bfloat16's kind is V)."""
    return x.dtype.kind not in "iub"


# Signs


def negative(x):
    """-x."""
    return lax.neg(x)


def sign(x):
    """-1, 0 or 1; NaN gives 0."""
    if x.dtype.kind == "b":
        return x
    zero = number(0, x)
    above, below = lax.gt(x, zero), lax.lt(x, zero)
    return lax.sub(cast(above, x.dtype), cast(below, x.dtype))


def sgn(x):
    """x / |x|, 0 at 0; of real numbers: the sign."""
    if not is_complex(x):
        return sign(x)
    return lax.mul(x, lax.complex(_inverse_length(x), lax.full_like(x.real, 0)))


def _inverse_length(z):
    """1 / |z|, and 0 at 0."""
    length = lax.abs(z)
    zero = lax.eq(length, number(0, length))
    return where(zero, 0, lax.div(lax.full_like(length, 1), length))


def sgn_vjp(cts, inputs, outputs, needs):
    """dz = (g - y Re(conj(y) g)) / |z|, 0 at 0; of real numbers 0."""
    x = inputs[0]
    if not is_complex(x):
        return (lax.full_like(x, 0),)
    y = outputs[0]
    along = lax.real(lax.mul(lax.conj(y), cts[0]))
    across = lax.sub(cts[0], lax.mul(y, lax.complex(along, lax.full_like(along, 0))))
    inverse = _inverse_length(x)
    return (lax.mul(across, lax.complex(inverse, lax.full_like(inverse, 0))),)


def signbit(x):
    """Whether the sign bit is set: also for -0 and a negative NaN."""
    if x.dtype.kind in "ub":
        return lax.full_like(x, False, dtype=np.bool_)
    if is_inexact(x):
        x = lax.bitcast_convert_type(x, np.dtype(f"i{x.dtype.itemsize}"))
    return lax.lt(x, number(0, x))


def copysign(a, b):
    """|a| with the sign of b."""
    a, b = broadcast(a, b)
    return lax.select(signbit(b), lax.neg(lax.abs(a)), lax.abs(a))


@broadcasting_vjp
def copysign_vjp(cts, inputs, outputs, needs):
    """da = g y / a, 0 where a is 0; db = 0."""
    a, b = inputs
    zero = lax.eq(a, number(0, a))
    ratio = where(zero, 0, lax.div(outputs[0], a))
    return lax.mul(cts[0], ratio), lax.full_like(b, 0)


def heaviside(x, values):
    """0 below zero (and for NaN), 1 above, `values` at zero."""
    x, values = broadcast(x, values)
    step = cast(lax.gt(x, number(0, x)), x.dtype)
    return where(lax.eq(x, number(0, x)), values, step)


# Note [Angle]
# The angle of a real number is 0 or pi. It has no slope, though PyTorch lets gradients arrive.


def angle(x):
    """The argument of a complex number; of a real one 0 or pi (NaN stays NaN)."""
    if is_complex(x):
        return lax.atan2(lax.imag(x), lax.real(x))
    flat = where(lax.lt(x, number(0, x)), number(math.pi, x), lax.full_like(x, 0))
    return where(is_nan(x), x, flat) if is_inexact(x) else flat


def angle_vjp(cts, inputs, outputs, needs):
    """dz = g i z / |z|^2, 0 at 0; of real numbers 0 (Note [Angle])."""
    x = inputs[0]
    if not is_complex(x):
        return (lax.full_like(x, 0),)
    inverse = _inverse_length(x)
    scale = lax.mul(cts[0], lax.mul(inverse, inverse))
    return (lax.complex(lax.neg(lax.mul(scale, lax.imag(x))), lax.mul(scale, lax.real(x))),)


def conj(x):
    """The complex conjugate; of real numbers themselves."""
    return conjugate(x)


# Tests


def isnan(x):
    """Whether x is not a number."""
    return lax.ne(x, x) if is_inexact(x) else lax.full_like(x, False, dtype=np.bool_)


def isinf(x):
    """Whether x (or a part of it) is infinite."""
    if is_complex(x):
        return lax.bitwise_or(isinf(lax.real(x)), isinf(lax.imag(x)))
    if not is_inexact(x):
        return lax.full_like(x, False, dtype=np.bool_)
    return lax.eq(lax.abs(x), number(math.inf, x))


def isfinite(x):
    """Whether x is neither infinite nor NaN."""
    if is_complex(x):
        return lax.bitwise_and(isfinite(lax.real(x)), isfinite(lax.imag(x)))
    if not is_inexact(x):
        return lax.full_like(x, True, dtype=np.bool_)
    return lax.is_finite(x)


def isposinf(x):
    """Whether x is +infinity."""
    if not is_inexact(x):
        return lax.full_like(x, False, dtype=np.bool_)
    return lax.eq(x, number(math.inf, x))


def isneginf(x):
    """Whether x is -infinity."""
    if not is_inexact(x):
        return lax.full_like(x, False, dtype=np.bool_)
    return lax.eq(x, number(-math.inf, x))


def isreal(x):
    """Whether the imaginary part is 0."""
    if is_complex(x):
        part = lax.imag(x)
        return lax.eq(part, number(0, part))
    return lax.full_like(x, True, dtype=np.bool_)


def isclose(a, b, *, rtol, atol, equal_nan):
    """Whether |a - b| <= atol + rtol |b|, or a = b, or, with `equal_nan`, both are NaN."""
    a, b = broadcast(a, b)
    close = lax.eq(a, b)
    if equal_nan and is_inexact(a):
        close = lax.bitwise_or(close, lax.bitwise_and(isnan(a), isnan(b)))
    if rtol == 0 and atol == 0:
        return close
    if not is_inexact(a):
        a, b = (cast(x, np.dtype(np.float64)) for x in (a, b))
    distance = lax.abs(lax.sub(a, b))
    allowed = plus(lax.abs(times(b, rtol)), atol)
    near = lax.bitwise_and(isfinite(distance), lax.le(distance, allowed))
    return lax.bitwise_or(close, near)


# Replacements and limits


def nan_to_num(x, *, nan=None, posinf=None, neginf=None):
    """NaN by `nan` (0), the infinities by the largest finite numbers, or by what is given."""
    if not is_inexact(x):
        return x
    if is_complex(x):
        values = {"nan": nan, "posinf": posinf, "neginf": neginf}
        return lax.complex(nan_to_num(lax.real(x), **values), nan_to_num(lax.imag(x), **values))
    limits = jnp.finfo(x.dtype)
    replacements = (
        (isnan(x), 0.0 if nan is None else nan),
        (isposinf(x), float(limits.max) if posinf is None else posinf),
        (isneginf(x), float(limits.min) if neginf is None else neginf),
    )
    result = x
    for where_, value in replacements:
        result = where(where_, float(value), result)
    return result


def nan_to_num_vjp(cts, inputs, outputs, needs, *, nan=None, posinf=None, neginf=None):
    """dx = g where x is finite."""
    return (lax.select(isfinite(inputs[0]), cts[0], lax.full_like(cts[0], 0)),)


def clamp(x, low, high):
    """min(max(x, low), high); either limit may be None. NaN in any of them stays."""
    if low is not None:
        x = lax.max(*broadcast(x, low))
    if high is not None:
        x = lax.min(*broadcast(x, high))
    return x


@broadcasting_vjp
def clamp_vjp(cts, inputs, outputs, needs):
    """dx = g where low <= x <= high; the limits get g where they decided, `high` first."""
    x, low, high = inputs
    ct, zero = cts[0], lax.full_like(cts[0], 0)
    inside = lax.full_like(x, True, dtype=np.bool_)
    low_decides = high_decides = None
    if low is not None:
        inside = lax.ge(x, low)
        low_decides = lax.lt(x, low)
    if high is not None:
        inside = lax.bitwise_and(inside, lax.le(x, high))
        high_decides = lax.gt(x, high)
    if low is not None and high is not None:
        low_decides = lax.bitwise_and(low_decides, lax.lt(low, high))
        high_decides = lax.bitwise_or(high_decides, lax.gt(low, high))
    return (
        lax.select(inside, ct, zero),
        None if low is None else lax.select(low_decides, ct, zero),
        None if high is None else lax.select(high_decides, ct, zero),
    )


def maximum(a, b):
    """The larger of the two; NaN wins."""
    return lax.max(*broadcast(a, b))


def minimum(a, b):
    """The smaller of the two; NaN wins."""
    return lax.min(*broadcast(a, b))


@broadcasting_vjp
def maximum_vjp(cts, inputs, outputs, needs):
    """g to the larger; half of it to each of two equal ones."""
    a, b = inputs
    return _except_where_less(cts[0], a, b)


@broadcasting_vjp
def minimum_vjp(cts, inputs, outputs, needs):
    """g to the smaller; half of it to each of two equal ones."""
    a, b = inputs
    return _except_where_less(cts[0], b, a)


def _except_where_less(ct, a, b):
    share = where(lax.eq(a, b), times(ct, 0.5), ct)
    return where(lax.lt(a, b), 0, share), where(lax.lt(b, a), 0, share)


def fmax(a, b):
    """The larger of the two; a NaN gives way to the other."""
    a, b = broadcast(a, b)
    return lax.select(_takes_first(a, b, lax.ge), a, b)


def fmin(a, b):
    """The smaller of the two; a NaN gives way to the other."""
    a, b = broadcast(a, b)
    return lax.select(_takes_first(a, b, lax.le), a, b)


def _takes_first(a, b, compare):
    first = compare(a, b)
    return lax.bitwise_or(first, isnan(b)) if is_inexact(b) else first


@broadcasting_vjp
def fmax_vjp(cts, inputs, outputs, needs):
    """g to the one that was taken, the first of two equal ones."""
    return _to_the_taken(cts[0], _takes_first(*inputs, lax.ge))


@broadcasting_vjp
def fmin_vjp(cts, inputs, outputs, needs):
    """g to the one that was taken, the first of two equal ones."""
    return _to_the_taken(cts[0], _takes_first(*inputs, lax.le))


def _to_the_taken(ct, first):
    zero = lax.full_like(ct, 0)
    return lax.select(first, ct, zero), lax.select(first, zero, ct)


def nextafter(a, b):
    """The number next to a in the direction of b."""
    return lax.nextafter(*broadcast(a, b))


@broadcasting_vjp
def nextafter_vjp(cts, inputs, outputs, needs):
    """da = g where a and b differ; db = 0."""
    a, b = inputs
    return where(lax.eq(a, b), 0, cts[0]), lax.full_like(b, 0)


# Combinations of three


def lerp(start, end, weight):
    """start + weight (end - start), computed from the nearer end."""
    narrow = start.dtype
    start, end, weight = broadcast(*(widen(x) for x in (start, end, weight)))
    span = lax.sub(end, start)
    near = lax.abs(weight) if is_complex(weight) else weight
    from_start = lax.add(start, lax.mul(weight, span))
    from_end = lax.sub(end, lax.mul(span, plus(lax.neg(weight), 1)))
    return cast(lax.select(lax.lt(near, number(0.5, near)), from_start, from_end), narrow)


@widened_vjp
@broadcasting_vjp
def lerp_vjp(cts, inputs, outputs, needs):
    """dstart = g conj(1 - w), dend = g conj(w), dw = g conj(end - start)."""
    start, end, weight = inputs
    return (
        lax.mul(cts[0], conjugate(plus(lax.neg(weight), 1))),
        lax.mul(cts[0], conjugate(weight)),
        lax.mul(cts[0], conjugate(lax.sub(end, start))),
    )


def addcmul(x, a, b, value):
    """x + value a b."""
    wide = broadcast(*(widen(t) for t in (x, a, b, value)))
    return cast(lax.add(wide[0], lax.mul(lax.mul(wide[3], wide[1]), wide[2])), x.dtype)


def addcdiv(x, a, b, value):
    """x + value a / b."""
    wide = broadcast(*(widen(t) for t in (x, a, b, value)))
    return cast(lax.add(wide[0], lax.mul(wide[3], lax.div(wide[1], wide[2]))), x.dtype)
