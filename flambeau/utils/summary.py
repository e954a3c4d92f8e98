"""A table of a model's layers: what they give, how many parameters they have, what they compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import dtypes
from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..nn.modules.activation import MultiheadAttention
from ..nn.modules.conv import _ConvNd, _ConvTransposeNd
from ..nn.modules.linear import Bilinear, Linear
from ..nn.modules.module import Module
from ..nn.modules.rnn import RNNBase, RNNCellBase
from ..nn.utils.rnn import PackedSequence
from ..ops.filling import zeros

_HEADS = ("Layer", "Output shape", "Parameters", "Multiply-adds")


@dataclass
class LayerSummary:
    """A row of the table.

    Attributes:
        name: the layer's name in its parent.
        kind: its class.
        depth: how many layers it is inside of.
        output_shape: the shape of what it returned, or shapes, nested as that was; None if it was
            not called.
        parameters: how many numbers its own parameters have, without those of its children;
            parameters that a layer above in the table has as well are counted there.
        multiply_adds: how many multiplications with an addition its calls took, without its
            children's.
        calls: how often it was called.
    """

    name: str
    kind: str
    depth: int
    output_shape: Any = None
    parameters: int = 0
    multiply_adds: int = 0
    calls: int = 0


@dataclass
class ModelSummary:
    """The table; `print` shows it.

    Attributes:
        layers: a `LayerSummary` for each layer, from the outside in.
        total_params: how many numbers the parameters have.
        trainable_params: of them, in parameters that require gradients.
        total_bytes: the memory of the parameters.
        total_mult_adds: how many multiplications with an addition the model took.
        depth: down to which depth layers are shown; what is deeper counts to the layer around it.
    """

    layers: list[LayerSummary]
    total_params: int = 0
    trainable_params: int = 0
    total_bytes: int = 0
    total_mult_adds: int = 0
    depth: int = 3

    def __str__(self) -> str:
        rows = [_HEADS, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  "
            f"{row[3]:>{widths[3]}}"
            for row in rows
        ]
        rule = "-" * len(lines[0])
        frozen = self.total_params - self.trainable_params
        return "\n".join(
            [
                lines[0],
                rule,
                *lines[1:],
                rule,
                f"Parameters: {self.total_params:,} ({self.trainable_params:,} trainable, "
                f"{frozen:,} frozen), {_bytes(self.total_bytes)}",
                f"Multiply-adds: {self.total_mult_adds:,}",
            ]
        )

    __repr__ = __str__

    def _rows(self) -> list[tuple[str, str, str, str]]:
        shown: list[LayerSummary] = []
        for layer in self.layers:
            if layer.depth <= self.depth:
                shown.append(LayerSummary(**vars(layer)))
            else:
                shown[-1].parameters += layer.parameters
                shown[-1].multiply_adds += layer.multiply_adds
        return [
            (
                "  " * layer.depth + (f"{layer.name}: " if layer.name else "") + layer.kind,
                "-" if layer.output_shape is None else _shape_text(layer.output_shape),
                f"{layer.parameters:,}" if layer.parameters else "-",
                f"{layer.multiply_adds:,}" if layer.multiply_adds else "-",
            )
            for layer in shown
        ]


def summary(
    model: Module,
    input_size: Sequence[Any] | None = None,
    *,
    input_data: Any = None,
    dtypes: Sequence[Any] | None = None,
    device: Any = None,
    depth: int = 3,
) -> ModelSummary:
    """Run a model once and tell what its layers do.

    The run is in evaluation mode, without gradients, on zeros of the given sizes, and leaves the
    model as it was (layers that wait for their first input get their parameters).

    Multiply-adds are counted for layers whose work is multiplication with weights, for the batch:
    `Linear` (outputs x in_features), `Bilinear`, convolutions (outputs x channels of a group x
    kernel; transposed ones: inputs x ...), recurrent layers (time steps x weights) and
    `MultiheadAttention` (projections and the two products of attention). Other layers, and what
    `forward` computes by itself, count as 0.

    Args:
        model: the module.
        input_size: the size of the input with its batch, such as `(1, 3, 32, 32)`; for several
            inputs a list of sizes.
        input_data: the input itself, or a tuple of inputs, instead of `input_size`.
        dtypes: the inputs' types; float32 by default.
        device: where the inputs are made; where the model's first parameter is by default.
        depth: how deeply nested the layers may be that are shown.

    Returns:
        ModelSummary: `print` it, or read its `layers`, `total_params` and `total_mult_adds`.

    Raises:
        ValueError: for neither or both of `input_size` and `input_data`.

    Example::

        >>> import flambeau.nn as nn
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        >>> torch.summary(model, (2, 1, 8, 8))
        Layer         Output shape  Parameters  Multiply-adds
        -----------------------------------------------------
        Sequential    [2, 10]                -              -
          0: Conv2d   [2, 4, 6, 6]          40          2,592
          1: ReLU     [2, 4, 6, 6]           -              -
          2: Flatten  [2, 144]               -              -
          3: Linear   [2, 10]            1,450          2,880
        -----------------------------------------------------
        Parameters: 1,490 (1,490 trainable, 0 frozen), 5.8 KiB
        Multiply-adds: 5,472
    """
    inputs = _inputs(model, input_size, input_data, dtypes, device)
    watched = _Watch(model)
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with no_grad():
            model(*inputs)
    finally:
        watched.end()
        for module, was in training.items():
            module.training = was
    return watched.result(depth)


def _inputs(model: Module, sizes: Any, data: Any, kinds: Any, device: Any) -> tuple[Any, ...]:
    if (sizes is None) == (data is None):
        raise ValueError("summary() takes either input_size or input_data")
    if data is not None:
        return data if type(data) is tuple else (data,)
    if all(isinstance(size, int) for size in sizes):
        sizes = [sizes]
    kinds = [dtypes.float32] * len(sizes) if kinds is None else list(kinds)
    if len(kinds) != len(sizes):
        raise ValueError(f"summary() got {len(sizes)} sizes and {len(kinds)} dtypes")
    if device is None:
        first = next(iter(model.parameters()), None)
        device = "cpu" if first is None else first.device
    return tuple(
        zeros(tuple(size), dtype=kind, device=device)
        for size, kind in zip(sizes, kinds, strict=True)
    )


class _Watch:
    """Hooks on every layer of a model."""

    def __init__(self, model: Module):
        self._model = model
        self._rows: dict[Module, LayerSummary] = {}
        for path, module in model.named_modules():
            name = path.rpartition(".")[2]
            depth = path.count(".") + 1 if path else 0
            self._rows[module] = LayerSummary(name, type(module).__name__, depth)
        self._handles = [
            module.register_forward_hook(self._called, with_kwargs=True) for module in self._rows
        ]

    def _called(self, module: Module, args: Any, kwargs: Any, output: Any) -> None:
        row = self._rows[module]
        row.calls += 1
        row.output_shape = _shapes(output)
        row.multiply_adds += _multiply_adds(module, args, kwargs, output)

    def end(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def result(self, depth: int) -> ModelSummary:
        """The table."""
        found = ModelSummary(list(self._rows.values()), depth=depth)
        seen = set()
        for module, row in self._rows.items():
            for parameter in module.parameters(recurse=False):
                if id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                count = parameter.numel()
                row.parameters += count
                found.total_params += count
                found.trainable_params += count if parameter.requires_grad else 0
                found.total_bytes += count * parameter.dtype.itemsize
            found.total_mult_adds += row.multiply_adds
        return found


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return list(value.shape)
    if isinstance(value, PackedSequence):
        return _shapes(value.data)
    if isinstance(value, dict):
        return {name: _shapes(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_shapes(item) for item in value if item is not None)
    return None


def _shape_text(shape: Any) -> str:
    if isinstance(shape, tuple):
        return ", ".join(map(_shape_text, shape))
    if isinstance(shape, dict):
        return ", ".join(f"{name}: {_shape_text(item)}" for name, item in shape.items())
    return str(shape)


def _bytes(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}" if unit != "B" else f"{count} B"


def _multiply_adds(module: Any, args: Any, kwargs: Any, output: Any) -> int:
    """The multiplications with an addition of one call of a layer."""
    first = args[0] if args else next(iter(kwargs.values()), None)
    if isinstance(module, Linear):
        return output.numel() * module.in_features
    if isinstance(module, Bilinear):
        return output.numel() * module.in1_features * module.in2_features
    if isinstance(module, _ConvTransposeNd):
        assert isinstance(first, Tensor)
        return first.numel() * module.out_channels // module.groups * math.prod(module.kernel_size)
    if isinstance(module, _ConvNd):
        channels = module.in_channels // module.groups
        return output.numel() * channels * math.prod(module.kernel_size)
    if isinstance(module, RNNBase):
        steps = first.data.size(0) if isinstance(first, PackedSequence) else _positions(first)
        return steps * _weights(module)
    if isinstance(module, RNNCellBase):
        return _positions(first) * _weights(module)
    if isinstance(module, MultiheadAttention):
        return _attention(module, args, kwargs)
    return 0


def _positions(x: Any) -> int:
    """How many vectors an input has."""
    return math.prod(x.shape[:-1])


def _weights(module: Module) -> int:
    """How many numbers the weight matrices of a layer have."""
    return sum(p.numel() for p in module.parameters(recurse=False) if p.dim() > 1)


def _attention(module: Any, args: Any, kwargs: Any) -> int:
    names = ("query", "key", "value")
    query, key, value = (*args, *(kwargs[name] for name in names[len(args) :]))[:3]
    width = module.embed_dim
    projections = (
        _positions(query) * width * width * 2  # in and out
        + _positions(key) * key.shape[-1] * width
        + _positions(value) * value.shape[-1] * width
    )
    axis = 1 if module.batch_first and query.dim() == 3 else 0
    products = 2 * _positions(query) * key.shape[axis] * width
    return projections + products


__all__ = ["LayerSummary", "ModelSummary", "summary"]
