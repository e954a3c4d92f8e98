"""Recurrent layers: one layer, one direction, over whole sequences; and single steps (cells).

A layer projects all inputs in one product before the scan over time. Its backward pass is a scan
that emits only the gradients of the gates before their activation; all weight gradients are then
one product of these with the inputs and the previous states.

Shapes: x (T, B, I); states (B, H); w_ih (G * H, I), w_hh (G * H, H), b_ih and b_hh (G * H,) or
None, for G gates; y (T, B, H). `lengths` (B,) or None: where the time is beyond a sequence's
length its state stays as it is. `reverse` runs from the last step to the first.
"""

from __future__ import annotations

import numpy as np
from jax import lax

from flambeau.kernels.common import cast, expand
from flambeau.kernels.elementwise import at_most, number, plus, times, where, widen

# Note [One activation for all gates]
# sigmoid(a) = tanh(a / 2) / 2 + 1 / 2, and halving is exact: with the 1 / 2 folded into the rows of
# the weights that belong to sigmoid gates, all gates of a step take one tanh and one multiply-add.


def _times_transposed(x, weight):
    """x @ weight^T."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def _product(x, weight):
    return lax.dot_general(x, weight, (((1,), (0,)), ((), ())))


def _turned(weight):
    """weight^T, laid out once before the scan that reads it."""
    return lax.optimization_barrier(lax.transpose(weight, (1, 0)))


def _affine(x, weight, *biases):
    y = _times_transposed(x, weight)
    for bias in biases:
        if bias is not None:
            y = lax.add(y, expand(bias, y.shape))
    return y


def _scaled(x, scale, axis):
    return x if x is None else lax.mul(x, lax.broadcast_in_dim(scale, x.shape, (axis,)))


def _scale(halved, size, dtype):
    """1 / 2 for the rows of sigmoid gates, 1 for the others."""
    return np.repeat(np.asarray([0.5 if h else 1.0 for h in halved], dtype), size)


def _activated(a, scale):
    """All gates from `a`, which `scale` has scaled (Note [One activation for all gates])."""
    factor, shift = expand(scale, a.shape), expand(1 - scale, a.shape)
    return lax.add(lax.mul(lax.tanh(a), factor), shift)


def _parts(x, size):
    """The blocks of `size` columns."""
    return [
        lax.slice_in_dim(x, at, at + size, axis=x.ndim - 1) for at in range(0, x.shape[-1], size)
    ]


def _joined(*parts):
    return lax.concatenate(parts, parts[0].ndim - 1)


def _running(lengths, steps):
    """(T, B): True while a sequence runs; None where all run to the end."""
    if lengths is None:
        return None
    shape = (steps, lengths.shape[0])
    return lax.lt(lax.broadcasted_iota(lengths.dtype, shape, 0), expand(lengths, shape))


def _chosen(running, new, old):
    if running is None:
        return new
    return lax.select(lax.broadcast_in_dim(running, new.shape, (0,)), new, old)


def _previous(first, states, reverse):
    """The state before each step."""
    first = lax.expand_dims(first, (0,))
    count = states.shape[0]
    if reverse:
        return lax.concatenate((lax.slice_in_dim(states, 1, count), first), 0)
    return lax.concatenate((first, lax.slice_in_dim(states, 0, count - 1)), 0)


def _gradient(ct, like):
    return lax.full_like(like, 0) if ct is None else widen(ct)


def _flat(x):
    return lax.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _weight_gradients(needs, at_input, at_hidden, x, previous):
    """Gradients of (w_ih, w_hh, b_ih, b_hh) from those of the gates, (T, B, G * H).

    `at_hidden` is None where it is `at_input`: then one product gives both weight gradients.
    """
    gates = lax.optimization_barrier(lax.transpose(_flat(at_input), (1, 0)))
    w_ih = w_hh = b_ih = b_hh = None
    if at_hidden is None and needs[0] and needs[1]:
        both = _product(gates, _joined(_flat(x), _flat(previous)))
        w_ih = lax.slice_in_dim(both, 0, x.shape[2], axis=1)
        w_hh = lax.slice_in_dim(both, x.shape[2], both.shape[1], axis=1)
    else:
        hidden = gates if at_hidden is None else lax.transpose(_flat(at_hidden), (1, 0))
        w_ih = _product(gates, _flat(x)) if needs[0] else None
        w_hh = _product(hidden, _flat(previous)) if needs[1] else None
    if needs[2]:
        b_ih = lax.reduce_sum(at_input, (0, 1))
    if needs[3]:
        b_hh = lax.reduce_sum(at_input if at_hidden is None else at_hidden, (0, 1))
    return w_ih, w_hh, b_ih, b_hh


def _input_gradient(needed, at_input, w_ih):
    return lax.dot_general(at_input, w_ih, (((2,), (0,)), ((), ()))) if needed else None


def _as_inputs(gradients, inputs, needs):
    """Each gradient in its input's type; None where it is not needed."""
    return tuple(
        cast(g, x.dtype) if needed and g is not None else None
        for g, x, needed in zip(gradients, inputs, needs, strict=True)
    )


