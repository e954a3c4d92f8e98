"""Convolution and transposed convolution over 1, 2 or 3 (in truth, any number of) axes.

Arrays are (N, C, *spatial), weights (C_out, C_in / groups, *kernel), as PyTorch has them. On a CPU
the work is done channels-last, in the form that XLA runs fastest there:

    pointwise   a 1x1 kernel is one matrix product over the (strided) pixels
    depthwise   one shifted multiply-add a kernel tap
    grouped     patches and one product batched over the groups
    patches     the same for one group, where the stride is the kernel's size
    dense       XLA's convolution, channels last

Elsewhere it is XLA's convolution as it stands. `_form` alone makes the choice. The transposes at
both ends cancel between layers when XLA sees several of them in one program.
"""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
from jax import lax

from flambeau.kernels.common import cast
from flambeau.kernels.elementwise import widen

# Above this many kernel positions the forms that unroll over them give way to XLA's own.
MOST_TAPS = 64

# From this many output pixels a weight gradient is a product a tap (measured: 10 to 35 % faster).
ONE_TAP_PIXELS = 1024


def _form(channels, weight, groups, stride, dilation):
    """The form of computation: 'native' off the CPU, else the one for these shapes."""
    if jax.default_backend() != "cpu":
        return "native"
    kernel = weight.shape[2:]
    taps = math.prod(kernel)
    tiled = _is_tiled(kernel, stride, dilation)
    if taps > MOST_TAPS and not tiled:
        return "native" if groups > 1 else "dense"
    if groups == channels and groups > 1 and taps <= MOST_TAPS:
        return "depthwise"
    if groups > 1:
        return "grouped"
    if taps == 1:
        return "pointwise"
    return "patches" if tiled else "dense"


def _is_tiled(kernel, stride, dilation):
    """Whether windows tile the input: each pixel under one kernel position only."""
    return tuple(kernel) == tuple(stride) and all(
        d == 1 or k == 1 for k, d in zip(kernel, dilation, strict=True)
    )


