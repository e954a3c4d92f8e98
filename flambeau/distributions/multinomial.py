"""The multinomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..size import Size
from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import NO_SIZE, Distribution
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """The counts of `total_count` draws: P(k) = total_count! prod_i probs[i]^k_i / k_i!.

    Args:
        total_count: how many draws are counted.
        probs: probabilities, up to a factor; the last axis is that of the counts.
        logits: their logarithms, up to a constant; one of the two is given.

    Example::

        >>> Multinomial(4, torch.tensor([1.0, 3.0])).mean
        tensor([1., 3.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    _parts = ("_categorical",)
    _kept = ("total_count",)

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

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
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        with no_grad():
            draws = self._categorical.sample(Size((self.total_count,)) + Size(sample_shape))
            draws = draws.movedim(0, -1)
            counts = draws.new_zeros(self._extended_shape(sample_shape))
            counts.scatter_add_(-1, draws, draws.new_ones(draws.shape))
            return counts.type_as(self.probs)

    def entropy(self) -> Tensor:
        n = self.probs.new_tensor(self.total_count)
        each = Binomial(self.total_count, probs=self.probs, validate_args=False)
        counts = each.enumerate_support(expand=False)[1:]
        arrangements = each.log_prob(counts).exp() * (counts + 1).lgamma()
        return n * self._categorical.entropy() - (n + 1).lgamma() + arrangements.sum([0, -1])

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -float("inf")), 0.0)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + (logits * value).sum(-1)
