"""NumPy's form of XLA's loops and branches: their bodies are programs of NumPy calls, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .elementwise import Function

# A loop that runs until a condition fails counts as this many rounds when its cost is estimated.
GUESSED_ROUNDS = 16


class Body:
    """A function inside a program; what `lowering` makes of a closed jaxpr.

    Attributes:
        run: takes and returns NumPy arrays, several of them as a tuple.
        calls, cost: NumPy calls, and elements computed, each time it runs.
    """

    run: Callable[..., tuple[Any, ...]]
    calls: int
    cost: int


class Controlled:
    """The function of a loop or branch, with what it costs."""

    def __init__(self, run: Function, calls: int, cost: int):
        self.run = run
        self.calls = calls
        self.cost = cost

    def __call__(self, *arrays: Any) -> Any:
        return self.run(*arrays)


def scan_counts(params: Any) -> tuple[int, int]:
    """How many arguments of a scan are constants, and how many carry its state."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    constants, state, _rows = params["ft_in"].unpack()  # from JAX 0.11 on
    return len(constants), len(state)


def rules(body_of: Callable[[Any], Body]) -> dict[str, Any]:
    """The rules of `scan`, `while` and `cond`; `body_of` lowers a closed jaxpr."""

    def scan(params: Any, ins: Any, outs: Any) -> Controlled:
        body = body_of(params["jaxpr"])
        length = params["length"]
        constants, state = scan_counts(params)
        places = range(length - 1, -1, -1) if params["reverse"] else range(length)
        stacked = [(a.shape, a.dtype) for a in outs[state:]]

        def run(*arrays: Any) -> list[Any]:
            fixed = arrays[:constants]
            carry = arrays[constants : constants + state]
            rows = arrays[constants + state :]
            results = [np.empty(shape, dtype) for shape, dtype in stacked]
            for at in places:
                made = body.run(*fixed, *carry, *[x[at] for x in rows])
                carry = made[:state]
                for result, value in zip(results, made[state:], strict=True):
                    result[at] = value
            return [*carry, *results]

        return Controlled(run, length * (body.calls + len(stacked)), length * body.cost)

    def loop(params: Any, ins: Any, outs: Any) -> Controlled:
        condition, body = body_of(params["cond_jaxpr"]), body_of(params["body_jaxpr"])
        first = params["cond_nconsts"]
        second = first + params["body_nconsts"]
        each = bool(params["cond_jaxpr"].out_avals[0].shape)  # a condition for each example

        def run(*arrays: Any) -> list[Any]:
            asked, fixed = arrays[:first], arrays[first:second]
            carry = arrays[second:]
            while (going := condition.run(*asked, *carry)[0]).any():
                made = body.run(*fixed, *carry)
                if each:
                    made = [_kept(going, m, c) for m, c in zip(made, carry, strict=True)]
                carry = made
            return list(carry)

        calls = GUESSED_ROUNDS * (condition.calls + body.calls)
        return Controlled(run, calls, GUESSED_ROUNDS * (condition.cost + body.cost))

    def branch(params: Any, ins: Any, outs: Any) -> Controlled:
        bodies = [body_of(jaxpr) for jaxpr in params["branches"]]
        last = len(bodies) - 1

        def run(which: Any, *arrays: Any) -> list[Any]:
            return list(bodies[min(max(int(which), 0), last)].run(*arrays))

        return Controlled(run, max(b.calls for b in bodies), max(b.cost for b in bodies))

    return {"scan": scan, "while": loop, "cond": branch}


def _kept(going: np.ndarray, made: np.ndarray, old: np.ndarray) -> np.ndarray:
    """The new values of the examples whose loop goes on, the old ones of the others."""
    return np.where(going.reshape(going.shape + (1,) * (made.ndim - going.ndim)), made, old)


__all__ = ["Body", "rules"]