def output_size(size, kernel, stride, padding, dilation):
    """The length of a convolved axis; `padding` is the pair (before, after)."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def conv(x, weight, bias, *, stride, padding, dilation, groups):
    """y[n, o, p] = bias[o] + sum over c, k of weight[o, c, k] * x[n, c, stride p + dilation k].

    Args:
        x: (N, C_in, *spatial).
        weight: (C_out, C_in / groups, *kernel).
        bias: (C_out,) or None.
        stride, dilation: one integer an axis.
        padding: a pair (before, after) an axis, of zeros.
        groups: the number of independent groups of channels.
    """
    form = _form(x.shape[1], weight, groups, stride, dilation)
    if form == "native":
        y = _native(x, weight, stride, padding, dilation, groups)
        return _add_bias(y, bias, 1)
    dtype = x.dtype
    pixels = _pad_pixels(_channels_last(widen(x)), padding)
    y = _FORMS[form](pixels, widen(weight), stride, dilation, groups)
    return cast(_channels_first(_add_bias(y, bias, y.ndim - 1)), dtype)


def conv_vjp(cts, inputs, outputs, needs, *, stride, padding, dilation, groups):
    """Gradients of `conv`, channels last on a CPU."""
    x, weight, bias = inputs
    form = _form(x.shape[1], weight, groups, stride, dilation)
    if form == "native":

        def run(x, weight):
            return _native(x, weight, stride, padding, dilation, groups)

        dx, dw = jax.vjp(run, x, weight)[1](cts[0])
    else:
        rows = _channels_last(widen(cts[0]))
        pixels = _pad_pixels(_channels_last(widen(x)), padding)
        arrays = (rows, pixels, widen(weight))
        dx, dw = _channels_last_vjp(form, *arrays, needs, stride, padding, dilation, groups)
        if needs[0]:
            dx = _channels_first(dx)
    return (
        cast(dx, x.dtype) if needs[0] else None,
        cast(dw, weight.dtype) if needs[1] else None,
        _bias_gradient(cts[0], bias, needs),
    )


def _add_bias(y, bias, axis):
    if bias is None:
        return y
    return lax.add(y, lax.broadcast_in_dim(cast(bias, y.dtype), y.shape, (axis,)))


def _bias_gradient(g, bias, needs):
    if bias is None or not needs[2]:
        return None
    return cast(lax.reduce_sum(widen(g), (0, *range(2, g.ndim))), bias.dtype)


# Layout.


def _channels_last(x):
    return lax.transpose(x, (0, *range(2, x.ndim), 1))


def _channels_first(x):
    return lax.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _pad_pixels(pixels, padding):
    """Zeros around the spatial axes of a channels-last array; negative padding crops."""
    if not any(before or after for before, after in padding):
        return pixels
    config = ((0, 0, 0), *((before, after, 0) for before, after in padding), (0, 0, 0))
    return lax.pad(pixels, np.zeros((), pixels.dtype), config)


def _taps(kernel):
    """All positions of a kernel, in row-major order."""
    return tuple(itertools.product(*map(range, kernel)))


def _shifted(pixels, tap, out, stride, dilation):
    """The pixels that kernel position `tap` meets, one an output position (N, *out, C)."""
    starts = [k * d for k, d in zip(tap, dilation, strict=True)]
    stops = [a + (n - 1) * s + 1 for a, n, s in zip(starts, out, stride, strict=True)]
    return lax.slice(
        pixels,
        (0, *starts, 0),
        (pixels.shape[0], *stops, pixels.shape[-1]),
        (1, *stride, 1),
    )


def _unshifted(values, tap, size, stride, dilation):
    """The transpose of `_shifted`: values put back at their pixels, zeros elsewhere."""
    config = [(0, 0, 0)]
    for k, d, s, n, total in zip(tap, dilation, stride, values.shape[1:-1], size, strict=True):
        start = k * d
        config.append((start, total - start - ((n - 1) * s + 1), s - 1))
    return lax.pad(values, np.zeros((), values.dtype), (*config, (0, 0, 0)))


def _out_sizes(pixels, kernel, stride, dilation):
    sizes = pixels.shape[1:-1]
    return tuple(
        output_size(n, k, s, (0, 0), d)
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    )


# Forms. Each takes padded pixels (N, *spatial, C) and gives (N, *out, C_out).


def _native(x, weight, stride, padding, dilation, groups):
    return lax.conv_general_dilated(
        x,
        weight,
        window_strides=stride,
        padding=padding,
        rhs_dilation=dilation,
        feature_group_count=groups,
    )


def _dense(pixels, weight, stride, dilation, groups):
    spatial = tuple(range(1, pixels.ndim - 1))
    layout = lax.ConvDimensionNumbers(
        (0, pixels.ndim - 1, *spatial),
        (pixels.ndim - 1, pixels.ndim - 2, *range(pixels.ndim - 2)),
        (0, pixels.ndim - 1, *spatial),
    )
    kernel_last = lax.optimization_barrier(lax.transpose(weight, (*range(2, weight.ndim), 1, 0)))
    return lax.conv_general_dilated(
        pixels,
        kernel_last,
        window_strides=stride,
        padding=((0, 0),) * len(stride),
        rhs_dilation=dilation,
        dimension_numbers=layout,
    )


def _pointwise(pixels, weight, stride, dilation, groups):
    out = _out_sizes(pixels, weight.shape[2:], stride, dilation)
    taken = _shifted(pixels, (0,) * len(stride), out, stride, dilation)
    matrix = lax.reshape(weight, weight.shape[:2])
    return lax.dot_general(taken, matrix, (((taken.ndim - 1,), (1,)), ((), ())))


def _depthwise(pixels, weight, stride, dilation, groups):
    kernel = weight.shape[2:]
    out = _out_sizes(pixels, kernel, stride, dilation)
    repeats = weight.shape[0] // groups
    if repeats > 1:
        # Output channel c * repeats + r reads input channel c.
        shape = (*pixels.shape, repeats)
        spread = lax.broadcast_in_dim(pixels, shape, tuple(range(pixels.ndim)))
        pixels = lax.reshape(spread, (*pixels.shape[:-1], groups * repeats))
    rows = lax.reshape(weight, (weight.shape[0], math.prod(kernel)))
    total = None
    for number, tap in enumerate(_taps(kernel)):
        values = _shifted(pixels, tap, out, stride, dilation)
        row = lax.index_in_dim(rows, number, 1, keepdims=False)
        product = lax.mul(values, lax.broadcast_in_dim(row, values.shape, (values.ndim - 1,)))
        total = product if total is None else lax.add(total, product)
    return total


def _grouped(pixels, weight, stride, dilation, groups):
    """Patches times weights, one product batched over the groups."""
    patches = _patches(pixels, weight.shape[2:], stride, dilation)
    taps, width = patches.shape[-2], weight.shape[1]
    count, out_channels = math.prod(patches.shape[:-2]), weight.shape[0]
    matrices = lax.reshape(weight, (groups, out_channels // groups, width, taps))
    if groups == 1:
        columns = lax.reshape(patches, (count, taps, width))
        matrix = lax.reshape(matrices, (out_channels, width, taps))
        y = lax.dot_general(columns, matrix, (((1, 2), (2, 1)), ((), ())))
    else:
        columns = lax.reshape(patches, (count, taps, groups, width))
        y = lax.dot_general(columns, matrices, (((1, 3), (3, 2)), ((2,), (0,))))
        y = lax.transpose(y, (1, 0, 2))
    return lax.reshape(y, (*patches.shape[:-2], out_channels))


_FORMS = {
    "dense": _dense,
    "pointwise": _pointwise,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "patches": _grouped,
}


def _patches(pixels, kernel, stride, dilation):
    """(N, *out, taps, C): every pixel under the kernel, for every output position."""
    out = _out_sizes(pixels, kernel, stride, dilation)
    batch, channels, taps = pixels.shape[0], pixels.shape[-1], math.prod(kernel)
    if taps > 1 and _is_tiled(kernel, stride, dilation):
        tiled = tuple(n * k for n, k in zip(out, kernel, strict=True))
        pixels = lax.slice(pixels, (0,) * pixels.ndim, (batch, *tiled, channels))
        axes = len(kernel)
        tiles = lax.reshape(pixels, (batch, *_interleaved(out, kernel), channels))
        order = (0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)
        return lax.reshape(lax.transpose(tiles, order), (batch, *out, taps, channels))
    shape = (batch, *out, 1, channels)
    columns = [
        lax.reshape(_shifted(pixels, tap, out, stride, dilation), shape) for tap in _taps(kernel)
    ]
    return lax.concatenate(columns, len(shape) - 2) if taps > 1 else columns[0]


def _interleaved(out, kernel):
    return tuple(itertools.chain.from_iterable(zip(out, kernel, strict=True)))


# Gradients.


def _channels_last_vjp(form, rows, pixels, weight, needs, stride, padding, dilation, groups):
    """Gradients of the pixels without their padding, and of the weight, from the output's."""
    kernel = weight.shape[2:]
    crop = tuple((-before, -after) for before, after in padding)
    if math.prod(kernel) > MOST_TAPS and form == "dense":

        def run(pixels, weight):
            return _dense(pixels, weight, stride, dilation, groups)

        dx, dw = jax.vjp(run, pixels, weight)[1](rows)
        return _pad_pixels(dx, crop), dw
    dx = dw = None
    if needs[0] and groups == 1 and all(s == 1 for s in stride) and math.prod(kernel) > 1:
        dx = _unit_stride_input_gradient(rows, weight, padding, dilation)
    elif needs[0]:
        padded = _input_gradient(rows, weight, pixels.shape[1:-1], stride, dilation, groups)
        dx = _pad_pixels(padded, crop)
    if needs[1]:
        dw = _weight_gradient(rows, pixels, kernel, stride, dilation, groups)
    return dx, dw


