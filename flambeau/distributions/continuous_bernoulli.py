"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..nn.functional import binary_cross_entropy_with_logits
from ..ops.masks import where
from ..ops.random import rand
from . import constraints
from .distribution import NO_SIZE
from .exp_family import ExponentialFamily
from .probability import Odds
from .utils import broadcast_all, clamp_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Odds, ExponentialFamily):
    """The density p(x) ~ probs^x (1 - probs)^(1 - x) on [0, 1].

    Near `probs` = 1/2 the formulas divide 0 by 0; between the `lims` Taylor series take over.

    Args:
        probs: the parameter, in (0, 1).
        logits: its log-odds; one of the two is given.
        lims: where the series are used.

    Source: Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in
    variational autoencoders", 2019.

    Example::

        >>> ContinuousBernoulli(torch.tensor(0.5)).mean
        tensor(0.5000)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _kept = ("_lims", "_given")

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ):
        self._set_odds(probs, logits)
        if probs is not None:
            if validate_args is not None and not constraints.unit_interval.check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.__dict__["probs"] = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.size(), validate_args=validate_args)

    def _outside(self) -> Tensor:
        """Where the formulas hold."""
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Tensor:
        """`probs`, moved out of the region where the formulas fail."""
        return where(self._outside(), self.probs, self.probs.new_tensor(self._lims[0]))

    def _log_norm(self) -> Tensor:
        """log(2 atanh(1 - 2 probs) / (1 - 2 probs))"""
        cut = self._cut()
        below = where(cut <= 0.5, cut, cut.new_zeros(()))
        above = where(cut >= 0.5, cut, cut.new_ones(()))
        length = where(cut <= 0.5, (-2.0 * below).log1p(), (2.0 * above - 1.0).log())
        formula = ((-cut).log1p() - cut.log()).abs().log() - length
        x = (self.probs - 0.5).pow(2)
        series = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return where(self._outside(), formula, series)

    @property
    def mean(self) -> Tensor:
        cut = self._cut()
        formula = cut / (2.0 * cut - 1.0) + 1.0 / ((-cut).log1p() - cut.log())
        x = self.probs - 0.5
        series = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x
        return where(self._outside(), formula, series)

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        cut = self._cut()
        spread = 1.0 / ((-cut).log1p() - cut.log()).pow(2)
        formula = cut * (cut - 1.0) / (1.0 - 2.0 * cut).pow(2) + spread
        x = (self.probs - 0.5).pow(2)
        series = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return where(self._outside(), formula, series)

    def _uniforms(self, sample_shape: Sequence[int]) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return rand(shape, dtype=self.probs.dtype, device=self.probs.device)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        with no_grad():
            return self.icdf(self._uniforms(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        return self.icdf(self._uniforms(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        cross = binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._log_norm() - cross

    def cdf(self, value: Tensor) -> Tensor:
        self._checked(value)
        cut = self._cut()
        rising = cut.pow(value) * (1.0 - cut).pow(1.0 - value) + cut - 1.0
        inside = where(self._outside(), rising / (2.0 * cut - 1.0), value)
        inside = where(value.le(0.0), inside.new_zeros(()), inside)
        return where(value.ge(1.0), inside.new_ones(()), inside)

    def icdf(self, value: Tensor) -> Tensor:
        cut = self._cut()
        position = (-cut + value * (2.0 * cut - 1.0)).log1p() - (-cut).log1p()
        return where(self._outside(), position / (cut.log() - (-cut).log1p()), value)

    def entropy(self) -> Tensor:
        log_0, log_1 = (-self.probs).log1p(), self.probs.log()
        return self.mean * (log_0 - log_1) - self._log_norm() - log_0

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        (x,) = natural_params
        low, high = self._lims[0] - 0.5, self._lims[1] - 0.5
        outside = (x <= low) | (x > high)
        cut = where(outside, x, x.new_tensor(low))
        formula = ((cut.exp() - 1.0).abs()).log() - cut.abs().log()
        series = 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0
        return where(outside, formula, series)
