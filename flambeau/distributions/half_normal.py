"""The half-normal distribution."""

from __future__ import annotations

import math

from ..core.tensor import Tensor
from .folded import Folded
from .normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Folded):
    """The distribution of |X|, where X is normal with mean 0.

    Args:
        scale: the standard deviation of X.

    Example::

        >>> HalfNormal(1.0).mean
        tensor(0.7979)
    """

    _family = Normal

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)
