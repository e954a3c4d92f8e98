"""Joining tensors, grids and combinations of them, and bringing them to common shapes."""

from __future__ import annotations

import itertools
import operator
import warnings
from typing import Any

import numpy as np

from .. import dtypes, errors, formats
from ..core.layout import suggests_channels_last
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..dtypes import RESULT
from ..errors import dimension
from ..kernels import shape as kernels
from ..size import Size
from .arguments import check_tensors, integer, numpy_names
from .registry import cast, declare
from .views import channels_last_strides, expand, reshape_to

CAT = Op(kernels.cat, vjp=kernels.cat_vjp)
STACK = Op(kernels.stack, vjp=kernels.stack_vjp)
BLOCK_DIAG = Op(kernels.block_diag)


def common_type(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The tensors converted to the type that they promote to."""
    first = tensors[0].dtype
    if all(t.dtype is first for t in tensors):
        return tensors
    result = RESULT[tuple(t.dtype if t._dims() else t.dtype.zero_dim for t in tensors)]
    return tuple(cast(t, result) for t in tensors)


@declare(method=False, out=True, aliases=("concat", "concatenate"))
@numpy_names
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors one after the other along `dim`; empty 1-d ones are left out.

    >>> import flambeau as torch
    >>> torch.cat([torch.zeros(1), torch.ones(2)])
    tensor([0., 1., 1.])
    """
    given = check_tensors("cat", tensors)
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for at, t in enumerate(given):
        if not t._dims():
            raise RuntimeError(f"zero-dimensional tensor (at position {at}) cannot be concatenated")
    used = tuple(t for t in given if t._dims() != (0,)) or given[:1]
    shape = used[0]._dims()
    axis = dimension(integer("cat", dim), len(shape))
    for at, t in enumerate(given):
        other = t._dims()
        if other == (0,):
            continue
        if len(other) != len(shape):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(shape)} and {len(other)}"
            )
        for i, (a, b) in enumerate(zip(shape, other, strict=True)):
            if i != axis and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {a} "
                    f"but got size {b} for tensor number {at} in the list."
                )
    joined = apply(CAT, common_type(given), (axis,))
    if len(shape) in (4, 5) and not used[0]._is_plain():
        form = formats.channels_last if len(shape) == 4 else formats.channels_last_3d
        if all(suggests_channels_last(t._dims(), t._strides_offset()[0]) for t in used):
            joined._storage.strides = channels_last_strides(joined._dims(), form)
    return joined


@declare(method=False, out=True)
@numpy_names
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis `dim`.

    >>> import flambeau as torch
    >>> torch.stack([torch.zeros(2), torch.ones(2)]).shape
    torch.Size([2, 2])
    """
    given = check_tensors("stack", tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = given[0]._dims()
    axis = dimension(integer("stack", dim), len(shape) + 1)
    for at, t in enumerate(given):
        if t._dims() != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(t._dims())} at entry {at}"
            )
    return apply(STACK, common_type(given), (axis,))


def _nonempty(name: str, tensors: Any) -> tuple[Tensor, ...]:
    given = check_tensors(name, tensors)
    if not given:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return given


@declare(method=False, out=True)
def hstack(tensors: Any) -> Tensor:
    """The tensors one after the other along the second axis; 1-d ones along the first."""
    given = atleast_1d(*_nonempty("hstack", tensors), _always=True)
    return cat(given, 0 if given[0].dim() == 1 else 1)


@declare(method=False, out=True, aliases=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """The tensors one below the other, vectors as rows."""
    return cat(atleast_2d(*_nonempty("vstack", tensors), _always=True), 0)


@declare(method=False, out=True)
def dstack(tensors: Any) -> Tensor:
    """The tensors one after the other along the third axis."""
    return cat(atleast_3d(*_nonempty("dstack", tensors), _always=True), 2)


@declare(method=False, out=True)
def column_stack(tensors: Any) -> Tensor:
    """The tensors side by side, vectors as columns."""
    given = _nonempty("column_stack", tensors)
    return hstack([t if t.dim() > 1 else reshape_to(t, (t.numel(), 1)) for t in given])


@declare(method=False)
def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of one matrix; vectors count as rows."""
    given = check_tensors("block_diag", tensors[0] if _is_list(tensors) else tensors)
    for at, t in enumerate(given):
        if t.dim() > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{at} has {t.dim()} dimensions"
            )
    if not given:
        from ..core.device import tensor_from_host

        return tensor_from_host(np.zeros((1, 0), dtypes.get_default_dtype().numpy))
    return apply(BLOCK_DIAG, common_type(atleast_2d(*given, _always=True)))


# --- common shapes --------------------------------------------------------------------------------


