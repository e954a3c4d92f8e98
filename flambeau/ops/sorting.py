"""Sorting and order statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..core.device import tensor_from_host
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..errors import dimension
from ..kernels import sort as kernels
from .arguments import (
    follow_layout,
    integer,
    known,
    move_axis_in_memory,
    not_implemented_for,
    numpy_names,
)
from .reduction import axis_of
from .registry import SAME_TYPE, declare
from .return_types import named_result

SORT = Op(kernels.sort, vjp=kernels.sort_vjp)
ARGSORT = Op(kernels.argsort, differentiable=False)
TOPK = Op(kernels.topk, vjp=kernels.topk_vjp)
KTHVALUE = Op(kernels.kthvalue, vjp=kernels.kthvalue_vjp)
MEDIAN = Op(kernels.median, vjp=kernels.median_vjp)
NANMEDIAN = Op(kernels.nanmedian, vjp=kernels.nanmedian_vjp)
MEDIAN_ALL = Op(kernels.median_all, name="Median", vjp=kernels.median_all_vjp)
NANMEDIAN_ALL = Op(kernels.nanmedian_all, name="Nanmedian", vjp=kernels.nanmedian_all_vjp)
MODE = Op(kernels.mode, vjp=kernels.mode_vjp)
QUANTILE = Op(kernels.quantile)

_PAIR = ("values", "indices")


@declare(out=SAME_TYPE)
@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Any:
    """(values, indices) in order along `dim`; equal values always keep their order.

    >>> import flambeau as torch
    >>> torch.tensor([3, 1, 2]).sort().indices
    tensor([1, 2, 0])
    """
    axis = axis_of("sort", input, dim, nonempty=False)
    if input.dtype.is_complex:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    label = "SortBackward0" if stable is None else "SortBackward1"
    found = apply(SORT, (input,), (axis, bool(descending)), label)
    for part in found:
        follow_layout(part, input)
    return named_result("sort", _PAIR)(found)


@declare(out=SAME_TYPE)
@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`."""
    axis = axis_of("argsort", input, dim, nonempty=False)
    if input.dtype.is_complex:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    return apply(ARGSORT, (input,), (axis, bool(descending)))


@declare(out=SAME_TYPE)
def msort(input: Tensor) -> Tensor:
    """The values in increasing order along the first axis."""
    return sort(input, 0)[0]


@declare(out=SAME_TYPE)
@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the `k` largest (or smallest) values along `dim`, in order.

    >>> import flambeau as torch
    >>> torch.tensor([1.0, 4.0, 2.0]).topk(2).values
    tensor([4., 2.])
    """
    axis = axis_of("topk", input, dim, nonempty=False)
    count = integer("topk", k, "k", 2)
    shape = input._dims()
    if not 0 <= count <= (shape[axis] if shape else 1):
        raise RuntimeError("selected index k out of range")
    if input.dtype.is_complex:
        raise RuntimeError(" topk does not support complex dtypes on CPU")
    if input.dtype is dtypes.bool:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    found = apply(TOPK, (input,), (count, axis, bool(largest)))
    return named_result("topk", _PAIR)(found)


# --- order statistics -----------------------------------------------------------------------------


@declare(out="output values must be of same type as input")
@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices): the `k`-th smallest value along `dim`, counted from 1."""
    axis = axis_of("kthvalue", input, dim)
    count = integer("kthvalue", k, "k", 2)
    shape = input._dims()
    if not 1 <= count <= (shape[axis] if shape else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    if input.dtype.is_complex or input.dtype is dtypes.bool:
        raise not_implemented_for("kthvalue_cpu", input.dtype)
    found = apply(KTHVALUE, (input,), (count, axis, bool(keepdim)))
    return named_result("kthvalue", _PAIR)(found)


def _median(op: Op, op_all: Op, name: str, x: Tensor, dim: Any, keepdim: bool) -> Any:
    if x.dtype.is_complex or x.dtype is dtypes.bool:
        raise not_implemented_for("median_cpu", x.dtype)
    label = name.capitalize()
    if dim is None:
        if x.numel() == 0:
            kind = x._dtype_numpy()
            nothing = np.iinfo(kind).min if kind.kind in "iu" else np.nan
            return tensor_from_host(np.array(nothing, kind), x.device)
        return apply(op_all, (x,), (), f"{label}Backward0")
    axis = axis_of(name, x, dim)
    found = apply(op, (x,), (axis, bool(keepdim)), f"{label}Backward1")
    return named_result(name, _PAIR)(found)


@declare(out=True)
@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all values; with `dim`, (values, indices) along one axis."""
    return _median(MEDIAN, MEDIAN_ALL, "median", input, dim, keepdim)


@declare(out=True)
@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """As `median`, of the values that are not NaN."""
    return _median(NANMEDIAN, NANMEDIAN_ALL, "nanmedian", input, dim, keepdim)


@declare(out="expected scalar type '{expected_type}' but got '{given_type}' for values output")
@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices): the most frequent value along `dim`, the smallest of several."""
    axis = axis_of("mode", input, dim)
    if input.dtype.is_complex:
        raise not_implemented_for("mode_cpu", input.dtype)
    found = apply(MODE, (input,), (axis, bool(keepdim)))
    return named_result("mode", _PAIR)(found)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, x: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Tensor:
    def refuse(text: str) -> None:
        raise RuntimeError(f"{name}() {text}")

    shape = x._dims()
    if x.numel() == 0:
        refuse("input tensor must be non-empty")
    if x.dtype not in (dtypes.float32, dtypes.float64):
        refuse("input tensor must be either float or double dtype")
    if interpolation not in _INTERPOLATIONS:
        refuse(
            "interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
            f"{interpolation}"
        )
    if isinstance(q, Tensor):
        if q.dim() > 1:
            refuse("q must be a scalar or 1D tensor")
        if q.dtype is not x.dtype:
            refuse("q tensor must be same dtype as the input tensor")
        values = known(q)
        if values is not None and not np.all((values >= 0) & (values <= 1)):
            refuse("q values must be in the range [0, 1]")
    else:
        if not 0 <= q <= 1:
            refuse(f"q must be in the range [0, 1] but got {q}")
        q = tensor_from_host(np.array(q, x._dtype_numpy()), x.device)
    axis = None if dim is None else dimension(integer(name, dim), len(shape))
    if interpolation != "linear":
        q = q.detach()
    result = apply(QUANTILE, (x, q), (axis, bool(keepdim), interpolation, ignore_nan))
    if q.dim():
        move_axis_in_memory(result, 0, result.dim() - 1)
    return result


@declare(out="{name}() out tensor must be same dtype as the input tensor")
@numpy_names
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The `q`-quantiles (0 to 1; a number, 0-d or 1-d) of all values or along `dim`."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@declare(out="{name}() out tensor must be same dtype as the input tensor")
@numpy_names
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """As `quantile`, of the values that are not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