# Elman network: h' = activation(W_ih x + b_ih + W_hh h + b_hh)  (Elman 1990)


def _rectified(a):
    return where(at_most(a, 0), 0, a)


ACTIVATIONS = {"tanh": lax.tanh, "relu": _rectified}


def rnn(x, h, w_ih, w_hh, b_ih, b_hh, lengths, *, activation, reverse):
    """(y, last h) of an Elman layer; `activation` is "tanh" or "relu"."""
    dtype, running = x.dtype, _running(lengths, x.shape[0])
    x, h, w_ih, w_hh, b_ih, b_hh = map(widen, (x, h, w_ih, w_hh, b_ih, b_hh))
    recurrent, activate = _turned(w_hh), ACTIVATIONS[activation]

    def step(old, at):
        projected, runs = at
        new = _chosen(runs, activate(lax.add(projected, _product(old, recurrent))), old)
        return new, new

    last, y = lax.scan(step, h, (_affine(x, w_ih, b_ih, b_hh), running), reverse=reverse)
    return cast(y, dtype), cast(last, dtype)


def rnn_vjp(cts, inputs, outputs, needs, *, activation, reverse):
    """Gradients from the states: tanh' = 1 - h^2, relu' = [h > 0]."""
    x, h, w_ih, w_hh, _, _, lengths = (v if v is None else widen(v) for v in inputs)
    y = widen(outputs[0])
    running = _running(lengths, x.shape[0])
    if activation == "tanh":
        slopes = lax.sub(lax.full_like(y, 1), lax.mul(y, y))
    else:
        slopes = cast(lax.gt(y, lax.full_like(y, 0)), y.dtype)

    def step(dh, at):
        dy, slope, runs = at
        dh = lax.add(dh, dy)
        stopped = None if runs is None else lax.full_like(dh, 0)
        da = _chosen(runs, lax.mul(dh, slope), stopped)
        return _chosen(runs, _product(da, w_hh), dh), da

    start = _gradient(cts[1], h)
    dh, da = lax.scan(step, start, (_gradient(cts[0], y), slopes, running), reverse=not reverse)
    weights = _weight_gradients(needs[2:6], da, None, x, _previous(h, y, reverse))
    return _as_inputs((_input_gradient(needs[0], da, w_ih), dh, *weights, None), inputs, needs)


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh, *, activation):
    """One step of an Elman network: x (B, I) and h (B, H) give h'."""
    dtype = x.dtype
    x, h, w_ih, w_hh, b_ih, b_hh = map(widen, (x, h, w_ih, w_hh, b_ih, b_hh))
    a = lax.add(_affine(x, w_ih, b_ih), _affine(h, w_hh, b_hh))
    return cast(ACTIVATIONS[activation](a), dtype)


