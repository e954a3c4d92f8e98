"""Gamma and Dirichlet variates, through which gradients flow to their parameters."""

from __future__ import annotations

from typing import Any

from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..kernels import implicit as kernels
from .arguments import check_tensor
from .filling import empty_like
from .generator import generator_for
from .random_fill import check_floating
from .registry import declare

GAMMA = Op(kernels.gamma_draw, name="StandardGamma", vjp=kernels.gamma_draw_vjp)
DIRICHLET = Op(kernels.dirichlet_draw, name="SampleDirichlet", vjp=kernels.dirichlet_draw_vjp)
SLOPE = Op(kernels.beta_slope, name="DirichletGrad")


@declare(method=False)
def _standard_gamma(self: Tensor, generator: Any = None) -> Tensor:
    """Gamma variates of unit scale with the concentrations that `self` holds."""
    check_tensor("_standard_gamma", self)
    source = generator_for("_standard_gamma", generator)
    check_floating(self, "gamma_cpu", allow_complex=False)
    if self.device.type == "meta":
        return empty_like(self)
    return apply(GAMMA, (self, wrap(source.gamma(self._host()), self.device)))


@declare(method=False)
def _sample_dirichlet(self: Tensor, generator: Any = None) -> Tensor:
    """Points of the simplex; each row of `self` holds the concentrations of one of them."""
    check_tensor("_sample_dirichlet", self)
    source = generator_for("_sample_dirichlet", generator)
    check_floating(self, "dirichlet", allow_complex=False)
    if self.device.type == "meta":
        return empty_like(self)
    return apply(DIRICHLET, (self, wrap(source.dirichlet(self._host()), self.device)))


@declare(method=False)
def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """dx/d(alpha) / (1 - x) for draws `x` of Beta(alpha, total - alpha)."""
    return apply(SLOPE, (x, alpha, total))
