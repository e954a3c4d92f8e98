"""Special functions of mathematical physics and statistics.

Where single precision loses digits by cancellation, float32 is computed in float64 and rounded.
Derivatives are in terms of the functions themselves. Source of the identities: the NIST Digital
Library of Mathematical Functions (dlmf.nist.gov), chapters 5, 7, 8, 10 and 25.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import numpy as np
from jax import lax
from jax.scipy import special as jax_special

from .common import broadcast, cast, unbroadcast
from .elementwise import above, at_most, below, number, plus, times, where, widened, widened_vjp

SQRT_HALF = math.sqrt(0.5)
SQRT_PI = math.sqrt(math.pi)


def _in_double(function):
    """`function` of float32 arrays computed in float64 and rounded."""

    def run(*arrays):
        dtype = arrays[0].dtype
        return cast(function(*(cast(x, np.dtype(np.float64)) for x in arrays)), dtype)

    return run


def _slope(formula):
    """The `NAME_vjp` of a function of one array whose derivative is `formula(x)`."""

    @widened_vjp
    def rule(cts, inputs, outputs, needs):
        return (lax.mul(cts[0], formula(inputs[0])),)

    return rule


def _slope_by_output(formula):
    """The `NAME_vjp` of a function y of one array whose derivative is `formula(x, y)`."""

    @widened_vjp
    def rule(cts, inputs, outputs, needs):
        return (lax.mul(cts[0], formula(inputs[0], outputs[0])),)

    return rule


def _slopes(formulas):
    """The `NAME_vjp` of a function of two arrays: `formulas(a, b, which)` is its derivative."""

    @widened_vjp
    def rule(cts, inputs, outputs, needs):
        a, b = broadcast(*inputs)
        return tuple(
            unbroadcast(lax.mul(cts[0], formulas(a, b, i)), x.shape) if need else None
            for i, (x, need) in enumerate(zip(inputs, needs, strict=True))
        )

    return rule


# --- the error function -------------------------------------------------------------------------


@widened
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return lax.erf(x)


def _gauss(x):
    """exp(-x^2)."""
    return lax.exp(lax.neg(lax.mul(x, x)))


erf_vjp = _slope(lambda x: times(_gauss(x), 2 / SQRT_PI))


@widened
def erfc(x):
    """1 - erf(x)."""
    return lax.erfc(x)


erfc_vjp = _slope(lambda x: times(_gauss(x), -2 / SQRT_PI))


@widened
def erfinv(x):
    """The inverse of erf."""
    return lax.erf_inv(x)


erfinv_vjp = _slope_by_output(lambda x, y: times(lax.exp(lax.mul(y, y)), SQRT_PI / 2))


@widened
def erfcx(x):
    """exp(x^2) erfc(x)."""
    return jax_special.erfcx(x)


erfcx_vjp = _slope_by_output(lambda x, y: plus(times(lax.mul(x, y), 2), -2 / SQRT_PI))


@widened
def ndtr(x):
    """The distribution function of the standard normal distribution."""
    return times(plus(lax.erf(times(x, SQRT_HALF)), 1), 0.5)


ndtr_vjp = _slope(lambda x: times(lax.exp(times(lax.mul(x, x), -0.5)), SQRT_HALF / SQRT_PI))


@widened
def ndtri(x):
    """The inverse of `ndtr`."""
    return jax_special.ndtri(x)


ndtri_vjp = _slope_by_output(
    lambda x, y: times(lax.exp(times(lax.mul(y, y), 0.5)), SQRT_PI / SQRT_HALF)
)


@widened
def log_ndtr(x):
    """log ndtr(x), exact in the lower tail."""
    z = times(x, SQRT_HALF)
    tail = lax.sub(lax.log(times(jax_special.erfcx(lax.neg(z)), 0.5)), lax.mul(z, z))
    return where(below(x, -1), tail, lax.log1p(times(lax.erfc(z), -0.5)))


log_ndtr_vjp = _slope(
    lambda x: lax.div(
        lax.full_like(x, 2 * SQRT_HALF / SQRT_PI), jax_special.erfcx(times(x, -SQRT_HALF))
    )
)


# --- the gamma function -------------------------------------------------------------------------


_digamma = _in_double(lax.digamma)


@widened
def lgamma(x):
    """log |Gamma(x)|."""
    return _in_double(lax.lgamma)(x)


lgamma_vjp = _slope(lambda x: digamma(x))


@widened
def mvlgamma(x, *, p):
    """log of the multivariate gamma function: p (p - 1) / 4 log(pi) + sum_i lgamma(x - i / 2)."""
    total = lax.full_like(x, p * (p - 1) / 4 * math.log(math.pi))
    for i in range(p):
        total = lax.add(total, lgamma(plus(x, -i / 2)))
    return total


@widened_vjp
def mvlgamma_vjp(cts, inputs, outputs, needs, *, p):
    """sum_i digamma(x - i / 2)."""
    total = lax.full_like(inputs[0], 0)
    for i in range(p):
        total = lax.add(total, _digamma(plus(inputs[0], -i / 2)))
    return (lax.mul(cts[0], total),)


@widened
def digamma(x):
    """The derivative of lgamma; -inf at 0, inf at -0, NaN at the other poles."""
    return where(lax.eq(x, lax.full_like(x, 0)), _signed_pole(x), _digamma(x))


def _signed_pole(x):
    """-1 / x: the infinity of the other sign at a signed zero."""
    return lax.div(lax.full_like(x, -1), x)


digamma_vjp = _slope(lambda x: _polygamma(1, x))


@widened
def polygamma(x, *, n):
    """The n-th derivative of digamma."""
    return digamma(x) if n == 0 else _polygamma(n, x)


@widened_vjp
def polygamma_vjp(cts, inputs, outputs, needs, *, n):
    """polygamma(n + 1, x)."""
    return (lax.mul(cts[0], _polygamma(n + 1, inputs[0])),)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _polygamma(n, x):
    """(-1)^(n+1) n! zeta(n + 1, x); by reflection for n = 1 and x < 1/2."""
    wide = cast(x, np.dtype(np.float64))
    if n == 1:
        reflected = below(wide, 0.5)
        # In x's own type: near a pole it is the rounding of pi x that decides, as in PyTorch.
        sine = cast(lax.sin(times(x, math.pi)), wide.dtype)
        values = _hurwitz(number(2, wide), where(reflected, plus(lax.neg(wide), 1), wide))
        pole = lax.div(lax.full_like(wide, math.pi**2), lax.mul(sine, sine))
        values = where(reflected, lax.sub(pole, values), values)
        return cast(where(lax.eq(wide, lax.full_like(wide, np.inf)), 0, values), x.dtype)
    values = _hurwitz(number(n + 1, wide), wide)
    return cast(times(values, (-1) ** (n + 1) * math.factorial(n)), x.dtype)


@_polygamma.defjvp
def _polygamma_tangent(n, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _polygamma(n, x), lax.mul(dx, _polygamma(n + 1, x))


def _hurwitz(s, q):
    """sum_k (q + k)^-s. Terms up to q + k >= 1 are added one by one, where XLA's series fails."""
    s = lax.broadcast(s, q.shape) if np.ndim(s) == 0 else s
    count = lax.max(lax.ceil(plus(lax.neg(q), 1)), lax.full_like(q, 0))
    count = where(lax.is_finite(count), count, lax.full_like(count, 0))
    axes = tuple(range(q.ndim))

    def add(state):
        k, total = state
        term = lax.pow(lax.add(q, lax.full_like(q, 1) * k), lax.neg(s))
        return k + number(1, q), where(lax.gt(count, lax.full_like(q, 1) * k), total + term, total)

    most = lax.reduce_max(count, axes) if q.size else number(0, q)
    start = (lax.full((), 0, q.dtype), lax.full_like(q, 0))
    extra = lax.while_loop(lambda state: lax.lt(state[0], most), add, start)[1]
    return lax.add(extra, lax.zeta(s, lax.add(q, count)))