def _unit_stride_input_gradient(rows, weight, padding, dilation):
    """A convolution of the output's gradient with the kernel turned around."""
    swapped = lax.transpose(weight, (1, 0, *range(2, weight.ndim)))
    turned = lax.rev(swapped, tuple(range(2, weight.ndim)))
    reach = [(k - 1) * d for k, d in zip(weight.shape[2:], dilation, strict=True)]
    around = tuple((r - a, r - b) for r, (a, b) in zip(reach, padding, strict=True))
    return _dense(_pad_pixels(rows, around), turned, (1,) * len(reach), dilation, 1)


def _input_gradient(rows, weight, size, stride, dilation, groups):
    """The gradient of padded pixels (spatial `size`) from the output's, `rows`."""
    kernel = weight.shape[2:]
    taps = math.prod(kernel)
    spread = _spread(rows, weight, groups)
    if taps > 1 and _is_tiled(kernel, stride, dilation):
        return _grow(_untiled(spread, kernel), size)
    total = None
    for number, tap in enumerate(_taps(kernel)):
        values = lax.index_in_dim(spread, number, spread.ndim - 2, keepdims=False)
        put = _unshifted(values, tap, size, stride, dilation)
        total = put if total is None else lax.add(total, put)
    return total


def _grow(pixels, size):
    """Zeros at the end of each spatial axis, up to `size`."""
    missing = tuple((0, n - m) for n, m in zip(size, pixels.shape[1:-1], strict=True))
    return _pad_pixels(pixels, missing)


