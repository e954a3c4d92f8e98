"""Sets and counts, found on the host: `unique`, `isin`, `bincount`, histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.device import tensor_from_host
from ..core.function import Function
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import dimension
from .arguments import (
    check_tensor,
    integer,
    invalid_arguments,
    move_axis_in_memory,
    not_implemented_for,
    numpy_names,
)
from .masks import host_values
from .registry import declare
from .return_types import named_result

# --- unique values --------------------------------------------------------------------------------


class Underivable(Function):
    """The place on the tape of a function without a derivative; its name is `ctx.name`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, name: str) -> Tensor:
        """The values that were found."""
        ctx.name = name
        return values.clone()  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Raise, as PyTorch does."""
        raise NotImplementedError(f"the derivative for '{ctx.name}' is not implemented.")


def _pack(name: str, x: Tensor, values: np.ndarray, axis: int, inverse: Any, counts: Any) -> Any:
    """The values, and the inverse and the counts where they were asked for."""
    made = [values] + [a.astype(np.int64) for a in (inverse, counts) if a is not None]
    found = [tensor_from_host(np.asarray(a, order="C"), x.device) for a in made]
    if axis:
        move_axis_in_memory(found[0], axis, 0)
    if modes.grad and x.requires_grad:
        found[0] = Underivable.apply(x, found[0], name)
    return found[0] if len(found) == 1 else tuple(found)


def _slices(name: str, x: Tensor, dim: Any) -> tuple[np.ndarray, int]:
    """The slices along `dim` as rows."""
    axis = dimension(integer(name, dim), x.dim())
    values = host_values(name, x)
    rows = np.moveaxis(values, axis, 0) if values.ndim else values.reshape(1)
    if rows.size == 0 and rows.shape[0] != 0:
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    return rows, axis


@declare()
@numpy_names
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values of `input` (or its different slices along `dim`), in order.

    Args:
        return_inverse: also the index, for each element, of its value.
        return_counts: also how often each value occurs.

    >>> import flambeau as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    if dim is not None:
        rows, axis = _slices("unique", input, dim)
        values, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True, axis=0)
        values = np.moveaxis(values, 0, axis) if input.dim() else values
    else:
        axis = 0
        values, inverse, counts = np.unique(
            host_values("unique", input), return_inverse=True, return_counts=True, equal_nan=False
        )
    shape = (-1,) if dim is not None else input._dims()
    places = inverse.reshape(shape) if return_inverse else None
    name = "_unique2" if dim is None else "unique_dim"
    return _pack(name, input, values, axis, places, counts if return_counts else None)


@declare()
@numpy_names
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """`input` (flattened, or its slices along `dim`) without repetitions of the one before."""
    if dim is not None:
        rows, axis = _slices("unique_consecutive", input, dim)
    else:
        rows, axis = host_values("unique_consecutive", input).reshape(-1), 0
    differs = rows[1:] != rows[:-1]
    begins = np.ones(len(rows), bool)
    begins[1:] = differs.reshape(len(rows) - 1, -1).any(1) if len(rows) > 1 else True
    values = np.moveaxis(rows[begins], 0, axis)
    inverse = np.cumsum(begins) - 1
    counts = np.diff(np.append(np.flatnonzero(begins), len(rows)))
    shape = (-1,) if dim is not None else input._dims()
    places = inverse.reshape(shape) if return_inverse else None
    return _pack(
        "unique_consecutive", input, values, axis, places, counts if return_counts else None
    )


@declare(method=False, out=True)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among `test_elements` (either may be a number)."""
    tensors = [t for t in (elements, test_elements) if isinstance(t, Tensor)]
    if not tensors:
        raise invalid_arguments("isin", elements, test_elements)
    values, tested = (
        host_values("isin", t) if isinstance(t, Tensor) else np.asarray(t)
        for t in (elements, test_elements)
    )
    return tensor_from_host(np.isin(values, tested, invert=invert), tensors[0].device)


# --- counts ---------------------------------------------------------------------------------------


