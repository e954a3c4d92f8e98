"""Views of consecutive pieces along an axis: `split`, `chunk`, `unbind`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.tensor import Tensor
from ..core.views import view_pieces
from ..errors import dimension
from .registry import declare


def split_pieces(
    x: Tensor, sizes: Sequence[int], axis: int, label: str = "SplitBackward0"
) -> tuple[Tensor, ...]:
    """Consecutive pieces of the given sizes along `axis`."""
    return tuple(view_pieces(x, label, axis, sizes, True))


@declare()
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `split_size` along `dim` (the last may be smaller), or of the listed sizes."""
    shape = tensor._dims()
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    size = split_size_or_sections
    at = dimension(dim, len(shape), scalar_ok=False)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0:
        if shape[at]:
            raise RuntimeError(
                "split_size can only be 0 if dimension size is 0, but got dimension size of "
                f"{shape[at]}"
            )
        return split_pieces(tensor, (0,), at)
    whole, rest = divmod(shape[at], size)
    sizes = [size] * whole + ([rest] if rest or not whole else [])
    return split_pieces(tensor, sizes, at)


@declare()
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the listed sizes along `dim`."""
    shape = input._dims()
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    at = dimension(dim, len(shape), scalar_ok=False)
    sizes = tuple(split_sizes)
    if sum(sizes) != shape[at] or any(n < 0 for n in sizes):
        if any(n < 0 for n in sizes):
            raise RuntimeError(
                "split_with_sizes expects split_sizes have only non-negative entries, but got "
                f"split_sizes={list(sizes)}"
            )
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[at]} (input tensor's "
            f"size at dimension {at}), but got split_sizes={list(sizes)}"
        )
    return split_pieces(input, sizes, at, "SplitWithSizesBackward0")


@declare()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    shape = input._dims()
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    at = dimension(dim, len(shape), scalar_ok=False)
    size = -(-shape[at] // chunks)
    if size == 0:
        return split_pieces(input, (0,) * chunks, at)
    return split(input, size, at)


@declare()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along `dim`."""
    shape = input._dims()
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    at = dimension(dim, len(shape), scalar_ok=False)
    return tuple(view_pieces(input, "UnbindBackward0", at, (1,) * shape[at], False))