def _untiled(spread, kernel):
    """(N, *out, taps, C) to (N, *(out * kernel), C): the tiles side by side."""
    batch, out, channels = spread.shape[0], spread.shape[1:-2], spread.shape[-1]
    axes = len(kernel)
    tiles = lax.reshape(spread, (batch, *out, *kernel, channels))
    pairs = itertools.chain.from_iterable((1 + a, 1 + axes + a) for a in range(axes))
    tiled = tuple(n * k for n, k in zip(out, kernel, strict=True))
    return lax.reshape(lax.transpose(tiles, (0, *pairs, 2 * axes + 1)), (batch, *tiled, channels))


def _spread(rows, weight, groups):
    """(N, *out, taps, C_in): what each output value sends to each pixel under its kernel."""
    out_channels, width = weight.shape[:2]
    taps, per_group = math.prod(weight.shape[2:]), out_channels // groups
    lead = rows.shape[:-1]
    count = math.prod(lead)
    matrices = lax.reshape(weight, (groups, per_group, width, taps))
    if groups == 1:
        matrix = lax.reshape(lax.transpose(matrices, (0, 1, 3, 2)), (out_channels, taps * width))
        product = lax.dot_general(
            lax.reshape(rows, (count, out_channels)), matrix, (((1,), (0,)), ((), ()))
        )
        return lax.reshape(product, (*lead, taps, width))
    split = lax.reshape(rows, (count, groups, per_group))
    if per_group == width == 1:
        shape = (count, taps, groups)
        values = lax.broadcast_in_dim(lax.reshape(split, (count, groups)), shape, (0, 2))
        per_tap = lax.transpose(lax.reshape(matrices, (groups, taps)), (1, 0))
        factors = lax.broadcast_in_dim(per_tap, shape, (1, 2))
        product = lax.mul(values, factors)
    else:
        batched = lax.dot_general(split, matrices, (((2,), (1,)), ((1,), (0,))))
        product = lax.transpose(batched, (1, 3, 0, 2))
    return lax.reshape(product, (*lead, taps, groups * width))


def _weight_gradient(rows, pixels, kernel, stride, dilation, groups):
    """(C_out, C_in / groups, *kernel) from the output's gradient and the padded pixels."""
    out_channels, width = rows.shape[-1], pixels.shape[-1] // groups
    per_group = out_channels // groups
    if groups > 1 and width == 1:
        return _depthwise_weight_gradient(rows, pixels, kernel, stride, dilation, groups)
    taps, count = math.prod(kernel), math.prod(rows.shape[:-1])
    if groups == 1:
        turned = lax.transpose(lax.reshape(rows, (count, out_channels)), (1, 0))
        flat = lax.optimization_barrier(turned)
        by_tap = count >= ONE_TAP_PIXELS and not _is_tiled(kernel, stride, dilation)
        product = _products_by_tap if by_tap else _product_of_patches
        product = product(flat, pixels, rows.shape[1:-1], kernel, stride, dilation)
    else:
        patches = _patches(pixels, kernel, stride, dilation)
        columns = lax.reshape(patches, (count, taps, groups, width))
        split = lax.reshape(rows, (count, groups, per_group))
        product = lax.dot_general(split, columns, (((0,), (0,)), ((1,), (2,))))
    gradient = lax.reshape(product, (out_channels, taps, width))
    return lax.reshape(lax.transpose(gradient, (0, 2, 1)), (out_channels, width, *kernel))


