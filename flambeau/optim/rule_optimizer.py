"""`RuleOptimizer`: optimisers whose step is one kernel call for each group of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..core.execute import Op
from ..core.modes import set_grad_enabled
from ..core.op import apply
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..core.tracing import afterwards, consult, held, live, outside, settled
from ..core.views import before_write, check_writable, overwrite
from ..kernels.optim import state_names, update
from ..ops.registry import FUNCTIONS
from .optimizer import Optimizer, _step_dtype, closure_loss

UPDATE = Op(update)
PROGRAMS = UPDATE.programs  # by rule, maximize, flags, count, names, settings
ACCELERATORS = ("cuda", "xpu", "hpu", "privateuseone", "xla")


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


def check_tensor_betas(betas: tuple[Any, Any], numbers_only: bool) -> None:
    """ValueError for decays of which one is a tensor, or that are tensors where none may be."""
    tensors = [isinstance(beta, Tensor) for beta in betas]
    if tensors[0] is not tensors[1]:
        raise ValueError("betas must be either both floats or both Tensors")
    for place, beta in enumerate(betas):
        if isinstance(beta, Tensor) and numbers_only:
            raise ValueError(
                f"betas[{place}] as a Tensor is not supported for capturable=False and foreach=True"
            )
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{place}] must be 1-element")


def check_switches(
    differentiable: bool = False, fused: bool | None = None, foreach: bool | None = None
) -> None:
    """Raise for combinations that PyTorch refuses."""
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable and fused:
        raise RuntimeError("`fused` does not support `differentiable`")


class RuleOptimizer(Optimizer):
    """An optimiser by one of the rules in `kernels.optim`.

    Subclasses say which rule, which settings it reads (`numbers`), which static choices it makes
    (`flags`), and what state a parameter begins with (`new_state`).
    """

    rule: str
    differentiable = True
    captured = "params and state_steps"
    capturing = ACCELERATORS

    def numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        """The settings that the rule reads, by name."""
        raise NotImplementedError

    def flags(self, group: dict[str, Any]) -> dict[str, Any]:
        """The rule's static choices."""
        return {"weight_decay": _is_set(group["weight_decay"])}

    def new_state(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients."""
        differentiable = bool(self.defaults.get("differentiable"))
        if differentiable and self.rule != "sgd" and self.defaults["foreach"]:
            raise AssertionError("_foreach ops don't support autograd")
        with set_grad_enabled(differentiable):
            loss = closure_loss(closure)
            for place, group in enumerate(self.param_groups):
                parameters = [p for p in group["params"] if p._grad is not None]
                if parameters:
                    self._step_group(place, self._dense(place, parameters))
        return loss

    def _dense(self, place: int, parameters: list[Tensor]) -> list[Tensor]:
        """The parameters whose gradients are dense; those with sparse ones are changed here."""
        group = self.param_groups[place]
        capturable = group.get("capturable")
        for p in parameters:
            if p._grad.is_sparse:  # type: ignore[union-attr]
                self.check_sparse(group)
            if capturable and p.device.type not in self.capturing:
                raise AssertionError(
                    f"If capturable=True, {self.captured} must be on supported devices: "
                    f"{list(self.capturing)}."
                )
        sparse = [p for p in parameters if p._grad.is_sparse]  # type: ignore[union-attr]
        for p in sparse:
            self.step_sparse(group, p)
        return [p for p in parameters if not p._grad.is_sparse] if sparse else parameters  # type: ignore[union-attr]

    def check_sparse(self, group: dict[str, Any]) -> None:
        """Raise unless the optimiser takes sparse gradients."""
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")

    def step_sparse(self, group: dict[str, Any], parameter: Tensor) -> None:
        """Change one parameter by its sparse gradient."""
        raise NotImplementedError

    def _step_group(self, place: int, parameters: list[Tensor]) -> None:
        """One call of the program for the parameters with the same kinds of state."""
        group = self.param_groups[place]
        alike: dict[tuple[str, ...], list[Tensor]] = {}
        for parameter in parameters:
            state = self.state.get(parameter)
            if not state:
                with outside():  # a compiled step finds its state there, like every later step
                    state = self.new_state(parameter, group)
                if state:
                    self.state[parameter] = state
                    settled(state, partial(self.state.pop, parameter))
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
        count = len(parameters)
        counted = consult(
            f"one count of steps for {type(self).__name__}'s group {place}",
            lambda names=names: self._common_step(parameters, names) is not None,
        )
        if counted:
            ahead = _steps_ahead(self, parameters)
            names = tuple(name for name in names if name != "step")
            settings["step"] = live(lambda: ahead + _value(self.state[parameters[0]]["step"]))
        static = (self.rule, maximize, flags, count, names, tuple(settings))
        if modes.grad:
            self._run_recorded(parameters, static, settings)
            if counted:
                self._count_step(parameters)
            return
        results = PROGRAMS[static].run(
            *(p._array() for p in parameters),
            *(p._grad._array() for p in parameters),  # type: ignore[union-attr]
            *(self.state[p][name]._array() for name in names for p in parameters),
            *(_number(value) for value in settings.values()),
        )
        for parameter, array in zip(parameters, results[:count], strict=True):
            _put(parameter, array)
        for number, name in enumerate(state_names(self.rule, names, flags), start=1):
            column = results[number * count : (number + 1) * count]
            for parameter, array in zip(parameters, column, strict=True):
                self._store(parameter, name, array)
        if counted:
            afterwards(lambda: self._count_step(parameters))

    def _run_recorded(
        self, parameters: list[Tensor], static: tuple[Any, ...], settings: dict[str, Any]
    ) -> None:
        """The step as an operation on the tape (`differentiable`)."""
        for parameter in parameters:
            check_writable(parameter)
        rule, _, flags, count, names, _ = static
        columns = [parameters, [p._grad for p in parameters]]
        columns += [[self.state[p][name] for p in parameters] for name in names]
        inputs = [before_write(x) for column in columns for x in column]
        results = apply(UPDATE, [*inputs, *map(_scalar_of, settings.values())], static)
        for parameter, value in zip(parameters, results[:count], strict=True):
            overwrite(parameter, value)
        for number, name in enumerate(state_names(rule, names, flags), start=1):
            for place, parameter in enumerate(parameters):
                value, state = results[number * count + place], self.state[parameter]
                state[name] = value if state.get(name) is None else overwrite(state[name], value)

    def _choices(self, group: dict[str, Any]) -> tuple[Any, ...]:
        """What decides which program a group runs."""
        flags = tuple(sorted(self.flags(group).items()))
        return flags, bool(group.get("maximize")), tuple(map(id, group["params"]))

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
        arrays = [held(c) for c in counts]
        if all(array is arrays[0] for array in arrays):
            return float(arrays[0])
        numbers = {_value(c) for c in counts}
        return numbers.pop() if len(numbers) == 1 else None

    def _store(self, parameter: Tensor, name: str, array: Any) -> None:
        state = self.state[parameter]
        old = state.get(name)
        if old is None:
            state[name] = wrap(array, parameter.device)
        else:
            _put(old, array)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                if name != "differentiable" or self.differentiable:
                    group.setdefault(name, default)
        for entry in self.state.values():
            # Counts were plain numbers once.
            if isinstance(entry, dict) and isinstance(entry.get("step"), (int, float)):
                entry["step"] = FUNCTIONS["tensor"](float(entry["step"]), dtype=_step_dtype())


def _put(x: Tensor, array: Any) -> None:
    """Write an array into a tensor, unrecorded."""
    if x._steps or x._own_version is not None or modes.special:
        overwrite(x, wrap(array, x.device))
        return
    x._storage.write(array)


def _steps_ahead(optimizer: Optimizer, parameters: list[Tensor]) -> int:
    """How many steps the counts are behind, this one included: in a trace they wait for its end."""
    if modes.trace is None:
        return 1
    steps = modes.trace.steps
    for parameter in parameters:
        key = id(optimizer), id(parameter)
        steps[key] = steps.get(key, 0) + 1
    ahead = {steps[id(optimizer), id(parameter)] for parameter in parameters}
    if len(ahead) > 1:
        raise NotImplementedError(
            "flambeau.compile: several steps of an optimiser in one function, of which not all "
            "change the same parameters"
        )
    return ahead.pop()


def _value(count: Tensor) -> float:
    """A step count, which lives on the host."""
    return float(held(count))


def _number(value: Any) -> Any:
    """A setting as the program takes it."""
    return value._array().reshape(()) if isinstance(value, Tensor) else value


def _scalar_of(value: Any) -> Any:
    """A setting as an operation takes it."""
    return value.reshape(()) if isinstance(value, Tensor) else value


def _is_set(value: Any) -> bool:
    """Whether a setting is not 0 (a tensor may be anything)."""
    return isinstance(value, Tensor) or value != 0


def zero_step() -> Tensor:
    """A step count at the start."""
    return wrap(np.zeros((), _step_dtype().numpy))


def filled(parameter: Tensor, value: float) -> Tensor:
    """A tensor like a parameter; of complex numbers, both parts have the value."""
    both = complex(value, value) if parameter.dtype.is_complex else value
    return FUNCTIONS["full_like"](parameter, both)


def zeros(parameter: Tensor) -> Tensor:
    """Zeros like a parameter."""
    return FUNCTIONS["zeros_like"](parameter)
