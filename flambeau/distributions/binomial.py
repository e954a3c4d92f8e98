"""The binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..ops.random import binomial
from ..ops.ranges import arange
from . import constraints
from .distribution import NO_SIZE, Distribution
from .probability import Odds

__all__ = ["Binomial"]


class Binomial(Odds, Distribution):
    """The number of successes: P(k) = C(total_count, k) probs^k (1 - probs)^(total_count - k).

    Args:
        total_count: the number of trials.
        probs: the probability of success of each.
        logits: its log-odds; one of the two is given.

    Example::

        >>> Binomial(4, torch.tensor(0.25)).mean
        tensor(1.)
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        self._set_counted_odds(total_count, probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        n, logits = self.total_count, self.logits
        # log(1 + exp(logits)), with the derivative 1/2 at 0 in both halves
        positive = (logits.clamp(min=0) + logits - logits.clamp(max=0)) / 2
        normalizer = n * positive + n * (-logits.abs()).exp().log1p() - (n + 1).lgamma()
        ways = -(value + 1).lgamma() - (n - value + 1).lgamma()
        return value * logits + ways - normalizer

    def _common_count(self, function: str) -> int:
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{function}`.")
        return total

    def entropy(self) -> Tensor:
        self._common_count("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        total, param = self._common_count("enumerate_support"), self._param
        values = arange(1 + total, dtype=param.dtype, device=param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