# Long short-term memory (Hochreiter and Schmidhuber 1997; projection: Sak et al. 2014,
# arXiv:1402.1128). Gates i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh;
# c' = f c + i g, h' = o tanh(c'), or W_hr (o tanh(c')).

_LSTM_SIGMOIDS = (True, True, False, True)


def _lstm_step(a, c, scale):
    gates = _activated(a, scale)
    i, f, g, o = _parts(gates, c.shape[1])
    c = lax.add(lax.mul(f, c), lax.mul(i, g))
    return lax.mul(o, lax.tanh(c)), c, gates


def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, lengths, *, reverse):
    """(y, last h, last c) of an LSTM layer; w_hr (P, H) projects h to (B, P), or is None."""
    return lstm_forward(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, lengths, reverse=reverse)[0]


def lstm_forward(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, lengths, *, reverse):
    """The same, with the residuals (cells, gates): (T, B, H) and (T, B, 4 * H)."""
    dtype, running = x.dtype, _running(lengths, x.shape[0])
    x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr = map(widen, (x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr))
    scale = _scale(_LSTM_SIGMOIDS, c.shape[1], x.dtype)
    w_ih, w_hh, b_ih, b_hh = (_scaled(w, scale, 0) for w in (w_ih, w_hh, b_ih, b_hh))
    recurrent = _turned(w_hh)

    def step(old, at):
        projected, runs = at
        a = lax.add(projected, _product(old[0], recurrent))
        h, c, gates = _lstm_step(a, old[1], scale)
        if w_hr is not None:
            h = _times_transposed(h, w_hr)
        h, c = _chosen(runs, h, old[0]), _chosen(runs, c, old[1])
        return (h, c), (h, c, gates)

    projected = _affine(x, w_ih, b_ih, b_hh)
    (h, c), (y, cells, gates) = lax.scan(step, (h, c), (projected, running), reverse=reverse)
    return (cast(y, dtype), cast(h, dtype), cast(c, dtype)), (cells, gates)


def lstm_vjp(cts, inputs, outputs, needs, *, reverse):
    """Back-propagation through time from the kept cells and gates."""
    x, h, c, w_ih, w_hh, _, _, w_hr, lengths = (v if v is None else widen(v) for v in inputs)
    cells, gates = outputs[3], outputs[4]
    running = _running(lengths, x.shape[0])

    def step(carry, at):
        dh, dc = carry
        dy, cell, before, gates, runs = at
        dh = lax.add(dh, dy)
        dm = dh if w_hr is None else _product(dh, w_hr)
        da, through = _lstm_step_vjp(dm, dc, cell, before, gates)
        if runs is not None:
            da = _chosen(runs, da, lax.full_like(da, 0))
        back = _chosen(runs, _product(da, w_hh), dh)
        return (back, _chosen(runs, through, dc)), (da, None if w_hr is None else dh)

    start = (_gradient(cts[1], h), _gradient(cts[2], c))
    given = lax.full((*x.shape[:2], h.shape[1]), 0, x.dtype) if cts[0] is None else widen(cts[0])
    rows = (given, cells, _previous(c, cells, reverse), gates, running)
    (dh, dc), (da, projected) = lax.scan(step, start, rows, reverse=not reverse)
    previous = _previous(h, widen(outputs[0]), reverse) if needs[4] else None
    weights = _weight_gradients(needs[3:7], da, None, x, previous)
    dx = _input_gradient(needs[0], da, w_ih)
    d_hr = None
    if w_hr is not None and needs[7]:
        d_hr = _projection_gradient(projected, cells, gates, running)
    return _as_inputs((dx, dh, dc, *weights, d_hr, None), inputs, needs)


