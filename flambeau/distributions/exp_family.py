"""Distributions of the exponential family."""

from __future__ import annotations

from typing import Any

from ..core.gradients import grad
from ..core.modes import enable_grad
from ..core.tensor import Tensor
from .distribution import Distribution, _unknown

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Distributions with density exp(<t(x), theta> - F(theta) + k(x)).

    Their entropy follows from the log-normaliser F and its gradient.
    Source: Nielsen and Nock, "Entropies and cross-entropies of exponential families", 2010.
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        """theta"""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        """F(theta)"""
        raise NotImplementedError

    # The expected value of k(x).
    _mean_carrier_measure: Any = property(_unknown)

    def entropy(self) -> Tensor:
        """The expected value of `-log_prob`."""
        carrier = self._mean_carrier_measure
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        with enable_grad():
            normalizer = self._log_normalizer(*natural)
            slopes = grad(normalizer.sum(), natural, create_graph=True)
        result = normalizer - carrier
        for parameter, slope in zip(natural, slopes, strict=True):
            result = result - (parameter * slope).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
