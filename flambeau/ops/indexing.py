"""Reading and writing by index: advanced subscripts, gather and scatter, masks.

XLA clamps an index out of range or drops the write, so indices are checked here, on the host,
wherever their values are at hand (Note [Index checks]).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from .. import dtypes
from ..core.layout import propagated_strides
from ..core.legacy import scalar_type_name
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..core.views import before_write, check_overlap, check_writable, overwrite
from ..errors import PARTIAL_OVERLAP, dimension
from ..kernels import indexing as kernels
from .arguments import check_tensor, follow_layout, integer, numpy_names
from .checks import when_known
from .masks import MASKED_FILL, mask_places, picked_by_mask
from .registry import SAME_TYPE, cast, declare
from .views import reshape_to, stride_of

# Note [Index checks]
# In eager mode on the CPU the value of an index is at hand and checked before the call. Inside a
# compiled function and on accelerators it is not; there, as on PyTorch's accelerators, an index out
# of range is the program's own mistake: reads are clamped and writes dropped.

INDEX = Op(kernels.index, vjp=kernels.index_vjp)
INDEX_PUT = Op(kernels.index_put, vjp=kernels.index_put_vjp)
INDEX_SELECT = Op(kernels.index_select, vjp=kernels.index_select_vjp)
INDEX_ADD = Op(kernels.index_add, vjp=kernels.index_add_vjp)
INDEX_COPY = Op(kernels.index_copy, vjp=kernels.index_copy_vjp)
INDEX_FILL = Op(kernels.index_fill, vjp=kernels.index_fill_vjp)
INDEX_REDUCE = Op(kernels.index_reduce, vjp=kernels.index_reduce_vjp)
TAKE = Op(kernels.take)
PUT = Op(kernels.put, vjp=kernels.put_vjp)

_INTEGERS = (dtypes.int64, dtypes.int32)


def check_range(index: Tensor, size: int, error: type[Exception], text: str, low: int = 0) -> None:
    """Raise `error` where an index is below `low` or not below `size`; `{}` in the text is it."""

    def check(values: np.ndarray) -> None:
        if values.size and not low <= int(values.min()) <= int(values.max()) < size:
            outside = (values < low) | (values >= size)
            raise error(text.format(int(values[outside].flat[0])))

    when_known(index, check)


def _out_of_bounds(axis: int, size: int) -> str:
    return f"index {{}} is out of bounds for dimension {axis} with size {size}"


def _type_name(x: Tensor) -> str:
    return scalar_type_name(x.dtype)


# --- advanced subscripts --------------------------------------------------------------------------


def index(x: Tensor, by_axis: Sequence[Tensor | None]) -> Tensor:
    """`x` at tensors of integers or masks: `by_axis[i]` selects along axis i (None: all of it).

    A mask of k axes stands at the first of them, followed by k - 1 times None.
    """
    last = by_axis[-1]
    if last is not None and _is_mask(last) and all(t is None for t in by_axis[:-1]):
        axis = len(by_axis) - 1
        picked = picked_by_mask(x, _checked_mask(x, last, axis), by_axis)
        if picked is not None:
            _set_layout(picked, x, tuple(range(axis, axis + max(last.dim(), 1))), [(1,)])
            return picked
    dims, arrays = _selectors(x, by_axis)
    picked = apply(INDEX, (x, *arrays), (dims,))
    _set_layout(picked, x, dims, [stride_of(a) for a in arrays])
    return picked


def _set_layout(
    picked: Tensor, x: Tensor, dims: tuple[int, ...], strides: Sequence[tuple[int, ...]]
) -> None:
    """Order the axes of a result in memory as those of `x` that it keeps are ordered.

    Args:
        dims: the axes that were indexed, by arrays of these `strides`.
    """
    if x._is_plain() or not picked.numel():
        return
    shape = picked._dims()
    rank = max(len(s) for s in strides)
    first = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
    kept = [step for axis, step in enumerate(stride_of(x)) if axis not in dims]
    operands = [(shape, (*kept[:first], *[0] * rank, *kept[first:]))]
    after = (0,) * (len(kept) - first)
    for own in strides:
        operands.append((shape, (*(0,) * (first + rank - len(own)), *own, *after)))
    picked._storage.strides = propagated_strides(operands, shape)


def index_put_(
    x: Tensor, by_axis: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """Write `values`, broadcast, into `x` at the places that `index(x, by_axis)` reads."""
    if values.numel() == 1 and _is_mask(by_axis[-1]) and by_axis[-1]._dims():
        values = values.clone() if values._storage is x._storage else values  # type: ignore[attr-defined]
    check_writable(x, (values,))
    if values is x:
        raise RuntimeError(PARTIAL_OVERLAP)
    if values._storage is x._storage:
        check_overlap(x, values, same_allowed=False)
    return overwrite(x, _index_put(before_write(x), by_axis, values, accumulate))


def _index_put(
    x: Tensor, by_axis: Sequence[Tensor | None], values: Tensor, accumulate: bool
) -> Tensor:
    last = by_axis[-1]
    if _is_mask(last) and values.numel() == 1 and all(t is None for t in by_axis[:-1]):
        # One value for all places of a mask: no need to look at the mask.
        axis = len(by_axis) - 1
        mask = _checked_mask(x, last, axis)
        if not accumulate and last._dims():
            shape = mask._dims() + (1,) * (x.dim() - axis - mask.dim())
            flat = cast(reshape_to(values, ()), x.dtype)
            return apply(MASKED_FILL, (x, reshape_to(mask, shape), flat), (), "IndexPutBackward0")
    dims, arrays = _selectors(x, by_axis)
    fitting = _fitting(values, _indexed_shape(x._dims(), dims, arrays))
    if values.dtype is not x.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{_type_name(x)} for the destination and {_type_name(values)} for the source."
        )
    return apply(INDEX_PUT, (x, fitting, *arrays), (dims, bool(accumulate)))


def _fitting(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`values` without leading axes of size 1 that `shape` lacks; must broadcast to it."""
    given = values._dims()
    extra = len(given) - len(shape)
    trimmed = given
    if extra > 0 and all(n == 1 for n in given[:extra]):
        trimmed = given[extra:]
    offset = len(shape) - len(trimmed)
    if offset < 0 or any(n not in (1, shape[offset + i]) for i, n in enumerate(trimmed)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing "
            f"result of shape {list(shape)}"
        )
    return values if trimmed is given else reshape_to(values, trimmed)


