"""Cumulative functions along one axis, differences, and the trapezoidal rule."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..core.views import before_write, check_writable
from ..errors import dimension
from ..kernels import cumulative as kernels
from .arguments import axes_of, integer, not_implemented_for, numpy_names
from .masks import c_name
from .reduction import axis_of, numpy_dtype
from .registry import FUNCTIONS, cast, declare, store
from .return_types import named_result

CUMSUM = Op(kernels.cumsum, vjp=kernels.cumsum_vjp)
CUMPROD = Op(kernels.cumprod, vjp=kernels.cumprod_vjp)
CUMMAX = Op(kernels.cummax, vjp=kernels.cummax_vjp)
CUMMIN = Op(kernels.cummin, vjp=kernels.cummin_vjp)
LOGCUMSUMEXP = Op(kernels.logcumsumexp, vjp=kernels.logcumsumexp_vjp)
DIFF = Op(kernels.diff, name="Sub")
GRADIENT = Op(kernels.gradient, name="Cat")


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


@declare(out=True)
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running sum along `dim`.

    >>> import flambeau as torch
    >>> torch.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    return _accumulate(CUMSUM, "cumsum", input, dim, dtype)


@declare(out=True)
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: dtypes.dtype | None = None) -> Tensor:
    """The running product along `dim`."""
    return _accumulate(CUMPROD, "cumprod", input, dim, dtype)


def _running_extremum(op: Op, name: str, x: Tensor, dim: Any) -> Any:
    axis = axis_of(name, x, dim, nonempty=False)
    if x.dtype.is_complex:
        raise not_implemented_for(f"{name}_cpu", x.dtype)
    return named_result(name, ("values", "indices"))(apply(op, (x,), (axis,)))


@declare(out=True)
@numpy_names
def cummax(input: Tensor, dim: int) -> Any:
    """(values, indices): the largest value so far along `dim` and its last place."""
    return _running_extremum(CUMMAX, "cummax", input, dim)


@declare(out=True)
@numpy_names
def cummin(input: Tensor, dim: int) -> Any:
    """(values, indices): the smallest value so far along `dim` and its last place."""
    return _running_extremum(CUMMIN, "cummin", input, dim)


@declare(out=True)
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
    return apply(DIFF, (joined,), (int(n), axis))


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


# --- the trapezoidal rule -------------------------------------------------------------------------


def _areas(name: str, y: Tensor, x: Any, dx: Any, dim: Any) -> tuple[Tensor, int]:
    """The areas of the trapezoids between neighbours along `dim`, and the axis."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}() received an invalid combination of arguments")
    axis = axis_of(name, y, dim, nonempty=False)
    n = y._dims()[axis]
    if n == 0:
        return y, axis
    pairs = y.narrow(axis, 0, n - 1) + y.narrow(axis, 1, n - 1)  # type: ignore[attr-defined]
    if x is None:
        return pairs * (0.5 * (1 if dx is None else dx)), axis
    places = x._dims()
    if len(places) == 1:
        if places[0] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        widths = diff(x).reshape([-1 if i == axis else 1 for i in range(y.dim())])
    else:
        widths = diff(x, dim=axis - y.dim())
    return pairs * widths * 0.5, axis


@declare(method=False, aliases=("trapz",))
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoidal rule, at places `x` or `dx` apart."""
    areas, axis = _areas("trapezoid", y, x, dx, dim)
    return areas.sum(axis)  # type: ignore[attr-defined]


@declare(method=False)
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The running integral of `y` along `dim` by the trapezoidal rule."""
    areas, axis = _areas("cumulative_trapezoid", y, x, dx, dim)
    return areas.cumsum(axis)  # type: ignore[attr-defined]


# --- the gradient of samples ----------------------------------------------------------------------


@declare(method=False)
@numpy_names
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The partial derivatives of samples on a grid, by finite differences; one for each of `dim`.

    Args:
        spacing: the distance of neighbours, for all axes or one for each; or for each axis a
            vector with the coordinates of the samples.
        edge_order: 1 or 2, the order of the differences at the edges.
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.dtype is dtypes.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    axes = _listed_axes(input, dim)
    shape = input._dims()
    if isinstance(spacing, (int, float, complex)) or (
        isinstance(spacing, Tensor) and not spacing._dims()
    ):
        places = [spacing] * len(axes)
    else:
        places = list(spacing)
    if len(places) != len(axes):
        wanted = f"'self.dim() = {input.dim()}', since dim argument was not given"
        if dim is not None:
            wanted = f"'dim' = {len(axes)}"
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"equal to {wanted}, but got a list of length {len(places)}"
        )
    if any(shape[axis] < edge_order + 1 for axis in axes):
        raise RuntimeError(
            "torch.gradient expected each dimension size to be at least edge_order+1"
        )
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        input = cast(input, dtypes.get_default_dtype())
    return tuple(
        apply(GRADIENT, (input, place), (axis, int(edge_order)))
        for axis, place in zip(axes, places, strict=True)
    )


def _listed_axes(x: Tensor, dim: Any) -> tuple[int, ...]:
    """The axes in the order in which they were given."""
    axes = axes_of("gradient", dim, x.dim())
    if isinstance(dim, (tuple, list)):
        axes = tuple(dimension(d, x.dim()) for d in dim)
    return axes
