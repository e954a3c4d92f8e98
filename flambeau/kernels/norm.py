"""Normalisations: (x - mean) / sqrt(variance + eps), over batches, groups, layers.

Variances are two-pass (the mean of squared deviations). The derivatives are written with the
statistics that the forward kept: for x^ = (x - mean) * rstd and u = g * weight,

    dx = rstd * (u - mean(u) - x^ * mean(u * x^)),   dweight = sum(g * x^),   dbias = sum(g).
"""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from flambeau.kernels.common import NARROW, cast
from flambeau.kernels.elementwise import number, plus, times, widen

# Shared pieces. `axes` are the reduced ones; statistics keep them as length 1.


def _mean(x, axes):
    total = lax.reduce_sum(x, axes)
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    count = math.prod(x.shape[a] for a in axes)
    return lax.reshape(lax.div(total, number(count, total)), kept)


def _like(statistic, x):
    return lax.broadcast_in_dim(statistic, x.shape, tuple(range(x.ndim)))


def _statistics(x, axes):
    """(mean, variance), the variance as the mean of squared deviations."""
    mean = _mean(x, axes)
    centred = lax.sub(x, _like(mean, x))
    return mean, _mean(lax.mul(centred, centred), axes)


def statistics(x, *, axes, eps, keepdim):
    """(mean, 1 / sqrt(variance + eps)) over `axes`."""
    mean, variance = _statistics(widen(x), axes)
    shape = mean.shape if keepdim else tuple(n for a, n in enumerate(x.shape) if a not in axes)
    both = (mean, _rstd(variance, eps))
    return tuple(cast(lax.reshape(v, shape), x.dtype) for v in both)


def _rstd(variance, eps):
    return lax.rsqrt(plus(variance, eps))


def _normalised(x, mean, rstd):
    return lax.mul(lax.sub(x, _like(mean, x)), _like(rstd, x))


def _affine(x, weight, bias, axes):
    """x * weight + bias, the parameters lying along `axes` of x."""
    if weight is not None:
        x = lax.mul(x, lax.broadcast_in_dim(widen(weight), x.shape, axes))
    if bias is not None:
        x = lax.add(x, lax.broadcast_in_dim(widen(bias), x.shape, axes))
    return x


def _input_gradient(g, weight, x_hat, rstd, axes, parameter_axes):
    u = _affine(g, weight, None, parameter_axes)
    shift = lax.add(
        _like(_mean(u, axes), u), lax.mul(x_hat, _like(_mean(lax.mul(u, x_hat), axes), u))
    )
    return lax.mul(_like(rstd, u), lax.sub(u, shift))


def _parameter_gradients(g, x_hat, weight, bias, needs, axes):
    """(dweight, dbias): sums over all axes but `axes`."""
    others = tuple(a for a in range(g.ndim) if a not in axes)
    dw = db = None
    if weight is not None and needs[0]:
        dw = cast(lax.reduce_sum(lax.mul(g, x_hat), others), weight.dtype)
    if bias is not None and needs[1]:
        db = cast(lax.reduce_sum(g, others), bias.dtype)
    return dw, db


# Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167). x is (N, C, *).


def _batch_axes(x):
    return tuple(a for a in range(x.ndim) if a != 1)


def batch_norm_train(x, weight, bias, running_mean, running_var, momentum, *, eps):
    """Normalised by the batch's own statistics; (y, new_running_mean, new_running_var).

    Args:
        x: (N, C, *); weight, bias: (C,) or None.
        running_mean, running_var: (C,), or both None: then the result is y.
        momentum: a scalar; new = (1 - momentum) * running + momentum * statistic, where the
            variance is the unbiased one.
    """
    inputs = (x, weight, bias, running_mean, running_var, momentum)
    return _only(batch_norm_train_forward(*inputs, eps=eps)[0])


def _only(outputs):
    return outputs if len(outputs) > 1 else outputs[0]


def batch_norm_train_forward(x, weight, bias, running_mean, running_var, momentum, *, eps):
    """The same, with the residuals (mean, rstd)."""
    wide, axes = widen(x), _batch_axes(x)
    mean, variance = _statistics(wide, axes)
    rstd = _rstd(variance, eps)
    y = cast(_affine(_normalised(wide, mean, rstd), weight, bias, (1,)), x.dtype)
    if running_mean is None:
        return (y,), (mean, rstd)
    count = math.prod(x.shape[a] for a in axes)
    unbiased = times(variance, count / (count - 1) if count > 1 else math.nan)
    running = (
        _moved(running_mean, lax.stop_gradient(mean), momentum),
        _moved(running_var, lax.stop_gradient(unbiased), momentum),
    )
    return (y, *running), (mean, rstd)


