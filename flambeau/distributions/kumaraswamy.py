"""The Kumaraswamy distribution."""

from __future__ import annotations

import math
from typing import Any

from ..core.tensor import Tensor
from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import EULER, broadcast_all

__all__ = ["Kumaraswamy"]


def _moment(a: Tensor, b: Tensor, order: float) -> Tensor:
    """E[x^order] = b B(1 + order / a, b)"""
    first = 1 + order / a
    return (b.log() + first.lgamma() + b.lgamma() - (first + b).lgamma()).exp()


class Kumaraswamy(TransformedDistribution):
    """The Kumaraswamy distribution: P(X <= x) = 1 - (1 - x^a)^b on [0, 1].

    Args:
        concentration1: a.
        concentration0: b.

    Example::

        >>> Kumaraswamy(1.0, 1.0).mean
        tensor(0.5000)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        a, b = broadcast_all(concentration1, concentration0)
        self.concentration1, self.concentration0 = a, b
        base = Uniform(b.new_zeros(b.shape), b.new_ones(b.shape), validate_args=validate_args)
        steps = [
            PowerTransform(exponent=b.reciprocal()),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=a.reciprocal()),
        ]
        super().__init__(base, steps, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return _moment(self.concentration1, self.concentration0, 1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        inverse = a.reciprocal()
        log_mode = inverse * (-inverse).log1p() - inverse * (-(a * b).reciprocal()).log1p()
        log_mode[(a < 1) | (b < 1)] = math.nan
        return log_mode.exp()

    @property
    def variance(self) -> Tensor:
        second = _moment(self.concentration1, self.concentration0, 2)
        return second - self.mean.pow(2)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + EULER
        return (1 - b.reciprocal()) + (1 - a.reciprocal()) * harmonic - a.log() - b.log()
