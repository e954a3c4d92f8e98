"""Further optimisers by rules: Adadelta, Adamax, NAdam, RAdam, Rprop, ASGD."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor, wrap
from .optimizer import _step_dtype
from .rule_optimizer import (
    ACCELERATORS,
    RuleOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    check_switches,
    filled,
    zero_step,
    zeros,
)


class Adadelta(RuleOptimizer):
    """Steps in the ratio of the running root mean squares of past steps and of the gradient.

    Zeiler 2012, arXiv:1212.5701.
    """

    rule = "adadelta"
    capturing = ACCELERATORS[:-1]

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        check_switches(differentiable)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {name: group[name] for name in ("lr", "rho", "eps", "weight_decay")}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        return {
            "step": zero_step(),
            "square_avg": zeros(parameter),
            "acc_delta": zeros(parameter),
        }


class _AdamLike(RuleOptimizer):
    """What the relatives of Adam share."""

    def _defaults(self, lr: Any, betas: Any, eps: float, weight_decay: float) -> dict[str, Any]:
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        return {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        beta1, beta2 = group["betas"]
        settings = {name: group[name] for name in ("lr", "eps", "weight_decay")}
        return {**settings, "beta1": beta1, "beta2": beta2}


class Adamax(_AdamLike):
    """`Adam` by the largest gradient rather than the mean square (arXiv:1412.6980)."""

    rule = "adamax"

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_switches(differentiable)
        defaults = {
            **self._defaults(lr, betas, eps, weight_decay),
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        return {"step": zero_step(), "exp_avg": zeros(parameter), "exp_inf": zeros(parameter)}


class NAdam(_AdamLike):
    """`Adam` with Nesterov's momentum (Dozat 2016)."""

    rule = "nadam"
    captured = "params, mu_products and state_steps"

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_switches(differentiable)
        checked = self._defaults(lr, betas, eps, weight_decay)
        check_not_negative(momentum_decay=momentum_decay)
        defaults = {
            **checked,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {**super().numbers(group), "momentum_decay": group["momentum_decay"]}

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {"decoupled": bool(group["decoupled_weight_decay"]), **super().flags(group)}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means, the product of the momenta 1."""
        return {
            "step": zero_step(),
            "mu_product": wrap(np.ones((), _step_dtype().numpy)),
            "exp_avg": zeros(parameter),
            "exp_avg_sq": zeros(parameter),
        }


class RAdam(_AdamLike):
    """`Adam` with a rectified variance (Liu et al. 2019, arXiv:1908.03265)."""

    rule = "radam"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_switches(differentiable)
        defaults = {
            **self._defaults(lr, betas, eps, weight_decay),
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {"decoupled": bool(group["decoupled_weight_decay"]), **super().flags(group)}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        return {"step": zero_step(), "exp_avg": zeros(parameter), "exp_avg_sq": zeros(parameter)}


class Rprop(RuleOptimizer):
    """Steps that grow while the gradient keeps its sign (Riedmiller and Braun 1993).

    Args:
        etas: the factors of the steps when the sign changes and when it stays.
        step_sizes: the smallest and the largest step.
    """

    rule = "rprop"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_switches(differentiable)
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        names = ("eta_minus", "eta_plus", "step_min", "step_max")
        return dict(zip(names, (*group["etas"], *group["step_sizes"]), strict=True))

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """None."""
        return {}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, no gradient before, steps of size lr."""
        size = filled(parameter, float(group["lr"]))
        return {"step": zero_step(), "prev": zeros(parameter), "step_size": size}


class ASGD(RuleOptimizer):
    """Averaged gradient descent (Polyak and Juditsky 1992)."""

    rule = "asgd"
    captured = "params, mus, etas, and state_steps"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        check_switches(differentiable)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {name: group[name] for name in ("lr", "lambd", "alpha", "t0", "weight_decay")}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, the first learning rate, no average."""
        dtype = _step_dtype().numpy
        return {
            "step": zero_step(),
            "eta": wrap(np.asarray(float(group["lr"]), dtype)),
            "mu": wrap(np.ones((), dtype)),
            "ax": zeros(parameter),
        }


__all__ = ["ASGD", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop"]