def _moved(running, statistic, momentum):
    wide = widen(running)
    new = cast(lax.reshape(statistic, running.shape), wide.dtype)
    step = lax.full_like(wide, lax.convert_element_type(momentum, wide.dtype))
    kept = lax.sub(lax.full_like(wide, 1), step)
    return cast(lax.add(lax.mul(kept, wide), lax.mul(step, new)), running.dtype)


def _residuals(inputs, outputs):
    """(mean, rstd), which follow one output, or three where there are running statistics."""
    first = 1 if inputs[3] is None else 3
    return outputs[first], outputs[first + 1]


def batch_norm_train_vjp(cts, inputs, outputs, needs, *, eps):
    """Gradients of x, weight and bias; the running statistics are not differentiated."""
    x, weight, bias = inputs[:3]
    mean, rstd = _residuals(inputs, outputs)
    wide, g, axes = widen(x), widen(cts[0]), _batch_axes(x)
    x_hat = _normalised(wide, mean, rstd)
    dx = None
    if needs[0]:
        dx = cast(_input_gradient(g, weight, x_hat, rstd, axes, (1,)), x.dtype)
    return (
        dx,
        *_parameter_gradients(g, x_hat, weight, bias, needs[1:3], (1,)),
        None,
        None,
        None,
    )


def batch_norm_eval(x, weight, bias, running_mean, running_var, *, eps):
    """Normalised by the running statistics: one multiply-add a channel."""
    wide = widen(x)
    scale = _rstd(widen(running_var), eps)
    if weight is not None:
        scale = lax.mul(scale, cast(widen(weight), scale.dtype))
    shift = lax.neg(lax.mul(widen(running_mean), scale))
    if bias is not None:
        shift = lax.add(shift, cast(widen(bias), shift.dtype))
    scale, shift = cast(scale, wide.dtype), cast(shift, wide.dtype)
    return cast(_affine(wide, scale, shift, (1,)), x.dtype)


# Layer normalisation (Ba et al. 2016, arXiv:1607.06450): over the last `axes_count` axes.


def _last_axes(x, count):
    return tuple(range(x.ndim - count, x.ndim))


def layer_norm(x, weight, bias, *, axes_count, eps):
    """Normalised over the last `axes_count` axes, along which weight and bias lie."""
    return layer_norm_forward(x, weight, bias, axes_count=axes_count, eps=eps)[0][0]


def layer_norm_forward(x, weight, bias, *, axes_count, eps):
    """The same, with the residuals (mean, rstd)."""
    wide, axes = widen(x), _last_axes(x, axes_count)
    mean, variance = _statistics(wide, axes)
    rstd = _rstd(variance, eps)
    y = _affine(_normalised(wide, mean, rstd), weight, bias, axes)
    return (cast(y, x.dtype),), (mean, rstd)


def layer_norm_vjp(cts, inputs, outputs, needs, *, axes_count, eps):
    """Gradients of x, weight and bias."""
    x, weight, bias = inputs
    mean, rstd = outputs[1], outputs[2]
    wide, g, axes = widen(x), widen(cts[0]), _last_axes(x, axes_count)
    x_hat = _normalised(wide, mean, rstd)
    dx = None
    if needs[0]:
        dx = cast(_input_gradient(g, weight, x_hat, rstd, axes, axes), x.dtype)
    return dx, *_parameter_gradients(g, x_hat, weight, bias, needs[1:], axes)


def rms_norm(x, weight, *, axes_count, eps):
    """x / sqrt(mean(x^2) + eps) * weight over the last axes (arXiv:1910.07467).

    eps=None: the smallest step of the type in which it is computed.
    """
    wide, axes = widen(x), _last_axes(x, axes_count)
    if eps is None:
        eps = float(np.finfo(np.float32 if x.dtype in NARROW else x.dtype).eps)
    rstd = _rstd(_mean(lax.mul(wide, wide), axes), eps)
    return cast(_affine(lax.mul(wide, _like(rstd, wide)), weight, None, axes), x.dtype)


# Group normalisation (Wu and He 2018, arXiv:1803.08494). x is (N, C, *).


def _in_groups(x, groups):
    """(N, groups, C / groups, *)."""
    return lax.reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))


def group_norm(x, weight, bias, *, groups, eps):
    """Normalised over the channels of a group and all positions; weight and bias are (C,)."""
    return group_norm_forward(x, weight, bias, groups=groups, eps=eps)[0][0]


