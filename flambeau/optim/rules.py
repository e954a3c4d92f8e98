"""Optimisers by rules: SGD, Adam, AdamW, RMSprop, Adagrad."""

from __future__ import annotations

from typing import Any

from ..core.state import modes
from ..core.tensor import Tensor
from .rule_optimizer import (
    RuleOptimizer,
    check_betas,
    check_lr,
    check_not_negative,
    check_switches,
    check_tensor_betas,
    filled,
    zero_step,
    zeros,
)
from .sparse_steps import adagrad_rows, add_rows, sgd_momentum


class SGD(RuleOptimizer):
    """Gradient descent: p' = p - lr * g, with momentum b' = momentum * b + (1 - dampening) * g.

    Args:
        nesterov: look ahead along the momentum.
        maximize: go up rather than down.
        foreach, fused: accepted; there is one implementation.

    Example::

        >>> p = nn.Parameter(torch.tensor([1.0]))
        >>> p.grad = torch.tensor([2.0])
        >>> torch.optim.SGD([p], lr=0.1).step()
        >>> p.data
        tensor([0.8000])
    """

    rule = "sgd"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative(momentum=momentum, weight_decay=weight_decay)
        check_switches(differentiable, fused, foreach)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {name: group[name] for name in ("lr", "momentum", "dampening", "weight_decay")}

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {
            "momentum": group["momentum"] != 0,
            "nesterov": bool(group["nesterov"]),
            **super().flags(group),
        }

    def check_sparse(self, group: dict[str, Any]) -> None:
        """Penalties have no sparse gradients."""
        if group["weight_decay"] != 0:
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )

    def step_sparse(self, group: dict[str, Any], parameter: Tensor) -> None:
        """Change the rows that the gradient has."""
        gradient = sgd_momentum(parameter, self.state, group)
        add_rows(parameter, gradient, -float(group["lr"]))

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """None: the first step makes the buffer. A compiled one finds zeros, to the same effect."""
        if modes.trace is not None and group["momentum"] != 0 and group["dampening"] == 0:
            return {"momentum_buffer": zeros(parameter)}
        return {}


class Adam(RuleOptimizer):
    """p' = p - lr * m^ / (sqrt(v^) + eps), by running means of the gradient and of its square.

    Kingma and Ba 2014, arXiv:1412.6980.

    Args:
        betas: how much of the two means each step keeps.
        weight_decay: a penalty on the parameters; `decoupled_weight_decay` makes it AdamW's.
        amsgrad: divide by the largest mean square so far.
        foreach, fused, capturable: accepted; there is one implementation.
    """

    rule = "adam"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        check_tensor_betas(betas, bool(foreach) and not capturable)
        check_switches(differentiable, fused, foreach)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        beta1, beta2 = group["betas"]
        settings = {name: group[name] for name in ("lr", "eps", "weight_decay")}
        return {**settings, "beta1": beta1, "beta2": beta2}

    def check_sparse(self, group: dict[str, Any]) -> None:
        """Sparse gradients are `SparseAdam`'s."""
        raise RuntimeError(
            "Adam does not support sparse gradients, please consider SparseAdam instead"
        )

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {
            "amsgrad": bool(group["amsgrad"]),
            "decoupled": bool(group["decoupled_weight_decay"]),
            **super().flags(group),
        }

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        state = {
            "step": zero_step(),
            "exp_avg": zeros(parameter),
            "exp_avg_sq": zeros(parameter),
        }
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros(parameter)
        return state


class AdamW(Adam):
    """`Adam` with decoupled weight decay: p is first scaled by 1 - lr * weight_decay.

    Loshchilov and Hutter 2017, arXiv:1711.05101.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class RMSprop(RuleOptimizer):
    """p' = p - lr * g / (sqrt(v) + eps), v the running mean square of g (Hinton 2012).

    Args:
        alpha: how much of v each step keeps.
        centered: subtract the squared mean gradient from v.
    """

    rule = "rmsprop"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        check_switches(differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        names = ("lr", "alpha", "eps", "momentum", "weight_decay")
        return {name: group[name] for name in names}

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """Static choices."""
        return {
            "centered": bool(group["centered"]),
            "momentum": group["momentum"] > 0,
            **super().flags(group),
        }

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, zero means."""
        state = {"step": zero_step(), "square_avg": zeros(parameter)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros(parameter)
        if group["centered"]:
            state["grad_avg"] = zeros(parameter)
        return state


class Adagrad(RuleOptimizer):
    """p' = p - lr * g / (sqrt(s) + eps), s the sum of all g^2 so far (Duchi et al. 2011).

    Args:
        lr_decay: the learning rate is divided by 1 + (steps - 1) * lr_decay.
        initial_accumulator_value: what s begins with.
    """

    rule = "adagrad"

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_switches(differentiable, fused, foreach)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = self.new_state(parameter, group)

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """Settings."""
        return {name: group[name] for name in ("lr", "lr_decay", "eps", "weight_decay")}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """No steps, the initial sum."""
        start = filled(parameter, group["initial_accumulator_value"])
        return {"step": zero_step(), "sum": start}

    def check_sparse(self, group: dict[str, Any]) -> None:
        """Penalties have no sparse gradients."""
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")

    def step_sparse(self, group: dict[str, Any], parameter: Tensor) -> None:
        """Change the rows that the gradient has."""
        adagrad_rows(parameter, self.state[parameter], group)

    def share_memory(self) -> None:
        """Move the state to memory that processes share."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["sum"].share_memory_()


__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "RuleOptimizer"]
