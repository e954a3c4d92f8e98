"""The von Mises distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.modes import no_grad
from ..core.tensor import Tensor
from ..dtypes import bool as bool_type
from ..dtypes import float64
from ..ops.filling import empty, zeros
from ..ops.masks import where
from ..ops.namespaces import SPECIAL
from ..ops.random import rand
from . import constraints
from .distribution import NO_SIZE, Distribution
from .utils import broadcast_all

__all__ = ["VonMises"]


def _log_i0(x: Tensor) -> Tensor:
    """The logarithm of the modified Bessel function of order 0."""
    return SPECIAL["i0e"](x).log() + x


class VonMises(Distribution):
    """The von Mises distribution of an angle: p(x) ~ exp(concentration cos(x - loc)).

    Samples lie in [-pi, pi).

    Args:
        loc: the mean direction, in radians.
        concentration: close to one over the variance where it is large.

    Example::

        >>> VonMises(torch.tensor(1.0), torch.tensor(4.0)).mean
        tensor(1.)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Tensor, concentration: Tensor, validate_args: bool | None = None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        self._checked(value)
        powers = self.concentration * (value - self.loc).cos()
        return powers - math.log(2 * math.pi) - _log_i0(self.concentration)

    def _proposal(self) -> Tensor:
        """The parameter r of the wrapped Cauchy distribution that proposals come from."""
        kappa = self.concentration.to(float64)
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        exact = (1 + rho**2) / (2 * rho)
        # For small concentrations rho is 0 / 0; its Taylor series takes over.
        return where(kappa < 1e-5, 1 / kappa + kappa, exact)

    def sample(self, sample_shape: Sequence[int] = NO_SIZE) -> Tensor:
        """Draw by rejection from a wrapped Cauchy distribution, in double precision.

        Source: Best and Fisher, "Efficient simulation of the von Mises distribution", 1979.
        """
        shape = self._extended_shape(sample_shape)
        with no_grad():
            r, kappa = self._proposal(), self.concentration.to(float64)
            x = empty(shape, dtype=float64, device=self.loc.device)
            done = zeros(shape, dtype=bool_type, device=self.loc.device)
            while not done.all():
                first, second, third = rand((3, *shape), dtype=float64, device=x.device).unbind()
                z = (math.pi * first).cos()
                f = (1 + r * z) / (r + z)
                c = kappa * (r - f)
                accept = ((c * (2 - c) - second) > 0) | ((c / second).log() + 1 - c >= 0)
                x = where(accept, (third - 0.5).sign() * f.acos(), x)
                done = done | accept
            turned = (x + math.pi + self.loc.to(float64)) % (2 * math.pi) - math.pi
            return turned.to(self.loc.dtype)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance: 1 - I1(concentration) / I0(concentration)."""
        kappa = self.concentration
        return 1 - SPECIAL["i1e"](kappa) / SPECIAL["i0e"](kappa)
