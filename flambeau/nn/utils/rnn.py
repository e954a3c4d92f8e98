"""Batches of sequences of several lengths: padded, packed, and plain lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core.device import tensor_from_host
from ...core.tensor import Tensor
from ...ops.packing import pack_padded_sequence as _pack
from ...ops.packing import pad_packed_sequence as _pad
from ...ops.registry import FUNCTIONS

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence_(NamedTuple):
    """The fields of `PackedSequence`."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """The rows of a batch of sequences, step by step, without padding.

    Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take it and return it.

    Attributes:
        data: (N, *), the rows of the first step, of the second, ...
        batch_sizes: how many sequences are alive at each step, an int64 tensor on the CPU.
        sorted_indices: which sequence of the user's batch is the longest, the second longest, ...
        unsorted_indices: the way back.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Any = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually. They should be instantiated by functions like pack_sequence and "
                "pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor, move: Callable[[Tensor], Tensor]) -> PackedSequence:
        """The same packing with other rows; `move` takes the indices to their device."""
        if data is self.data:
            return self
        found = [i if i is None else move(i) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *found)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With `data` on another device or of another type; the indices move along."""
        data = self.data.to(*args, **kwargs)  # type: ignore[attr-defined]
        return self._with(data, lambda index: index.to(data.device))  # type: ignore[attr-defined]

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """On an accelerator."""
        data = self.data.cuda(*args, **kwargs)  # type: ignore[attr-defined]
        return self._with(data, lambda index: index.to(data.device))  # type: ignore[attr-defined]

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """On the CPU."""
        return self.to("cpu", *args, **kwargs)

    def pin_memory(self) -> PackedSequence:
        """In memory that an accelerator reads fast."""
        data = self.data.pin_memory()  # type: ignore[attr-defined]
        return self._with(data, lambda index: index.pin_memory())  # type: ignore[attr-defined]

    def double(self) -> PackedSequence:
        """As float64."""
        return self._converted("double")

    def float(self) -> PackedSequence:
        """As float32."""
        return self._converted("float")

    def half(self) -> PackedSequence:
        """As float16."""
        return self._converted("half")

    def long(self) -> PackedSequence:
        """As int64."""
        return self._converted("long")

    def int(self) -> PackedSequence:
        """As int32."""
        return self._converted("int")

    def short(self) -> PackedSequence:
        """As int16."""
        return self._converted("short")

    def char(self) -> PackedSequence:
        """As int8."""
        return self._converted("char")

    def byte(self) -> PackedSequence:
        """As uint8."""
        return self._converted("byte")

    def _converted(self, name: str) -> PackedSequence:
        return self._with(getattr(self.data, name)(), lambda index: index)

    @property
    def is_cuda(self) -> bool:
        """Whether `data` is on an accelerator."""
        return self.data.is_cuda  # type: ignore[attr-defined]

    def is_pinned(self) -> bool:
        """Whether `data` is in pinned memory."""
        return self.data.is_pinned()  # type: ignore[attr-defined]


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another.

    >>> invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    order = permutation._host()
    if order.dtype != np.int64:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return tensor_from_host(inverse, permutation.device)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack a padded batch.

    Args:
        input: (T, B, *), or (B, T, *) if `batch_first`.
        lengths: the length of each sequence.
        enforce_sorted: the lengths must not rise; otherwise the batch is sorted first, and what
            recurrent layers return is put back in order.

    Example::

        >>> x = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> packed = pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
        >>> packed.data, packed.batch_sizes
        (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    """
    if not isinstance(lengths, Tensor):
        lengths = tensor_from_host(np.asarray(lengths, np.int64), "cpu")
    else:
        lengths = lengths.long()  # type: ignore[attr-defined]
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = FUNCTIONS["sort"](lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        axis = 0 if batch_first else 1
        input = input.index_select(axis, sorted_indices)  # type: ignore[attr-defined]
    data, batch_sizes = _pack(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, sorted_indices, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undo `pack_padded_sequence`.

    Args:
        batch_first: return (B, T, *) rather than (T, B, *).
        padding_value: what stands where a sequence has ended.
        total_length: T; the longest sequence's length by default.

    Returns:
        The padded batch and the sequences' lengths, in the order of the user's batch.
    """
    longest = sequence.batch_sizes.size(0)  # type: ignore[attr-defined]
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {longest}"
        )
    padded, lengths = _pad(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, total_length or longest
    )
    order = sequence.unsorted_indices
    if order is not None:
        padded = padded.index_select(0 if batch_first else 1, order)  # type: ignore[attr-defined]
        lengths = lengths[order.cpu()]  # type: ignore[attr-defined, index]
    return padded, lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (T_i, *) of several lengths to (T, B, *), T the longest length.

    Args:
        batch_first: (B, T, *) rather than (T, B, *).
        padding_value: what fills the shorter ones up.
        padding_side: "right" or "left".

    Example::

        >>> pad_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])], batch_first=True)
        tensor([[1, 2, 3],
                [4, 0, 0]])
    """
    if isinstance(sequences, Tensor):
        rows = list(sequences.unbind(0))  # type: ignore[attr-defined]
    elif isinstance(sequences, Iterable):
        rows = list(sequences)
    else:
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    if not rows:
        raise RuntimeError("received an empty list of sequences")
    for at, row in enumerate(rows):
        if not isinstance(row, Tensor):
            raise TypeError(
                f"expected Tensor as element {at} in argument 0, but got {type(row).__name__}"
            )
        if not row.ndim:
            raise RuntimeError("ArrayRef: invalid slice, N = 1; size = 0")
    longest = max(row._dims()[0] for row in rows)
    padded = [_lengthened(row, longest, padding_value, padding_side, rows[0]) for row in rows]
    return FUNCTIONS["stack"](padded, 0 if batch_first else 1)


def _lengthened(row: Tensor, length: int, value: float, side: str, first: Tensor) -> Tensor:
    """A sequence of `length` steps, of the type of the first one."""
    mine, others = row._dims()[1:], first._dims()[1:]
    if mine != others:
        axis = next(a for a, (m, o) in enumerate(zip(mine, others, strict=True)) if m != o)
        raise RuntimeError(
            f"The size of tensor a ({others[axis]}) must match the size of tensor b "
            f"({mine[axis]}) at non-singleton dimension {axis + 1}"
        )
    if row.dtype is not first.dtype:
        row = row.to(first.dtype)  # type: ignore[attr-defined]
    missing = length - row._dims()[0]
    if not missing:
        return row
    fill = first.new_full((missing, *mine), value)  # type: ignore[attr-defined]
    return FUNCTIONS["cat"]([row, fill] if side == "right" else [fill, row])


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, as a list of tensors of their own lengths.

    >>> unpad_sequence(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]), True)
    [tensor([1, 2, 3]), tensor([4])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)  # type: ignore[attr-defined]
    return [
        row[: int(length)]  # type: ignore[index]
        for row, length in zip(padded_sequences, lengths, strict=False)  # type: ignore[call-overload]
    ]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (T_i, *).

    Example::

        >>> pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4])]).data
        tensor([1, 4, 2, 3])
    """
    lengths = tensor_from_host(np.asarray([row._dims()[0] for row in sequences]), "cpu")
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, as a list of tensors.

    >>> unpack_sequence(pack_sequence([torch.tensor([1, 2]), torch.tensor([4])]))
    [tensor([1, 2]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
