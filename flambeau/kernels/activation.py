"""Activation functions: element by element, gated, and over one axis (the softmax family).

Every function is written as a choice between branches (`where`) whose untaken branch stays finite,
so that the derivative which follows from the code is the one PyTorch takes at the kinks. Layer
constants (slopes, limits) are statics.
"""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import (
    above,
    at_least,
    at_most,
    below,
    plus,
    times,
    where,
    widen,
    widened,
    widened_vjp,
)

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


# Rectifiers: piecewise linear.


def relu(x):
    """max(x, 0); NaN stays NaN."""
    return where(at_most(x, 0), 0, x)


def relu_vjp(cts, inputs, outputs, needs):
    """dx = g where the output is not 0 (the input need not be kept)."""
    return (where(at_most(outputs[0], 0), 0, cts[0]),)


def hardtanh(x, *, min_val, max_val):
    """x clamped to [min_val, max_val]; the derivative is 0 on the limits."""
    return where(at_most(x, min_val), min_val, where(at_least(x, max_val), max_val, x))


@widened
def leaky_relu(x, *, negative_slope):
    """x above 0, negative_slope * x elsewhere."""
    return where(above(x, 0), x, times(x, negative_slope))


@widened
def prelu(x, weight):
    """x above 0, weight * x elsewhere; `weight` broadcasts against x."""
    return where(above(x, 0), x, lax.mul(x, _aligned(weight, x)))


def _aligned(weight, x):
    return lax.broadcast_in_dim(weight, x.shape, tuple(range(x.ndim - weight.ndim, x.ndim)))


def threshold(x, *, threshold, value):
    """value where x <= threshold, else x."""
    return where(at_most(x, threshold), value, x)


def hardshrink(x, *, lambd):
    """0 where -lambd <= x <= lambd, else x."""
    return where(lax.bitwise_and(at_least(x, -lambd), at_most(x, lambd)), 0, x)


@widened
def softshrink(x, *, lambd):
    """x - lambd above lambd, x + lambd below -lambd, 0 between."""
    outer = where(above(x, lambd), plus(x, -lambd), where(below(x, -lambd), plus(x, lambd), x))
    inside = lax.bitwise_and(at_least(x, -lambd), at_most(x, lambd))
    # times(x, 0) keeps the sign of zero, as PyTorch's form does.
    return where(inside, lax.stop_gradient(times(x, 0)), outer)


@widened
def hardsigmoid(x):
    """0 below -3, 1 above 3, x / 6 + 1 / 2 between."""
    return where(at_most(x, -3), 0, where(at_least(x, 3), 1, times(plus(x, 3), 1 / 6)))


@widened_vjp
def hardsigmoid_vjp(cts, inputs, outputs, needs):
    """dx = g / 6 strictly between -3 and 3 (0 for NaN); the sixth is a float32 in PyTorch."""
    inside = lax.bitwise_and(above(inputs[0], -3), below(inputs[0], 3))
    return (where(inside, times(cts[0], np.float32(1 / 6)), 0),)


@widened
def hardswish(x):
    """x * clamp(x + 3, 0, 6) / 6 (Howard et al. 2019, arXiv:1905.02244)."""
    gate = where(at_most(x, -3), 0, where(at_least(x, 3), 6, plus(x, 3)))
    return times(lax.mul(x, gate), 1 / 6)


@widened_vjp
def hardswish_vjp(cts, inputs, outputs, needs):
    """dx = 0 up to -3, g * (x / 3 + 1 / 2) below 3, g elsewhere (for NaN, too)."""
    x, g = inputs[0], cts[0]
    inner = lax.mul(g, plus(times(x, 1 / 3), 0.5))
    return (where(at_most(x, -3), 0, where(below(x, 3), inner, g)),)


# Exponential units.


