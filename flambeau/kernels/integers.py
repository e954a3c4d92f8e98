"""Operations on bits, truth values and whole numbers, element by element."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from flambeau.kernels.common import broadcast
from flambeau.kernels.elementwise import number


def bitwise_not(x):
    """Every bit inverted; of truth values: not."""
    return lax.bitwise_not(x)


def bitwise_and(a, b):
    """The bits set in both."""
    return lax.bitwise_and(*broadcast(a, b))


def bitwise_or(a, b):
    """The bits set in either."""
    return lax.bitwise_or(*broadcast(a, b))


def bitwise_xor(a, b):
    """The bits set in one alone."""
    return lax.bitwise_xor(*broadcast(a, b))


def bitwise_left_shift(a, b):
    """a * 2^b, the upper bits lost; 0 where b is not a bit position."""
    a, b = broadcast(a, b)
    return lax.select(_in_word(b), lax.shift_left(a, b), lax.full_like(a, 0))


def bitwise_right_shift(a, b):
    """a / 2^b rounded down; 0 or -1 where b is not a bit position."""
    a, b = broadcast(a, b)
    shift = lax.shift_right_logical if a.dtype.kind == "u" else lax.shift_right_arithmetic
    last = lax.full_like(b, b.dtype.itemsize * 8 - 1)
    beyond = shift(a, last) if a.dtype.kind == "i" else lax.full_like(a, 0)
    return lax.select(_in_word(b), shift(a, b), beyond)


def _in_word(shift):
    inside = lax.lt(shift, number(shift.dtype.itemsize * 8, shift))
    return lax.bitwise_and(inside, lax.ge(shift, number(0, shift)))


def truth(x):
    """Whether x is not zero."""
    return x if x.dtype == np.bool_ else lax.ne(x, number(0, x))


def logical_not(x):
    """Whether x is zero."""
    return lax.bitwise_not(truth(x))


def logical_and(a, b):
    """Whether neither is zero."""
    return lax.bitwise_and(*broadcast(truth(a), truth(b)))


def logical_or(a, b):
    """Whether one is not zero."""
    return lax.bitwise_or(*broadcast(truth(a), truth(b)))


def logical_xor(a, b):
    """Whether one alone is not zero."""
    return lax.bitwise_xor(*broadcast(truth(a), truth(b)))


def gcd(a, b):
    """The greatest common divisor, by Euclid's algorithm."""
    return jnp.gcd(*broadcast(a, b))


def lcm(a, b):
    """The least common multiple, |a b| / gcd(a, b)."""
    return jnp.lcm(*broadcast(a, b))
