"""Reductions: sums, products, extrema, moments, logical reductions."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import dimension
from ..kernels import reduce as kernels
from .arguments import axes_of, integer, invalid_arguments, not_implemented_for, numpy_names
from .convert import warn_of_lost_part
from .registry import AS_OUT, FUNCTIONS, SAME_TYPE, cast, declare
from .return_types import named_result

SUM = Op(kernels.sum, vjp=kernels.sum_vjp)
NANSUM = Op(kernels.nansum)
MEAN = Op(kernels.mean, vjp=kernels.mean_vjp)
NANMEAN = Op(kernels.nanmean, name="Div")
PROD = Op(kernels.prod, vjp=kernels.prod_vjp)
ANY = Op(kernels.any, differentiable=False)
ALL = Op(kernels.all, differentiable=False)
COUNT_NONZERO = Op(kernels.count_nonzero, differentiable=False)
AMAX = Op(kernels.amax, vjp=kernels.amax_vjp)
AMIN = Op(kernels.amin, vjp=kernels.amin_vjp)
AMINMAX = Op(kernels.aminmax, vjp=kernels.aminmax_vjp)
MAX = Op(kernels.max, vjp=kernels.max_vjp)
MIN = Op(kernels.min, vjp=kernels.min_vjp)
MAX_ALL = Op(kernels.max_all, vjp=kernels.max_all_vjp)
MIN_ALL = Op(kernels.min_all, vjp=kernels.min_all_vjp)
ARGMAX = Op(kernels.argmax, differentiable=False)
ARGMIN = Op(kernels.argmin, differentiable=False)
LOGSUMEXP = Op(kernels.logsumexp, vjp=kernels.logsumexp_vjp)
VAR = Op(kernels.var, vjp=kernels.var_vjp)
STD = Op(kernels.std, vjp=kernels.std_vjp)
VAR_MEAN = Op(kernels.var_mean, vjp=kernels.var_mean_vjp)
STD_MEAN = Op(kernels.std_mean, vjp=kernels.std_mean_vjp)


def numpy_dtype(dtype: dtypes.dtype | None) -> np.dtype | None:
    """The NumPy dtype of an argument `dtype=`."""
    if dtype is not None and not isinstance(dtype, dtypes.dtype):
        raise invalid_arguments("dtype", dtype)
    return None if dtype is None else dtype.numpy


def _is_floating(dtype: dtypes.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def _size(x: Tensor, axes: tuple[int, ...]) -> int:
    shape = x._dims()
    return math.prod(shape[axis] for axis in axes)


# --- sums and products ----------------------------------------------------------------------------


@declare(out=AS_OUT, short={})
@numpy_names
def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The sum over `dim`, one axis or several (None: all); integers and bools sum to int64.

    >>> import flambeau as torch
    >>> torch.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    axes = axes_of("sum", dim, len(input._dims()))
    if dtype is not None and input.dtype.is_complex and not dtype.is_complex:
        warn_of_lost_part()
    label = "SumBackward0" if dim is None else "SumBackward1"
    return apply(SUM, (input,), (axes, bool(keepdim), numpy_dtype(dtype)), label)


@declare(out=AS_OUT)
@numpy_names
def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The sum over `dim` of the values that are not NaN."""
    if input.dtype.is_complex:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    axes = axes_of("nansum", dim, len(input._dims()))
    return apply(NANSUM, (input,), (axes, bool(keepdim), numpy_dtype(dtype)))


@declare(out=True, short={})
@numpy_names
def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The mean over `dim`, one axis or several (None: all).

    >>> import flambeau as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(0)
    tensor([2., 3.])
    """
    used = input.dtype if dtype is None else dtype
    if not _is_floating(used):
        kind = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {kind} dtype must be either a floating point "
            f"or complex dtype. Got: {scalar_type_name(used)}"
        )
    axes = axes_of("mean", dim, len(input._dims()))
    label = "MeanBackward0" if dim is None else "MeanBackward1"
    return apply(MEAN, (input,), (axes, bool(keepdim), numpy_dtype(dtype)), label)


@declare(out=True)
@numpy_names
def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtypes.dtype | None = None
) -> Tensor:
    """The mean over `dim` of the values that are not NaN."""
    if not _is_floating(input.dtype):
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{scalar_type_name(input.dtype)}"
        )
    if input.dtype.is_complex:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    axes = axes_of("nanmean", dim, len(input._dims()))
    return apply(NANMEAN, (input,), (axes, bool(keepdim), numpy_dtype(dtype)))


@declare(out=AS_OUT, short={})
@numpy_names
def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The product of all values, or over one axis; integers and bools multiply to int64."""
    if isinstance(dim, (tuple, list)):
        raise invalid_arguments("prod", dim)
    axes = axes_of("prod", dim, len(input._dims()))
    label = "ProdBackward0" if dim is None else "ProdBackward1"
    return apply(PROD, (input,), (axes, bool(keepdim), numpy_dtype(dtype)), label)