@widened
def elu(x, *, alpha, scale, input_scale):
    """scale * x above 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere.

    ELU (Clevert et al. 2015, arXiv:1511.07289). CELU (arXiv:1704.07483) is input_scale = 1 / alpha,
    SELU (arXiv:1706.02515) alpha = SELU_ALPHA and scale = SELU_SCALE.
    """
    negative = at_most(x, 0)
    curve = times(lax.expm1(times(where(negative, x, 0), input_scale)), alpha * scale)
    return where(negative, curve, times(x, scale))


@widened_vjp
def elu_vjp(cts, inputs, outputs, needs, *, alpha, scale, input_scale):
    """dx = g * scale above 0, g * scale * alpha * input_scale * exp(input_scale * x) elsewhere."""
    x, g = inputs[0], cts[0]
    negative = at_most(x, 0)
    curve = times(lax.exp(times(where(negative, x, 0), input_scale)), alpha * scale * input_scale)
    return (where(negative, lax.mul(g, curve), times(g, scale)),)


@widened
def softplus(x, *, beta, threshold):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    scaled = times(x, beta)
    linear = above(scaled, threshold)
    bounded = where(linear, 0, scaled)
    return where(linear, x, times(lax.log1p(lax.exp(bounded)), 1 / beta))


@widened
def logsigmoid(x):
    """log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|))."""
    negative = below(x, 0)
    return lax.sub(where(negative, x, 0), lax.log1p(lax.exp(where(negative, x, lax.neg(x)))))


# Smooth units.


def _conjugate(x):
    return lax.conj(x) if np.issubdtype(x.dtype, np.complexfloating) else x


@widened
def silu(x):
    """x * sigmoid(x) (arXiv:1606.08415, arXiv:1702.03118)."""
    return lax.mul(x, lax.logistic(x))


@widened
def mish(x):
    """x * tanh(softplus(x)) (Misra 2019, arXiv:1908.08681)."""
    return lax.mul(x, lax.tanh(softplus(x, beta=1.0, threshold=20.0)))


@widened
def gelu(x, *, approximate):
    """x * Phi(x), Phi the normal distribution function (arXiv:1606.08415).

    approximate='tanh': x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))).
    """
    if approximate == "tanh":
        cubic = lax.mul(lax.mul(x, x), x)
        inner = times(lax.add(x, times(cubic, 0.044715)), math.sqrt(2 / math.pi))
        return lax.mul(times(x, 0.5), plus(lax.tanh(inner), 1))
    return lax.mul(times(x, 0.5), plus(lax.erf(times(x, math.sqrt(0.5))), 1))