def _lstm_step_vjp(dh, dc, cell, before, gates):
    """The gradients of the gates before activation, and of the cell before the step."""
    i, f, g, o = _parts(gates, cell.shape[1])
    bent = lax.tanh(cell)
    dc = lax.add(dc, lax.mul(lax.mul(dh, o), lax.sub(lax.full_like(bent, 1), lax.mul(bent, bent))))
    at_gates = _joined(lax.mul(dc, g), lax.mul(dc, before), lax.mul(dc, i), lax.mul(dh, bent))
    slopes = _joined(*(_sigmoid_slope(v) for v in (i, f)), _tanh_slope(g), _sigmoid_slope(o))
    return lax.mul(at_gates, slopes), lax.mul(dc, f)


def _sigmoid_slope(v):
    return lax.sub(v, lax.mul(v, v))


def _tanh_slope(v):
    return lax.sub(lax.full_like(v, 1), lax.mul(v, v))


def _projection_gradient(dh, cells, gates, running):
    """dW_hr: the gradients of the projected states times what was projected."""
    output = _parts(gates, cells.shape[2])[3]
    if running is not None:
        kept = lax.broadcast_in_dim(running, dh.shape, (0, 1))
        dh = where(kept, dh, 0)
    made = _flat(lax.mul(output, lax.tanh(cells)))
    return _product(lax.transpose(_flat(dh), (1, 0)), made)


