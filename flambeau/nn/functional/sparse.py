"""Embeddings and one-hot codes."""

from __future__ import annotations

import warnings
from typing import Any

from ... import dtypes
from ...core.modes import no_grad
from ...core.tensor import Tensor
from ...ops import embedding as ops
from ...ops.checks import values
from ...ops.registry import FUNCTIONS


def _renormalise(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to `max_norm`, in place."""
    rows = FUNCTIONS["unique"](indices.reshape(-1))  # type: ignore[attr-defined]
    with no_grad():
        chosen = weight.detach()[rows]  # type: ignore[index]
        norms = chosen.norm(norm_type, 1, keepdim=True)
        factors = FUNCTIONS["where"](norms > max_norm, max_norm / (norms + 1e-7), 1.0)
        weight.detach().index_copy_(0, rows, chosen * factors)  # type: ignore[attr-defined]


def _padding(padding_idx: int, count: int) -> int:
    if padding_idx >= count if padding_idx > 0 else padding_idx < -count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx + count if padding_idx < 0 else padding_idx


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input], (*) and (V, D) giving (*, D)

    Args:
        padding_idx: the row that gets no gradient.
        max_norm: scale longer rows down to this norm (of order `norm_type`), in place.
        scale_grad_by_freq: divide each row's gradient by how often it was looked up.
    """
    if weight.ndim != 2 and max_norm is None:
        raise RuntimeError("'weight' must be 2-D")
    padding = -1 if padding_idx is None else _padding(padding_idx, weight.size(0))
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    return ops.embedding(weight, input, padding, scale_grad_by_freq, sparse)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The 'sum', 'mean' or 'max' of the rows of each bag of indices.

    Args:
        input: (B, N), each row a bag, or (N,) with `offsets`, each bag's start.
    """
    if weight.dtype is dtypes.int64 and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.shape)}) is not "
            f"None, then it must have the same shape as the input ({tuple(input.shape)})"
        )
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a "
                "mini-batch of fixed length sequences. However, found offsets of type "
                f"{type(offsets)}"
            )
        rows, width = input._dims()
        offsets = FUNCTIONS["arange"](0, rows * width, max(width, 1), dtype=input.dtype)
        input = input.reshape(-1)  # type: ignore[attr-defined]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)  # type: ignore[attr-defined]
    elif input.ndim != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if mode not in ops.MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    options: tuple[Any, ...] = (scale_grad_by_freq, ops.MODES.index(mode), sparse)
    rest = (per_sample_weights, include_last_offset, padding_idx)
    return ops.embedding_bag(weight, input, offsets, *options, *rest)[0]


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each class, 0 elsewhere: (*) classes give (*, num_classes).

    >>> F.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    known = values(tensor)
    if known is None:
        if num_classes < 0:
            raise NotImplementedError("flambeau.nn.functional.one_hot without num_classes here")
    elif known.size == 0:
        if num_classes <= 0:
            raise RuntimeError(
                "Can not infer total number of classes from empty tensor."
                if num_classes < 0
                else "Class values must be smaller than num_classes."
            )
    else:
        if known.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            num_classes = int(known.max()) + 1
        elif num_classes < 1:
            raise RuntimeError("num_classes should be positive")
        elif known.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    classes = FUNCTIONS["arange"](num_classes)
    return (tensor.unsqueeze(-1) == classes).to(dtypes.int64)  # type: ignore[attr-defined]