def _is_mask(t: Tensor | None) -> TypeGuard[Tensor]:
    return t is not None and t.dtype in (dtypes.bool, dtypes.uint8)


def _checked_mask(x: Tensor, mask: Tensor | None, axis: int) -> Tensor:
    """A mask as bools, after checking its shape against the axes from `axis` on."""
    assert mask is not None
    shape, wanted = mask._dims(), x._dims()
    for i, n in enumerate(shape):
        if axis + i >= len(wanted):
            raise IndexError(
                f"too many indices for tensor of dimension {len(wanted)} (got {axis + len(shape)})"
            )
        if wanted[axis + i] != n:
            raise IndexError(
                f"The shape of the mask {list(shape)} at index {i} does not match the shape of "
                f"the indexed tensor {list(wanted)} at index {axis + i}"
            )
    return mask if mask.dtype is dtypes.bool else mask.bool()  # type: ignore[attr-defined]


def _selectors(x: Tensor, by_axis: Sequence[Tensor | None]) -> tuple[tuple[int, ...], list[Tensor]]:
    """The axes that are indexed, and an array of integers for each."""
    shape = x._dims()
    dims: list[int] = []
    arrays: list[Tensor] = []
    for axis, t in enumerate(by_axis):
        if t is None:
            continue
        if _is_mask(t):
            mask = _checked_mask(x, t, axis)
            for i, places in enumerate(mask_places(mask, "a mask")):
                dims.append(axis + i)
                arrays.append(places)
            continue
        if t.dtype not in _INTEGERS:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if axis >= len(shape):
            raise IndexError(
                f"too many indices for tensor of dimension {len(shape)} (got {len(by_axis)})"
            )
        size = shape[axis]
        # PyTorch counts the tensors, not the axes, in this message.
        check_range(t, size, IndexError, _out_of_bounds(len(dims), size), -size)
        dims.append(axis)
        arrays.append(t)
    shapes = [a._dims() for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(str(list(s)) for s in shapes)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
        ) from None
    return tuple(dims), arrays


