"""Masks: `where`, filling and selecting by mask, and the places of nonzero elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core.batching import refuse_dynamic
from ..core.device import tensor_from_host
from ..core.legacy import scalar_type_name
from ..core.op import Op, apply
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import BATCHED_DYNAMIC, BATCHED_MASK, broadcast_shapes
from ..kernels import indexing as kernels
from .arguments import c_name, check_tensor, invalid_arguments, known, set_memory_order
from .pointwise import promoted
from .registry import FUNCTIONS, declare, store_out
from .views import expand

WHERE = Op(kernels.where, vjp=kernels.where_vjp, pointwise=True)
MASKED_FILL = Op(kernels.masked_fill, vjp=kernels.masked_fill_vjp)
MASKED_SCATTER = Op(kernels.masked_scatter)
MASKED_SELECT = Op(kernels.index, name="MaskedSelect", vjp=kernels.index_vjp)


# --- where the nonzero elements are ---------------------------------------------------------------


def host_values(name: str, x: Tensor) -> np.ndarray:
    """The value of a tensor on which the shape of a result depends."""
    if x.device.type == "meta":
        raise NotImplementedError(
            f"{name}: the shape of the result depends on the values, which a meta tensor lacks"
        )
    if modes.levels and name != "isin":
        refuse_dynamic(x, BATCHED_MASK if name == "a mask" else BATCHED_DYNAMIC.format(name))
    return x._host()


def mask_places(mask: Tensor, name: str = "nonzero") -> tuple[Tensor, ...]:
    """For each axis the indices of the nonzero elements; a 0-d tensor counts as 1-d."""
    values = host_values(name, mask)
    places = np.nonzero(values.reshape(1) if values.ndim == 0 else values)
    return tuple([tensor_from_host(np.ascontiguousarray(p), mask.device) for p in places])


_PLACES_TYPE = (
    "{name}: Expected out tensor to have scalar type {expected_type} but got scalar type"
    "{given_type}"
)


@declare(out=False)
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None) -> Any:
    """The indices of the elements that are not zero: one row each, or a tuple with one tensor for
    each axis.

    >>> import flambeau as torch
    >>> torch.nonzero(torch.tensor([0, 3, 0, 4]))
    tensor([[1],
            [3]])
    """
    check_tensor("nonzero", input)
    if as_tuple:
        return mask_places(input)
    if out is not None:
        before = out._dims()
        store_out(out, nonzero, "nonzero", (input,), {}, _PLACES_TYPE)
        if out._dims() != before and out.numel():
            set_memory_order(out, (1, 0))
        return out
    found = tensor_from_host(np.argwhere(host_values("nonzero", input)), input.device)
    if found.numel():
        set_memory_order(found, (1, 0))
    return found


@declare()
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one row each."""
    return nonzero(input)


