"""`torch.segment_reduce`: a reduction over consecutive pieces of an axis."""

from __future__ import annotations

import itertools
from typing import Any

from .core.tensor import Tensor
from .ops.joining import stack

__all__ = ["segment_reduce"]

# What a piece without elements gives.
EMPTY = {
    "sum": 0.0,
    "mean": float("nan"),
    "max": -float("inf"),
    "min": float("inf"),
    "prod": 1.0,
}
SAME = {"amax": "max", "amin": "min"}


def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """Reduce consecutive pieces of an axis: `lengths[0]` places, then `lengths[1]`, and so on.

    Args:
        data: the values.
        reduce: "sum", "mean", "max", "min" or "prod".
        lengths: how long each piece is; its axes before the last are axes of `data`.
        offsets: where each piece starts, and last where the last one ends, instead of `lengths`.
        axis: the axis of `data`, which is the last one of `lengths`.
        unsafe: do not check that the lengths add up.
        initial: a value that every piece starts with.

    Raises:
        RuntimeError: an argument does not fit.

    Example::

        >>> import flambeau as torch
        >>> torch.segment_reduce(torch.arange(6.0), "sum", lengths=torch.tensor([2, 4]))
        tensor([ 1., 14.])
    """
    kind = SAME.get(reduce, reduce)
    if kind not in EMPTY:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    given = offsets if lengths is None else lengths
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    axis = axis % data.dim()
    if axis != given.dim() - 1:
        name = "offsets" if lengths is None else "lengths"
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {name} but got {axis}."
        )
    bounds = _bounds(given.tolist(), axis, lengths is None)
    if lengths is not None:
        _check_lengths(bounds, axis, data.shape[axis], unsafe)  # type: ignore[arg-type]
    return _reduced(data, bounds, axis, kind, initial)


def _bounds(rows: Any, depth: int, are_offsets: bool) -> Any:
    """Where the pieces start and end, in nested lists, from offsets or lengths."""
    if depth:
        return [_bounds(row, depth - 1, are_offsets) for row in rows]
    if are_offsets:
        return rows
    bounds = [0]
    for length in rows:
        if length < 0:
            raise RuntimeError("lengths contains negative value!")
        bounds.append(bounds[-1] + length)
    return bounds


def _check_lengths(bounds: Any, depth: int, size: int, unsafe: bool) -> None:
    if unsafe:
        return
    if depth:
        for row in bounds:
            _check_lengths(row, depth - 1, size, unsafe)
    elif bounds[-1] != size:
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            "data.size(lengths.dim()-1) when !unsafe."
        )


def _reduced(data: Tensor, bounds: Any, depth: int, kind: str, initial: float | None) -> Tensor:
    if depth:
        rows = zip(data.unbind(0), bounds, strict=True)
        return stack([_reduced(row, own, depth - 1, kind, initial) for row, own in rows])
    pieces = itertools.pairwise(bounds)
    return stack([_piece(data[start:end], kind, initial) for start, end in pieces])


def _piece(x: Tensor, kind: str, initial: float | None) -> Tensor:
    count = x.shape[0]
    if not count:
        return x.new_full(x.shape[1:], EMPTY[kind] if initial is None else initial)
    if kind in ("sum", "mean"):
        total = x.sum(0) if initial is None else x.sum(0) + initial
        return total / count if kind == "mean" else total
    if kind == "prod":
        return x.prod(0) if initial is None else x.prod(0) * initial
    if kind == "max":
        return x.amax(0) if initial is None else x.amax(0).clamp(min=initial)
    return x.amin(0) if initial is None else x.amin(0).clamp(max=initial)