def _indexed_shape(
    shape: tuple[int, ...], dims: tuple[int, ...], arrays: Sequence[Tensor]
) -> tuple[int, ...]:
    free = [n for axis, n in enumerate(shape) if axis not in dims]
    first = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
    return (*free[:first], *np.broadcast_shapes(*(a._dims() for a in arrays)), *free[first:])


def _public_indices(name: str, x: Tensor, indices: Any) -> list[Tensor | None]:
    """The tuple of `index_put`, one entry after the other, as selectors by axis."""
    if isinstance(indices, Tensor):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not Tensor"
        )
    by_axis: list[Tensor | None] = []
    for at, t in enumerate(indices):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}"
            )
        by_axis.append(t)
        if _is_mask(t):
            by_axis += [None] * (t.dim() - 1)
    if len(by_axis) > x.dim():
        raise IndexError(f"too many indices for tensor of dimension {x.dim()} (got {len(by_axis)})")
    while by_axis and by_axis[-1] is None:
        by_axis.pop()
    return by_axis


def _index_put_public(
    input: Tensor, indices: Any, values: Tensor, accumulate: bool = False
) -> Tensor:
    """`input` with `values` written, or added, at `indices`, a tuple of integer tensors or masks.

    >>> import flambeau as torch
    >>> torch.zeros(3).index_put((torch.tensor([0, 2]),), torch.tensor(1.0))
    tensor([1., 0., 1.])
    """
    check_tensor("index_put", values, "values", 2)
    by_axis = _public_indices("index_put", input, indices)
    return _index_put(input, by_axis, values, accumulate)


declare(name="index_put", inplace=True, inplace_function=True)(_index_put_public)


# --- one index along one axis ---------------------------------------------------------------------


def _axis(name: str, x: Tensor, dim: Any) -> int:
    return dimension(integer(name, dim), x.dim())


def _size(x: Tensor, axis: int) -> int:
    shape = x._dims()
    return shape[axis] if shape else 1


