"""Rows of a table by their indices, one by one and in bags."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import type_name
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..kernels import embedding as kernels
from . import checks
from .registry import declare

EMBEDDING = Op(kernels.embedding, vjp=kernels.embedding_vjp)
EMBEDDING_BAG = Op(kernels.embedding_bag, vjp=kernels.embedding_bag_vjp)
MODES = ("sum", "mean", "max")


def _check_indices(function: str, indices: Tensor, rows: int) -> None:
    if indices.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar "
            f"types: Long, Int; but got {type_name(indices.dtype, indices.device)} instead "
            f"(while checking arguments for {function})"
        )
    values = checks.values(indices)
    if values is not None and values.size and not 0 <= values.min() <= values.max() < rows:
        if function == "embedding":
            raise IndexError("index out of range in self")
        wrong = values[(values < 0) | (values >= rows)].flat[0]
        place = int(((values < 0) | (values >= rows)).argmax())
        raise RuntimeError(
            f"embedding_bag: Expected idx >= 0 && idx < num_embeddings but found index {place} to "
            f"be {wrong}"
        )


@declare(method=False)
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[indices], (V, D) and (*) giving (*, D)"""
    checks.tensor("embedding", weight, "weight", 1)
    checks.tensor("embedding", indices, "indices", 2)
    if sparse:
        raise NotImplementedError("flambeau.embedding(sparse=True): sparse gradients")
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    _check_indices("embedding", indices, weight._dims()[0])
    return apply(EMBEDDING, (weight, indices), (int(padding_idx), bool(scale_grad_by_freq)))


@declare(method=False)
def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum (mode 0), mean (1) or maximum (2) of the rows of each bag.

    Returns:
        The result, each index's bag, each bag's size, and the rows of the maxima.
    """
    if sparse:
        raise NotImplementedError("flambeau.embedding_bag(sparse=True): sparse gradients")
    _check_indices("embedding_bag", indices, weight._dims()[0])
    if offsets.dtype is not indices.dtype:
        wide = dtypes.int64
        indices, offsets = indices.to(wide), offsets.to(wide)  # type: ignore[attr-defined]
    starts = checks.values(offsets)
    if starts is not None and starts.size:
        if starts[0] != 0:
            raise RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                f"from position 0. However, got {starts[0]}"
            )
        if starts[-1] > indices.numel():
            raise RuntimeError(
                "offsets[-1] can not be greater than input's length: "
                f"{indices.numel()}, got offsets[-1] of {starts[-1]}"
            )
    bags = offsets.numel() - bool(include_last_offset)
    if padding_idx is None:
        padding_idx = -1
    elif padding_idx < 0:
        padding_idx += weight._dims()[0]
    inputs = (weight, indices, offsets, per_sample_weights)
    static = (MODES[mode], int(padding_idx), bool(scale_grad_by_freq), bags)
    result, bag_of, sizes, rows = apply(EMBEDDING_BAG, inputs, static)
    if MODES[mode] == "sum":  # PyTorch leaves the facts that only the other modes need unset
        empty = result.device.type == "meta"
        zeros = np.zeros(offsets.numel(), np.int64)
        sizes, rows = (sizes, rows) if empty else (wrap(zeros), wrap(zeros.copy()))
        if padding_idx < 0 and not empty:
            bag_of = wrap(np.zeros((0,), np.int64))
    return result, bag_of, sizes, rows
