"""The half-Cauchy distribution."""

from __future__ import annotations

import math

from ..core.tensor import Tensor
from .cauchy import Cauchy
from .folded import Folded

__all__ = ["HalfCauchy"]


class HalfCauchy(Folded):
    """The distribution of |X|, where X has a Cauchy distribution around 0.

    Args:
        scale: the median.

    Example::

        >>> HalfCauchy(2.0).cdf(torch.tensor(2.0))
        tensor(0.5000)
    """

    _family = Cauchy

    @property
    def mean(self) -> Tensor:
        return self.scale.new_full(self._extended_shape(), math.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.to(self.scale) if isinstance(value, Tensor) else value)
