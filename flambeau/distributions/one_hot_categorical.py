"""Categorical distributions of one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.tensor import Tensor
from ..nn.functional import one_hot
from ..ops.filling import eye
from ..size import Size
from . import constraints
from .categorical import Categorical
from .distribution import NO_SIZE, Distribution

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(Distribution):
    """The distribution of a one-hot vector: P(e_i) = probs[i].

    Args:
        probs: probabilities, up to a factor; the last axis is that of the vector.
        logits: their logarithms, up to a constant; one of the two is given.

    Example::

        >>> OneHotCategorical(torch.tensor([1.0, 3.0])).mode
        tensor([0., 1.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True
    _parts = ("_categorical",)

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def probs(self) -> Tensor:
        """The probabilities, which sum to 1."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """log(probs)"""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self._categorical.probs

    @property
    def mode(self) -> Tensor:
        probs = self._categorical.probs
        return one_hot(probs.argmax(dim=-1), num_classes=probs.shape[-1]).to(probs)

    @property
    def variance(self) -> Tensor:
        return self._categorical.probs * (1 - self._categorical.probs)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        index = self._categorical.sample(Size(sample_shape))
        return one_hot(index, self._categorical._num_events).to(self._categorical.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        n = self.event_shape[0]
        values = eye(n, dtype=self._param.dtype, device=self._param.device)
        values = values.view((n,) + (1,) * len(self.batch_shape) + (n,))
        return values.expand((n, *self.batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose draws pass their gradient straight on to `probs`.

    Source: Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic
    neurons", 2013.

    Example::

        >>> OneHotCategoricalStraightThrough(torch.tensor([1.0, 3.0])).has_rsample
        True
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        probs = self._categorical.probs
        return self.sample(sample_shape) + (probs - probs.detach())
