"""Cumulative functions along one axis, and differences."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..core.views import before_write, check_writable
from ..errors import dimension
from ..kernels import cumulative as kernels
from .arguments import c_name, follow_layout, integer, not_implemented_for, numpy_names
from .reduction import axis_of, numpy_dtype
from .registry import AS_OUT, FUNCTIONS, declare, store
from .return_types import named_result

CUMSUM = Op(kernels.cumsum, vjp=kernels.cumsum_vjp)
CUMPROD = Op(kernels.cumprod, vjp=kernels.cumprod_vjp)
CUMMAX = Op(kernels.cummax, vjp=kernels.cummax_vjp)
CUMMIN = Op(kernels.cummin, vjp=kernels.cummin_vjp)
LOGCUMSUMEXP = Op(kernels.logcumsumexp, vjp=kernels.logcumsumexp_vjp)
DIFF = Op(kernels.diff, name="Sub")


def _accumulate(op: Op, name: str, x: Tensor, dim: Any, dtype: Any) -> Tensor:
    axis = axis_of(name, x, dim, nonempty=False)
    return apply(op, (x,), (axis, numpy_dtype(dtype)))


def _accumulate_(function: Any, self: Tensor, dim: int, dtype: Any) -> Tensor:
    """`function` in place."""
    name = function.__name__
    if self.dtype is dtypes.bool:
        raise not_implemented_for(f"{name}_out_cpu", self.dtype)
    if dtype is not None and dtype is not self.dtype:
        kinds = (c_name(self.dtype), c_name(dtype))
        raise RuntimeError(
            f"Bad in-place call: input tensor dtype {kinds[0]} and output tensor dtype {kinds[1]} "
            "should match"
        )
    check_writable(self)
    return store(self, function(before_write(self), dim, dtype=self.dtype))


@declare(function=False)
@numpy_names
def cumsum_(self: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """In-place version of `cumsum`."""
    return _accumulate_(cumsum, self, dim, dtype)


@declare(function=False)
@numpy_names
def cumprod_(self: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """In-place version of `cumprod`."""
    return _accumulate_(cumprod, self, dim, dtype)


@declare(out=AS_OUT)
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running sum along `dim`.

    >>> import flambeau as torch
    >>> torch.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    return _accumulate(CUMSUM, "cumsum", input, dim, dtype)


@declare(out=AS_OUT)
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running product along `dim`."""
    return _accumulate(CUMPROD, "cumprod", input, dim, dtype)


def _running_extremum(op: Op, name: str, x: Tensor, dim: Any) -> Any:
    axis = axis_of(name, x, dim, nonempty=False)
    if x.dtype.is_complex:
        raise not_implemented_for(f"{name}_cpu", x.dtype)
    return named_result(name, ("values", "indices"))(apply(op, (x,), (axis,)))


@declare(out="expected scalar_type {expected_type} but found {given_type}")
@numpy_names
def cummax(input: Tensor, dim: int) -> Any:
    """(values, indices): the largest value so far along `dim` and its last place."""
    return _running_extremum(CUMMAX, "cummax", input, dim)


@declare(out="expected scalar_type {expected_type} but found {given_type}")
@numpy_names
def cummin(input: Tensor, dim: int) -> Any:
    """(values, indices): the smallest value so far along `dim` and its last place."""
    return _running_extremum(CUMMIN, "cummin", input, dim)


@declare(out="expected scalar_type {expected_type} but found {given_type}")
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log of the running sum of exp along `dim`."""
    axis = axis_of("logcumsumexp", input, dim, nonempty=False)
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        raise not_implemented_for("logcumsumexp_out_cpu", input.dtype)
    return apply(LOGCUMSUMEXP, (input,), (axis,))


@declare(out=True)
@numpy_names
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The `n`-th differences of neighbours along `dim`, after joining `prepend` and `append`."""
    shape = input._dims()
    if not shape:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    axis = dimension(integer("diff", dim), len(shape))
    for extra in (prepend, append):
        if extra is not None:
            _check_extra(shape, extra._dims(), axis)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return input.clone()  # type: ignore[attr-defined]
    parts = [p for p in (prepend, input, append) if p is not None]
    joined = FUNCTIONS["cat"](parts, axis) if len(parts) > 1 else input
    return follow_layout(apply(DIFF, (joined,), (int(n), axis)), joined)


def _check_extra(shape: tuple[int, ...], extra: tuple[int, ...], axis: int) -> None:
    if len(extra) != len(shape):
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for i, (a, b) in enumerate(zip(shape, extra, strict=True)):
        if i != axis and a != b:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input "
                f"except along the differencing dimension; input.size({i}) = {a}, but got "
                f"tensor.size({i}) = {b}"
            )
