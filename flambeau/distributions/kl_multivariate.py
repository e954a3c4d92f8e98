"""The Kullback-Leibler divergence between multivariate normals, also of low rank.

KL(p || q) = (log det Q - log det P + tr(Q^-1 P) + d^T Q^-1 d - n) / 2, where P and Q are the
covariances and d the distance of the means.
"""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.joining import broadcast_shapes
from ..ops.namespaces import LINALG
from .kl import register_kl
from .lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    low_rank_log_det,
    low_rank_squared_length,
)
from .multivariate_normal import MultivariateNormal, half_log_det, squared_length

GAP = " " * 26  # PyTorch's text has the indentation of its source in it


def _squared_norm(matrix: Tensor) -> Tensor:
    """The sum of the squares of all elements of each matrix."""
    return matrix.pow(2).sum((-2, -1))


def _solved(factor: Tensor, matrix: Tensor) -> Tensor:
    """L^-1 M, over batches of both."""
    batch = broadcast_shapes(factor.shape[:-2], matrix.shape[:-2])
    wide = factor.expand(batch + factor.shape[-2:])
    return LINALG["solve_triangular"](wide, matrix.expand(batch + matrix.shape[-2:]), upper=False)


def _log_det(p: Any) -> Tensor:
    if isinstance(p, LowRankMultivariateNormal):
        return low_rank_log_det(p._factor, p._d)
    return 2 * half_log_det(p._factor)


def _roots(p: Any) -> list[Tensor]:
    """Matrices whose squares add up to the covariance."""
    if isinstance(p, LowRankMultivariateNormal):
        return [p._w, p._d.sqrt().diag_embed()]
    return [p._factor]


def _trace(q: Any, root: Tensor) -> Tensor:
    """tr(Q^-1 R R^T)"""
    if isinstance(q, LowRankMultivariateNormal):
        # The Woodbury identity for Q^-1.
        diagonal = _squared_norm(root * q._d.rsqrt().unsqueeze(-1))
        scaled = q._w.mT / q._d.unsqueeze(-2)
        return diagonal - _squared_norm(_solved(q._factor, scaled @ root))
    return _squared_norm(_solved(q._factor, root))


def _distance(p: Any, q: Any) -> Tensor:
    difference = q.loc - p.loc
    if isinstance(q, LowRankMultivariateNormal):
        return low_rank_squared_length(q._w, q._d, difference, q._factor)
    return squared_length(q._factor, difference)


def _kl(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        low = "" if type(p) is type(q) is MultivariateNormal else "(Low Rank) "
        raise ValueError(
            f"KL-divergence between two {low}Multivariate Normals with{GAP}different event shapes "
            "cannot be computed"
        )
    traces = [_trace(q, root) for root in _roots(p)]
    trace = traces[0] if len(traces) == 1 else traces[0] + traces[1]
    n = p.event_shape.numel()
    return 0.5 * (_log_det(q) - _log_det(p) + trace + _distance(p, q) - n)


for _type_p in (MultivariateNormal, LowRankMultivariateNormal):
    for _type_q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_type_p, _type_q)(_kl)
