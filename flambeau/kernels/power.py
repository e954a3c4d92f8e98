"""Powers, roots' relatives and absolute values."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from flambeau.kernels.common import broadcast, cast
from flambeau.kernels.elementwise import number, plus, times, where, widen, widened, widened_vjp
from flambeau.kernels.numbers import is_complex, is_inexact, sgn
from flambeau.kernels.transcendental import broadcasting_vjp, conjugate

FIXED_EXPONENTS = (0, 1, 2, 3, 0.5, -0.5, -1, -2)


def power(x, y):
    """x^y. Of integers: by repeated multiplication; x^-n is 0 but for x = 1 and -1."""
    x, y = broadcast(x, y)
    if is_inexact(x):
        return cast(lax.pow(widen(x), widen(y)), x.dtype)
    result = jnp.power(x, y)
    if x.dtype.kind == "u":
        return result
    odd = lax.eq(lax.bitwise_and(y, number(1, y)), number(1, y))
    one, minus_one = lax.eq(x, number(1, x)), lax.eq(x, number(-1, x))
    of_minus_one = where(odd, -1, lax.full_like(x, 1))
    negative = where(one, 1, lax.select(minus_one, of_minus_one, lax.full_like(x, 0)))
    return lax.select(lax.lt(y, number(0, y)), negative, result)


@widened_vjp
@broadcasting_vjp
def power_vjp(cts, inputs, outputs, needs):
    """dx = g conj(y x^(y - 1)), 0 where y is 0; dy = g conj(x^y log x), 0 at x = 0 with y >= 0."""
    (x, y), ct = inputs, cts[0]
    of_x = of_y = None
    if needs[0]:
        slope = lax.mul(y, lax.pow(x, plus(y, -1)))
        zero = lax.eq(y, number(0, y))
        of_x = lax.mul(ct, conjugate(where(zero, 0, slope)))
    if needs[1]:
        slope = lax.mul(lax.pow(x, y), lax.log(x))
        exponent = lax.real(y) if is_complex(y) else y
        flat = lax.bitwise_and(lax.eq(x, number(0, x)), lax.ge(exponent, number(0, exponent)))
        of_y = lax.mul(ct, conjugate(where(flat, 0, slope)))
    return of_x, of_y


def power_fixed(x, *, exponent):
    """x^exponent for one of FIXED_EXPONENTS, by multiplication, division or a root."""
    if not is_inexact(x):
        return lax.integer_pow(x, int(exponent))
    return cast(_fixed(widen(x), exponent), x.dtype)


def _fixed(x, exponent):
    one = lax.full_like(x, 1)
    if exponent == 0:
        return one
    if exponent == 0.5:
        return lax.sqrt(x)
    if exponent == -0.5:
        return lax.rsqrt(x)
    product = x
    for _ in range(int(abs(exponent)) - 1):
        product = lax.mul(product, x)
    return product if exponent > 0 else lax.div(one, product)


@widened_vjp
def power_fixed_vjp(cts, inputs, outputs, needs, *, exponent):
    """dx = g conj(exponent x^(exponent - 1))."""
    x, ct = inputs[0], cts[0]
    if exponent == 0:
        return (lax.full_like(x, 0),)
    if exponent == 1:
        return (ct,)
    below = exponent - 1
    slope = _fixed(x, below) if below in FIXED_EXPONENTS else lax.pow(x, lax.full_like(x, below))
    return (lax.mul(ct, conjugate(times(slope, exponent))),)


@widened
def reciprocal(x):
    """1 / x."""
    return lax.div(lax.full_like(x, 1), x)


@widened_vjp
def reciprocal_vjp(cts, inputs, outputs, needs):
    """dx = -g conj(y^2)."""
    y = outputs[0]
    return (lax.neg(lax.mul(cts[0], conjugate(lax.mul(y, y)))),)


def absolute(x):
    """|x|; real for complex numbers."""
    return x if x.dtype.kind in "ub" else lax.abs(x)


def absolute_vjp(cts, inputs, outputs, needs):
    """dx = g sgn(x), 0 at 0."""
    x, ct = inputs[0], cts[0]
    if is_complex(x):
        ct = lax.complex(ct, lax.full_like(ct, 0))
    return (lax.mul(ct, sgn(x)),)
