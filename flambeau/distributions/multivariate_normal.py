"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.tensor import Tensor
from ..ops.filling import eye
from ..ops.joining import broadcast_shapes
from ..ops.namespaces import LINALG
from ..size import Size
from . import constraints
from .distribution import NO_SIZE, Distribution
from .utils import lazy_property, standard_normal

__all__ = ["MultivariateNormal"]


def matvec(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices times vectors, over batches of both."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def squared_length(factor: Tensor, x: Tensor) -> Tensor:
    """x^T (L L^T)^-1 x for lower triangular L and vectors x, over batches of both."""
    shape = broadcast_shapes(factor.shape[:-1], x.shape)
    wide = factor.expand(shape + factor.shape[-1:])
    solved = LINALG["solve_triangular"](wide, x.expand(shape).unsqueeze(-1), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def half_log_det(factor: Tensor) -> Tensor:
    """log det L of a Cholesky factor."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def factor_of_inverse(precision: Tensor) -> Tensor:
    """The lower Cholesky factor of the inverse of a positive definite matrix.

    With P = U U^T for an upper triangular U (the Cholesky factor of P, seen from the other corner),
    the inverse is U^-T U^-1, and U^-T is lower triangular.
    """
    upper = LINALG["cholesky"](precision.flip((-2, -1))).flip((-2, -1))
    n = precision.shape[-1]
    identity = eye(n, dtype=precision.dtype, device=precision.device)
    return LINALG["solve_triangular"](upper.mT, identity, upper=False)


def given_matrix(
    covariance_matrix: Any, precision_matrix: Any, scale_tril: Any
) -> tuple[str, Tensor]:
    """The one matrix of the three that was given, and its name."""
    named = {
        "scale_tril": scale_tril,
        "covariance_matrix": covariance_matrix,
        "precision_matrix": precision_matrix,
    }
    found = [(name, matrix) for name, matrix in named.items() if matrix is not None]
    if len(found) != 1:
        raise ValueError(
            "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
        )
    return found[0]


def factor_of(name: str, matrix: Tensor) -> Tensor:
    """The Cholesky factor of the covariance, from any of the three matrices."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return LINALG["cholesky"](matrix)
    return factor_of_inverse(matrix)


class MultivariateNormal(Distribution):
    """The normal distribution of vectors: p(x) ~ exp(-(x - loc)^T C^-1 (x - loc) / 2).

    Args:
        loc: the mean.
        covariance_matrix: C.
        precision_matrix: its inverse.
        scale_tril: its lower Cholesky factor; one of the three is given.

    Example::

        >>> MultivariateNormal(torch.zeros(2), torch.eye(2)).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _kept = ("_factor",)

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = given_matrix(covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            shown = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{shown} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand(batch_shape + (-1, -1))
        self.loc = loc.expand(batch_shape + (-1,))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._factor = factor_of(name, matrix)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance."""
        n = self._event_shape.numel()
        return self._factor.expand(self._batch_shape + (n, n))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        n = self._event_shape.numel()
        return (self._factor @ self._factor.mT).expand(self._batch_shape + (n, n))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        n = self._event_shape.numel()
        return self._factor.cholesky_inverse().expand(self._batch_shape + (n, n))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        squares = self._factor.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        noise = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + matvec(self._factor, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        distance = squared_length(self._factor, value - self.loc)
        n = self._event_shape.numel()
        return -0.5 * (n * math.log(2 * math.pi) + distance) - half_log_det(self._factor)

    def entropy(self) -> Tensor:
        n = self._event_shape.numel()
        entropy = 0.5 * n * (1.0 + math.log(2 * math.pi)) + half_log_det(self._factor)
        return entropy.expand(Size(self._batch_shape)) if self._batch_shape else entropy