def lstm_cell(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """One step of an LSTM: x (B, I), h and c (B, H) give (h', c')."""
    dtype = x.dtype
    x, h, c, w_ih, w_hh, b_ih, b_hh = map(widen, (x, h, c, w_ih, w_hh, b_ih, b_hh))
    scale = _scale(_LSTM_SIGMOIDS, c.shape[1], x.dtype)
    a = lax.add(_affine(x, w_ih, b_ih), _affine(h, w_hh, b_hh))
    h, c, _ = _lstm_step(_scaled(a, scale, 1), c, scale)
    return cast(h, dtype), cast(c, dtype)


# Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078). r, z = sigmoid of
# W_ih x + b_ih + W_hh h + b_hh, n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
# h' = (1 - z) n + z h.

_GRU_SIGMOIDS = (True, True, False)


def _gru_step(projected, recurrent, h):
    """(h', the values r, z, n and W_hn h + b_hn); both operands' sigmoid rows are halved."""
    size = h.shape[1]
    r_in, z_in, n_in = _parts(projected, size)
    r_hidden, z_hidden, n_hidden = _parts(recurrent, size)
    both = lax.tanh(lax.add(_joined(r_in, z_in), _joined(r_hidden, z_hidden)))
    r, z = _parts(plus(times(both, 0.5), 0.5), size)
    n = lax.tanh(lax.add(n_in, lax.mul(r, n_hidden)))
    return lax.add(n, lax.mul(z, lax.sub(h, n))), _joined(r, z, n, n_hidden)


def gru(x, h, w_ih, w_hh, b_ih, b_hh, lengths, *, reverse):
    """(y, last h) of a GRU layer."""
    return gru_forward(x, h, w_ih, w_hh, b_ih, b_hh, lengths, reverse=reverse)[0]


def gru_forward(x, h, w_ih, w_hh, b_ih, b_hh, lengths, *, reverse):
    """The same, with the values of r, z, n and W_hn h + b_hn, (T, B, 4 * H), as the residual."""
    dtype, running = x.dtype, _running(lengths, x.shape[0])
    x, h, w_ih, w_hh, b_ih, b_hh = map(widen, (x, h, w_ih, w_hh, b_ih, b_hh))
    scale = _scale(_GRU_SIGMOIDS, h.shape[1], x.dtype)
    w_ih, w_hh, b_ih, b_hh = (_scaled(w, scale, 0) for w in (w_ih, w_hh, b_ih, b_hh))
    turned = _turned(w_hh)

    def step(old, at):
        projected, runs = at
        recurrent = _product(old, turned)
        if b_hh is not None:
            recurrent = lax.add(recurrent, expand(b_hh, recurrent.shape))
        new, values = _gru_step(projected, recurrent, old)
        new = _chosen(runs, new, old)
        return new, (new, values)

    h, (y, values) = lax.scan(step, h, (_affine(x, w_ih, b_ih), running), reverse=reverse)
    return (cast(y, dtype), cast(h, dtype)), (values,)


def gru_vjp(cts, inputs, outputs, needs, *, reverse):
    """Back-propagation through time from the kept values."""
    x, h, w_ih, w_hh, _, _, lengths = (v if v is None else widen(v) for v in inputs)
    y, values = widen(outputs[0]), outputs[2]
    size, running = h.shape[1], _running(lengths, x.shape[0])

    def step(dh, at):
        dy, before, values, runs = at
        dh = lax.add(dh, dy)
        r, z, n, n_hidden = _parts(values, size)
        dn = lax.mul(lax.mul(dh, lax.sub(lax.full_like(z, 1), z)), _tanh_slope(n))
        dz = lax.mul(lax.mul(dh, lax.sub(before, n)), _sigmoid_slope(z))
        dr = lax.mul(lax.mul(dn, n_hidden), _sigmoid_slope(r))
        da = _joined(dr, dz, dn, lax.mul(dn, r))
        if runs is not None:
            da = _chosen(runs, da, lax.full_like(da, 0))
        at_hidden = _joined(*(_parts(da, size)[k] for k in (0, 1, 3)))
        back = lax.add(lax.mul(dh, z), _product(at_hidden, w_hh))
        return _chosen(runs, back, dh), da

    previous = _previous(h, y, reverse)
    rows = (_gradient(cts[0], y), previous, values, running)
    dh, da = lax.scan(step, _gradient(cts[1], h), rows, reverse=not reverse)
    dr, dz, dn, dn_hidden = _parts(da, size)
    at_input = _joined(dr, dz, dn)
    weights = _weight_gradients(needs[2:6], at_input, _joined(dr, dz, dn_hidden), x, previous)
    dx = _input_gradient(needs[0], at_input, w_ih)
    return _as_inputs((dx, dh, *weights, None), inputs, needs)


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    """One step of a GRU: x (B, I) and h (B, H) give h'."""
    dtype = x.dtype
    x, h, w_ih, w_hh, b_ih, b_hh = map(widen, (x, h, w_ih, w_hh, b_ih, b_hh))
    scale = _scale(_GRU_SIGMOIDS, h.shape[1], x.dtype)
    projected = _scaled(_affine(x, w_ih, b_ih), scale, 1)
    recurrent = _scaled(_affine(h, w_hh, b_hh), scale, 1)
    return cast(_gru_step(projected, recurrent, h)[0], dtype)


# Packed sequences


def move_rows(x, index, inverse, fill):
    """y[m] = x[index[m]], or `fill` where the index is negative: (N, *) and (M,) give (M, *).

    Args:
        inverse: for every row of x the row of y that it goes to, negative for none; each row of x
            goes to at most one.
    """
    kept = lax.ge(index, number(0, index))
    shape = (index.shape[0], *x.shape[1:])
    if not x.shape[0]:
        return expand(cast(fill, x.dtype), shape)
    rows = lax.gather(
        x,
        lax.expand_dims(index, (1,)),
        lax.GatherDimensionNumbers(
            offset_dims=tuple(range(1, x.ndim)), collapsed_slice_dims=(0,), start_index_map=(0,)
        ),
        (1, *x.shape[1:]),
        mode=lax.GatherScatterMode.CLIP,
    )
    rest = expand(cast(fill, x.dtype), shape)
    return lax.select(lax.broadcast_in_dim(kept, shape, (0,)), rows, rest)


def move_rows_vjp(cts, inputs, outputs, needs):
    """The rows moved back."""
    _, index, inverse, _ = inputs
    return move_rows(cts[0], inverse, index, lax.full((), 0, cts[0].dtype)), None, None, None
