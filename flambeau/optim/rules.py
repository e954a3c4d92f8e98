"""Optimisers whose step is one kernel call for each group of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core.execute import ProgramCache
from ..core.modes import no_grad
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..core.tracing import afterwards, consult, held, live, outside, undone
from ..core.views import overwrite
from ..kernels.optim import state_names, update
from ..ops.registry import FUNCTIONS
from .optimizer import Optimizer, _step_dtype, closure_loss

PROGRAMS = ProgramCache(update, ("rule", "maximize", "flags", "count", "names", "settings"))


def check_lr(lr: Any) -> None:
    """ValueError for a learning rate that is negative, or a tensor of several elements."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_not_negative(**settings: Any) -> None:
    """ValueError for a negative setting; keys are the words that the message uses."""
    for word, value in settings.items():
        if not value >= 0.0:
            text = {"eps": "epsilon"}.get(word, word)
            raise ValueError(f"Invalid {text} value: {value}")


def check_betas(betas: tuple[Any, Any]) -> None:
    """ValueError for a decay outside [0, 1)."""
    for place, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {place}: {beta}")


def check_switches(
    differentiable: bool = False, fused: bool | None = None, foreach: bool | None = None
) -> None:
    """Raise for combinations that PyTorch refuses and for what isn't built."""
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        if fused:
            raise RuntimeError("`fused` does not support `differentiable`")
        raise NotImplementedError("flambeau.optim: differentiable=True")


class RuleOptimizer(Optimizer):
    """An optimiser by one of the rules in `kernels.optim`.

    Subclasses say which rule, which settings it reads (`numbers`), which static choices it makes
    (`flags`), and what state a parameter begins with (`new_state`).
    """

    rule: str

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """The settings that the rule reads, by name."""
        raise NotImplementedError

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """The rule's static choices."""
        return {"weight_decay": _is_set(group["weight_decay"])}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        raise NotImplementedError

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients."""
        loss = closure_loss(closure)
        for place, group in enumerate(self.param_groups):
            parameters = [p for p in group["params"] if p._grad is not None]
            if parameters:
                self._step_group(place, parameters)
        return loss

    def _step_group(self, place: int, parameters: list[Tensor]) -> None:
        """One call of the program for the parameters with the same kinds of state."""
        group = self.param_groups[place]
        alike: dict[tuple[str, ...], list[Tensor]] = {}
        for parameter in parameters:
            if parameter.dtype.is_complex:
                raise NotImplementedError(f"flambeau.optim.{type(self).__name__}: complex tensors")
            state = self.state.get(parameter)
            if not state:
                with outside():  # a compiled step finds its state there, like every later step
                    state = self.new_state(parameter, group)
                if state:
                    self.state[parameter] = state
                    undone(partial(self.state.pop, parameter))
            names = tuple(name for name, value in state.items() if value is not None)
            alike.setdefault(names, []).append(parameter)
        for names, members in alike.items():
            self._run(place, members, names)

    def _run(self, place: int, parameters: list[Tensor], names: tuple[str, ...]) -> None:
        flags, maximize, _ = consult(
            f"the settings of {type(self).__name__}'s group {place}",
            lambda: self._choices(self.param_groups[place]),
        )
        settings = self._live_numbers(place)
        count, counted = len(parameters), self._common_step(parameters, names) is not None
        if counted:
            names = tuple(name for name in names if name != "step")
            settings["step"] = live(lambda: 1 + _value(self.state[parameters[0]]["step"]))
        program = PROGRAMS[self.rule, maximize, flags, count, names, tuple(settings)]
        results = program.run(
            *(p._array() for p in parameters),
            *(p._grad._array() for p in parameters),  # type: ignore[union-attr]
            *(self.state[p][name]._array() for name in names for p in parameters),
            *(_number(value) for value in settings.values()),
        )
        for parameter, array in zip(parameters, results[:count], strict=True):
            overwrite(parameter, wrap(array, parameter.device))
        for number, name in enumerate(state_names(self.rule, names, flags), start=1):
            column = results[number * count : (number + 1) * count]
            for parameter, array in zip(parameters, column, strict=True):
                self._store(parameter, name, array)
        if counted:
            afterwards(lambda: self._count_step(parameters))

    def _choices(self, group: dict[str, Any]) -> tuple[Any, ...]:
        """What decides which program a group runs."""
        flags = tuple(sorted(self.flags(group).items()))
        return flags, bool(group["maximize"]), tuple(map(id, group["params"]))

    def _live_numbers(self, place: int) -> dict[str, Any]:
        """The settings of a group; a compiled step reads them anew each time."""
        settings = self.numbers(self.param_groups[place])
        return {
            name: value
            if isinstance(value, Tensor)
            else live(lambda name=name: float(self.numbers(self.param_groups[place])[name]))
            for name, value in settings.items()
        }

    def _count_step(self, parameters: list[Tensor]) -> None:
        first = self.state[parameters[0]]["step"]
        count = np.asarray(_value(first) + 1, first._dtype_numpy())
        for parameter in parameters:
            self.state[parameter]["step"]._storage.write(count)

    def _common_step(self, parameters: list[Tensor], names: tuple[str, ...]) -> float | None:
        """The steps taken so far, where it is one number for all parameters.

        It then enters the program as that number, and the counts are kept on the host.
        """
        if "step" not in names:
            return None
        counts = [self.state[p]["step"] for p in parameters]
        if any(c._steps or c.device.type != "cpu" for c in counts):
            return None
        numbers = {_value(c) for c in counts}
        return numbers.pop() if len(numbers) == 1 else None

    def _store(self, parameter: Tensor, name: str, array: Any) -> None:
        state = self.state[parameter]
        old = state.get(name)
        if old is None:
            state[name] = wrap(array, parameter.device)
        else:
            overwrite(old, wrap(array, old.device))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for entry in self.state.values():
            # Counts were plain numbers once.
            if isinstance(entry, dict) and isinstance(entry.get("step"), (int, float)):
                entry["step"] = FUNCTIONS["tensor"](float(entry["step"]), dtype=_step_dtype())


def _value(count: Tensor) -> float:
    """A step count, which lives on the host."""
    return float(held(count))


def _number(value: Any) -> Any:
    """A setting as the program takes it."""
    return value._array().reshape(()) if isinstance(value, Tensor) else value


def _is_set(value: Any) -> bool:
    """Whether a setting is not 0 (a tensor may be anything)."""
    return isinstance(value, Tensor) or value != 0


def zero_step() -> Tensor:
    """A step count at the start."""
    return wrap(np.zeros((), _step_dtype().numpy))


def zeros(parameter: Tensor) -> Tensor:
    """Zeros like a parameter."""
    return FUNCTIONS["zeros_like"](parameter)


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
        start = FUNCTIONS["full_like"](parameter, group["initial_accumulator_value"])
        return {"step": zero_step(), "sum": start}

    def share_memory(self) -> None:
        """Move the state to memory that processes share."""
        raise NotImplementedError("flambeau.optim.Adagrad.share_memory")


__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "RuleOptimizer"]
