"""Recurrent layers and cells against the oracle: outputs and gradients.

Sequences of several lengths are tested where they are packed, in tests/nn/test_rnn.py.
"""

import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.kernels import recurrent
from tests.kernels.checking import check, normal

STEPS, BATCH, FEATURES, HIDDEN = 4, 3, 2, 5
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}
ORACLES = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu, "gru": torch.gru, "lstm": torch.lstm}
CELLS = {
    "tanh": torch.rnn_tanh_cell,
    "relu": torch.rnn_relu_cell,
    "gru": torch.gru_cell,
    "lstm": torch.lstm_cell,
}


def parameters(kind, dtype, bias, size=HIDDEN):
    rows = GATES[kind] * HIDDEN
    return [
        normal(rows, FEATURES, seed=1, dtype=dtype),
        normal(rows, size, seed=2, dtype=dtype) * np.asarray(0.5, dtype),
        normal(rows, seed=3, dtype=dtype) if bias else None,
        normal(rows, seed=4, dtype=dtype) if bias else None,
    ]


def oracle(kind, reverse):
    """The layer of PyTorch; in reverse it is the layer over the steps in reverse."""

    def run(x, *rest):
        rest = [r[None] if i < (1 + (kind == "lstm")) else r for i, r in enumerate(rest)]
        rest = [r for r in rest if r is not None]
        hidden = tuple(rest[:2]) if kind == "lstm" else rest[0]
        weights = tuple(rest[2:] if kind == "lstm" else rest[1:])
        x = x.flip(0) if reverse else x
        y, *last = ORACLES[kind](x, hidden, weights, len(weights) > 3, 1, 0.0, True, False, False)
        return (y.flip(0) if reverse else y, *(h[0] for h in last))

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize(
    ("kind", "reverse", "bias"),
    [
        ("tanh", False, True),
        ("relu", True, True),
        ("gru", False, True),
        ("gru", True, False),
        ("lstm", True, True),
        ("lstm", False, False),
    ],
)
def test_layer(kind, reverse, bias, dtype):
    x = normal(STEPS, BATCH, FEATURES, dtype=dtype)
    states = [normal(BATCH, HIDDEN, seed=5 + i, dtype=dtype) for i in range(1 + (kind == "lstm"))]
    arrays = [x, *states, *parameters(kind, dtype, bias)]
    module = recurrent
    if kind in ("tanh", "relu"):
        statics = {"activation": kind, "reverse": reverse}
        check(module.rnn, oracle(kind, reverse), (*arrays, None), statics, vjp=module.rnn_vjp)
        return
    check(
        getattr(module, kind),
        oracle(kind, reverse),
        (*arrays, None, None) if kind == "lstm" else (*arrays, None),
        {"reverse": reverse},
        forward=getattr(module, kind + "_forward"),
        vjp=getattr(module, kind + "_vjp"),
    )


# PyTorch says that oneDNN has no such layer.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")
def test_projected_lstm():
    x, h, c = normal(STEPS, BATCH, FEATURES), normal(BATCH, 2, seed=5), normal(BATCH, 5, seed=6)
    arrays = (x, h, c, *parameters("lstm", np.float32, True, 2), normal(2, 5, seed=7), None)
    check(
        recurrent.lstm,
        oracle("lstm", False),
        arrays,
        {"reverse": False},
        forward=recurrent.lstm_forward,
        vjp=recurrent.lstm_vjp,
    )


@pytest.mark.parametrize("kind", list(CELLS))
@pytest.mark.parametrize("bias", [True, False])
def test_cell(kind, bias):
    states = [normal(BATCH, HIDDEN, seed=5 + i) for i in range(1 + (kind == "lstm"))]
    arrays = [normal(BATCH, FEATURES), *states, *parameters(kind, np.float32, bias)]

    def theirs(x, *rest):
        hidden, rest = (rest[:2], rest[2:]) if kind == "lstm" else (rest[0], rest[1:])
        return CELLS[kind](x, hidden, *rest)

    ours = recurrent.rnn_cell if kind in ("tanh", "relu") else getattr(recurrent, kind + "_cell")
    statics = {"activation": kind} if kind in ("tanh", "relu") else {}
    check(ours, theirs, arrays, statics)


def test_narrow_floats_are_computed_wide():
    narrow = ml_dtypes.bfloat16
    arrays = [normal(STEPS, BATCH, FEATURES), normal(BATCH, HIDDEN, seed=5)]
    arrays = [a.astype(narrow) for a in (*arrays, *parameters("gru", np.float32, True))]
    y, h = recurrent.gru(*arrays, None, reverse=False)
    wide, _ = recurrent.gru(*(a.astype(np.float32) for a in arrays), None, reverse=False)
    assert y.dtype == h.dtype == narrow
    assert np.array_equal(np.asarray(y), np.asarray(wide).astype(narrow))


def test_move_rows():
    x, index = normal(4, 3), np.array([2, -1, 0, 3, -1])
    inverse = np.array([2, -1, 0, 3])

    def theirs(x, index, inverse, fill):
        moved = x[index.clamp(min=0)]
        return torch.where(index[:, None] >= 0, moved, fill)

    arrays = (x, index, inverse, np.asarray(0.5, np.float32))
    check(
        recurrent.move_rows,
        theirs,
        arrays,
        vjp=recurrent.move_rows_vjp,
        differentiable=[True, False, False, False],
    )