@declare(out=True)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` cut or filled to `size` rows."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    rows = np.argwhere(host_values("nonzero_static", input))[:size]
    result = np.full((size, rows.shape[1]), fill_value, np.int64)
    result[: len(rows)] = rows
    return tensor_from_host(result, input.device)


# --- selecting ------------------------------------------------------------------------------------


def picked_by_mask(x: Tensor, mask: Tensor, by_axis: Sequence[Tensor | None]) -> Tensor | None:
    """`x[..., mask]` read on the host, where no gradient is needed and both values are at hand.

    No program is compiled then for each new number of elements.
    """
    if modes.grad and x.requires_grad:
        return None
    values, chosen = known(x), known(mask)
    if values is None or chosen is None or modes.levels:
        return None
    axis = len(by_axis) - 1
    if not chosen.ndim:
        chosen = chosen.reshape(1)
    return tensor_from_host(values[(slice(None),) * axis + (chosen,)], x.device)


@declare(out="{name}(): self and result must have the same scalar type")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where `mask` holds (the two broadcast), along one axis."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(mask._dims(), input._dims()) or (1,)
    wide, chosen = expand(input, shape), expand(mask, shape)
    picked = picked_by_mask(wide, chosen, (chosen,))
    if picked is not None:
        return picked
    return apply(MASKED_SELECT, (wide, *mask_places(chosen)), (tuple(range(len(shape))),))


# --- filling --------------------------------------------------------------------------------------


def _check_mask(name: str, mask: Tensor, kind: str) -> None:
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {kind}")


@declare(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value`, a number or a 0-d tensor, where `mask` (broadcast) holds.

    >>> import flambeau as torch
    >>> torch.ones(3).masked_fill(torch.tensor([True, False, True]), 0.0)
    tensor([0., 1., 0.])
    """
    if not isinstance(mask, Tensor):
        raise invalid_arguments("masked_fill", mask, value)
    _check_mask("masked_fill_", mask, c_name(mask.dtype))
    broadcast_shapes(mask._dims(), input._dims())
    if isinstance(value, Tensor):
        if value._dims():
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.dim()} dimension(s)."
            )
        return apply(MASKED_FILL, (input, mask, value), (), "MaskedFillBackward1")
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (bool, int, float, complex)):
        raise invalid_arguments("masked_fill_", mask, value)
    if isinstance(value, complex) and not input.dtype.is_complex:
        raise RuntimeError(
            f"value cannot be converted to type {c_name(input.dtype)} without overflow"
        )
    if input.dtype.is_floating_point:
        value = float(value)  # type: ignore[arg-type]
    return apply(MASKED_FILL, (input, mask, value), (), "MaskedFillBackward0")


@declare(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements of `source`, in order, where `mask` (broadcast) holds."""
    check_tensor("masked_scatter", source, "source", 3)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{scalar_type_name(input.dtype)} and {scalar_type_name(source.dtype)}"
        )
    _check_mask("masked_scatter_", mask, scalar_type_name(mask.dtype))
    shape = broadcast_shapes(mask._dims(), input._dims())
    values = known(mask)
    if values is not None and not modes.levels:
        repeats = math.prod(shape) // values.size if values.size else 0
        if int(values.sum()) * repeats > source.numel():
            raise RuntimeError("Number of elements of source < number of ones in mask")
    return apply(MASKED_SCATTER, (input, mask, source))


# --- where ----------------------------------------------------------------------------------------


def _condition(condition: Tensor) -> Tensor:
    if condition.dtype is dtypes.uint8:
        return condition.bool()  # type: ignore[attr-defined]
    if condition.dtype is not dtypes.bool:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{scalar_type_name(condition.dtype)}"
        )
    return condition


@declare(
    method=False,
    out="Expected out type to be {expected_type} but got {given_type}",
    short={"pointwise": True},
)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other` (broadcast, promoted to one type).

    With the condition alone: the indices where it holds, one tensor for each axis.

    >>> import flambeau as torch
    >>> torch.where(torch.tensor([True, False]), 1.0, torch.zeros(2))
    tensor([1., 0.])
    """
    if input is None and other is None:
        return mask_places(condition)
    if not isinstance(condition, Tensor):
        raise invalid_arguments("where", condition, input, other)
    chosen = _condition(condition)
    try:
        a, b, result = promoted(input, other)
    except TypeError:
        raise invalid_arguments("where", condition, input, other) from None
    shape = chosen._dims()
    sides = [t._dims() for t in (a, b) if isinstance(t, Tensor)]
    for side in reversed(sides):
        shape = broadcast_shapes(shape, side)
    return apply(WHERE, (chosen, a, b), (result.numpy,))


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor where `condition` holds, else `other`."""
    return where(condition, self, other)


declare(name="where", function=False)(_where_method)


@declare(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Indices into the flattened tensor of `shape` as one tensor of indices for each axis."""
    if indices.dtype.is_complex or indices.dtype.is_floating_point or indices.dtype is dtypes.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, Tensor):
        shape = shape.tolist()
    sizes = (shape,) if isinstance(shape, int) else tuple(operator.index(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    places = []
    for at, n in enumerate(sizes):
        below = math.prod(sizes[at + 1 :])
        places.append(indices.div(below, rounding_mode="floor") % n)  # type: ignore[attr-defined]
    return FUNCTIONS["stack"](places, -1).unbind(-1)