def _is_list(arguments: tuple[Any, ...]) -> bool:
    """Whether a function of any number of tensors was given one sequence of them."""
    return len(arguments) == 1 and isinstance(arguments[0], (list, tuple))


def _each(name: str, tensors: tuple[Any, ...], widen: Any, always: bool) -> Any:
    if _is_list(tensors):
        return tuple(widen(t) for t in check_tensors(name, tensors[0]))
    found = tuple(widen(t) for t in check_tensors(name, tensors))
    return found[0] if len(found) == 1 and not always else found


@declare(method=False)
def atleast_1d(*tensors: Any, _always: bool = False) -> Any:
    """Each tensor with at least one axis."""

    def widen(t: Tensor) -> Tensor:
        return t.unsqueeze(0) if not t._dims() else t  # type: ignore[attr-defined]

    return _each("atleast_1d", tensors, widen, _always)


@declare(method=False)
def atleast_2d(*tensors: Any, _always: bool = False) -> Any:
    """Each tensor with at least two axes; a vector becomes a row."""

    def widen(t: Tensor) -> Tensor:
        if not t._dims():
            return reshape_to(t, (1, 1))
        return t.unsqueeze(0) if t.dim() == 1 else t  # type: ignore[attr-defined]

    return _each("atleast_2d", tensors, widen, _always)


@declare(method=False)
def atleast_3d(*tensors: Any, _always: bool = False) -> Any:
    """Each tensor with at least three axes; of shape (n,) becomes (1, n, 1), (m, n) (m, n, 1)."""

    def widen(t: Tensor) -> Tensor:
        if not t._dims():
            return reshape_to(t, (1, 1, 1))
        if t.dim() == 1:
            return t.unsqueeze(0).unsqueeze(-1)  # type: ignore[attr-defined]
        return t.unsqueeze(-1) if t.dim() == 2 else t  # type: ignore[attr-defined]

    return _each("atleast_3d", tensors, widen, _always)


@declare(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape, without copies."""
    given = check_tensors("broadcast_tensors", tensors[0] if _is_list(tensors) else tensors)
    shape: tuple[int, ...] = ()
    for t in given:
        shape = errors.broadcast_shapes(shape, t._dims())
    return tuple(expand(t, shape) for t in given)


@declare(method=False)
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which tensors of the given shapes broadcast."""
    listed = [(s,) if isinstance(s, int) else tuple(operator.index(n) for n in s) for s in shapes]
    result = [1] * max((len(s) for s in listed), default=0)
    for at, shape in enumerate(listed):
        for i in range(-1, -1 - len(shape), -1):
            if shape[i] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if shape[i] in (1, result[i]):
                continue
            if result[i] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[i]} at {i}! "
                    f"Mismatching argument at index {at} had {shape}; but expected shape should "
                    f"be broadcastable to {result}"
                )
            result[i] = shape[i]
    return Size(result)


# --- grids and combinations -----------------------------------------------------------------------


@declare(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """For vectors x_1, ..., x_n the n grids of their coordinates, as views.

    Args:
        indexing: "ij" (the default; axis i belongs to x_i) or "xy" (the first two exchanged).
    """
    given = _nonempty("meshgrid", tensors[0] if _is_list(tensors) else tensors)
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
        indexing = "ij"
    if any(t.dtype is not given[0].dtype for t in given):
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    for t in given:
        if t.dim() > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}"
            )
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swapped = indexing == "xy" and len(given) >= 2
    if swapped:
        given = (*given[1::-1], *given[2:])
    shape = tuple(t.numel() for t in given)
    grids = [
        expand(reshape_to(t, tuple(n if i == at else 1 for i, n in enumerate(shape))), shape)
        for at, t in enumerate(given)
    ]
    if swapped:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)


def _check_vectors(tensors: tuple[Tensor, ...]) -> None:
    for t in tensors:
        if t.dim() != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t._dims())}")


@declare(method=False)
def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations with one element of each vector, one row each."""
    given = check_tensors("cartesian_prod", tensors[0] if _is_list(tensors) else tensors)
    _check_vectors(given)
    if len(given) == 1:
        return given[0]
    grids = meshgrid(*given, indexing="ij")
    return stack([reshape_to(g, (g.numel(),)) for g in grids], 1)


@declare(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of `r` elements of a vector, one row each."""
    _check_vectors((input,))
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))  # type: ignore[attr-defined]
    from ..core.device import tensor_from_host

    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    columns = [
        input.index_select(0, tensor_from_host(places[:, i].copy(), input.device))  # type: ignore[attr-defined]
        for i in range(r)
    ]
    return stack(columns, 1)
