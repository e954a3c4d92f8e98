"""NumPy's own form of the Elman layer, for sequences of any length.

Words and sentences come in many lengths, and a trace is for one. These functions compute what
`kernels.recurrent.rnn` and `rnn_vjp` do, of the same arguments, without a trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .form import Form

CALLS_PER_STEP = 4


def accepts(arrays: Any) -> bool:
    """Whether these are the layer's arguments without `lengths`, all float32 or all float64."""
    if len(arrays) != 7 or arrays[-1] is not None or not arrays[0].shape[0]:
        return False
    types = {a.dtype for a in arrays if a is not None}
    return types in ({np.dtype(np.float32)}, {np.dtype(np.float64)})


def cost(arrays: Any) -> tuple[int, int]:
    """(calls, elements) of one run, as `lowering` counts them."""
    steps, batch, inputs = arrays[0].shape
    size = arrays[1].shape[1]
    return CALLS_PER_STEP * steps + 8, steps * batch * size * (4 + (inputs + size) // 100)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, x.shape[-1])


def rnn(
    x: Any,
    h: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    lengths: None,
    *,
    activation: str,
    reverse: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """(y, last h)."""
    y = np.dot(_rows(x), w_ih.T)
    for bias in (b_ih, b_hh):
        if bias is not None:
            y += bias
    y = y.reshape(*x.shape[:2], -1)
    turned = np.ascontiguousarray(w_hh.T)
    for at in range(len(y) - 1, -1, -1) if reverse else range(len(y)):
        state = y[at]
        state += np.dot(h, turned)
        if activation == "tanh":
            np.tanh(state, out=state)
        else:
            np.maximum(state, 0, out=state)
        h = state
    return y, np.array(h)


def rnn_vjp(
    cts: Any, inputs: Any, outputs: Any, needs: Any, *, activation: str, reverse: bool
) -> tuple[Any, ...]:
    """The gradients; None where none is needed."""
    x, h, w_ih, w_hh = inputs[:4]  # those that are read are there
    y = outputs[0]
    slopes = 1 - y * y if activation == "tanh" else (y > 0).astype(y.dtype)
    da = np.empty_like(y)
    dh = np.zeros(y.shape[1:], y.dtype) if cts[1] is None else cts[1]
    for at in range(len(y)) if reverse else range(len(y) - 1, -1, -1):
        if cts[0] is not None:
            dh = dh + cts[0][at]
        np.multiply(dh, slopes[at], out=da[at])
        dh = np.dot(da[at], w_hh)
    rows = _rows(da)
    found: list[Any] = [None] * 7
    if needs[0]:
        found[0] = np.dot(rows, w_ih).reshape(*y.shape[:2], -1)
    if needs[1]:
        found[1] = dh
    if needs[2]:
        found[2] = np.dot(rows.T, _rows(x))
    if needs[3]:
        before = (y[1:], h[None]) if reverse else (h[None], y[:-1])
        found[3] = np.dot(rows.T, _rows(np.concatenate(before)))
    for at in (4, 5):
        if needs[at]:
            found[at] = rows.sum(0)
    return tuple(found)


ELMAN = Form(rnn, rnn_vjp, accepts, cost)