@declare()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ..., max(input) occurs, or the sum of its weights."""
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    kind = input._dtype_numpy().kind
    if input.dim() != 1 or (kind in "iu" and (host_values("bincount", input) < 0).any()):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if kind not in "iu":
        raise not_implemented_for("bincount_cpu", input.dtype)
    heights = None
    if weights is not None:
        check_tensor("bincount", weights, "weights", 2)
        if weights._dims() != input._dims():
            raise RuntimeError("weights should be 1-d and have the same length as input")
        heights = host_values("bincount", weights)
    counts = np.bincount(host_values("bincount", input), heights, minlength)
    wanted = np.int64 if heights is None else np.float64
    if heights is not None and heights.dtype == np.float32:
        wanted = np.float32
    return tensor_from_host(counts.astype(wanted), input.device)


def _limits(
    name: str, values: np.ndarray, low: float, high: float, margin: float
) -> tuple[float, float]:
    """The range to count in: that of the data where none is given, widened where it is empty."""
    if low == high and values.size:
        low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    return (low - margin, high + margin) if low == high else (low, high)


@declare(out=True)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many values fall into each of `bins` intervals of equal width from `min` to `max`.

    With `min` equal to `max` the range of the data is taken. Values outside do not count.
    """
    kind = input._dtype_numpy()
    if not input.dtype.is_floating_point:
        raise not_implemented_for("histogram_cpu", input.dtype)
    values = host_values("histc", input).reshape(-1)
    wide = np.result_type(kind, np.float32) if kind.kind == "f" else np.dtype(np.float32)
    values = values.astype(wide)
    low, high = _limits("torch.histc", values, min, max, 1)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = wide.type(low), wide.type(high)
    inside = values[(values >= low) & (values <= high)]
    place = ((inside - low) * wide.type(bins) / (high - low)).astype(np.int64)
    counts = np.bincount(np.minimum(place, bins - 1), minlength=bins)
    return tensor_from_host(counts.astype(kind), input.device)


def _edges(name: str, values: np.ndarray, bins: Any, limits: Any) -> np.ndarray:
    """The edges of the intervals along one axis."""
    if isinstance(bins, Tensor):
        return host_values(name, bins)
    low, high = limits or (0, 0)
    low, high = _limits(f"torch.{name}", values, low, high, 0.5)
    return np.linspace(low, high, bins + 1, dtype=values.dtype)


def _places(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The interval that each value lies in; -1 outside. The last one is closed on both sides."""
    found = np.searchsorted(edges, values, side="right") - 1
    found = np.where(values == edges[-1], len(edges) - 2, found)
    return np.where((values >= edges[0]) & (values <= edges[-1]), found, -1)


def _histogram(
    name: str, points: np.ndarray, edges: list[np.ndarray], weight: Any, density: bool
) -> np.ndarray:
    """The weight of `points` (N, D) in each cell of the grid of `edges`."""
    shape = tuple(len(e) - 1 for e in edges)
    places = np.stack([_places(points[:, i], e) for i, e in enumerate(edges)])
    inside = (places >= 0).all(0)
    cells = np.ravel_multi_index(tuple(places[:, inside]), shape)
    weights = None if weight is None else host_values(name, weight).reshape(-1)[inside]
    counts = np.bincount(cells, weights, math.prod(shape)).reshape(shape).astype(points.dtype)
    if density:
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = counts / counts.sum()
            for axis, e in enumerate(edges):
                counts = counts / np.diff(e).reshape(
                    [-1 if i == axis else 1 for i in range(len(shape))]
                )
    return counts.astype(points.dtype)


@declare(out=True)
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges): the number (or weight) of values between neighbouring edges.

    Args:
        bins: how many intervals of equal width, or a 1-d tensor of increasing edges.
        range: (low, high) for a number of bins; the data's own by default.
        density: divide by the total and by the widths.
    """
    if input._dtype_numpy().kind != "f":
        raise not_implemented_for("histogramdd", input.dtype)
    values = host_values("histogram", input).reshape(-1)
    edges = _edges("histogram", values, bins, range)
    counts = _histogram("histogram", values[:, None], [edges], weight, density)
    made = (tensor_from_host(counts, input.device), tensor_from_host(edges, input.device))
    return named_result("histogram", ("hist", "bin_edges"))(made)


@declare()
def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges): the number (or weight) of points, the last axis of `input`, in the cells
    of a grid.

    Args:
        bins: a number for all axes, one for each, or for each a 1-d tensor of edges.
        range: low and high of each axis, one after the other.
        density: divide by the total and by the volumes.
    """
    if input.dim() < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    if input._dtype_numpy().kind != "f":
        raise not_implemented_for("histogramdd", input.dtype)
    points = host_values("histogramdd", input).reshape(-1, input.size(-1))
    along = [bins] * points.shape[1] if isinstance(bins, int) else list(bins)
    if len(along) != points.shape[1]:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    edges = [
        _edges("histogramdd", points[:, i], b, None if range is None else range[2 * i : 2 * i + 2])
        for i, b in enumerate(along)
    ]
    counts = _histogram("histogramdd", points, edges, weight, density)
    made = (
        tensor_from_host(counts, input.device),
        tuple(tensor_from_host(e, input.device) for e in edges),
    )
    return named_result("histogramdd", ("hist", "bin_edges"))(made)
