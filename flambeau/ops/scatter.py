"""An index for every element: `gather`, `scatter` and their reductions."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..errors import broadcast_shapes, dimension
from ..kernels import indexing as kernels
from .arguments import check_tensor, integer, invalid_arguments, not_implemented_for, numpy_names
from .indexing import check_range
from .registry import SAME_TYPE, declare
from .views import reshape_to

GATHER = Op(kernels.gather, vjp=kernels.gather_vjp)
TAKE_ALONG_DIM = Op(kernels.take_along_dim, name="Gather")
SCATTER = Op(kernels.scatter, vjp=kernels.scatter_vjp)
SCATTER_ADD = Op(kernels.scatter_add, vjp=kernels.scatter_add_vjp)
SCATTER_MULTIPLY = Op(kernels.scatter_multiply, name="Scatter", vjp=kernels.scatter_multiply_vjp)
SCATTER_REDUCE = Op(kernels.scatter_reduce, vjp=kernels.scatter_reduce_vjp)


def _rank(shape: tuple[int, ...]) -> int:
    return len(shape) or 1


def _check_index(name: str, x: Tensor, dim: Any, index: Tensor, kind: str) -> int:
    """Check an index for `gather` or `scatter`; the axis."""
    check_tensor(name, index, "index", 2)
    axis = dimension(integer(name, dim), x.dim())
    if index.numel():
        if index.dtype not in (dtypes.int64, dtypes.int32):
            raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
        if _rank(index._dims()) != _rank(x._dims()):
            raise RuntimeError(
                f"Index tensor must have the same number of dimensions as {kind} tensor"
            )
    return axis


def _check_values(x: Tensor, axis: int, index: Tensor) -> None:
    shape = x._dims()
    size = shape[axis] if shape else 1
    text = f"index {{}} is out of bounds for dimension {axis} with size {size}"
    check_range(index, size, RuntimeError, text)


@declare(out=SAME_TYPE)
@numpy_names
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j][k] = input[i][index[i][j][k]][k] for dim 1: an index for every element.

    >>> import flambeau as torch
    >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    axis = _check_index("gather", input, dim, index, "input")
    if sparse_grad:
        raise NotImplementedError("flambeau.gather(sparse_grad=True)")
    shape, wanted = input._dims(), index._dims()
    if index.numel():
        for at, n in enumerate(wanted if shape else ()):
            if at != axis and n > shape[at]:
                raise RuntimeError(
                    f"Size does not match at dimension {at} expected index {list(wanted)} to be no "
                    f"larger than self {list(shape)} apart from dimension {axis}"
                )
        _check_values(input, axis, index)
    return apply(GATHER, (input, index), (axis,))


@declare(out=SAME_TYPE)
@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` along `dim` with the other axes broadcast; without `dim`: of the flattened."""
    check_tensor("take_along_dim", indices, "indices", 2)
    if indices.dtype is not dtypes.int64:
        kind = "Int" if indices.dtype is dtypes.int32 else indices.dtype
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {kind}"
        )
    if dim is None:
        flat, chosen = reshape_to(input, (input.numel(),)), reshape_to(indices, (indices.numel(),))
        _check_values(flat, 0, chosen)
        return gather(flat, 0, chosen)
    if input.dim() != indices.dim():
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.dim()} dimensions for input, and {indices.dim()} dimensions for "
            "indices"
        )
    axis = dimension(integer("take_along_dim", dim), input.dim())
    a, b = input._dims(), indices._dims()
    broadcast_shapes(a[:axis] + a[axis + 1 :], b[:axis] + b[axis + 1 :])
    return apply(TAKE_ALONG_DIM, (input, indices), (axis,))


def _check_scatter(name: str, x: Tensor, dim: Any, index: Tensor, source: Any) -> int:
    axis = _check_index("scatter", x, dim, index, "self")
    if isinstance(source, Tensor) and source.dtype is not x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if not index.numel():
        return axis
    shape, wanted = x._dims(), index._dims()
    given = source._dims() if isinstance(source, Tensor) else wanted
    if _rank(given) != _rank(wanted):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    too_wide = any(n > shape[at] for at, n in enumerate(wanted if shape else ()) if at != axis)
    if too_wide or any(n > m for n, m in zip(wanted or (1,), given or (1,), strict=True)):
        tail = (
            f" and to be no larger size than src {list(given)}"
            if isinstance(source, Tensor)
            else ""
        )
        raise RuntimeError(
            f"Expected index {list(wanted)} to be no larger than self {list(shape)} apart from "
            f"dimension {axis}{tail}"
        )
    _check_values(x, axis, index)
    return axis


_OF_REDUCE = {"add": SCATTER_ADD, "multiply": SCATTER_MULTIPLY}


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """`input` with `src`, a tensor or a number, written at `index` along `dim`.

    Args:
        reduce: "add" or "multiply" combines with what is there (`scatter_reduce` does more).

    >>> import flambeau as torch
    >>> torch.zeros(2, 3).scatter(1, torch.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    source = src if value is None else value
    if source is None:
        raise invalid_arguments("scatter", dim, index)
    axis = _check_scatter("scatter", input, dim, index, source)
    label = "ScatterBackward0"
    if not isinstance(source, Tensor):
        label = "ScatterBackward1"
        if not isinstance(source, (bool, int, float, complex)):
            raise invalid_arguments("scatter", dim, index, source)
        if input.dtype.is_floating_point:
            source = float(source)  # type: ignore[arg-type]
    if reduce is None:
        return apply(SCATTER, (input, index, source), (axis,), label)
    if reduce not in _OF_REDUCE:
        raise RuntimeError("reduce argument must be either add or multiply.")
    if isinstance(source, Tensor):
        warnings.warn(
            "The reduce argument of torch.scatter with Tensor src is deprecated and will be "
            "removed in a future PyTorch release. Use torch.scatter_reduce instead for more "
            "reduction options.",
            UserWarning,
            stacklevel=3,
        )
    return apply(_OF_REDUCE[reduce], (input, index, source), (axis,), label)


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with `src` added at `index` along `dim`."""
    check_tensor("scatter_add", src, "src", 4)
    axis = _check_scatter("scatter_add", input, dim, index, src)
    return apply(SCATTER_ADD, (input, index, src), (axis,))


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """`input` with `src` folded in at `index` along `dim`.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the values of `input` take part.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    axis = _check_scatter("scatter_reduce", input, dim, index, src)
    if input.dtype.is_complex and reduce in ("amax", "amin"):
        raise not_implemented_for(f"scatter_gather_tensor_cpu_reduce_{reduce}", input.dtype)
    return apply(SCATTER_REDUCE, (input, index, src), (axis, reduce, bool(include_self)))
