"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..dtypes import finfo
from ..nn.functional import binary_cross_entropy_with_logits
from ..ops.filling import empty
from . import constraints
from .distribution import NO_SIZE, Distribution
from .probability import Odds
from .utils import broadcast_all

__all__ = ["Geometric"]


class Geometric(Odds, Distribution):
    """The number of failures before the first success: P(k) = (1 - probs)^k probs.

    Args:
        probs: the probability of success.
        logits: its log-odds; one of the two is given.

    Example::

        >>> Geometric(0.25).mean
        tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._set_odds(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)
        if self._validate_args and probs is not None:
            value = self.probs
            valid = value > 0
            if not valid.all():
                raise ValueError(
                    f"Expected parameter probs ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to be positive but found "
                    f"invalid values:\n{value.data[~valid]}"
                )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return self.probs.new_zeros(self.probs.shape)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        shape, probs = self._extended_shape(sample_shape), self.probs
        with no_grad():
            u = empty(shape, dtype=probs.dtype, device=probs.device)
            u.uniform_(finfo(probs.dtype).tiny, 1)
            return (u.log() / (-probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        value, probs = broadcast_all(value, self.probs)
        failure = probs.clone()
        failure[(probs == 1) & (value == 0)] = 0
        return value * (-failure).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        cross = binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return cross / self.probs