@widened_vjp
def gelu_vjp(cts, inputs, outputs, needs, *, approximate):
    """dx = g * (Phi(x) + x * phi(x)); the tanh form by its own derivative."""
    x, g = inputs[0], cts[0]
    if approximate == "tanh":
        factor = math.sqrt(2 / math.pi)
        square = lax.mul(x, x)
        gate = lax.tanh(lax.mul(times(x, factor), plus(times(square, 0.044715), 1)))
        inner = times(plus(times(square, 3 * 0.044715), 1), factor)
        curve = lax.mul(lax.sub(lax.full_like(gate, 1), lax.mul(gate, gate)), inner)
        slope = lax.add(times(plus(gate, 1), 0.5), lax.mul(times(x, 0.5), curve))
    else:
        distribution = times(plus(lax.erf(times(x, math.sqrt(0.5))), 1), 0.5)
        density = times(lax.exp(times(lax.mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
        slope = lax.add(distribution, lax.mul(x, density))
    return (lax.mul(g, slope),)


@widened
def softsign(x):
    """x / (1 + |x|)."""
    return lax.div(x, plus(lax.abs(x), 1))


@widened_vjp
def softsign_vjp(cts, inputs, outputs, needs):
    """dx = g / (1 + |x|)^2 for real x."""
    x = inputs[0]
    size = plus(lax.abs(x), 1)
    slope = lax.div(lax.full_like(x, 1), size)
    return (lax.mul(cts[0], lax.sub(slope, lax.div(lax.mul(x, lax.sign(x)), lax.mul(size, size)))),)


@widened
def tanhshrink(x):
    """x - tanh(x)."""
    return lax.sub(x, lax.tanh(x))


@widened_vjp
def tanhshrink_vjp(cts, inputs, outputs, needs):
    """dx = g * tanh(x)^2."""
    curve = lax.tanh(inputs[0])
    return (lax.mul(cts[0], _conjugate(lax.mul(curve, curve))),)


@widened
def glu(x, *, dim):
    """a * sigmoid(b) with a, b the halves of x along `dim` (arXiv:1612.08083)."""
    half = x.shape[dim] // 2
    value = lax.slice_in_dim(x, 0, half, axis=dim)
    gate = lax.slice_in_dim(x, half, 2 * half, axis=dim)
    return lax.mul(value, lax.logistic(gate))


# Over one axis. `dtype`: the type to convert to first, or None.


def softmax(x, *, dim, dtype=None):
    """exp(x_i) / sum_j exp(x_j) along `dim`, shifted by the maximum."""
    return _over_axis(x, dim, dtype, _softmax)


def softmin(x, *, dim, dtype=None):
    """softmax(-x)."""
    return softmax(lax.neg(x), dim=dim, dtype=dtype)


def log_softmax(x, *, dim, dtype=None):
    """x_i - log(sum_j exp(x_j)) along `dim`."""
    return _over_axis(x, dim, dtype, _log_softmax)


def _over_axis(x, dim, dtype, function):
    result = np.dtype(x.dtype if dtype is None else dtype)
    wide = widen(cast(x, result))
    if x.ndim == 0:
        return cast(lax.reshape(function(lax.reshape(wide, (1,)), 0), ()), result)
    return cast(function(wide, dim), result)


def _softmax(x, dim):
    weights = lax.exp(_centred(x, dim))
    return lax.div(weights, _kept(lax.reduce_sum(weights, (dim,)), x, dim))


def _log_softmax(x, dim):
    centred = _centred(x, dim)
    total = lax.log(lax.reduce_sum(lax.exp(centred), (dim,)))
    return lax.sub(centred, _kept(total, x, dim))


def _centred(x, dim):
    largest = lax.reduce_max(lax.stop_gradient(x), (dim,))
    return lax.sub(x, _kept(largest, x, dim))


def _kept(reduced, x, dim):
    return lax.broadcast_in_dim(reduced, x.shape, tuple(a for a in range(x.ndim) if a != dim))


def softmax_vjp(cts, inputs, outputs, needs, *, dim, dtype=None):
    """dx = y * (g - sum(g * y))."""
    g, y, shape = *_with_axis(cts[0], outputs[0]), inputs[0].shape
    product = lax.mul(g, y)
    total = _kept(lax.reduce_sum(product, (dim,)), y, dim)
    gradient = lax.sub(product, lax.mul(y, total))
    return (cast(lax.reshape(gradient, shape), inputs[0].dtype),)


def softmin_vjp(cts, inputs, outputs, needs, *, dim, dtype=None):
    """The softmax gradient, negated."""
    (gradient,) = softmax_vjp(cts, inputs, outputs, needs, dim=dim, dtype=dtype)
    return (lax.neg(gradient),)


def log_softmax_vjp(cts, inputs, outputs, needs, *, dim, dtype=None):
    """dx = g - exp(y) * sum(g)."""
    g, y, shape = *_with_axis(cts[0], outputs[0]), inputs[0].shape
    total = _kept(lax.reduce_sum(g, (dim,)), y, dim)
    gradient = lax.sub(g, lax.mul(lax.exp(y), total))
    return (cast(lax.reshape(gradient, shape), inputs[0].dtype),)


def _with_axis(g, y):
    """Cotangent and output in their compute type, a scalar as one element along axis 0."""
    shape = y.shape or (1,)
    return lax.reshape(widen(g), shape), lax.reshape(widen(y), shape)
