"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..size import Size
from . import constraints
from .categorical import Categorical
from .constraints import MixtureSameFamilyConstraint
from .distribution import NO_SIZE, Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A mixture: p(x) = sum_i P(i) p_i(x).

    Args:
        mixture_distribution: P, a `Categorical` over the components.
        component_distribution: the p_i; its last batch axis is that of the components.

    Example::

        >>> from flambeau.distributions import Normal
        >>> parts = Normal(torch.tensor([-1.0, 3.0]), 1.0)
        >>> MixtureSameFamily(Categorical(torch.ones(2)), parts).mean
        tensor(1.)
    """

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of "
                "torch.distributions.Distribution"
            )
        weights = mixture_distribution.batch_shape
        batch_shape = component_distribution.batch_shape[:-1]
        for own, other in zip(reversed(weights), reversed(batch_shape), strict=False):
            if own != 1 and other != 1 and own != other:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({weights}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch_shape})"
                )
        count = mixture_distribution.logits.shape[-1]
        found = component_distribution.batch_shape[-1]
        if count != found:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({found})"
            )
        self._num_component = count
        event_shape = component_distribution.event_shape
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    def _expand_into(self, new: Any, batch_shape: Size) -> None:
        new._component_distribution = self._component_distribution.expand(
            batch_shape + (self._num_component,)
        )
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component = self._num_component

    @constraints.dependent_property
    def support(self) -> Any:
        return MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution of the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    def _weights(self) -> Tensor:
        """The probabilities, with ones for the axes of an event."""
        probs = self.mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * len(self._event_shape))

    @property
    def _axis(self) -> int:
        """The axis of the components, where an event follows it."""
        return -1 - len(self._event_shape)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self.component_distribution.mean).sum(dim=self._axis)

    @property
    def variance(self) -> Tensor:
        weights, parts = self._weights(), self.component_distribution
        within = (weights * parts.variance).sum(dim=self._axis)
        distance = parts.mean - self._padded(self.mean)
        return within + (weights * distance.pow(2.0)).sum(dim=self._axis)

    def _padded(self, x: Tensor) -> Tensor:
        return x.unsqueeze(self._axis)

    def cdf(self, x: Tensor) -> Tensor:
        found = self.component_distribution.cdf(self._padded(x))
        return (found * self.mixture_distribution.probs).sum(dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        self._checked(x)
        found = self.component_distribution.log_prob(self._padded(x))
        weights = self.mixture_distribution.logits.log_softmax(dim=-1)
        return (found + weights).logsumexp(dim=-1)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        with no_grad():
            sample_shape = Size(sample_shape)
            axis = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            event = self.event_shape
            chosen = chosen.reshape(chosen.shape + (1,) * (len(event) + 1))
            chosen = chosen.repeat((1,) * len(chosen.shape[: axis + 1]) + tuple(event))
            return drawn.gather(axis, chosen).squeeze(axis)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n  {self.mixture_distribution},\n  "
            f"{self.component_distribution})"
        )
