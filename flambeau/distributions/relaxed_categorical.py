"""Relaxed categorical distributions."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.tensor import Tensor
from ..ops.filling import full_like
from ..ops.random import rand
from ..size import Size
from . import constraints
from .categorical import Categorical
from .distribution import NO_SIZE, Distribution
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform
from .utils import broadcast_all, clamp_probs

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(Distribution):
    """The logarithm of `RelaxedOneHotCategorical`.

    Args:
        temperature: how far from the corners of the simplex the values are.
        probs: probabilities, up to a factor; the last axis is that of the vector.
        logits: their logarithms, up to a constant; one of the two is given.

    Source: Maddison, Mnih and Teh, "The concrete distribution", 2017.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True
    _parts = ("_categorical",)
    _kept = ("temperature",)

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Tensor:
        """log(probs)"""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities at temperature 0."""
        return self._categorical.probs

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape, logits = self._extended_shape(sample_shape), self.logits
        uniforms = clamp_probs(rand(shape, dtype=logits.dtype, device=logits.device))
        gumbels = -(-uniforms.log()).log()
        scores = (logits + gumbels) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        k = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        log_scale = full_like(self.temperature, float(k)).lgamma()
        log_scale = log_scale + (k - 1) * self.temperature.log()
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + log_scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """One-hot vectors made continuous on the simplex, so that draws have gradients.

    Args:
        temperature: how far from the corners of the simplex the values are.
        probs: probabilities, up to a factor; the last axis is that of the vector.
        logits: their logarithms, up to a constant; one of the two is given.

    Source: Maddison, Mnih and Teh, "The concrete distribution", 2017; Jang, Gu and Poole,
    "Categorical reparameterization with Gumbel-softmax", 2017.

    Example::

        >>> RelaxedOneHotCategorical(torch.tensor(0.5), torch.tensor([1.0, 3.0])).probs
        tensor([0.2500, 0.7500])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True
    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """How far from the corners of the simplex the values are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """log(probs)"""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities at temperature 0."""
        return self.base_dist.probs
