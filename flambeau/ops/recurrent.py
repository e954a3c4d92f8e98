"""Recurrent networks: stacks of layers over batches, padded or packed, and single steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import dimension
from ..host.recurrent import ELMAN
from ..kernels import recurrent as kernels
from . import checks
from .autocast import active_kind, lowered
from .joining import cat, stack
from .packing import Packing, packing_of
from .registry import FUNCTIONS, cast, declare

RNN = Op(kernels.rnn, name="Stack", vjp=kernels.rnn_vjp, zeros=True, form=ELMAN)
GRU = Op(kernels.gru, name="Stack", vjp=kernels.gru_vjp, forward=kernels.gru_forward, zeros=True)
LSTM = Op(
    kernels.lstm, name="Stack", vjp=kernels.lstm_vjp, forward=kernels.lstm_forward, zeros=True
)
RNN_CELL = Op(kernels.rnn_cell, name="Tanh")
GRU_CELL = Op(kernels.gru_cell, name="Add")
LSTM_CELL = Op(kernels.lstm_cell, name="Mul")

_OPTIONS = ("params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", *_OPTIONS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", *_OPTIONS)


class _Kind:
    """What tells the recurrent networks apart.

    Args:
        op: one layer in one direction; its last static argument is the direction.
        statics: the others.
        states: how many tensors a state consists of.
        gates: blocks of rows in the weights.
    """

    def __init__(self, name: str, op: Op, statics: tuple[Any, ...], states: int, gates: int):
        self.name = name
        self.op = op
        self.statics = statics
        self.states = states
        self.gates = gates

    def layer(
        self, x: Tensor, states: Sequence[Tensor], weights: Sequence[Any], lengths: Any, back: bool
    ) -> tuple[Tensor, ...]:
        """One layer in one direction: (y, *last states)."""
        w_ih, w_hh, *rest = weights
        b_ih, b_hh = rest[:2] if len(rest) > 1 else (None, None)
        w_hr = rest[-1] if len(rest) % 2 else None
        _check_layer(x, states, w_ih, w_hh)
        inputs = [x, *states, w_ih, w_hh, b_ih, b_hh]
        label = None
        if self.states == 2:
            inputs.append(w_hr)
            if w_hr is None and x._dtype_numpy() == np.float32 and lengths is None:
                label = "MkldnnRnnLayerBackward0"
        static = (*self.statics, back)
        if modes.autocast:
            fused = lengths is None and w_hr is None and self.states == 2
            types = _types(self.name, [x, *states], fused, w_hr is not None)
            return _autocast(self.op, [*inputs, lengths], static, label, types)
        return apply(self.op, (*inputs, lengths), static, label)


# Note [Recurrent networks under autocast]
# PyTorch's layers and cells consist of matrix products, which autocast runs in lower precision, and
# of elementwise functions, which it leaves alone. Here the operands of the products are rounded to
# lower precision and the rest is computed in float32; results have PyTorch's types.


def _types(
    name: str, tensors: Sequence[Tensor], fused: bool, projected: bool
) -> list[dtypes.dtype | None]:
    """The types of (y, *last states) under autocast; None stands for the lower one."""
    kinds = [state.dtype for state in tensors[1:]]
    if fused or name.startswith("rnn") or active_kind(*tensors) == "cuda":
        return [None] * (1 + len(kinds))
    if len(kinds) == 1:
        return [kinds[0]] * 2
    return [None, None, kinds[1]] if projected else [kinds[1]] * 3


def _autocast(
    op: Op,
    inputs: list[Any],
    static: tuple[Any, ...],
    label: str | None,
    types: Sequence[dtypes.dtype | None],
) -> Any:
    """Run a recurrent op as autocast has it (Note [Recurrent networks under autocast])."""
    kind = active_kind(*inputs)
    if kind is None or inputs[0].dtype is dtypes.float64:
        return apply(op, inputs, static, label)
    lower = modes.autocast_dtypes[kind]
    low = lowered(*inputs)
    if not any(types):
        return apply(op, low, static, label)
    wide = [
        cast(x, dtypes.float32) if isinstance(x, Tensor) and x.dtype is lower else x for x in low
    ]
    results = apply(op, wide, static, label)
    if isinstance(results, Tensor):
        return cast(results, types[0] or lower)
    return tuple(cast(r, t or lower) for r, t in zip(results, types, strict=True))


def _check_product(x: Tensor, weight: Tensor) -> None:
    """x @ weight^T must be possible."""
    rows = x.numel() // max(x._dims()[-1], 1)
    if x._dims()[-1] != weight._dims()[-1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x._dims()[-1]} and "
            f"{weight._dims()[1]}x{weight._dims()[0]})"
        )
    if x.dtype is not weight.dtype and not modes.autocast:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, but got "
            f"{scalar_type_name(x.dtype)} and {scalar_type_name(weight.dtype)}"
        )


def _check_layer(x: Tensor, states: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor) -> None:
    _check_product(x, w_ih)
    _check_product(states[0], w_hh)
    batch = x._dims()[1]
    for state in states:
        if state._dims()[0] != batch:
            raise RuntimeError(
                f"The size of tensor a ({state._dims()[0]}) must match the size of tensor b "
                f"({batch}) at non-singleton dimension 0"
            )
        if state.dtype is not x.dtype and not modes.autocast:
            raise RuntimeError(
                "mat1 and mat2 must have the same dtype, but got "
                f"{scalar_type_name(state.dtype)} and {scalar_type_name(x.dtype)}"
            )


def _groups(kind: _Kind, given: dict[str, Any], projected: bool) -> list[list[Tensor]]:
    """The parameters of each layer and direction."""
    size = (4 if given["has_biases"] else 2) + projected
    params = list(given["params"])
    if len(params) % size:
        raise RuntimeError("got an incorrect number of RNN parameters")
    groups = [params[at : at + size] for at in range(0, len(params), size)]
    if given["bidirectional"] and len(groups) % 2:
        raise RuntimeError("Odd number of params or hiddens given to a bidirectional RNN")
    count = given["num_layers"] * (2 if given["bidirectional"] else 1)
    if len(groups) < count:
        raise RuntimeError("Expected more hidden states in stacked_rnn")
    if len(groups) > count:
        raise RuntimeError("Expected more weights in stacked_rnn")
    return groups


def _run(kind: _Kind, given: dict[str, Any]) -> tuple[Tensor, ...]:
    """All layers of a network over a batch."""
    packing = packing_of(given["batch_sizes"]) if "batch_sizes" in given else None
    hidden = [given["hx"]] if kind.states == 1 else list(given["hx"])
    if len(hidden) != kind.states:
        raise RuntimeError("lstm expects two hidden states")
    projected = kind.states == 2 and hidden[0]._dims()[2:] != hidden[1]._dims()[2:]
    groups = _groups(kind, given, projected)
    for state in hidden:
        if state.ndim != 3 or state._dims()[0] != len(groups):
            raise RuntimeError("Expected more hidden states in stacked_rnn")
    if packing is not None:
        x = packing.pad(given["data"])
    else:
        x = given["input"]
        if given["batch_first"]:
            x = x.transpose(0, 1)
        if x.ndim != 3:
            dimension(2, x.ndim)
        if not x._dims()[0]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    y, last = _layers(kind, x, hidden, groups, given, packing)
    if packing is not None:
        y = packing.pack(y, "CatBackward0")
    elif given["batch_first"]:
        y = y.transpose(0, 1)  # type: ignore[attr-defined]
    return (y, *(stack(states) for states in last))


def _layers(
    kind: _Kind,
    x: Tensor,
    hidden: Sequence[Tensor],
    groups: Sequence[Sequence[Tensor]],
    given: dict[str, Any],
    packing: Packing | None,
) -> tuple[Tensor, list[list[Tensor]]]:
    """The last layer's output (T, B, directions * H), and the last states of every layer."""
    lengths = None if packing is None else packing.lengths
    directions = 2 if given["bidirectional"] else 1
    last: list[list[Tensor]] = [[] for _ in hidden]
    for layer in range(given["num_layers"]):
        outputs = []
        for direction in range(directions):
            at = layer * directions + direction
            states = [state[at] for state in hidden]  # type: ignore[index]
            y, *final = kind.layer(x, states, groups[at], lengths, direction == 1)
            outputs.append(y)
            for found, state in zip(last, final, strict=True):
                found.append(state)
        x = cat(outputs, 2) if directions == 2 else outputs[0]
        if given["train"] and given["dropout"] and layer < given["num_layers"] - 1:
            x = _dropped(x, given["dropout"], packing)
    return x, last


