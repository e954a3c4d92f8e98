"""What a compiled function would take in, write and depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .compiled import Compiled, Signature
from .program import Program
from .walk import Walk


@dataclass
class Explanation:
    """What one call of a function becomes.

    Attributes:
        inputs: tensors that it reads: path, element type and shape.
        written: those that it writes.
        numbers: how many numbers are read anew for each call.
        draws: how many random draws each call makes.
        guards: facts that hold for this program, by path.
        equations: the operations of the program.
    """

    inputs: list[str]
    written: list[str]
    numbers: int
    draws: int
    guards: list[str]
    equations: int

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.equations} operations in one program",
                f"reads {len(self.inputs)} tensors:",
                *(f"  {line}" for line in self.inputs),
                f"writes {len(self.written)}:",
                *(f"  {line}" for line in self.written),
                f"reads {self.numbers} numbers and makes {self.draws} random draws for each call",
                f"holds while {len(self.guards)} facts stay as they are:",
                *(f"  {line}" for line in self.guards),
            ]
        )


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    """Trace a call without running it, and tell what its program reads, writes and depends on.

    Example::

        >>> import flambeau as torch
        >>> w = torch.zeros(2)
        >>> def f(x):
        ...     return x * w
        >>> print(torch.compile.explain(f, torch.ones(2)).inputs)
        ['argument 0: float32[2]', 'w: float32[2]']
    """
    own = function.function if isinstance(function, Compiled) else function
    signature = Signature(args, kwargs)
    roots = [(getattr(own, "__name__", type(own).__name__), own), *signature.objects]
    walk = Walk(roots)
    signature.key(walk, set())
    program = Program(own, args, kwargs, signature, walk, roots)
    shapes = [f"{dtype}{list(shape)}" for shape, dtype in program.shapes]
    inputs = [f"{path}: {shapes[position]}" for position, _, path in program.sources]
    by_position: dict[int | None, str] = {p: path for p, _, path in program.sources}
    written = [by_position.get(entry[0], "(not read)") for entry in program.written]
    guards = [f"{path} = {value[1]!r}" for path, value in walk.facts.items() if _telling(value)]
    guards += [f"{fact.what} = {fact.value}" for fact in program.facts]
    return Explanation(
        inputs,
        written,
        len(program.live_numbers),
        len(program.host),
        guards,
        program.equations,
    )


def _telling(fact: Any) -> bool:
    return isinstance(fact[0], type) and fact[1] is not None and not isinstance(fact[1], type)
