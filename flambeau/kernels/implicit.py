"""Derivatives of gamma and Dirichlet draws with respect to their parameters.

A draw z of a distribution function F(z; a) moves with a so that F stays the same:
dz/da = -(dF/da) / (dF/dz).
Source: Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018.
"""

import jax
import numpy as np
from jax import lax

MOST_TERMS = 5000
# Terms taken after the value has converged: its derivative follows a little later.
TERMS_AFTER = 30


def gamma_draw(concentration, values):
    """`values`, drawn from the gamma distributions of unit scale with these concentrations."""
    return values


def gamma_draw_vjp(cts, inputs, outputs, needs):
    concentration, values = (lax.convert_element_type(x, np.float64) for x in inputs)
    slope = lax.convert_element_type(lax.random_gamma_grad(concentration, values), cts[0].dtype)
    return lax.mul(cts[0], slope), None


def dirichlet_draw(concentration, values):
    """`values`, drawn from the Dirichlet distributions whose rows of concentrations are given."""
    return values


def dirichlet_draw_vjp(cts, inputs, outputs, needs):
    concentration, values = inputs
    ct, last = cts[0], (values.ndim - 1,)

    def total(x):
        return lax.broadcast_in_dim(lax.reduce_sum(x, last), x.shape, tuple(range(x.ndim - 1)))

    slope = beta_slope(values, concentration, total(concentration))
    return lax.mul(slope, lax.sub(ct, total(lax.mul(values, ct)))), None


def beta_slope(x, concentration, total):
    """dx/da / (1 - x) for a draw x of Beta(a, b), where a is `concentration` and a + b `total`.

    With the continued fraction K of the incomplete beta function, F(x; a, b) / f(x; a, b) is
    x (1 - x) K(x; a, b) / a, and the derivative of log F is known but for that of log K.
    Source: DLMF 8.17.22.
    """
    dtype = x.dtype
    x, a, total = (lax.convert_element_type(v, np.float64) for v in (x, concentration, total))
    b = lax.sub(total, a)
    one = lax.full_like(a, 1)
    lower = lax.lt(lax.mul(x, lax.add(total, 2 * one)), lax.add(a, one))
    common = lax.add(lax.sub(lax.log(x), lax.digamma(a)), lax.digamma(total))

    def fraction(a):
        first = lax.select(lower, a, b)
        second = lax.select(lower, b, a)
        return continued_fraction(first, second, lax.select(lower, x, lax.sub(one, x)))

    value, change = jax.jvp(fraction, (a,), (one,))
    below = -x / a * (value * (common - one / a) + change)
    above = x / b * (value * common + change)
    return lax.convert_element_type(lax.select(lower, below, above), dtype)


def continued_fraction(a, b, x):
    """K(x; a, b), for x below (a + 1) / (a + b + 2), by Lentz's method."""
    tiny = 1e-300

    def away_from_zero(value):
        return lax.select(lax.lt(lax.abs(value), lax.full_like(value, tiny)), _like(value), value)

    def _like(value):
        return lax.full_like(value, tiny)

    def step(state, coefficient):
        numerator, denominator, result = state
        denominator = 1 / away_from_zero(1 + coefficient * denominator)
        numerator = away_from_zero(1 + coefficient / numerator)
        return numerator, denominator, result * numerator * denominator

    def body(carry):
        m, left, *state = carry
        before = state[2]
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        state = step(tuple(state), even)
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        state = step(state, odd)
        moved = lax.reduce_max(lax.abs(lax.stop_gradient(state[2] - before)), tuple(range(x.ndim)))
        left = lax.select(lax.gt(moved, 1e-16), TERMS_AFTER, left - 1)
        return m + 1, left, *state

    def unfinished(carry):
        return lax.bitwise_and(lax.gt(carry[1], 0), lax.lt(carry[0], float(MOST_TERMS)))

    one = lax.full_like(x, 1)
    first = -(a + b) * x / (a + 1)
    denominator = 1 / away_from_zero(1 + first)
    start = (1.0, TERMS_AFTER, one, denominator, denominator)
    return lax.while_loop(unfinished, body, start)[4]