def _dropped(x: Tensor, p: float, packing: Packing | None) -> Tensor:
    """Dropout of a layer's output; of a packed one in the order of its rows."""
    if packing is None:
        return FUNCTIONS["dropout"](x, p, True)
    return packing.pad(FUNCTIONS["dropout"](packing.pack(x), p, True))


def _bound(kind: _Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, of the padded or the packed form."""
    packed = "data" in kwargs or "batch_sizes" in kwargs
    if len(args) > 2 and isinstance(args[1], Tensor):
        packed = kind.states == 2 or isinstance(args[2], Tensor)
    names = _PACKED if packed else _PADDED
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    tensors = [n for n in ("input", "data", "batch_sizes") if n in names]
    tensors += ["hx"] if kind.states == 1 else []
    if (
        len(args) > len(names)
        or set(given) != set(names)
        or not all(isinstance(given[n], Tensor) for n in tensors)
        or (kind.states == 2 and not isinstance(given["hx"], (tuple, list)))
    ):
        state = "Tensor hx" if kind.states == 1 else "tuple of Tensors hx"
        options = (
            f"{state}, tuple of Tensors params, bool has_biases, int num_layers, float dropout, "
            "bool train, bool bidirectional"
        )
        kinds = ", ".join(type(a).__name__ for a in args)
        raise TypeError(
            f"{kind.name}() received an invalid combination of arguments - got ({kinds}), but "
            f"expected one of:\n * (Tensor data, Tensor batch_sizes, {options})\n"
            f" * (Tensor input, {options}, bool batch_first)\n"
        )
    return given


def _declare_network(kind: _Kind, what: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return _run(kind, _bound(kind, args, kwargs))

    function.__name__ = function.__qualname__ = kind.name
    function.__doc__ = (
        f"{what}\n\n"
        "    Called with (input, hx, params, has_biases, num_layers, dropout, train,\n"
        "    bidirectional, batch_first), or with (data, batch_sizes, hx, params, has_biases,\n"
        "    num_layers, dropout, train, bidirectional) for packed sequences.\n\n"
        "    Returns the last layer's output and the last states of all layers.\n"
    )
    return declare(method=False)(function)


rnn_tanh = _declare_network(
    _Kind("rnn_tanh", RNN, ("tanh",), 1, 1), "Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b)"
)
rnn_relu = _declare_network(
    _Kind("rnn_relu", RNN, ("relu",), 1, 1), "Elman network: h' = relu(W_ih x + b_ih + W_hh h + b)"
)
gru = _declare_network(
    _Kind("gru", GRU, (), 1, 3), "Gated recurrent units (Cho et al. 2014, arXiv:1406.1078)."
)
lstm = _declare_network(
    _Kind("lstm", LSTM, (), 2, 4), "Long short-term memory (Hochreiter and Schmidhuber 1997)."
)


# Single steps


def _cell(
    op: Op,
    inputs: list[Any],
    static: tuple[Any, ...],
    label: str | None,
    types: list[dtypes.dtype | None],
) -> Any:
    if not modes.autocast:
        return apply(op, inputs, static, label)
    types = [None] * len(types) if active_kind(*inputs) == "cuda" else types
    return _autocast(op, inputs, static, label, types)


def _check_cell(
    function: str, gates: int, x: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, biases: Any
) -> list[Tensor]:
    """The states, after PyTorch's checks."""
    checks.tensor(function, x)
    several = function == "lstm_cell"
    if several and not isinstance(hx, (tuple, list)):
        raise TypeError(
            f"{function}(): argument 'hx' (position 2) must be tuple of Tensors, not "
            f"{type(hx).__name__}"
        )
    states = list(hx) if several else [checks.tensor(function, hx, "hx", 2)]
    if several and len(states) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    if x.ndim < 2:
        dimension(1, x.ndim)
    (batch, features), size = x._dims()[:2], w_hh._dims()[1]
    if features != w_ih._dims()[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {features} expected {w_ih._dims()[1]}"
        )
    for at, state in enumerate(states):
        if state._dims()[0] != batch:
            raise RuntimeError(
                f"Input batch size {batch} doesn't match hidden{at} batch size {state._dims()[0]}"
            )
        if state._dims()[1] != size:
            raise RuntimeError(
                f"hidden{at} has inconsistent hidden_size: got {state._dims()[1]}, expected {size}"
            )
    rows = w_ih._dims()[0]
    if rows != gates * size:
        raise RuntimeError(
            f"weight_ih first dim must be {gates} * hidden_size = {gates * size}, but got {rows}"
        )
    _check_product(x, w_ih)
    _check_product(states[0], w_hh)
    for bias in biases:
        if bias is not None and bias._dims() != (rows,):
            raise RuntimeError(
                f"The expanded size of the tensor ({rows}) must match the existing size "
                f"({bias._dims()[-1]}) at non-singleton dimension 1.  Target sizes: "
                f"{[batch, rows]}.  Tensor sizes: {checks.sizes(bias)}"
            )
    return states


@declare(method=False)
def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """tanh(W_ih x + b_ih + W_hh h + b_hh): x (B, I) and h (B, H) give (B, H)."""
    (h,) = _check_cell("rnn_tanh_cell", 1, input, hx, w_ih, w_hh, (b_ih, b_hh))
    return _cell(RNN_CELL, [input, h, w_ih, w_hh, b_ih, b_hh], ("tanh",), None, [None])


@declare(method=False)
def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """relu(W_ih x + b_ih + W_hh h + b_hh): x (B, I) and h (B, H) give (B, H)."""
    (h,) = _check_cell("rnn_relu_cell", 1, input, hx, w_ih, w_hh, (b_ih, b_hh))
    inputs = [input, h, w_ih, w_hh, b_ih, b_hh]
    return _cell(RNN_CELL, inputs, ("relu",), "ReluBackward0", [None])


@declare(method=False)
def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of gated recurrent units: x (B, I) and h (B, H) give (B, H)."""
    (h,) = _check_cell("gru_cell", 3, input, hx, w_ih, w_hh, (b_ih, b_hh))
    return _cell(GRU_CELL, [input, h, w_ih, w_hh, b_ih, b_hh], (), None, [h.dtype])


@declare(method=False)
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: x (B, I) and (h, c), each (B, H), give (h', c')."""
    h, c = _check_cell("lstm_cell", 4, input, hx, w_ih, w_hh, (b_ih, b_hh))
    inputs = [input, h, c, w_ih, w_hh, b_ih, b_hh]
    return _cell(LSTM_CELL, inputs, (), None, [c.dtype] * 2)