@declare(function=False)
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the axes along which `size` would have to be expanded to this shape."""
    from .views import sizes_of

    wanted, shape = sizes_of(size), self._dims()
    lead = len(shape) - len(wanted)
    if lead < 0 or [m for n, m in zip(wanted, shape[lead:], strict=True) if n not in (1, m)]:
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(wanted) if n == 1 and shape[lead + i] != 1
    )
    if not axes and shape:
        return self
    summed = apply(SUM, (self,), (axes, True, None), "SumBackward1")
    return summed.view(wanted) if lead else summed  # type: ignore[attr-defined]


# --- logical and counting reductions --------------------------------------------------------------


def _logical(op: Op, name: str, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    axes = axes_of(name, dim, len(input._dims()))
    if isinstance(dim, (tuple, list)) and not dim:
        axes = ()
    return apply(op, (input,), (axes, bool(keepdim)))


@declare(out="{name} only supports bool tensor for result, got: {given_type}")
@numpy_names
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some value over `dim` is not zero."""
    return _logical(ANY, "any", input, dim, keepdim)


@declare(out="{name} only supports bool tensor for result, got: {given_type}")
@numpy_names
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every value over `dim` is not zero."""
    return _logical(ALL, "all", input, dim, keepdim)


@declare()
@numpy_names
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many values over `dim` are not zero."""
    return apply(COUNT_NONZERO, (input,), (axes_of("count_nonzero", dim, len(input._dims())),))


# --- extrema --------------------------------------------------------------------------------------


def check_reducible(name: str, x: Tensor, axes: tuple[int, ...]) -> None:
    """Raise where a reduction without an identity would meet an axis of length 0."""
    shape = x._dims()
    for axis in axes:
        if shape[axis] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def _refuse_empty(name: str, x: Tensor) -> None:
    if x.numel() == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )


EXTREMUM_TYPE = (
    "Expected the dtype for input and out to match, but got {expected_type} for input's dtype and "
    "{given_type} for out's dtype."
)


