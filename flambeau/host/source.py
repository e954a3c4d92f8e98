"""Python source for a list of NumPy calls: what a program runs as once it has been used before.

One line for each call, arrays in local variables, common calls written as expressions. A variable
is used again after its last reader, so that memory is freed as early as it can be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .quiet import hush, unhush


def undispatched(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function without the look whether an operand overrides it."""
    return getattr(function, "__wrapped__", function)


class Expressed:
    """A function of arrays that is an expression: `text`, with {0}, {1} for the operands.

    Attributes:
        constants: what the other names in braces stand for.
        function: the same as a function.
    """

    __slots__ = ("constants", "function", "text")

    def __init__(self, text: str, **constants: Any):
        self.text = text
        self.constants = constants
        self.function = _maker(text, tuple(constants))(*constants.values())


@functools.cache
def _maker(text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    operands = [f"a{i}" for i in range(4) if f"{{{i}}}" in text]
    body = text.format(*operands, **{name: name for name in names})
    return eval(f"lambda {', '.join(names)}: lambda {', '.join(operands)}: {body}")


# Calls that raise no floating-point flags.
CALM = frozenset(
    """
    broadcast reshape transpose squeeze expand_dims slice concatenate neg lt le gt ge eq ne abs copy
    copy_p stop_gradient select_n max min and or not xor iota rev gather split pad dynamic_slice
    """.split()  # noqa: SIM905
)


class Step:
    """One call: a function of the values in the slots `ins`, its result in the slot `out`.

    `out` is a list of slots for several results.
    """

    __slots__ = ("expression", "function", "ins", "name", "out")

    def __init__(self, name: str, function: Any, ins: tuple[int, ...], out: Any):
        expressed = type(function) is Expressed
        self.name = name
        self.function: Callable[..., Any] = function.function if expressed else function
        self.expression: Expressed | None = function if expressed else None
        self.ins = ins
        self.out = out


def execute(steps: Sequence[Step], env: list[Any]) -> None:
    """Make the calls one by one: each reads values of `env` and writes its own."""
    for step in steps:
        result = step.function(*[env[i] for i in step.ins])
        if type(step.out) is int:
            env[step.out] = result
        else:
            for slot, value in zip(step.out, result, strict=True):
                env[slot] = value


class Source:
    """The source of one function in the making."""

    def __init__(self, template: Sequence[Any]):
        self.template = template  # the values of constants by slot
        self.names: dict[int, str] = {}
        self.free: list[str] = []
        self.scope: dict[str, Any] = {
            "ndarray": np.ndarray,
            "asarray": np.asarray,
            "hush": hush,
            "unhush": unhush,
        }
        self.lines: list[str] = []

    def argument(self, slot: int, dtype: Any) -> str:
        """A parameter; `dtype` is the type of a number, None for an array."""
        name = self.names[slot] = f"v{len(self.names)}"
        if dtype is None:
            self.lines.append(f"if type({name}) is not ndarray: {name} = asarray({name})")
        else:
            self.lines.append(f"{name} = asarray({name}, {self.constant(dtype)})")
        return name

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name

    def read(self, slot: int) -> str:
        """The name of the variable that holds a slot's value."""
        name = self.names.get(slot)
        if name is None:
            name = self.names[slot] = self.constant(self.template[slot])
        return name

    def write(self, slot: int) -> str:
        """A variable for the value of a slot."""
        name = self.free.pop() if self.free else f"v{len(self.names)}"
        self.names[slot] = name
        return name

    def call(self, step: Step, dying: Sequence[int]) -> None:
        """The line of one step; the slots `dying` have no later reader."""
        ins = [self.read(i) for i in step.ins]
        if step.expression is None:
            text = f"{self.constant(step.function)}({', '.join(ins)})"
        else:
            constants = step.expression.constants
            names = {name: self.constant(value) for name, value in constants.items()}
            text = step.expression.text.format(*ins, **names)
        self.free += [self.names[i] for i in dying if self.names[i].startswith("v")]
        if type(step.out) is int:
            target = self.write(step.out)
        else:
            target = "".join([self.write(o) + ", " for o in step.out])
        self.lines.append(f"{target} = {text}")

    def function(self, parameters: Sequence[str], result: str, calm: bool) -> Callable[..., Any]:
        """The finished function."""
        body = [*self.lines, f"return {result}"]
        if not calm:
            body = [
                "token = hush()",
                "try:",
                *("    " + line for line in body),
                "finally:",
                "    unhush(token)",
            ]
        text = "\n".join([f"def run({', '.join(parameters)}):", *("    " + line for line in body)])
        exec(compile(text, "<flambeau host program>", "exec"), self.scope)
        return self.scope["run"]


def written(
    steps: Sequence[Step],
    template: Sequence[Any],
    inputs: Sequence[tuple[int | None, Any]],
    result: Callable[[Source], str],
    outputs: Sequence[int],
    loud: bool = False,
) -> Callable[..., Any]:
    """A function that makes the calls.

    Args:
        template: the constants by slot.
        inputs: for each parameter, its slot (None: it is not read) and the type of a number.
        result: gives the text of what is returned.
        outputs: the slots that `result` reads.
        loud: leave NumPy's warnings to the caller.
    """
    source = Source(template)
    parameters = [
        f"absent{at}" if slot is None else source.argument(slot, dtype)
        for at, (slot, dtype) in enumerate(inputs)
    ]
    last: dict[int, int] = {}
    for at, step in enumerate(steps):
        for slot in step.ins:
            last[slot] = at
    kept = set(outputs)
    for at, step in enumerate(steps):
        dying = [i for i in dict.fromkeys(step.ins) if last[i] == at and i not in kept]
        source.call(step, dying)
    calm = loud or all(step.name in CALM for step in steps)
    return source.function(parameters, result(source), calm)
