"""Recurrent networks and their cells."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from numbers import Number
from typing import Any

from ...core.state import modes
from ...core.tensor import Tensor
from ...ops import recurrent as ops
from ...ops.registry import FUNCTIONS
from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module
from .utils import empty

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "LSTM": ops.lstm,
    "GRU": ops.gru,
    "RNN_TANH": ops.rnn_tanh,
    "RNN_RELU": ops.rnn_relu,
}


def _uniform(module: Module, size: int) -> None:
    """All parameters uniform in +-1 / sqrt(size)."""
    bound = 1.0 / math.sqrt(size) if size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


def _permuted(states: Any, order: Tensor | None) -> Any:
    """States (layers, B, H) with the batch in another order."""
    if order is None or states is None:
        return states
    if isinstance(states, tuple):
        return tuple(_permuted(state, order) for state in states)
    return states.index_select(1, order)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters, checks, and the ways to give a batch.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size, hidden_size: features of the input and of the state.
        num_layers: each layer takes the output of the one before it.
        bias: whether there are b_ih and b_hh.
        batch_first: input and output are (B, T, *) rather than (T, B, *); states are not.
        dropout: probability of dropout on the output of every layer but the last.
        bidirectional: a second network runs from the end to the beginning.
        proj_size: features of LSTM's projected state; 0 for none.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]
    __jit_unused_properties__ = ["all_weights"]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_options(dropout)
        self._all_weights: list[list[str]] = []
        directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            width = (proj_size or hidden_size) * len(directions) if layer else input_size
            for direction in directions:
                shapes = self._shapes(width)
                names = [f"{name}_l{layer}{direction}" for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device, dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def _check_options(self, dropout: Any) -> None:
        if not isinstance(dropout, Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):  # type: ignore[operator]
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:  # type: ignore[operator]
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={self.num_layers}",
                UserWarning,
                stacklevel=4,
            )
        for name in ("bias", "batch_first"):
            flag = getattr(self, name)
            if not isinstance(flag, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
        for name in ("input_size", "hidden_size"):
            size = getattr(self, name)
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}")

    def _shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """The parameters of a layer in one direction, which takes `width` features."""
        rows, state = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width),
            "weight_hh": (rows, state),
        }
        if self.bias:
            shapes.update(bias_ih=(rows,), bias_hh=(rows,))
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        """All weights as they are now, whatever the attributes have become."""
        return [getattr(self, name, None) for name in self._flat_weights_names]

    def __getstate__(self) -> dict[str, Any]:
        computed = {
            "_flat_weights_names": self._flat_weights_names,
            "_flat_weights": self._flat_weights,
        }
        return {**super().__getstate__(), **computed}  # PyTorch keeps them as attributes

    def __setstate__(self, state: Any) -> None:
        computed = ("_flat_weights", "_flat_weights_names")
        super().__setstate__({k: v for k, v in state.items() if k not in computed})
        self.__dict__.setdefault("proj_size", 0)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing to do: a compiled program reads the weights wherever they are."""

    def reset_parameters(self) -> None:
        """All parameters uniform in +-1 / sqrt(hidden_size)."""
        _uniform(self, self.hidden_size)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless the input has the module's type and features."""
        weight = self._flat_weights[0]
        if input.dtype is not weight.dtype and not modes.autocast:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        expected = 2 if batch_sizes is not None else 3
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if input._dims()[-1] != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input._dims()[-1]}"
            )

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape of the state for a batch."""
        return self._state_shape(input, batch_sizes, self.proj_size or self.hidden_size)

    def _state_shape(
        self, input: Tensor, batch_sizes: Tensor | None, size: int
    ) -> tuple[int, int, int]:
        if batch_sizes is not None:
            batch = int(batch_sizes[0])  # type: ignore[index]
        else:
            batch = input._dims()[0 if self.batch_first else 1]
        return self.num_layers * (2 if self.bidirectional else 1), batch, size

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Raise unless a state has the expected shape."""
        if hx._dims() != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx._dims())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise unless input and state fit the module."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with the batch in another order."""
        return _permuted(hx, permutation)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The last layer's output at every step, and the last state of every layer.

        Args:
            input: (T, B, input_size), or (B, T, input_size) if `batch_first`, or (T, input_size),
                or a `PackedSequence`.
            hx: the first state, (layers * directions, B, H), without B where the input has none;
                zeros by default.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            tail = " tensor instead" if self.mode.startswith("RNN") else " instead"
            raise ValueError(
                f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D{tail}"
            )
        batched = input.dim() == 3
        axis = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(axis)
        if hx is not None:
            self._check_axes(hx, batched)
            if not batched:
                hx = _each(hx, lambda state: state.unsqueeze(1))
        else:
            hx = self._zeros(input, None)
        self.check_forward_args(input, hx, None)
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        made = _FUNCTIONS[self.mode](input, hx, self._flat_weights, *options, self.batch_first)
        output, hidden = made[0], made[1] if len(made) == 2 else tuple(made[1:])
        if not batched:
            return output.squeeze(axis), _each(hidden, lambda state: state.squeeze(1))
        return output, hidden

    def _forward_packed(self, sequence: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, sorted_indices, unsorted_indices = sequence
        if hx is None:
            hx = self._zeros(data, batch_sizes)
        else:
            hx = self.permute_hidden(hx, sorted_indices)
        self.check_forward_args(data, hx, batch_sizes)
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        made = _FUNCTIONS[self.mode](data, batch_sizes, hx, self._flat_weights, *options)
        output = PackedSequence(made[0], batch_sizes, sorted_indices, unsorted_indices)
        hidden = made[1] if len(made) == 2 else tuple(made[1:])
        return output, self.permute_hidden(hidden, unsorted_indices)

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        """The first state where none is given."""
        shape = self.get_expected_hidden_size(input, batch_sizes)
        return input.new_zeros(shape)  # type: ignore[attr-defined]

    def _check_axes(self, hx: Any, batched: bool) -> None:
        if hx.dim() != (3 if batched else 2):
            word, axes = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            raise RuntimeError(
                f"For {word} input, hx should also be {axes}-D but got {hx.dim()}-D tensor"
            )

    def extra_repr(self) -> str:
        """Sizes and the options that are not the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)


def _each(states: Any, function: Callable[[Tensor], Tensor]) -> Any:
    return tuple(map(function, states)) if isinstance(states, tuple) else function(states)


def _refuse_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """Elman network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)  (Elman 1990)

    Args:
        input_size, hidden_size, num_layers: see `RNNBase`.
        nonlinearity: "tanh" or "relu".
        bias, batch_first, dropout, bidirectional: see `RNNBase`.

    Shape:
        input (T, B, input_size) or (T, input_size), state (layers * directions, B, hidden_size);
        output (T, B, directions * hidden_size) and the last state.

    Example::

        >>> output, state = nn.RNN(3, 5)(torch.ones(4, 2, 3))
        >>> output.shape, state.shape
        (torch.Size([4, 2, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(modes[nonlinearity], *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

        i, f, o = sigmoid, g = tanh of W_i* x_t + b_i* + W_h* h_{t-1} + b_h*
        c_t = f c_{t-1} + i g,   h_t = o tanh(c_t), or W_hr (o tanh(c_t)) with `proj_size`

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size:
            see `RNNBase`.

    Shape:
        input (T, B, input_size) or (T, input_size), state (h, c), each (layers * directions, B, H);
        output (T, B, directions * H) and the last (h, c).

    Example::

        >>> output, (h, c) = nn.LSTM(3, 5, num_layers=2)(torch.ones(4, 2, 3))
        >>> output.shape, h.shape, c.shape
        (torch.Size([4, 2, 5]), torch.Size([2, 2, 5]), torch.Size([2, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape of c for a batch."""
        return self._state_shape(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise unless input and state fit the module."""
        self.check_input(input, batch_sizes)
        shapes = (
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        )
        for at, shape in enumerate(shapes):
            self.check_hidden_size(hidden[at], shape, f"Expected hidden[{at}] size {{}}, got {{}}")

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        h = super()._zeros(input, batch_sizes)
        return h, input.new_zeros(self.get_expected_cell_size(input, batch_sizes))  # type: ignore[attr-defined]

    def _check_axes(self, hx: Any, batched: bool) -> None:
        axes = (hx[0].dim(), hx[1].dim())
        if axes != ((3, 3) if batched else (2, 2)):
            word = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {word} input, hx and cx should also be {word[-3:]} but got "
                f"({axes[0]}-D, {axes[1]}-D) tensors"
            )


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078).

        r, z = sigmoid of W_i* x_t + b_i* + W_h* h_{t-1} + b_h*
        n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),   h_t = (1 - z) n + z h_{t-1}

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: see
            `RNNBase`.

    Shape:
        input (T, B, input_size) or (T, input_size), state (layers * directions, B, hidden_size);
        output (T, B, directions * hidden_size) and the last state.

    Example::

        >>> output, state = nn.GRU(3, 5, bidirectional=True)(torch.ones(4, 2, 3))
        >>> output.shape, state.shape
        (torch.Size([4, 2, 10]), torch.Size([2, 2, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


def _show_parameters(layer: type[RNNBase], without: tuple[str, ...], extra: str = "") -> None:
    """Give a layer the signature of `RNNBase`, which it hands its arguments on to."""
    known = inspect.signature(RNNBase).parameters
    shown = [p for name, p in known.items() if name not in ("mode", *without)]
    if extra:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        shown.insert(3, inspect.Parameter(extra, kind, default="tanh", annotation="str"))
    layer.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]


_show_parameters(RNN, ("proj_size",), "nonlinearity")
_show_parameters(LSTM, ())
_show_parameters(GRU, ("proj_size",))


class RNNCellBase(Module):
    """What the cells share: parameters and checks.

    Args:
        input_size, hidden_size: features of the input and of the state.
        bias: whether there are b_ih and b_hh.
        num_chunks: blocks of rows in the weights, one for each gate.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device, dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device, dtype))
        for name in ("bias_ih", "bias_hh"):
            bias_of = Parameter(empty((rows,), device, dtype)) if bias else None
            self.register_parameter(name, bias_of)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """Sizes and the options that are not the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)

    def reset_parameters(self) -> None:
        """All parameters uniform in +-1 / sqrt(hidden_size)."""
        _uniform(self, self.hidden_size)

    def _step(
        self, function: Callable[..., Any], input: Tensor, states: list[Tensor] | None
    ) -> Any:
        """Run one step, with a batch of one where the input has no batch."""
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)  # type: ignore[attr-defined]
        count = 2 if function is ops.lstm_cell else 1
        if states is None:
            shape = (x._dims()[0], self.hidden_size)
            zeros = FUNCTIONS["zeros"](shape, dtype=x.dtype, device=x.device)
            states = [zeros] * count
        elif not batched:
            states = [state.unsqueeze(0) for state in states]  # type: ignore[attr-defined]
        hx = tuple(states) if count == 2 else states[0]
        made = function(x, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return made if batched else _each(made, lambda state: state.squeeze(0))

    def _check(self, what: str, x: Tensor) -> None:
        if x.dim() not in (1, 2):
            raise ValueError(
                f"{self._get_name()}: Expected {what} to be 1D or 2D, got {x.dim()}D instead"
            )


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.

    Shape:
        input (B, input_size) or (input_size,), state (B, hidden_size) or (hidden_size,), zeros by
        default; the new state.

    Example::

        >>> nn.RNNCell(3, 5)(torch.ones(2, 3)).shape
        torch.Size([2, 5])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The new state."""
        self._check("input", input)
        if hx is not None:
            self._check("hidden", hx)
        functions = {"tanh": ops.rnn_tanh_cell, "relu": ops.rnn_relu_cell}
        if self.nonlinearity not in functions:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(functions[self.nonlinearity], input, None if hx is None else [hx])


class LSTMCell(RNNCellBase):
    """One step of an LSTM; see `LSTM`.

    Shape:
        input (B, input_size) or (input_size,), (h, c) each (B, hidden_size) or (hidden_size,),
        zeros by default; the new (h, c).

    Example::

        >>> h, c = nn.LSTMCell(3, 5)(torch.ones(2, 3))
        >>> h.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The new (h, c)."""
        self._check("input", input)
        if isinstance(hx, Tensor):
            raise TypeError(
                "lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not Tensor"
            )
        for at, state in enumerate(hx or ()):
            self._check(f"hx[{at}]", state)
        return self._step(ops.lstm_cell, input, None if hx is None else list(hx))


class GRUCell(RNNCellBase):
    """One step of gated recurrent units; see `GRU`.

    Shape:
        input (B, input_size) or (input_size,), state (B, hidden_size) or (hidden_size,), zeros by
        default; the new state.

    Example::

        >>> nn.GRUCell(3, 5)(torch.ones(2, 3)).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The new state."""
        self._check("input", input)
        if hx is not None:
            self._check("hidden", hx)
        return self._step(ops.gru_cell, input, None if hx is None else [hx])


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
