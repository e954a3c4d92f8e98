"""Sets and counts, found on the host: `unique`, `isin`, `bincount`, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.device import tensor_from_host
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


def _pack(x: Tensor, values: np.ndarray, axis: int, inverse: Any, counts: Any) -> Any:
    """The values, and the inverse and the counts where they were asked for."""
    made = [values] + [a.astype(np.int64) for a in (inverse, counts) if a is not None]
    found = tuple(tensor_from_host(np.ascontiguousarray(a), x.device) for a in made)
    if axis:
        move_axis_in_memory(found[0], axis, 0)
    return found if len(found) > 1 else found[0]


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
    shape = input._dims() if dim is None else (-1,)
    places = inverse.reshape(shape) if return_inverse else None
    return _pack(input, values, axis, places, counts if return_counts else None)


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
    shape = input._dims() if dim is None else (-1,)
    places = inverse.reshape(shape) if return_inverse else None
    return _pack(input, values, axis, places, counts if return_counts else None)


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
    values = host_values("histc", input).reshape(-1)
    if kind.kind != "f":
        raise not_implemented_for("histogram_cpu", input.dtype)
    low, high = _limits("torch.histc", values, min, max, 1)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = kind.type(low), kind.type(high)
    inside = values[(values >= low) & (values <= high)]
    place = ((inside - low) * kind.type(bins) / (high - low)).astype(np.int64)
    counts = np.bincount(np.minimum(place, bins - 1), minlength=bins)
    return tensor_from_host(counts.astype(kind), input.device)


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
    kind = input._dtype_numpy()
    if kind.kind != "f":
        raise not_implemented_for("histogramdd", input.dtype)
    values = host_values("histogram", input).reshape(-1)
    if isinstance(bins, Tensor):
        edges = host_values("histogram", bins)
    else:
        low, high = (0, 0) if range is None else range
        low, high = _limits("torch.histogram", values, low, high, 0.5)
        edges = np.linspace(low, high, bins + 1, dtype=kind)
    weights = None if weight is None else host_values("histogram", weight).reshape(-1)
    place = np.searchsorted(edges, values, side="right") - 1
    place = np.where(values == edges[-1], len(edges) - 2, place)
    inside = (values >= edges[0]) & (values <= edges[-1])
    heights = None if weights is None else weights[inside]
    counts = np.bincount(place[inside], heights, len(edges) - 1).astype(kind)
    if density:
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = counts / (counts.sum() * np.diff(edges))
    made = (tensor_from_host(counts.astype(kind), input.device),
            tensor_from_host(edges, input.device))  # fmt: skip
    return named_result("histogram", ("hist", "bin_edges"))(made)
