"""What is known of a call that comes again: one look-up gives all of it.

# Note [Known calls]
# The first two calls of an op with operands of given shapes, types and needs go the long way
# (`op.first_call`): programs and derivatives are made there. From then on a `Call` says how it
# runs, which values the node saves, and what the backward pass runs; the key is built from the
# operands in `op.apply`. Anything out of the ordinary (other devices, subclasses, memory that is
# shared with NumPy, traces, hooks on saved tensors) has no `Call` and goes the long way each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .derivative import Derivative
from .execute import Plan, Program, counters
from .tape import Described

MOST_CALLS = 4096


class Call:
    """How a call of an op with given operands is served.

    Attributes:
        program, plan: what runs (`plan.host` is None once XLA has taken over; no plan for a view,
            of which nothing runs).
        residuals: the program gives `(outputs, residuals)`.
        several: the op gives a tuple.
        strides: the virtual strides of the result.
        derivative: of the program; None where nothing is recorded.
        node: the class of the node.
        infos: shape and type of every output.
        backward: the derivative's program, once it has run.
    """

    __slots__ = (
        "backward",
        "derivative",
        "differentiable",
        "dtype",
        "infos",
        "node",
        "plan",
        "program",
        "residuals",
        "saved_inputs",
        "saved_outputs",
        "several",
        "shape",
        "strides",
    )

    def __init__(
        self,
        program: Program,
        plan: Plan | None,
        residuals: bool,
        several: bool,
        strides: tuple[int, ...] | None,
        outputs: Sequence[Any],
        derivative: Derivative | None,
        node: type[Any] | None,
    ):
        self.program = program
        self.plan = plan
        self.residuals = residuals
        self.several = several
        self.strides = strides
        self.infos = tuple([Described(tuple(a.shape), a.dtype) for a in outputs])
        self.shape, self.dtype = self.infos[0]
        self.differentiable = tuple([info.dtype.kind in "fcV" for info in self.infos])
        self.derivative = derivative
        self.node = node
        self.saved_inputs = derivative.saved_inputs if derivative is not None else ()
        self.saved_outputs = derivative.saved_outputs if derivative is not None else ()
        self.backward: Backward | None = None


class Backward:
    """How the derivative of a call runs, for gradients of every output.

    Attributes:
        host: NumPy calls that give a result for every edge; None where NumPy has no form of it.
    """

    __slots__ = ("host", "needs", "plan", "program", "quick")

    def __init__(self, program: Program, plan: Plan, needs: Sequence[Any]):
        self.program = program
        self.plan = plan
        self.needs = needs
        self.host = plan.host
        self.quick: Callable[..., Any] | None = None

    def run(self, on_host: bool | None, arrays: list[Any]) -> Sequence[Any]:
        """The gradient for every edge; `on_host` as in `OpNode`."""
        if on_host is None:
            if self.plan.limit:
                self.plan.count()
            on_host = self.plan.host is not None
        if on_host and self.host is not None:
            counters.host += 1
            if self.quick is not None:
                return self.quick(*arrays)
            if self.host.warm:
                self.quick = self.host.spread(self.needs)
            found = iter(self.host.run(*arrays))
        else:
            counters.compiled += 1
            found = iter(self.program.compiled(*arrays))
        return [next(found) if needed else None for needed in self.needs]


def remember(calls: dict[Any, Any], key: Any, call: Call | None) -> None:
    """Keep a call under its key; None for a key that was seen once."""
    if len(calls) >= MOST_CALLS:
        calls.clear()
    calls[key] = call
