"""Sets and counts, found on the host: `unique`, `isin`, `bincount`, histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.batching import is_batched
from ..core.device import tensor_from_host
from ..core.function import Function
from ..core.legacy import scalar_type_name
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import dimension
from .arguments import (
    integer,
    invalid_arguments,
    move_axis_in_memory,
    not_implemented_for,
    numpy_names,
)
from .masks import host_values
from .registry import FUNCTIONS, SAME_TYPE, declare

# --- unique values --------------------------------------------------------------------------------


class Underivable(Function):
    """The place on the tape of a function without a derivative; its name is `ctx.of`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, name: str) -> Tensor:
        """The values that were found."""
        ctx.of = name
        return values.clone()  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Raise, as PyTorch does."""
        raise NotImplementedError(f"the derivative for '{ctx.of}' is not implemented.")


def _pack(name: str, x: Tensor, values: np.ndarray, axis: int, inverse: Any, counts: Any) -> Any:
    """The values, and the inverse and the counts where they were asked for."""
    made = [values] + [a.astype(np.int64) for a in (inverse, counts) if a is not None]
    found = [tensor_from_host(np.asarray(a, order="C"), x.device) for a in made]
    if axis:
        move_axis_in_memory(found[0], axis, 0)
    if modes.grad and x.requires_grad:
        found[0] = Underivable.apply(x, found[0], name)
    return found[0] if len(found) == 1 else tuple(found)


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
    if input.dtype.is_complex:
        raise not_implemented_for("unique", input.dtype)
    if dim is not None:
        rows, axis = _slices("unique", input, dim)
        values, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True, axis=0)
        values = np.moveaxis(values, 0, axis) if input.dim() else values
    else:
        axis = 0
        values, inverse, counts = np.unique(
            host_values("unique", input), return_inverse=True, return_counts=True, equal_nan=False
        )
    shape = (-1,) if dim is not None else input._dims()
    places = inverse.reshape(shape) if return_inverse else None
    name = "_unique2" if dim is None else "unique_dim"
    return _pack(name, input, values, axis, places, counts if return_counts else None)


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
    shape = (-1,) if dim is not None else input._dims()
    places = inverse.reshape(shape) if return_inverse else None
    return _pack(
        "unique_consecutive", input, values, axis, places, counts if return_counts else None
    )


@declare(method=False, out=SAME_TYPE)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among `test_elements` (either may be a number)."""
    tensors = [t for t in (elements, test_elements) if isinstance(t, Tensor)]
    if not tensors:
        raise invalid_arguments("isin", elements, test_elements)
    for t in tensors:
        if t.dtype.is_complex:
            kind = scalar_type_name(t.dtype)
            raise RuntimeError(f"Unsupported input type encountered for isin(): {kind}")
    if modes.levels and any(map(is_batched, tensors)):
        given, among = (FUNCTIONS["as_tensor"](t) for t in (elements, test_elements))
        found = (given.unsqueeze(-1) == among.reshape(-1)).any(-1)
        return found.logical_not() if invert else found
    values, tested = (
        host_values("isin", t) if isinstance(t, Tensor) else np.asarray(t)
        for t in (elements, test_elements)
    )
    return tensor_from_host(np.isin(values, tested, invert=invert), tensors[0].device)
