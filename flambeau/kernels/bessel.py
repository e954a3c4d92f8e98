"""Bessel and Airy functions and orthogonal polynomials, computed in float64.

Small arguments: power series, or Bessel's integrals by the trapezium rule, which converges
exponentially for periodic integrands and for Gaussian ones (L. Trefethen and J. Weideman, "The
exponentially convergent trapezoidal rule", 2014). Large ones: Hankel's expansions. The formulas
are numbered as in the NIST Digital Library of Mathematical Functions (dlmf.nist.gov).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from jax import lax

from .common import broadcast, cast
from .elementwise import above, at_most, below, plus, times, where

DOUBLE = np.dtype(np.float64)
GAMMA = float(np.euler_gamma)
SWITCH = 25.0  # from here on Hankel's expansions are exact to double precision
TERMS = 24


def _in_double(function):
    """`function` of float32 arrays computed in float64 and rounded."""

    @functools.wraps(function)
    def run(*arrays, **statics):
        wide = function(*(cast(x, DOUBLE) for x in arrays), **statics)
        return cast(wide, arrays[0].dtype)

    return run


def _weighted_sum(function, x, nodes, weights):
    """sum_j weights_j function(x nodes_j)."""
    shape = (*x.shape, len(nodes))
    places = lax.broadcast_in_dim(x, shape, tuple(range(x.ndim)))
    axis = (x.ndim,)
    nodes, weights = (lax.broadcast_in_dim(np.asarray(v), shape, axis) for v in (nodes, weights))
    return lax.reduce_sum(lax.mul(function(lax.mul(places, nodes)), weights), axis)


def _polynomial(x, coefficients):
    """sum_k coefficients_k x^k."""
    total = lax.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = plus(lax.mul(total, x), c)
    return total


# --- J and Y ------------------------------------------------------------------------------------

INTERVALS = 32
_ANGLES = np.arange(INTERVALS + 1) * (math.pi / 2 / INTERVALS)
_SINES = np.sin(_ANGLES)
# The trapezium rule for (2 / pi) times an integral from 0 to pi / 2.
_RULE = np.where(np.arange(INTERVALS + 1) % INTERVALS == 0, 0.5, 1.0) / INTERVALS
# sum_k (-1)^k J_2k / k (10.8.2 at n = 0), each J_2k by that rule (10.9.2).
_NEUMANN = _RULE * sum((-1) ** k / k * np.cos(2 * k * _ANGLES) for k in range(1, INTERVALS))


def _near_j(order, x):
    """J_0 or J_1 by 10.9.1 and 10.9.2."""
    if order == 0:
        return _weighted_sum(lax.cos, x, _SINES, _RULE)
    return _weighted_sum(lax.sin, x, _SINES, _RULE * _SINES)


def _near_y(order, x):
    """Y_0 by Neumann's series; Y_1 = -Y_0'."""
    logarithm = plus(lax.log(times(x, 0.5)), GAMMA)
    if order == 0:
        series = _weighted_sum(lax.cos, x, _SINES, _NEUMANN)
        return times(lax.mul(logarithm, _near_j(0, x)) - times(series, 2), 2 / math.pi)
    slope = _weighted_sum(lax.sin, x, _SINES, -_NEUMANN * _SINES)
    total = lax.mul(logarithm, _near_j(1, x)) - lax.div(_near_j(0, x), x) + times(slope, 2)
    return times(total, 2 / math.pi)


def _far(order, x):
    """(J, Y) by Hankel's expansions (10.17.3 and 10.17.4)."""
    a = [1.0]
    for k in range(1, TERMS):
        a.append(a[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    inverse = lax.div(lax.full_like(x, 1), x)
    square = lax.mul(inverse, inverse)
    even = _polynomial(square, [(-1) ** i * c for i, c in enumerate(a[0::2])])
    odd = lax.mul(inverse, _polynomial(square, [(-1) ** i * c for i, c in enumerate(a[1::2])]))
    angle = plus(x, -(order / 2 + 0.25) * math.pi)
    sine, cosine = lax.sin(angle), lax.cos(angle)
    size = lax.sqrt(times(inverse, 2 / math.pi))
    return size * (even * cosine - odd * sine), size * (even * sine + odd * cosine)


def _safe(x):
    """|x| within the range of the near formulas, and beyond it."""
    near = at_most(x, SWITCH)
    return near, where(near, x, 1.0), where(near, SWITCH, x)


def _j(order, x):
    size = lax.abs(x)
    near, small, large = _safe(size)
    values = lax.select(near, _near_j(order, small), _far(order, large)[0])
    return lax.mul(values, lax.sign(x)) if order else values


def _y(order, x):
    near, small, large = _safe(x)
    small = where(above(small, 0), small, 1.0)
    values = lax.select(near, _near_y(order, small), _far(order, large)[1])
    values = where(above(x, 0), values, -np.inf)
    return where(lax.bitwise_not(lax.ge(x, lax.full_like(x, 0))), np.nan, values)


@_in_double
def bessel_j0(x):
    """J_0(x)."""
    return _j(0, x)


@_in_double
def bessel_j1(x):
    """J_1(x)."""
    return _j(1, x)


@_in_double
def bessel_y0(x):
    """Y_0(x); -inf at 0, NaN below."""
    return _y(0, x)


@_in_double
def bessel_y1(x):
    """Y_1(x); -inf at 0, NaN below."""
    return _y(1, x)


@_in_double
def spherical_bessel_j0(x):
    """sin(x) / x; 1 at 0, 0 at the infinities."""
    zero = lax.eq(x, lax.full_like(x, 0))
    infinite = lax.eq(lax.abs(x), lax.full_like(x, np.inf))
    safe = where(lax.bitwise_or(zero, infinite), 1.0, x)
    values = where(zero, 1.0, lax.div(lax.sin(safe), safe))
    return where(infinite, 0.0, values)


# --- I and K ------------------------------------------------------------------------------------

STEP = 0.25
_PLACES = np.arange(27) * STEP
_GAUSS = STEP * np.exp(-(_PLACES**2)) * np.where(_PLACES == 0, 0.5, 1.0)


def _small_k(order, x):
    """K_0 and K_1 for x <= 2 by 10.31.1 and 10.31.2."""
    y = times(lax.mul(x, x), 0.25)
    count = range(16)
    if order == 0:
        harmonic = [sum(1 / i for i in range(1, k + 1)) for k in count]
        plain = [1 / math.factorial(k) ** 2 for k in count]
        logarithm = plus(lax.log(times(x, 0.5)), GAMMA)
        other = _polynomial(y, [h * c for h, c in zip(harmonic, plain, strict=True)])
        return lax.sub(other, lax.mul(logarithm, _polynomial(y, plain)))
    plain = [1 / (math.factorial(k) * math.factorial(k + 1)) for k in count]
    psi = [sum(1 / i for i in range(1, k + 1)) - GAMMA for k in range(17)]
    i1 = lax.mul(times(x, 0.5), _polynomial(y, plain))
    other = _polynomial(y, [(psi[k] + psi[k + 1]) * plain[k] for k in count])
    first = lax.div(lax.full_like(x, 1), x) + lax.mul(lax.log(times(x, 0.5)), i1)
    return first - lax.mul(times(x, 0.25), other)


def _large_k(order, x):
    """exp(x) K for x >= 1, by 10.32.9 with u^2 = x (cosh t - 1) as the variable."""
    shape = (*x.shape, len(_PLACES))
    u, weights = (lax.broadcast_in_dim(v, shape, (x.ndim,)) for v in (_PLACES, _GAUSS))
    wide = lax.broadcast_in_dim(times(x, 2), shape, tuple(range(x.ndim)))
    ratio = lax.div(lax.mul(u, u), wide)
    values = lax.div(weights, lax.sqrt(plus(ratio, 1)))
    if order:
        angle = times(lax.asinh(lax.sqrt(ratio)), 2 * order)
        values = lax.mul(values, lax.cosh(angle))
    total = lax.reduce_sum(values, (x.ndim,))
    return lax.mul(total, lax.sqrt(lax.div(lax.full_like(x, 2), x)))


def _k(order, x, scaled):
    small = where(lax.bitwise_and(above(x, 0), at_most(x, 2)), x, 1.0)
    large = where(lax.bitwise_and(above(x, 2), below(x, np.inf)), x, 2.0)
    near, far = _small_k(order, small), _large_k(order, large)
    if scaled:
        near = lax.mul(near, lax.exp(small))
    else:
        far = lax.mul(far, lax.exp(lax.neg(large)))
    values = lax.select(at_most(x, 2), near, far)
    values = where(lax.eq(x, lax.full_like(x, np.inf)), 0.0, values)
    values = where(lax.eq(x, lax.full_like(x, 0)), np.inf, values)
    return where(lax.bitwise_not(lax.ge(x, lax.full_like(x, 0))), np.nan, values)


@_in_double
def modified_bessel_i0(x):
    """I_0(x)."""
    return lax.mul(lax.exp(lax.abs(x)), lax.bessel_i0e(x))


@_in_double
def modified_bessel_i1(x):
    """I_1(x)."""
    return lax.mul(lax.exp(lax.abs(x)), lax.bessel_i1e(x))


@_in_double
def modified_bessel_k0(x):
    """K_0(x); inf at 0, NaN below."""
    return _k(0, x, False)


@_in_double
def modified_bessel_k1(x):
    """K_1(x); inf at 0, NaN below."""
    return _k(1, x, False)


@_in_double
def scaled_modified_bessel_k0(x):
    """exp(x) K_0(x)."""
    return _k(0, x, True)


@_in_double
def scaled_modified_bessel_k1(x):
    """exp(x) K_1(x)."""
    return _k(1, x, True)


# --- Airy ---------------------------------------------------------------------------------------

AIRY_AT_0 = 3 ** (-2 / 3) / math.gamma(2 / 3)
AIRY_SLOPE_AT_0 = 3 ** (-1 / 3) / math.gamma(1 / 3)
AIRY_LOW, AIRY_HIGH = -7.0, 1.5


def _middle_airy(x):
    """9.4.1: two power series in x^3."""
    f, g = [1.0], [1.0]
    for k in range(1, 40):
        f.append(f[-1] / ((3 * k - 1) * 3 * k))
        g.append(g[-1] / (3 * k * (3 * k + 1)))
    cube = lax.mul(x, lax.mul(x, x))
    even, odd = _polynomial(cube, f), lax.mul(x, _polynomial(cube, g))
    return times(even, AIRY_AT_0) - times(odd, AIRY_SLOPE_AT_0)


def _high_airy(x):
    """9.6.2: sqrt(x / 3) K_1/3(2 x^1.5 / 3) / pi."""
    zeta = times(lax.mul(x, lax.sqrt(x)), 2 / 3)
    bessel = lax.mul(_large_k(1 / 3, zeta), lax.exp(lax.neg(zeta)))
    return times(lax.mul(lax.sqrt(times(x, 1 / 3)), bessel), 1 / math.pi)


def _low_airy(z):
    """Ai(-z) by 9.7.9."""
    u = [1.0]
    for k in range(1, TERMS):
        u.append(u[-1] * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / (216 * k * (2 * k - 1)))
    zeta = times(lax.mul(z, lax.sqrt(z)), 2 / 3)
    inverse = lax.div(lax.full_like(z, 1), zeta)
    square = lax.mul(inverse, inverse)
    even = _polynomial(square, [(-1) ** i * c for i, c in enumerate(u[0::2])])
    odd = lax.mul(inverse, _polynomial(square, [(-1) ** i * c for i, c in enumerate(u[1::2])]))
    angle = plus(zeta, math.pi / 4)
    size = lax.rsqrt(times(lax.sqrt(z), math.pi))
    return size * (lax.sin(angle) * even - lax.cos(angle) * odd)


@_in_double
def airy_ai(x):
    """Ai(x); NaN at the infinities."""
    low, high = below(x, AIRY_LOW), above(x, AIRY_HIGH)
    finite = lax.is_finite(x)
    middle = _middle_airy(where(lax.bitwise_or(low, high), 0.0, x))
    lower = _low_airy(where(lax.bitwise_and(low, finite), lax.neg(x), 8.0))
    higher = _high_airy(where(lax.bitwise_and(high, finite), x, 2.0))
    values = lax.select(low, lower, lax.select(high, higher, middle))
    return where(finite, values, np.nan)


# --- orthogonal polynomials ---------------------------------------------------------------------


def _by_recurrence(x, n, first, step):
    """p_0 = 1, p_1 = `first`, p_(k+1) = `step(k, p_k, p_(k-1))`; 0 for n < 0, n is truncated."""
    degree = where(below(n, 0), lax.ceil(n), lax.floor(n))
    one = lax.full_like(x, 1)

    def advance(state):
        k, before, last = state
        following = step(k, last, before)
        more = lax.lt(lax.full_like(x, 1) * k, degree)
        return k + 1, where(more, last, before), where(more, following, last)

    most = lax.reduce_max(degree, tuple(range(degree.ndim))) if degree.size else lax.full((), 0.0)
    start = (lax.full((), 1, x.dtype), one, first)
    last = lax.while_loop(lambda state: state[0] < most, advance, start)[2]
    values = where(lax.eq(degree, lax.full_like(degree, 0)), 1.0, last)
    return where(below(degree, 0), 0.0, values)


def _chebyshev(slope, offset, shifted):
    """p_1 = slope x + offset, p_(k+1) = 2 x p_k - p_(k-1)."""

    @_in_double
    def kernel(x, n):
        x, n = broadcast(x, n)
        if shifted:
            x = plus(times(x, 2), -1)
        first = plus(times(x, slope), offset)
        return _by_recurrence(x, n, first, lambda k, p, q: 2 * x * p - q)

    return kernel


chebyshev_polynomial_t = _chebyshev(1, 0, False)
chebyshev_polynomial_u = _chebyshev(2, 0, False)
chebyshev_polynomial_v = _chebyshev(2, -1, False)
chebyshev_polynomial_w = _chebyshev(2, 1, False)
shifted_chebyshev_polynomial_t = _chebyshev(1, 0, True)
shifted_chebyshev_polynomial_u = _chebyshev(2, 0, True)
shifted_chebyshev_polynomial_v = _chebyshev(2, -1, True)
shifted_chebyshev_polynomial_w = _chebyshev(2, 1, True)

# PyTorch answers NaN above these degrees.
HERMITE_LIMIT = {np.dtype(np.float32): 128, DOUBLE: 512}


def _hermite(x, n, factor):
    """p_1 = c x, p_(k+1) = c (x p_k - k p_(k-1)) with c = `factor`."""
    limit = HERMITE_LIMIT[x.dtype]
    dtype = x.dtype
    x, n = broadcast(cast(x, DOUBLE), cast(n, DOUBLE))
    values = _by_recurrence(x, n, times(x, factor), lambda k, p, q: factor * x * p - factor * k * q)
    return cast(where(above(n, limit), np.nan, values), dtype)


def hermite_polynomial_h(x, n):
    """The physicists' Hermite polynomial H_n(x)."""
    return _hermite(x, n, 2.0)


def hermite_polynomial_he(x, n):
    """The probabilists' Hermite polynomial He_n(x)."""
    return _hermite(x, n, 1.0)


@_in_double
def laguerre_polynomial_l(x, n):
    """The Laguerre polynomial L_n(x)."""
    x, n = broadcast(x, n)
    return _by_recurrence(x, n, 1 - x, lambda k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))


@_in_double
def legendre_polynomial_p(x, n):
    """The Legendre polynomial P_n(x)."""
    x, n = broadcast(x, n)
    return _by_recurrence(x, n, x, lambda k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))
