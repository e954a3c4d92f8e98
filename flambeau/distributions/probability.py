"""What distributions given by probabilities or by their log-odds (`logits`) have in common."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..size import Size
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def check_one_given(probs: Any, logits: Any) -> None:
    """Raise unless exactly one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class Odds:
    """A probability `probs`, or its log-odds `logits`: the one is computed from the other."""

    _kept: tuple[str, ...] = ("_given",)
    total_count: Tensor

    def _set_odds(self, probs: Any, logits: Any) -> None:
        check_one_given(probs, logits)
        self._given = "logits" if probs is None else "probs"
        (self.__dict__[self._given],) = broadcast_all(logits if probs is None else probs)

    def _set_counted_odds(self, total_count: Any, probs: Any, logits: Any) -> None:
        check_one_given(probs, logits)
        self._given = "logits" if probs is None else "probs"
        count, param = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = count.type_as(param)
        self.__dict__[self._given] = param

    @lazy_property
    def logits(self) -> Tensor:
        """log(probs / (1 - probs))"""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """1 / (1 + exp(-logits))"""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def _param(self) -> Tensor:
        return self.__dict__[self._given]

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._param.size()