@declare(out="{name}(): self and result must have the same scalar type")
@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of `input` along `dim` that the 1-d `index` lists.

    >>> import flambeau as torch
    >>> torch.tensor([10, 20, 30]).index_select(0, torch.tensor([2, 0]))
    tensor([30, 10])
    """
    axis = _axis("index_select", input, dim)
    if index.dim() > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in _INTEGERS:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not input._dims() and index.numel() != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {index.numel()} value(s)"
        )
    check_range(index, _size(input, axis), IndexError, "index out of range in self")
    return apply(INDEX_SELECT, (input, index), (axis,))


def _check_vector(name: str, index: Tensor) -> None:
    if index.dim() > 1:
        raise IndexError(
            f"{name}_(): Index is supposed to be a vector, but got dim: {index.dim()} with type: "
            f"{_type_name(index)} and size: {list(index._dims())}"
        )
    if index.dtype not in _INTEGERS:
        raise RuntimeError(
            f"{name}_(): Expected dtype int32/int64 for index but got: {_type_name(index)}"
        )


def _check_source(name: str, x: Tensor, axis: int, index: Tensor, source: Tensor) -> None:
    _check_vector(name, index)
    if x.dtype is not source.dtype:
        raise RuntimeError(
            f"{name}_(): self ({_type_name(x)}) and source ({_type_name(source)}) must have the "
            "same scalar type"
        )
    shape, given = x._dims(), source._dims()
    length = given[axis] if axis < len(given) else 1
    if index.numel() != length:
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.numel()}) should be equal to "
            f"source.size(dim): ({length}), for dim: {axis}"
        )
    one_is_scalar = bool(shape) != bool(given)
    if one_is_scalar or shape[:axis] + shape[axis + 1 :] != given[:axis] + given[axis + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(shape)} source.shape = {list(source._dims())}"
        )


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`input` with alpha times the slices of `source` added at `index` along `dim`."""
    axis = _axis("index_add", input, dim)
    _check_source("index_add", input, axis, index, source)
    size = _size(input, axis)
    if input.dim() > 1:
        check_range(index, size, RuntimeError, _out_of_bounds(axis, size))
    else:
        check_range(index, size, IndexError, "index out of range in self")
    factor = None if type(alpha) is int and alpha == 1 else alpha
    return apply(INDEX_ADD, (input, index, source, factor), (axis,))


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the slices of `source` at `index` along `dim`."""
    axis = _axis("index_copy", input, dim)
    shape, given = input._dims(), source._dims()
    if index.dim() > 1:
        raise IndexError("index_copy_(): Index should have dimension 1 or 0 (got {index.dim()})")
    if not given and index.numel() != 1:
        raise IndexError(
            "index_copy_(): When source is scalar, index should have one element (got "
            f"{index.numel()})"
        )
    if len(given) != len(shape) and given and shape:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality "
            f"must match. Source dimensionality ({len(given)}), destination dimensionality "
            f"({len(shape)})"
        )
    if index.dtype is not dtypes.int64:
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {_type_name(index)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{_type_name(input)} and (source) {_type_name(source)}"
        )
    own, other = shape[:axis] + shape[axis + 1 :], given[:axis] + given[axis + 1 :]
    if own != other:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {' '.join(map(str, own))} at dimension {axis} and source slice shape: "
            f"{' '.join(map(str, other))} at dimension {axis}."
        )
    if given and index.numel() != given[axis]:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to "
            f"source.size(dim) ({given[axis]})"
        )
    size = _size(input, axis)
    check_range(index, size, IndexError, "index_copy_(): " + _out_of_bounds(axis, size))
    return apply(INDEX_COPY, (input, index, source), (axis,))


@declare(inplace=True)
@numpy_names
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with `value`, a number or 0-d tensor, at `index` along `dim`."""
    axis = _axis("index_fill", input, dim)
    if index.dtype is not dtypes.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.dim() > 1:
        raise IndexError("Index has to be a vector/scalar")
    label = "IndexFillBackward0"
    if isinstance(value, Tensor):
        label = "IndexFillBackward1"
        if value._dims():
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.dim()} dimension(s)."
            )
    elif isinstance(value, complex) and not input.dtype.is_complex:
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    size = _size(input, axis)
    check_range(index, size, IndexError, _out_of_bounds(axis, size), -size)
    wrapped = index % size if size else index  # type: ignore[operator]
    filled = apply(INDEX_FILL, (input, wrapped, value), (axis,), label)
    return follow_layout(filled, input)


@declare(inplace=True, out=SAME_TYPE)
@numpy_names
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """`input` with the slices of `source` folded in at `index` along `dim`.

    Args:
        reduce: "prod", "mean", "amax" or "amin".
        include_self: whether the values of `input` take part.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    axis = _axis("index_reduce", input, dim)
    _check_source("index_reduce", input, axis, index, source)
    check_range(index, _size(input, axis), IndexError, "index out of range in self")
    return apply(INDEX_REDUCE, (input, index, source), (axis, reduce, bool(include_self)))


# --- the tensor as one long row -------------------------------------------------------------------


def _check_flat(name: str, x: Tensor, index: Tensor) -> None:
    if index.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {_type_name(index)}"
        )
    count = x.numel()
    if count == 0 and index.numel():
        verb = "take from" if name == "take" else "put elements into"
        raise IndexError(f"{name}(): tried to {verb} an empty tensor")
    text = f"out of range: tried to access index {{}} on a tensor of {count} elements."
    check_range(index, count, IndexError, text, -count)


TAKE_TYPE = (
    "{name}(): self and out expected to have the same dtype, but got self.dtype = {expected_type} "
    "and out.dtype = {given_type}"
)


@declare(out=TAKE_TYPE)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` at `index`, in the shape of `index`."""
    _check_flat("take", input, index)
    return apply(TAKE, (input, index))


@declare(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `source` written, or added, at `index` into the flattened tensor."""
    if index.dtype is dtypes.int64 and source.dtype is not input.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{_type_name(input)} and source.dtype = {_type_name(source)}"
        )
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    _check_flat("put_", input, index)
    return apply(PUT, (input, index, source), (bool(accumulate),))