def _product_of_patches(flat, pixels, out, kernel, stride, dilation):
    """(C_out, pixels) times the patches, (pixels, taps * C_in): one product."""
    patches = _patches(pixels, kernel, stride, dilation)
    columns = lax.reshape(patches, (flat.shape[1], patches.shape[-2] * patches.shape[-1]))
    return lax.dot_general(flat, lax.optimization_barrier(columns), (((1,), (0,)), ((), ())))


def _products_by_tap(flat, pixels, out, kernel, stride, dilation):
    """The same, a product a tap: each shifted image is written to memory once, not twice."""
    shape = (flat.shape[1], pixels.shape[-1])
    products = [
        lax.dot_general(
            flat,
            lax.reshape(_shifted(pixels, tap, out, stride, dilation), shape),
            (((1,), (0,)), ((), ())),
        )
        for tap in _taps(kernel)
    ]
    return lax.concatenate(products, 1) if len(products) > 1 else products[0]


def _depthwise_weight_gradient(rows, pixels, kernel, stride, dilation, groups):
    out_channels, out = rows.shape[-1], rows.shape[1:-1]
    split = lax.reshape(rows, (*rows.shape[:-1], groups, out_channels // groups))
    kept = tuple(range(rows.ndim))
    columns = []
    for tap in _taps(kernel):
        values = _shifted(pixels, tap, out, stride, dilation)
        product = lax.mul(split, lax.broadcast_in_dim(values, split.shape, kept))
        total = lax.reduce_sum(product, kept[:-1])
        columns.append(lax.reshape(total, (out_channels, 1)))
    return lax.reshape(lax.concatenate(columns, 1), (out_channels, 1, *kernel))


# Transposed convolution: the input gradient of `conv`, as a function of its own.


def conv_transpose(x, weight, bias, *, stride, padding, output_padding, dilation, groups):
    """The transpose of `conv`: each input value spreads weight over stride-spaced outputs.

    Args:
        x: (N, C_in, *spatial).
        weight: (C_in, C_out / groups, *kernel).
        bias: (C_out,) or None.
        padding: one integer an axis, cropped from both ends of the result.
        output_padding: extra positions at the end of each axis.

    The output's length is (n - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1.
    """
    kernel, channels = weight.shape[2:], weight.shape[1] * groups
    sizes = tuple(
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(x.shape[2:], stride, dilation, kernel, strict=True)
    )
    margins = tuple((-p, o - p) for p, o in zip(padding, output_padding, strict=True))
    form = _form(channels, weight, groups, stride, dilation)
    if form == "native" or math.prod(kernel) > MOST_TAPS:

        def run(y):
            return _native(y, weight, stride, ((0, 0),) * len(kernel), dilation, groups)

        spread = jax.vjp(run, lax.full((x.shape[0], channels, *sizes), 0, x.dtype))[1](x)[0]
        grown = lax.pad(
            spread, np.zeros((), x.dtype), ((0, 0, 0),) * 2 + tuple((*m, 0) for m in margins)
        )
        return _add_bias(grown, bias, 1)
    rows = _channels_last(widen(x))
    if groups == 1 and all(s == 1 for s in stride) and math.prod(kernel) > 1:
        crop = tuple((-before, -after) for before, after in margins)
        y = _unit_stride_input_gradient(rows, widen(weight), crop, dilation)
    else:
        y = _pad_pixels(
            _input_gradient(rows, widen(weight), sizes, stride, dilation, groups), margins
        )
    y = _add_bias(y, bias, y.ndim - 1)
    return cast(_channels_first(y), x.dtype)


def conv_transpose_vjp(
    cts, inputs, outputs, needs, *, stride, padding, output_padding, dilation, groups
):
    """Gradients of `conv_transpose`: dx is the convolution of the output's gradient."""
    x, weight, bias = inputs
    crop = tuple((p, p - o) for p, o in zip(padding, output_padding, strict=True))
    statics = {"stride": stride, "padding": crop, "dilation": dilation, "groups": groups}
    dx = conv(cts[0], weight, None, **statics) if needs[0] else None
    dw = None
    if needs[1]:
        # In the convolution above, g is the input and x takes the place of the output's gradient.
        dw = conv_vjp((x,), (cts[0], weight, None), (), (False, True, False), **statics)[1]
    return dx, dw, _bias_gradient(cts[0], bias, needs)
