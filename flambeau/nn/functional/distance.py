"""Distances and similarities of rows."""

from __future__ import annotations

from ...core.tensor import Tensor
from ...ops.registry import FUNCTIONS


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`"""
    return FUNCTIONS["cosine_similarity"](x1, x2, dim, eps)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis"""
    return FUNCTIONS["pairwise_distance"](x1, x2, p, eps, keepdim)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distances of all pairs of rows"""
    return FUNCTIONS["pdist"](input, p)