@widened
def zeta(x, q):
    """The Hurwitz zeta function sum_k (q + k)^-x; the derivative is in q alone."""
    x, q = broadcast(x, q)
    integral = lax.eq(lax.floor(x), x)
    defined = lax.bitwise_or(above(q, 0), integral)
    values = _in_double(lambda a, b: _zeta(a, b))(x, q)
    return where(defined, values, lax.full_like(values, np.nan))


@jax.custom_jvp
def _zeta(x, q):
    return _hurwitz(x, q)


@_zeta.defjvp
def _zeta_tangent(primals, tangents):
    (x, q), (_, dq) = primals, tangents
    return _zeta(x, q), lax.neg(lax.mul(lax.mul(dq, x), _zeta(plus(x, 1), q)))


@widened
def igamma(a, x):
    """The regularised lower incomplete gamma function; differentiable in x alone."""
    a, x = broadcast(a, x)
    return _at_infinite_shape(a, x, _in_double(lax.igamma)(a, x), 0)


@widened
def igammac(a, x):
    """1 - igamma(a, x)."""
    a, x = broadcast(a, x)
    return _at_infinite_shape(a, x, _in_double(lax.igammac)(a, x), 1)


def _at_infinite_shape(a, x, values, limit):
    infinite = lax.eq(a, lax.full_like(a, np.inf))
    both = lax.bitwise_and(infinite, lax.eq(x, a))
    values = where(infinite, lax.full_like(values, limit), values)
    return where(both, lax.full_like(values, np.nan), values)