def _extremum_over(op: Op, name: str, kernel: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    axes = axes_of(name, dim, len(x._dims()))
    if x.numel() == 0:
        if dim is None or dim == () or dim == []:
            _refuse_empty(name, x)
        check_reducible(name, x, axes)
    if x.dtype.is_complex:
        raise not_implemented_for(kernel, x.dtype)
    return apply(op, (x,), (axes, bool(keepdim)))


@declare(out=EXTREMUM_TYPE, short={})
@numpy_names
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest value over `dim`; the gradient is shared evenly by equal values."""
    return _extremum_over(AMAX, "amax", "max_values_cpu", input, dim, keepdim)


@declare(out=EXTREMUM_TYPE, short={})
@numpy_names
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest value over `dim`; the gradient is shared evenly by equal values."""
    return _extremum_over(AMIN, "amin", "min_values_cpu", input, dim, keepdim)


@declare(out=SAME_TYPE)
@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max): the smallest and the largest value, of all or over one axis."""
    if dim is None and input.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    axes = axes_of("aminmax", dim, len(input._dims()))
    shape = input._dims()
    for axis in axes:
        if shape[axis] == 0:
            raise IndexError(f"aminmax: Expected reduction dim {axis} to have non-zero size.")
    if input.dtype.is_complex:
        raise not_implemented_for("aminmax_cpu", input.dtype)
    found = apply(AMINMAX, (input,), (axes, bool(keepdim)))
    return named_result("aminmax", ("min", "max"))(found)


def axis_of(name: str, x: Tensor, dim: Any, *, nonempty: bool = True) -> int:
    """The one axis to work along; 0 for a 0-d tensor."""
    shape = x._dims()
    axis = dimension(integer(name, dim), len(shape))
    if nonempty and shape and shape[axis] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    return axis


def _extremum(name: str, x: Tensor, dim: Any, keepdim: bool, other: Any) -> Any:
    op, op_all, binary = (MAX, MAX_ALL, "maximum") if name == "max" else (MIN, MIN_ALL, "minimum")
    if isinstance(dim, Tensor) and other is None:
        dim, other = None, dim
    if other is not None:
        if not isinstance(other, Tensor) or dim is not None:
            raise invalid_arguments(name, dim, other)
        return FUNCTIONS[binary](x, other)
    if dim is None:
        _refuse_empty(name, x)
        if x.dtype.is_complex:
            raise not_implemented_for(f"{name}_all", x.dtype)
        return apply(op_all, (x,), (), f"{name.capitalize()}Backward1")
    if not hasattr(dim, "__index__"):
        raise invalid_arguments(name, dim)
    axis = axis_of(name, x, dim)
    if x.dtype.is_complex:
        raise RuntimeError(f"{name}(): does not support complex input")
    found = apply(op, (x,), (axis, bool(keepdim)), f"{name.capitalize()}Backward0")
    return named_result(name, ("values", "indices"))(found)


@declare(out=True)
@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """`max(x)`: the largest value; `max(x, dim)`: values and indices along one axis;
    `max(x, other)`: the elementwise maximum.

    >>> import flambeau as torch
    >>> torch.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1).indices
    tensor([1, 0])
    """
    return _extremum("max", input, dim, keepdim, other)


@declare(out=True)
@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """`min(x)`: the smallest value; `min(x, dim)`: values and indices along one axis;
    `min(x, other)`: the elementwise minimum."""
    return _extremum("min", input, dim, keepdim, other)


def _argument(op: Op, name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    axis = None
    if dim is not None:
        axis = axis_of(name, x, dim)
    elif x.numel() == 0:
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
        )
    if x.dtype.is_complex or x.dtype is dtypes.bool:
        kind = "complex" if x.dtype.is_complex else "bool"
        raise RuntimeError(f"{name}(): does not support {kind} input")
    return apply(op, (x,), (axis, bool(keepdim)))


@declare(out=SAME_TYPE, short={})
@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest value, along `dim` or in the flattened tensor."""
    return _argument(ARGMAX, "argmax", input, dim, keepdim)


@declare(out=SAME_TYPE, short={})
@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest value, along `dim` or in the flattened tensor."""
    return _argument(ARGMIN, "argmin", input, dim, keepdim)


@declare(out=True, short={})
@numpy_names
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow."""
    if not _is_floating(input.dtype):
        input = cast(input, dtypes.get_default_dtype())
    axes = axes_of("logsumexp", dim, len(input._dims()))
    return apply(LOGSUMEXP, (input,), (axes, bool(keepdim)))


# --- moments --------------------------------------------------------------------------------------


def _moment(
    op: Op, name: str, x: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> Any:
    """The shared overloads: (unbiased), (dim, unbiased, keepdim), (dim, *, correction, keepdim)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise invalid_arguments(name, dim, unbiased, correction)
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    if not _is_floating(x.dtype):
        subject = "std and var" if name in ("std", "var") else name
        raise RuntimeError(f"{subject} only support floating point and complex dtypes")
    axes = axes_of(name, dim, len(x._dims()))
    if _size(x, axes) <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly "
            "less than the reduction factor (input numel divided by output numel).",
            UserWarning,
            stacklevel=4,
        )
    return apply(op, (x,), (axes, float(correction), bool(keepdim)))


@declare(out=True, short={})
@numpy_names
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over `dim`: sum |x - mean|^2 / max(0, N - correction), correction 1 by default.

    >>> import flambeau as torch
    >>> torch.tensor([1.0, 2.0, 3.0, 4.0]).var(unbiased=False)
    tensor(1.2500)
    """
    return _moment(VAR, "var", input, dim, unbiased, keepdim, correction)


@declare(out=True, short={})
@numpy_names
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over `dim`: the square root of `var`."""
    return _moment(STD, "std", input, dim, unbiased, keepdim, correction)


@declare(method=False)
@numpy_names
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(variance, mean) over `dim`."""
    return _moment(VAR_MEAN, "var_mean", input, dim, unbiased, keepdim, correction)


@declare(method=False)
@numpy_names
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) over `dim`."""
    return _moment(STD_MEAN, "std_mean", input, dim, unbiased, keepdim, correction)
