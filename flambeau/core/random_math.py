"""Elementary functions that round as PyTorch's CPU samplers do.

# Note [Rounding of samples]
PyTorch's samplers contract `a * b + c` to one fused operation. Normals of 16 or more float32
values go through the single-precision polynomials of the Cephes library (S. Moshier, 1989); all
other samples through the C library's double-precision functions. NumPy's own vectorised functions
may differ from the C library's in the last bit: that vanishes when a result is rounded to float32
or less, and float64 results take the C library's functions, through `math`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray

_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_LOG2_HIGH, _LOG2_LOW = 0.693359375, -2.12194440e-4
_COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
# pi / 4 in three parts, the first two short enough for exact products with small integers
_QUARTER_PI = (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)


def exactly(function: Callable[[float], float], values: Array) -> Array:
    """The C library's `function` of float64 `values`."""
    return np.array(list(map(function, values.ravel().tolist())), np.float64).reshape(values.shape)


def fused32(a, b, c) -> Array:
    """`a * b + c` in float32, rounded once (the product of two float32 is exact in float64)."""
    total = np.multiply(a, b, dtype=np.float64)
    total += c
    return total.astype(np.float32)


def fused64(a: Array, b: float, c: float) -> Array:
    """`a * b + c` in float64, rounded once.

    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd", 2008.
    """
    with np.errstate(all="ignore"):
        high, low = _product(a, np.float64(b))
        third_high, third_low = _sum(np.float64(c), low)
        sum_high, sum_low = _sum(high, third_high)
        fused = sum_high + _odd_sum(third_low, sum_low)
        return np.where(np.isfinite(fused), fused, a * b + c)


def _sum(a, b):
    """`a + b` as a rounded value and its exact error."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _product(a, b):
    """`a * b` as a rounded value and its exact error."""

    def halves(x):
        scaled = x * 134217729.0
        high = scaled - (scaled - x)
        return high, x - high

    total = a * b
    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


def _odd_sum(a, b):
    """`a + b` rounded to the neighbour whose last bit is 1, where it is not exact."""
    total, error = _sum(a, b)
    bits = total.view(np.int64)
    step = np.where((error > 0) == (total > 0), 1, -1)
    move = (error != 0) & (bits & 1 == 0)
    return np.where(move, bits + step, bits).view(np.float64)


def log32(x: Array) -> Array:
    """Natural logarithm of positive float32 values."""
    fraction, exponent = np.frexp(x)
    small = fraction < np.float32(0.70710678)
    exponent = (exponent - small).astype(np.float32)
    fraction = np.where(small, fraction + fraction, fraction) - np.float32(1)
    square = fraction * fraction
    series = np.full_like(fraction, _LOG[0])
    for coefficient in _LOG[1:]:
        series = fused32(series, fraction, np.float32(coefficient))
    series = fused32(series * fraction, square, exponent * np.float32(_LOG2_LOW))
    series = fused32(square, np.float32(-0.5), series)
    return fused32(exponent, np.float32(_LOG2_HIGH), fraction + series)


def sincos32(x: Array) -> tuple[Array, Array]:
    """Sine and cosine of non-negative float32 values."""
    octant = (x * np.float32(4 / np.pi)).astype(np.int32)
    octant = (octant + 1) & ~1
    turns = octant.astype(np.float32)
    for part in _QUARTER_PI:
        x = fused32(turns, np.float32(-part), x)
    square = x * x
    cosine = fused32(np.float32(_COSINE[0]), square, np.float32(_COSINE[1]))
    cosine = fused32(cosine, square, np.float32(_COSINE[2])) * square
    cosine = fused32(cosine, square, square * np.float32(-0.5)) + np.float32(1)
    sine = fused32(np.float32(_SINE[0]), square, np.float32(_SINE[1]))
    sine = fused32(sine, square, np.float32(_SINE[2])) * square
    sine = fused32(sine, x, x)
    swap = octant & 2 != 0
    signed_sine = np.where(swap, cosine, sine) * np.where(octant & 4, np.float32(-1), np.float32(1))
    signed_cosine = np.where(swap, sine, cosine) * np.where(
        (octant + 2) & 4, np.float32(-1), np.float32(1)
    )
    return signed_sine, signed_cosine
