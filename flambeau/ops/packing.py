"""Sequences of several lengths, packed: the rows of all of them that are alive at each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.device import tensor_from_host
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import recurrent as kernels
from . import checks
from .joining import cat
from .registry import declare

MOVE_ROWS = Op(kernels.move_rows, vjp=kernels.move_rows_vjp)


class Packing:
    """Where the rows of a packed batch lie in the padded one.

    Args:
        batch_sizes: how many sequences are alive at each step; none may be more than the one
            before it.

    Attributes:
        lengths: the length of each sequence.
    """

    def __init__(self, batch_sizes: np.ndarray):
        self.steps, self.batch = len(batch_sizes), int(batch_sizes[0])
        self.rows = int(batch_sizes.sum())
        self.lengths = (batch_sizes[:, None] > np.arange(self.batch)).sum(0)
        alive = np.arange(self.batch) < batch_sizes[:, None]
        starts = np.cumsum(batch_sizes) - batch_sizes
        self._packed = np.flatnonzero(alive)
        self._padded = np.where(alive, starts[:, None] + np.arange(self.batch), -1).reshape(-1)

    def pad(self, data: Tensor, value: float = 0.0, label: str | None = None) -> Tensor:
        """(N, *) to (T, B, *), with `value` where a sequence has ended."""
        if data._dims()[0] < self.rows:
            raise RuntimeError(
                f"a packed batch of {self.rows} rows needs as many rows of data, but got "
                f"{data._dims()[0]}"
            )
        packed = np.full(data._dims()[0], -1)
        packed[: self.rows] = self._packed
        moved = _moved(data, self._padded, packed, value, label)
        return moved.reshape(self.steps, self.batch, *data._dims()[1:])  # type: ignore[attr-defined]

    def pack(self, padded: Tensor, label: str | None = None) -> Tensor:
        """(T, B, *) to (N, *)."""
        steps, batch, *rest = padded._dims()
        flat = padded.reshape(steps * batch, *rest)  # type: ignore[attr-defined]
        beyond = np.full((steps - self.steps) * batch, -1)
        return _moved(flat, self._packed, np.concatenate([self._padded, beyond]), 0.0, label)


def _moved(x: Tensor, index: np.ndarray, inverse: np.ndarray, value: float, label: Any) -> Tensor:
    fill = np.asarray(value).astype(x._dtype_numpy())
    return apply(MOVE_ROWS, (x, index, inverse, fill), (), label)


def packing_of(batch_sizes: Tensor) -> Packing:
    """The packing that `PackedSequence.batch_sizes` describes."""
    if batch_sizes._dtype_numpy() != np.int64:
        raise RuntimeError(
            f"expected scalar type Long but found {scalar_type_name(batch_sizes.dtype)}"
        )
    sizes = np.asarray(batch_sizes._host())
    if sizes.ndim != 1 or not sizes.size:
        raise RuntimeError("Expected batch_sizes to be a 1D tensor that is not empty")
    if (np.diff(sizes) > 0).any() or sizes[-1] <= 0:
        raise RuntimeError(
            f"Expected batch_sizes to be positive and not to rise, but got {sizes.tolist()}"
        )
    return Packing(sizes)


@declare(name="_pack_padded_sequence", method=False)
def pack_padded_sequence(input: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, ...]:
    """The rows of a padded batch that belong to its sequences, step by step.

    Args:
        input: (T, B, *), or (B, T, *) if `batch_first`.
        lengths: the sequences' lengths, from the longest to the shortest.

    Returns:
        The rows (N, *), and how many sequences are alive at each step (T,).
    """
    checks.tensor("_pack_padded_sequence", input)
    if lengths.ndim != 1 or lengths._dtype_numpy() != np.int64 or lengths.device.type != "cpu":
        raise RuntimeError(
            "'lengths' argument should be a 1D CPU int64 tensor, but got "
            f"{lengths.ndim}D {lengths.device} {scalar_type_name(lengths.dtype)} tensor"
        )
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    padded = input.transpose(0, 1) if batch_first else input  # type: ignore[attr-defined]
    sizes = np.asarray(lengths._host())
    steps, batch = padded._dims()[:2]
    if len(sizes) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={batch})"
        )
    if sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if (np.diff(sizes) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    alive = (np.arange(sizes[0])[:, None] < sizes).sum(1)
    data = Packing(alive[:steps]).pack(padded, "PackPaddedSequenceBackward0")
    return data, tensor_from_host(alive, lengths.device)


@declare(name="_pad_packed_sequence", method=False)
def pad_packed_sequence(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    """The padded batch of packed rows, and the sequences' lengths.

    Args:
        padding_value: what stands where a sequence has ended.
        total_length: at least so many steps.
    """
    checks.tensor("_pad_packed_sequence", data)
    packing = packing_of(batch_sizes)
    padded = packing.pad(data, padding_value, "CopySlices")
    missing = total_length - packing.steps
    if missing > 0:
        shape = (missing, *padded._dims()[1:])
        rest = padded.new_full(shape, padding_value)  # type: ignore[attr-defined]
        padded = cat([padded, rest], 0)
    if batch_first:
        padded = padded.transpose(0, 1)  # type: ignore[attr-defined]
    return padded, tensor_from_host(packing.lengths, batch_sizes.device)