def group_norm_forward(x, weight, bias, *, groups, eps):
    """The same, with the residuals (mean, rstd)."""
    split = _in_groups(widen(x), groups)
    axes = tuple(range(2, split.ndim))
    mean, variance = _statistics(split, axes)
    rstd = _rstd(variance, eps)
    normalised = lax.reshape(_normalised(split, mean, rstd), x.shape)
    return (cast(_affine(normalised, weight, bias, (1,)), x.dtype),), (mean, rstd)


def group_norm_vjp(cts, inputs, outputs, needs, *, groups, eps):
    """Gradients of x, weight and bias."""
    x, weight, bias = inputs
    mean, rstd = outputs[1], outputs[2]
    g = widen(cts[0])
    split = _in_groups(widen(x), groups)
    x_hat = _normalised(split, mean, rstd)
    dx = None
    if needs[0]:
        axes = tuple(range(2, split.ndim))
        u = _in_groups(_affine(g, weight, None, (1,)), groups)
        dx = cast(lax.reshape(_input_gradient(u, None, x_hat, rstd, axes, ()), x.shape), x.dtype)
    flat = lax.reshape(x_hat, x.shape)
    return dx, *_parameter_gradients(g, flat, weight, bias, needs[1:], (1,))


def instance_norm(x, weight, bias, running_mean, running_var, momentum, *, eps):
    """Group normalisation with one channel a group (arXiv:1607.08022).

    Returns y, or with running statistics (y, new_running_mean, new_running_var): these move
    towards the means over the batch of each instance's mean and unbiased variance.
    """
    inputs = (x, weight, bias, running_mean, running_var, momentum)
    return _only(instance_norm_forward(*inputs, eps=eps)[0])


def instance_norm_forward(x, weight, bias, running_mean, running_var, momentum, *, eps):
    """The same, with the residuals (mean, rstd)."""
    (y,), (mean, rstd) = group_norm_forward(x, weight, bias, groups=x.shape[1], eps=eps)
    if running_mean is None:
        return (y,), (mean, rstd)
    count = math.prod(x.shape[2:])
    wide = lax.stop_gradient(widen(x))
    mean_of_each, variance = _statistics(wide, tuple(range(2, x.ndim)))
    unbiased = times(variance, count / (count - 1) if count > 1 else math.nan)
    running = (
        _moved(running_mean, _mean(mean_of_each, (0,)), momentum),
        _moved(running_var, _mean(unbiased, (0,)), momentum),
    )
    return (y, *running), (mean, rstd)


def instance_norm_vjp(cts, inputs, outputs, needs, *, eps):
    """Gradients of x, weight and bias; the running statistics are not differentiated."""
    statistics = (None, *_residuals(inputs, outputs))
    groups = inputs[0].shape[1]
    three = group_norm_vjp(cts, inputs[:3], statistics, needs[:3], groups=groups, eps=eps)
    return (*three, None, None, None)


def local_response_norm(x, *, size, alpha, beta, k):
    """x / (k + alpha / size * the sum of x^2 over `size` neighbouring channels)^beta."""
    wide = widen(x)
    before = size // 2
    total = _channel_sums(lax.mul(wide, wide), before, size - 1 - before)
    return cast(_damped(wide, total, alpha / size, beta, k), x.dtype)


def cross_map_lrn(x, *, size, alpha, beta, k):
    """The same with (size - 1) // 2 channels on either side.

    PyTorch's running sum never lets go of the first channel: its square counts everywhere.
    """
    wide = widen(x)
    reach = (size - 1) // 2
    squares = lax.mul(wide, wide)
    total = _channel_sums(squares, reach, reach)
    far = x.shape[1] - reach - 1
    if far > 0:
        shape = (x.shape[0], far, *x.shape[2:])
        first = lax.broadcast_in_dim(lax.slice_in_dim(squares, 0, 1, axis=1), shape, range(x.ndim))
        near = lax.slice_in_dim(total, 0, reach + 1, axis=1)
        rest = lax.add(lax.slice_in_dim(total, reach + 1, x.shape[1], axis=1), first)
        total = lax.concatenate([near, rest], 1)
    return cast(_damped(wide, total, alpha / size, beta, k), x.dtype)


def _channel_sums(squares, before, after):
    """The sum over each channel and its neighbours."""
    config = [(0, 0, 0)] * squares.ndim
    config[1] = (before, after, 0)
    padded = lax.pad(squares, number(0, squares), config)
    total = None
    for shift in range(before + after + 1):
        window = lax.slice_in_dim(padded, shift, shift + squares.shape[1], axis=1)
        total = window if total is None else lax.add(total, window)
    return total


def _damped(x, total, factor, beta, k):
    base = plus(times(total, factor), k)
    return lax.div(x, lax.pow(base, number(beta, base)))
