"""Histograms, searches in sorted tensors, and integrals and derivatives of samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..core.device import tensor_from_host
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..errors import dimension
from ..kernels import histogram as kernels
from .arguments import check_tensor, integers, not_implemented_for
from .linalg_checks import value_of
from .registry import cast, declare, store_out
from .return_types import named_result

HISTC = Op(kernels.histc, differentiable=False)
HISTOGRAMDD = Op(kernels.histogramdd, differentiable=False)
SEARCHSORTED = Op(kernels.searchsorted, differentiable=False)
TRAPEZOID = Op(kernels.trapezoid, name="Div")
CUMULATIVE_TRAPEZOID = Op(kernels.cumulative_trapezoid, name="Div")
GRADIENT = Op(kernels.gradient, name="Cat")


# Histograms


@declare(out=True)
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max].

    The range is that of the elements where min equals max.
    """
    if not input.dtype.is_floating_point:
        raise not_implemented_for("histogram_cpu", input.dtype)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = _range("torch.histc", input, float(min), float(max))
    return apply(HISTC, (input.detach(), low, high), (int(bins),))


def _range(function: str, x: Tensor, low: float, high: float) -> tuple[float, float]:
    if low == high and x.numel():
        host = _required(function, x)
        low, high = float(host.min()), float(host.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{function}: range of [{low:g}, {high:g}] is not finite")
    if low >= high:
        raise RuntimeError(f"{function}: max must be larger than min")
    return low, high


def _required(function: str, x: Tensor) -> np.ndarray:
    """The value on the host of a tensor on which the result's form depends."""
    host = value_of(x)
    if host is None:
        raise NotImplementedError(
            f"flambeau.{function.removeprefix('torch.')}: depends on values, which are not known "
            "here"
        )
    return host


def _edges(function: str, x: Tensor, bins: int, bounds: Any) -> Tensor:
    """`bins` equal parts of `bounds`, or of the range of the elements."""
    if bounds is not None:
        low, high = (float(b) for b in bounds)
        if low > high:
            raise RuntimeError(
                f"{function}: min should not exceed max, but got min {low:g} max {high:g}"
            )
    elif x.numel():
        host = _required(function, x)
        low, high = float(host.min()), float(host.max())
    else:
        low, high = 0.0, 0.0
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{function}: dimension 0's range [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return wrap(np.linspace(low, high, bins + 1).astype(x._dtype_numpy()), x.device)


def _check_histogram(input: Tensor, weight: Tensor | None, shape: tuple[int, ...]) -> None:
    if weight is not None:
        if weight.dtype is not input.dtype:
            raise RuntimeError(
                "torch.histogramdd(): if weight tensor is provided, input tensor and weight tensor "
                f"should have the same dtype, but got input(self) {input.dtype._scalar_name}, and "
                f"weight {weight.dtype._scalar_name}"
            )
        if weight._dims() != shape:
            raise RuntimeError(
                "torch.histogramdd(): if weight tensor is provided it should have the same shape "
                "as the input tensor excluding its innermost dimension, but got input with shape "
                f"{list(input._dims())} and weight with shape {list(weight._dims())}"
            )
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise not_implemented_for("histogramdd", input.dtype)


@declare()
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """Counts (or sums of weights) of the elements between edges, and the edges.

    Args:
        bins: the edges, or how many equal parts of `range` (None: of the elements' range) to take.
        density: divide by the total and the widths.
    """
    if out is not None:
        keyword = {"range": range, "weight": weight, "density": density}
        return store_out(out, histogram, "histogram", (input, bins), keyword)
    _check_histogram(input, weight, input._dims())
    if isinstance(bins, Tensor):
        edges = bins
        if edges.dtype is not input.dtype:
            raise RuntimeError(
                "torch.histogramdd(): input tensor and bins tensors should have the same dtype, "
                f"but got input with dtype {input.dtype._scalar_name} and bins for dimension 0 "
                f"with dtype {edges.dtype._scalar_name}"
            )
    else:
        if bins <= 0:
            raise RuntimeError(
                f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0"
            )
        edges = _edges("torch.histogramdd()", input, int(bins), range)
    points = input.detach().reshape(-1, 1)
    weights = None if weight is None else weight.detach().reshape(-1)
    counts = apply(HISTOGRAMDD, (points, weights, edges), (bool(density),))
    return named_result("histogram", ("hist", "bin_edges"))((counts, edges))


@declare(method=False)
def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """`histogram` of points (*, D) in D dimensions: counts, and a tuple of the edges."""
    shape = input._dims()
    count = shape[-1]
    _check_histogram(input, weight, shape[:-1])
    points = input.detach().reshape(-1, count)
    if isinstance(bins, int):
        bins = (bins,) * count
    bins = tuple(bins)
    if len(bins) != count:
        raise RuntimeError(
            "torch.histogramdd(): The size of bins must be equal to the innermost dimension of "
            "the input."
        )
    if isinstance(bins[0], Tensor):
        edges = bins
    else:
        bounds = None if range is None else list(range)
        edges = tuple(
            _edges(
                "torch.histogramdd()",
                points[:, d],
                int(n),
                None if bounds is None else bounds[2 * d : 2 * d + 2],
            )
            for d, n in enumerate(bins)
        )
    weights = None if weight is None else weight.detach().reshape(-1)
    counts = apply(HISTOGRAMDD, (points, weights, *edges), (bool(density),))
    return named_result("histogramdd", ("hist", "bin_edges"))((counts, edges))


@declare()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, or the sums of the weights of its occurrences.

    >>> import flambeau as torch
    >>> torch.bincount(torch.tensor([1, 2, 2]))
    tensor([0, 1, 2])
    """
    if input.dtype.is_floating_point or input.dtype.is_complex or input.dtype is dtypes.bool:
        raise not_implemented_for("bincount_cpu", input.dtype)
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    host = _required("bincount", input)
    if host.ndim != 1 or (host.size and host.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        counts = np.bincount(host, minlength=minlength).astype(np.int64)
        return tensor_from_host(counts, input.device)
    if weights._dims() != input._dims():
        raise RuntimeError("weights should be 1-d and have the same length as input")
    values = _required("bincount", weights.detach())
    kind = np.dtype(np.float32 if weights.dtype is dtypes.float32 else np.float64)
    sums = np.zeros(max(minlength, int(host.max()) + 1 if host.size else 0), kind)
    np.add.at(sums, host, values.astype(kind))
    return tensor_from_host(sums, input.device)


# Searches


def _search_side(function: str, right: bool, side: str | None) -> bool:
    if side is None:
        return right
    if side not in ("left", "right"):
        raise RuntimeError(f"{function}: side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            f"{function}: side and right can't be set to opposites, got side of left while right "
            "was True"
        )
    return side == "right"


def _check_sorter(boundaries: Tensor, sorter: Tensor) -> None:
    name = "torch.searchsorted()"
    if sorter._dims() != boundaries._dims():
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor "
            f"{list(boundaries._dims())}and got sorter tensor {list(sorter._dims())}"
        )
    if sorter.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype "
            f"{scalar_type_name(sorter.dtype)}"
        )
    places = value_of(sorter)
    if places is None or not places.size:
        return
    if places.min() < 0 or places.max() >= boundaries._dims()[-1]:
        raise RuntimeError(f"{name}: sorter index out of range")


@declare(out=True, method=False)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where to insert values into the sorted innermost rows: before equal ones, or after
    (`right`).

    Args:
        sorter: the order that sorts the rows, if they aren't sorted.
    """
    name = "torch.searchsorted()"
    check_tensor("searchsorted", sorted_sequence, "sorted_sequence")
    scalar = not isinstance(input, Tensor)
    values = wrap(np.asarray(input), sorted_sequence.device) if scalar else input
    right = _search_side(name, right, side)
    rows, wanted = sorted_sequence._dims(), values._dims()
    if not rows:
        raise RuntimeError(
            f"{name}: boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if not wanted and len(rows) != 1:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but "
            f"we got boundaries tensor dim({len(rows)}) and input value's dim(0) numel(1)"
        )
    if len(rows) != 1 and rows[:-1] != wanted[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            "boundaries tensor and input value tensor must match, but we got boundaries tensor "
            f"{list(rows)} and input value tensor {list(wanted)}"
        )
    if sorter is not None:
        _check_sorter(sorted_sequence, sorter)
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    return _search(sorted_sequence, values, scalar, right, out_int32)


def _search(ordered: Tensor, values: Tensor, scalar: bool, right: bool, narrow: bool) -> Tensor:
    if not scalar:
        common = dtypes.promote_types(ordered.dtype, values.dtype)
    elif values.dtype.is_floating_point and not ordered.dtype.is_floating_point:
        common = dtypes.float64
    else:
        common = ordered.dtype
    kind = np.dtype(np.int32 if narrow else np.int64)
    pair = (cast(ordered.detach(), common), cast(values.detach(), common))
    return apply(SEARCHSORTED, pair, (bool(right), kind))


@declare(out=True, method=False)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Which of the intervals between sorted boundaries each value falls into."""
    if len(boundaries._dims()) != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({len(boundaries._dims())})"
        )
    scalar = not isinstance(input, Tensor)
    values = wrap(np.asarray(input), boundaries.device) if scalar else input
    return _search(boundaries, values, scalar, right, out_int32)


# Integrals


def _integral(name: str, op: Op, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    for label, t in (("y", y), ("x", x)):
        if t is not None and t.dtype is dtypes.bool:
            raise RuntimeError(
                f"{name}: received a bool input for `{label}`, but bool is not supported"
            )
    axis = dimension(dim, len(y._dims()))
    if x is not None and len(x._dims()) == 1 and x._dims()[0] != y._dims()[axis]:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    common = y.dtype if x is None else dtypes.promote_types(y.dtype, x.dtype)
    if not (common.is_floating_point or common.is_complex):
        common = dtypes.get_default_dtype()
    if not y._dims()[axis]:
        return cast(y, common).sum(axis)
    places = None if x is None else cast(x, common)
    return apply(op, (cast(y, common), places, None if x is not None else dx), (axis,))


@declare(method=False)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of samples by the trapezium rule, at places `x` or `dx` apart."""
    return _integral("trapezoid", TRAPEZOID, y, x, dx, dim)


@declare(method=False)
def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Alias of `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


@declare(method=False)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1
) -> Tensor:
    """The integrals of samples up to each but the first."""
    return _integral("cumulative_trapezoid", CUMULATIVE_TRAPEZOID, y, x, dx, dim)


# Derivatives


@declare(method=False)
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives along axes by differences of neighbouring samples, one tensor an axis.

    Args:
        spacing: a step, one step an axis, or for each axis the places of the samples.
        edge_order: 1 or 2, the order of the differences at both ends.

    >>> import flambeau as torch
    >>> torch.gradient(torch.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    shape = input._dims()
    axes = (
        tuple(range(len(shape)))
        if dim is None
        else tuple(dimension(d, len(shape)) for d in integers("gradient", dim))
    )
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for axis in axes:
        if shape[axis] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
    steps = _spacings(spacing, axes, len(shape), dim is None)
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        input = cast(input, dtypes.get_default_dtype())
    return tuple(
        apply(GRADIENT, (input, step), (axis, edge_order))
        for axis, step in zip(axes, steps, strict=True)
    )


def _spacings(spacing: Any, axes: tuple[int, ...], ndim: int, every: bool) -> list[Any]:
    if isinstance(spacing, (tuple, list)):
        if len(spacing) != len(axes):
            reason = (
                f"'self.dim() = {ndim}', since dim argument was not given"
                if every
                else f"'len(dim) = {len(axes)}'"
            )
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                f"equal to {reason}, but got a list of length {len(spacing)}"
            )
        steps = list(spacing)
    else:
        steps = [1 if spacing is None else spacing] * len(axes)
    return [s if isinstance(s, Tensor) else float(s) for s in steps]
