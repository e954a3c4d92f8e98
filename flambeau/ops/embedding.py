"""Rows of a table by their indices, one by one and in bags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core.device import tensor_from_host
from ..core.execute import Op
from ..core.legacy import type_name
from ..core.op import apply
from ..core.state import modes
from ..core.tape import AccumulateGrad, Described, Node, edge_of, named
from ..core.tensor import Tensor, wrap
from ..errors import FREED_GRAPH
from ..kernels import embedding as kernels
from . import checks
from .registry import declare
from .sparse import SparseTensor

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

    def check(values: np.ndarray) -> None:
        if not values.size or 0 <= values.min() <= values.max() < rows:
            return
        if function == "embedding":
            raise IndexError("index out of range in self")
        wrong = values[(values < 0) | (values >= rows)].flat[0]
        place = int(((values < 0) | (values >= rows)).argmax())
        raise RuntimeError(
            f"embedding_bag: Expected idx >= 0 && idx < num_embeddings but found index {place} to "
            f"be {wrong}"
        )

    checks.when_known(indices, check)


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
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    _check_indices("embedding", indices, weight._dims()[0])
    if sparse and weight.requires_grad and modes.grad and not modes.inference:
        return _sparse_embedding(weight, indices, int(padding_idx), scale_grad_by_freq)
    return apply(EMBEDDING, (weight, indices), (int(padding_idx), bool(scale_grad_by_freq)))


class SparseRows(Node):
    """The node of a look-up with sparse gradients.

    Attributes:
        shape: of the table.
        indices: the rows that were looked up; None after the walk.
    """

    freed = False

    def __init__(self, weight: Tensor, indices: Tensor, result: Tensor, padding_idx: int):
        outputs = (Described(result._dims(), result._dtype_numpy()),)
        super().__init__("EmbeddingBackward0", (edge_of(weight), None), outputs, result.device)
        self.shape = weight._dims()
        self.indices = wrap(indices._array(), indices.device)
        self.padding_idx = padding_idx

    def release(self) -> None:
        self.freed = True

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.freed:
            raise RuntimeError(FREED_GRAPH)
        g: Any = gradients[0]
        if g is None:
            return None, None
        g = g if isinstance(g, Tensor) else wrap(g, self.device)
        rows: Any = g.reshape(-1, self.shape[1])  # type: ignore[attr-defined]
        indices: Any = self.indices.reshape(-1).to(dtypes.int64)  # type: ignore[attr-defined]
        if self.padding_idx >= 0:
            indices, rows = self._without_padding(indices, rows)
        sparse = SparseTensor.of(indices.unsqueeze(0), rows, self.shape, indices.numel() < 2)
        edge = self.edges[0]
        if edge is None or isinstance(edge.node, AccumulateGrad):
            return sparse, None
        dense = sparse.to_dense()  # other nodes take dense gradients only
        return dense if create_graph else dense._array(), None

    def _without_padding(self, indices: Any, rows: Any) -> tuple[Any, Any]:
        known = checks.values(indices)
        if known is None or modes.levels:  # the count must be known here: zeros stay in place
            return indices, rows * (indices != self.padding_idx).unsqueeze(1)
        kept = tensor_from_host(np.flatnonzero(known != self.padding_idx))
        return indices.index_select(0, kept), rows.index_select(0, kept)


def _sparse_embedding(
    weight: Tensor, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    if scale_grad_by_freq:
        raise RuntimeError(
            "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
        )
    result = apply(EMBEDDING, (weight.detach(), indices), (padding_idx, False))
    result._node = named(SparseRows, "EmbeddingBackward0")(weight, indices, result, padding_idx)
    return result


def _sparse_bags(
    weight: Tensor, indices: Tensor, offsets: Tensor, padding_idx: int, factors: Any
) -> tuple[Any, ...]:
    """The rows that count, as a table of their own whose gradients are sparse in `weight`.

    Returns:
        The table, and indices, offsets and factors for it.
    """
    if padding_idx >= 0:
        known, starts = checks.values(indices), checks.values(offsets)
        if known is None or starts is None or modes.levels:
            raise NotImplementedError("flambeau.embedding_bag(sparse=True, padding_idx=...) here")
        counted = known != padding_idx
        kept = tensor_from_host(np.flatnonzero(counted))
        indices = indices.index_select(0, kept)  # type: ignore[attr-defined]
        before = np.concatenate([[0], np.cumsum(counted)]).astype(starts.dtype)
        offsets = tensor_from_host(before[starts])
        factors = None if factors is None else factors.index_select(0, kept)
    rows = _sparse_embedding(weight, indices, -1, False)
    places = tensor_from_host(np.arange(indices.numel(), dtype=indices._dtype_numpy()))
    return rows, places, offsets, factors


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
    _check_indices("embedding_bag", indices, weight._dims()[0])
    if offsets.dtype is not indices.dtype:
        wide = dtypes.int64
        indices, offsets = indices.to(wide), offsets.to(wide)  # type: ignore[attr-defined]
    starts = checks.values(offsets)
    if starts is not None and starts.size and not modes.levels:
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
    recording = weight.requires_grad and modes.grad and not modes.inference
    if sparse and recording and MODES[mode] != "max":
        if scale_grad_by_freq:
            raise RuntimeError(
                "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
            )
        weight, indices, offsets, per_sample_weights = _sparse_bags(
            weight, indices, offsets, padding_idx, per_sample_weights
        )
        padding_idx = -1
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
