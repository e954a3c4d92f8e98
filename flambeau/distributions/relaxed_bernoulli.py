"""Relaxed Bernoulli distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.tensor import Tensor
from ..ops.random import rand
from . import constraints
from .distribution import NO_SIZE, Distribution
from .probability import Odds
from .transformed_distribution import TransformedDistribution
from .transforms import SigmoidTransform
from .utils import broadcast_all, clamp_probs

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(Odds, Distribution):
    """The log-odds of `RelaxedBernoulli`.

    Args:
        temperature: how far from 0 and 1 the values are.
        probs: the probability of 1 at temperature 0.
        logits: its log-odds; one of the two is given.

    Source: Maddison, Mnih and Teh, "The concrete distribution", 2017.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    _kept = ("temperature", "_given")

    def __init__(
        self,
        temperature: Tensor,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        self.temperature = temperature
        self._set_odds(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        uniforms = clamp_probs(rand(shape, dtype=probs.dtype, device=probs.device))
        noise = uniforms.log() - (-uniforms).log1p()
        return (noise + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        distance = logits - value.mul(self.temperature)
        return self.temperature.log() + distance - 2 * distance.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """A Bernoulli distribution made continuous on (0, 1), so that draws have gradients.

    Args:
        temperature: how far from 0 and 1 the values are.
        probs: the probability of 1 at temperature 0.
        logits: its log-odds; one of the two is given.

    Source: Maddison, Mnih and Teh, "The concrete distribution", 2017; Jang, Gu and Poole,
    "Categorical reparameterization with Gumbel-softmax", 2017.

    Example::

        >>> RelaxedBernoulli(torch.tensor(0.5), torch.tensor(0.25)).probs
        tensor(0.2500)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Tensor,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """How far from 0 and 1 the values are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The log-odds of 1 at temperature 0."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probability of 1 at temperature 0."""
        return self.base_dist.probs