def _gamma_density(a, x):
    """exp(-x) x^(a-1) / Gamma(a)."""
    return lax.exp(plus(a, -1) * lax.log(x) - x - lgamma(a))


@widened_vjp
def igamma_vjp(cts, inputs, outputs, needs):
    """exp(-x) x^(a-1) / Gamma(a) for x; none for a."""
    gradient = lax.mul(cts[0], _gamma_density(*broadcast(*inputs)))
    return None, unbroadcast(gradient, inputs[1].shape)


@widened_vjp
def igammac_vjp(cts, inputs, outputs, needs):
    """The negative of `igamma`'s."""
    gradient = lax.mul(cts[0], _gamma_density(*broadcast(*inputs)))
    return None, unbroadcast(lax.neg(gradient), inputs[1].shape)


# --- Bessel functions of imaginary argument -----------------------------------------------------


@widened
def i0e(x):
    """exp(-|x|) I_0(x)."""
    return lax.bessel_i0e(x)


i0e_vjp = _slope(lambda x: lax.sub(lax.bessel_i1e(x), lax.mul(lax.sign(x), lax.bessel_i0e(x))))


@widened
def i1e(x):
    """exp(-|x|) I_1(x)."""
    return lax.bessel_i1e(x)


def _half_at_zero(formula):
    """The slope of I_1's kin: 1/2 at 0 (and, as in PyTorch, at NaN); its terms nearly cancel."""

    @_in_double
    def slope(x):
        away = above(lax.abs(x), 0)
        return where(away, formula(where(away, x, 1)), 0.5)

    return slope


def _i1e_slope(x):
    y = lax.bessel_i1e(x)
    return lax.bessel_i0e(x) - lax.mul(y, lax.sign(x)) - lax.div(y, x)


i1e_vjp = _slope(_half_at_zero(_i1e_slope))


@widened
def i0(x):
    """I_0(x)."""
    return lax.mul(lax.exp(lax.abs(x)), lax.bessel_i0e(x))


i0_vjp = _slope(lambda x: i1(x))


@widened
def i1(x):
    """I_1(x)."""
    return lax.mul(lax.exp(lax.abs(x)), lax.bessel_i1e(x))


