"""The generalised Pareto distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.tensor import Tensor
from ..ops.masks import where
from ..ops.random import rand
from . import constraints
from .distribution import NO_SIZE, Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """The generalised Pareto distribution: P(X > x) = (1 + c (x - loc) / scale)^(-1 / c).

    Args:
        loc: the lowest value.
        scale: the unit of the distance from it.
        concentration: the shape c; at 0 the distribution is exponential, below it is bounded.

    Example::

        >>> GeneralizedPareto(0.0, 1.0, 0.5).cdf(torch.tensor(2.0))
        tensor(0.7500)
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self.concentration
        unbounded = end.new_full((), math.inf)
        return constraints.interval(self.loc, where(self.concentration < 0, end, unbounded))

    def _exponential(self) -> Tensor:
        """Where the shape is 0 within rounding."""
        return self.concentration.isclose(self.concentration.new_zeros(()))

    def _shape(self, exponential: Tensor) -> Tensor:
        """The shape, with 1 where it is 0: those places take the other branch."""
        return where(exponential, self.concentration.new_ones(()), self.concentration)

    def _z(self, x: Any) -> Tensor:
        return (x - self.loc) / self.scale

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        z, exponential = self._z(value), self._exponential()
        c = self._shape(exponential)
        heavy = (1 + 1 / c) * (c * z).log1p()
        return -self.scale.log() - where(exponential, z, heavy)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """log P(X > value)"""
        self._checked(value)
        z, exponential = self._z(value), self._exponential()
        c = self._shape(exponential)
        return where(exponential, -z, -(c * z).log1p() / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log P(X <= value)"""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return self.log_cdf(value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        exponential = self._exponential()
        c = self._shape(exponential)
        log_above = (-value).log1p()
        light = self.loc - self.scale * log_above
        heavy = self.loc + self.scale * (-c * log_above).expm1() / c
        return where(exponential, light, heavy)

    def _moment(self, order: int, value: Tensor) -> Tensor:
        """`value`, but infinite where the moment of this order does not exist."""
        return where(self.concentration < 1 / order, value, value.new_full((), math.inf))

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        return self._moment(1, self.loc + self.scale / (1 - c))

    @property
    def variance(self) -> Tensor:
        c = self.concentration
        return self._moment(2, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)))

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1

    @property
    def mode(self) -> Tensor:
        return self.loc
