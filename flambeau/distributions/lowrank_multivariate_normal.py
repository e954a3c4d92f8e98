"""Multivariate normals whose covariance is of low rank, plus a diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.tensor import Tensor
from ..ops.filling import eye
from ..ops.joining import broadcast_shapes
from ..ops.namespaces import LINALG
from ..size import Size
from . import constraints
from .distribution import NO_SIZE, Distribution
from .multivariate_normal import half_log_det, matvec, squared_length
from .utils import lazy_property, standard_normal

__all__ = ["LowRankMultivariateNormal"]


def capacitance_factor(w: Tensor, d: Tensor) -> Tensor:
    """The Cholesky factor of I + W^T D^-1 W."""
    identity = eye(w.size(-1), dtype=w.dtype, device=w.device)
    return LINALG["cholesky"](w.mT / d.unsqueeze(-2) @ w + identity)


def low_rank_log_det(factor: Tensor, d: Tensor) -> Tensor:
    """log det(W W^T + D), by the matrix determinant lemma."""
    return 2 * half_log_det(factor) + d.log().sum(-1)


def low_rank_squared_length(w: Tensor, d: Tensor, x: Tensor, factor: Tensor) -> Tensor:
    """x^T (W W^T + D)^-1 x, by the Woodbury identity."""
    projected = matvec(w.mT / d.unsqueeze(-2), x)
    return (x.pow(2) / d).sum(-1) - squared_length(factor, projected)


class LowRankMultivariateNormal(Distribution):
    """The multivariate normal with covariance W W^T + D; costs O(n rank^2) instead of O(n^3).

    Args:
        loc: the mean.
        cov_factor: W, of shape (*, n, rank).
        cov_diag: the diagonal of D.

    Example::

        >>> d = LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2))
        >>> d.covariance_matrix
        tensor([[2., 1.],
                [1., 2.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    _kept = ("_w", "_d", "_factor")

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(
                f"cov_factor must be a batch of matrices with shape {loc.shape[-1]} x m"
            )
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            batch_shape = broadcast_shapes(
                loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        batch_shape = Size(batch_shape)
        self.loc = loc.expand(batch_shape + event_shape)
        self.cov_factor = cov_factor.expand(batch_shape + cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(batch_shape + event_shape)
        self._w, self._d = cov_factor, cov_diag
        self._factor = capacitance_factor(cov_factor, cov_diag)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        squares = self._w.pow(2).sum(-1) + self._d
        return squares.expand(self._batch_shape + self._event_shape)

    def _square(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance."""
        # With D^-1/2 (W W^T + D) D^-1/2 = I + V V^T the matrix to factor is well conditioned.
        root = self._d.sqrt().unsqueeze(-1)
        v = self._w / root
        inner = v @ v.mT + eye(v.shape[-2], dtype=v.dtype, device=v.device)
        return self._square(root * LINALG["cholesky"](inner))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """W W^T + D"""
        return self._square(self._w @ self._w.mT + self._d.diag_embed())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance, by the Woodbury identity."""
        scaled = self._w.mT / self._d.unsqueeze(-2)
        solved = LINALG["solve_triangular"](self._factor, scaled, upper=False)
        return self._square(self._d.reciprocal().diag_embed() - solved.mT @ solved)

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape = self._extended_shape(sample_shape)
        common = standard_normal(shape[:-1] + self._w.shape[-1:], self.loc)
        own = standard_normal(shape, self.loc)
        return self.loc + matvec(self._w, common) + self._d.sqrt() * own

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        distance = low_rank_squared_length(self._w, self._d, value - self.loc, self._factor)
        log_det = low_rank_log_det(self._factor, self._d)
        return -0.5 * (self._event_shape.numel() * math.log(2 * math.pi) + log_det + distance)

    def entropy(self) -> Tensor:
        n = self._event_shape.numel()
        log_det = low_rank_log_det(self._factor, self._d)
        entropy = 0.5 * (n * (1.0 + math.log(2 * math.pi)) + log_det)
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