i1_vjp = _slope(_half_at_zero(lambda x: lax.sub(i0(x), lax.div(i1(x), x))))


# --- logarithms and relatives -------------------------------------------------------------------


@widened
def logit(x, *, eps):
    """log(x / (1 - x)), x first clamped to [eps, 1 - eps] unless `eps` is None."""
    if eps is not None:
        x = lax.clamp(number(eps, x), x, number(1 - eps, x))
    return lax.log(lax.div(x, plus(lax.neg(x), 1)))


@widened_vjp
def logit_vjp(cts, inputs, outputs, needs, *, eps):
    """1 / (x (1 - x)); 0 outside [eps, 1 - eps], or NaN outside [0, 1]."""
    (x,), low = inputs, eps or 0
    inside = lax.bitwise_and(lax.ge(x, lax.full_like(x, low)), lax.le(x, lax.full_like(x, 1 - low)))
    slope = lax.div(cts[0], lax.mul(x, plus(lax.neg(x), 1)))
    return (where(inside, slope, float("nan") if eps is None else 0.0),)


def sinc(x):
    """sin(pi x) / (pi x), 1 at 0; complex x, too."""
    return _sinc(x)


@widened
def _sinc(x):
    zero = lax.eq(x, lax.full_like(x, 0))
    angle = lax.mul(lax.select(zero, lax.full_like(x, 1), x), lax.full_like(x, math.pi))
    return lax.select(zero, lax.full_like(x, 1), lax.div(lax.sin(angle), angle))


@widened_vjp
def sinc_vjp(cts, inputs, outputs, needs):
    """(cos(pi x) - sinc(x)) / x, 0 at 0."""
    (x,) = inputs
    y = _sinc(x)
    zero = lax.eq(x, lax.full_like(x, 0))
    safe = lax.select(zero, lax.full_like(x, 1), x)
    slope = lax.div(lax.sub(lax.cos(lax.mul(x, lax.full_like(x, math.pi))), y), safe)
    slope = lax.select(zero, lax.full_like(x, 0), slope)
    if np.issubdtype(x.dtype, np.complexfloating):
        slope = lax.conj(slope)
    return (lax.mul(cts[0], slope),)


def _product_with_log(x, y, logarithm):
    """x * logarithm(y), with 0 for x = 0 unless y is NaN."""
    zero = lax.bitwise_and(lax.eq(x, lax.full_like(x, 0)), lax.eq(y, y))
    return where(zero, 0, lax.mul(x, logarithm(y)))


@widened
def xlogy(x, y):
    """x log(y); 0 for x = 0 unless y is NaN."""
    return _product_with_log(*broadcast(x, y), lax.log)


@widened
def xlog1py(x, y):
    """x log(1 + y); 0 for x = 0 unless y is NaN."""
    return _product_with_log(*broadcast(x, y), lax.log1p)


def _log_slope(x, y, logarithm, pole):
    """logarithm(y), with 0 where x = 0 and y is at or below the pole."""
    masked = lax.bitwise_and(lax.eq(x, lax.full_like(x, 0)), at_most(y, pole))
    return where(masked, 0, logarithm(y))


xlogy_vjp = _slopes(lambda x, y, i: lax.div(x, y) if i else _log_slope(x, y, lax.log, 0))
xlog1py_vjp = _slopes(
    lambda x, y, i: lax.div(x, plus(y, 1)) if i else _log_slope(x, y, lax.log1p, -1)
)


@widened
def entr(x):
    """-x log(x); 0 at 0, -inf below."""
    at_most_zero = where(lax.eq(x, lax.full_like(x, 0)), lax.full_like(x, 0), -np.inf)
    return where(at_most(x, 0), at_most_zero, lax.neg(lax.mul(x, lax.log(x))))


entr_vjp = _slope(lambda x: plus(lax.neg(lax.log(x)), -1))
