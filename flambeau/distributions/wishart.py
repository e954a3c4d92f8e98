"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

from ..core.tensor import Tensor
from ..ops.creation import tensor
from ..ops.joining import broadcast_shapes
from ..ops.namespaces import LINALG
from ..ops.random import randn
from ..ops.ranges import arange
from ..ops.shape import tril_indices
from ..size import Size
from . import constraints
from .chi2 import Chi2
from .distribution import NO_SIZE
from .exp_family import ExponentialFamily
from .multivariate_normal import factor_of, given_matrix
from .utils import lazy_property

__all__ = ["Wishart"]


def _multidigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of `mvlgamma`: sum_i digamma(x - i / 2)."""
    places = arange(p, dtype=x.dtype, device=x.device)
    return (x.unsqueeze(-1) - places.div(2)).digamma().sum(-1)


class Wishart(ExponentialFamily):
    """The distribution of X X^T for `df` columns X of a normal distribution with covariance V.

    Args:
        df: the degrees of freedom, above n - 1.
        covariance_matrix: V, n x n.
        precision_matrix: its inverse.
        scale_tril: its lower Cholesky factor; one of the three is given.

    Example::

        >>> Wishart(torch.tensor(3.0), torch.eye(2)).mean
        tensor([[3., 0.],
                [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        name, matrix = given_matrix(covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if isinstance(df, Number):
            batch_shape = Size(matrix.shape[:-2])
            self.df = tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            batch_shape = Size(broadcast_shapes(matrix.shape[:-2], df.shape))
            self.df = df.expand(batch_shape)
        event_shape = matrix.shape[-2:]
        if self.df.le(event_shape[-1] - 1).any():
            raise ValueError(
                f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}."
            )
        self.__dict__[name] = matrix.expand(batch_shape + (-1, -1))
        if self.df.lt(event_shape[-1]).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for "
                "ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._factor = factor_of(name, matrix)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._chi2 = self._diagonal()

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def _diagonal(self) -> Chi2:
        """The distributions of the squared diagonal in Bartlett's decomposition."""
        n = self._event_shape[-1]
        places = arange(n, dtype=self._factor.dtype, device=self._factor.device)
        return Chi2(self.df.unsqueeze(-1) - places.expand(self._batch_shape + (n,)))

    def _expand_into(self, new: Any, batch_shape: Size) -> None:
        n = self._event_shape[-1]
        new._batch_shape, new._event_shape = batch_shape, self._event_shape
        new._factor = self._factor.expand(batch_shape + (n, n))
        new.df = self.df.expand(batch_shape)
        for name in self._parameters():
            if name != "df":
                new.__dict__[name] = self.__dict__[name].expand(batch_shape + (n, n))
        new._chi2 = self._chi2.expand(batch_shape + (n,))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of V."""
        return self._factor.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """V"""
        product = self._factor @ self._factor.transpose(-2, -1)
        return product.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of V."""
        inverse = self._factor.cholesky_inverse()
        return inverse.expand(self._batch_shape + self._event_shape)

    @property
    def mean(self) -> Tensor:
        return self.df.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df.view(self._batch_shape + (1, 1)) * (v.pow(2) + products)

    def _bartlett(self, sample_shape: Size) -> Tensor:
        """L A A^T L^T with chi-distributed diagonal and normal lower elements of A."""
        n = self._event_shape[-1]
        noise = self._chi2.rsample(sample_shape).sqrt().diag_embed(dim1=-2, dim2=-1)
        rows, columns = tril_indices(n, n, offset=-1)
        noise[..., rows, columns] = randn(
            Size(sample_shape) + self._batch_shape + (n * (n - 1) // 2,),
            dtype=noise.dtype,
            device=noise.device,
        )
        factor = self._factor @ noise
        return factor @ factor.transpose(-2, -1)

    def rsample(
        self, sample_shape: Sequence[int] = NO_SIZE, max_try_correction: int | None = None
    ) -> Tensor:
        """Draw by Bartlett's decomposition.

        Args:
            max_try_correction: how often to draw again; by default 3 times above three rows, else
                10 times.
        """
        if max_try_correction is None:
            max_try_correction = 3 if self._event_shape[-1] > 3 else 10
        sample = self._bartlett(Size(sample_shape))
        # PyTorch draws once more what is positive definite (it means to replace what is not), and
        # the stream is to be the same.
        again = self._any_in_batch(self.support.check(sample))
        if again.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
            for _ in range(max_try_correction):
                fresh = self._bartlett(again[again].shape)
                sample = sample.clone()
                sample[again] = fresh
                still = again.clone()
                still[again] = self._any_in_batch(~self.support.check(fresh))
                again = still
                if not again.any():
                    break
        return sample

    def _any_in_batch(self, condition: Tensor) -> Tensor:
        axes = [-1 - i for i in range(len(self._batch_shape))]
        return condition.amax(axes) if axes else condition

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        nu, p = self.df, self._event_shape[-1]
        log_det = LINALG["slogdet"](value).logabsdet
        solved = value.cholesky_solve(self._factor)
        half = nu / 2
        return (
            -half * (p * math.log(2) + 2 * self._log_diagonal())
            - half.mvlgamma(p=p)
            + (nu - p - 1) / 2 * log_det
            - solved.diagonal(dim1=-2, dim2=-1).sum(dim=-1) / 2
        )

    def _log_diagonal(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        return (
            (p + 1) * (p * math.log(2) / 2 + self._log_diagonal())
            + (nu / 2).mvlgamma(p=p)
            - (nu - p - 1) / 2 * _multidigamma(nu / 2, p=p)
            + nu * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        p = self._event_shape[-1]
        return -self.precision_matrix / 2, (self.df - p - 1) / 2

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        x, y = natural_params
        p = self._event_shape[-1]
        a = y + (p + 1) / 2
        return a * (-LINALG["slogdet"](-2 * x).logabsdet + math.log(2) * p) + a.mvlgamma(p=p)
