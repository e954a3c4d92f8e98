"""The seam between the library and XLA: a kernel bound to its static arguments, ready to run.

Everything that computes goes through a `Program`. Today it is one `jax.jit`; whatever runs a
kernel in another way takes its place here. An `Op` is a kernel with its name and its derivative.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.core
import numpy as np

from ..config import config
from ..host.form import Form, FormProgram
from ..host.lowering import HostProgram, Unsupported
from ..host.trace import Trace
from .cache import use_compilation_cache
from .state import modes

# Note [Two tiers]
# XLA takes 30 to 110 ms to compile one small operation at a new shape; NumPy needs nothing. On the
# CPU a program is therefore first run as NumPy calls (`host/lowering.py`) and handed to XLA when
# the time that NumPy has cost it, by a static estimate of each call, passes what a compilation
# costs. Calls that are cheaper in NumPy than a compiled call stay there for good. The decision
# depends on shapes and on the number of calls alone, never on a clock, so two runs of a script do
# the same. A node's backward comes from the tier that ran its forward: both go to XLA together.
# With `use_deterministic_algorithms` not even the number of calls matters, so that a run that is
# resumed does what it would have done: what would ever go to XLA goes there at once.

COMPILE_SECONDS = 30e-3
CALL_SECONDS = 10e-6
STEP_SECONDS = 0.7e-6
ELEMENT_SECONDS = 1e-9
TOO_LONG_SECONDS = 20e-3


use_compilation_cache()  # now, too: not everything that is compiled is a program of ours


class Plan:
    """How a program runs for arrays of given shapes and types.

    Attributes:
        host: NumPy calls; None where XLA runs it.
        limit: after how many runs XLA takes over; 0: never.
    """

    __slots__ = ("calls", "host", "limit")

    def __init__(self, host: HostProgram | None, limit: int):
        self.host = host
        self.limit = limit
        self.calls = 0

    def count(self) -> None:
        """Count a run that is about to begin."""
        self.calls += 1
        if self.calls > self.limit or config.deterministic_algorithms:
            self.host = None
            self.limit = 0
            counters.switched += 1

    def join(self, backward: HostProgram | None) -> None:
        """Let the derivative's cost count, too: the two go to XLA together."""
        if self.host is None or backward is None or config.tier == "host":
            return
        if not config.deterministic_algorithms:
            self.limit = calls_before_compiling(self.host, backward)


COMPILED = Plan(None, 0)
counters = config.counters


class Program:
    """A kernel with its static arguments bound; `run(*arrays)` executes it on the CPU."""

    __slots__ = ("_compiled", "call", "derivatives", "form", "plans", "trace")

    def __init__(self, kernel: Callable[..., Any], static: dict[str, Any]):
        self.call = partial(kernel, **static) if static else kernel
        self._compiled: Callable[..., Any] | None = None
        self.trace: Trace | None = None  # of the kernel for some shapes, where it is known already
        self.form: Callable[[Sequence[Any]], FormProgram | None] | None = None
        self.derivatives: dict[Any, Any] = {}
        self.plans: dict[tuple[Any, ...], Plan] = {}

    @property
    def compiled(self) -> Callable[..., Any]:
        """The kernel compiled by XLA."""
        if self._compiled is None:
            use_compilation_cache()
            self._compiled = jax.jit(self.call)
        return self._compiled

    def run(self, *arrays: Any) -> Any:
        """Execute the kernel (Note [Two tiers])."""
        if modes.levels:
            from .levels import run_lifted

            return run_lifted(self, arrays)
        host = self.host(arrays)
        return self.compiled(*arrays) if host is None else host(*arrays)

    def host(self, arrays: Sequence[Any]) -> Callable[..., Any] | None:
        """The kernel as NumPy calls for these arrays; None when XLA is to run it."""
        plan = self.plan(arrays)
        if plan.limit:
            plan.count()
        if plan.host is None:
            counters.compiled += 1
            return None
        counters.host += 1
        return plan.host.run

    def run_as(self, host: bool, arrays: Sequence[Any]) -> Any:
        """Execute the kernel in NumPy, where it can be, or by XLA."""
        if modes.levels:
            return self.run(*arrays)
        program = self.plan(arrays).host if host else None
        if program is None:
            counters.compiled += 1
            return self.compiled(*arrays)
        counters.host += 1
        return program.run(*arrays)

    def plan(self, arrays: Sequence[Any]) -> Plan:
        """How the kernel runs for these arrays."""
        key: list[Any] = []
        for a in arrays:
            kind = type(a)
            if kind is np.ndarray:
                key += (a.shape, a.dtype)
            elif hasattr(a, "shape"):
                if isinstance(a, jax.core.Tracer):
                    return COMPILED
                key += (a.shape, a.dtype)
            elif kind is list or kind is dict:  # a nest of arrays, as the optimisers pass
                return COMPILED
            else:
                key.append(kind)
        found = tuple(key)
        plan = self.plans.get(found)
        if plan is None:
            plan = self.plans[found] = self._plan(arrays)
        return plan

    def _plan(self, arrays: Sequence[Any]) -> Plan:
        if config.tier == "xla":
            return Plan(None, 0)
        if len(self.plans) >= config.program_cache_size:
            self.plans.clear()
        avals = [
            jax.ShapeDtypeStruct(a.shape, a.dtype) if hasattr(a, "shape") else a for a in arrays
        ]
        form = self.form(arrays) if self.form is not None else None
        try:
            if form is not None:
                host: Any = form
            elif self.trace is not None and _alike(self.trace.given, avals):
                host = HostProgram(self.trace)
            else:
                host = HostProgram.of(self.call, avals)
        except Unsupported:
            return Plan(None, 0)
        if config.tier == "host":
            return Plan(host, 0)
        return Plan(host, calls_before_compiling(host)) if host else Plan(None, 0)

    def abstract(self, *arrays: Any) -> Any:
        """The shapes and types of the results, without computing them (the meta device)."""
        return jax.eval_shape(self.call, *arrays)


def _alike(traced: Sequence[Any], given: Sequence[Any]) -> bool:
    """Whether arguments have the shapes and types of those that were traced."""
    if len(traced) != len(given):
        return False
    for a, b in zip(traced, given, strict=True):
        if not hasattr(a, "shape") or not hasattr(b, "shape"):
            if type(a) is not type(b):
                return False
        elif tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
            return False
    return True


def calls_before_compiling(*programs: HostProgram) -> int:
    """How often programs that run together do so in NumPy before XLA takes over.

    Returns:
        0 for ever, 1 where a run takes long.
    """
    seconds = compiled = 0.0
    for program in programs:
        seconds += STEP_SECONDS * program.calls + ELEMENT_SECONDS * program.cost
        compiled += CALL_SECONDS + ELEMENT_SECONDS / 4 * program.cost
    if seconds <= compiled:
        return 0
    if seconds > TOO_LONG_SECONDS:
        return 1
    return max(1, int(COMPILE_SECONDS * len(programs) / (seconds - compiled)))


def _in_form(form: Form, bound: dict[str, Any], arrays: Sequence[Any]) -> FormProgram | None:
    """The NumPy form of a kernel for these arrays, where it has one."""
    if not form.accepts(arrays):
        return None
    return FormProgram(partial(form.forward, **bound), *form.cost(arrays))


class ProgramCache(dict):
    """Programs by static arguments; emptied when it outgrows `config.program_cache_size`."""

    def __init__(
        self, kernel: Callable[..., Any], names: tuple[str, ...], form: Form | None = None
    ):
        super().__init__()
        self.kernel = kernel
        self.names = names
        self.form = form

    def __missing__(self, static: tuple[Any, ...]) -> Program:
        if len(self) >= config.program_cache_size:
            self.clear()
        bound = dict(zip(self.names, static, strict=True))
        program = Program(self.kernel, bound)
        if self.form is not None:
            program.form = partial(_in_form, self.form, bound)
        self[static] = program
        return program


class Op:
    """An operation: a kernel, how it is named on the tape, and how it is differentiated.

    Args:
        kernel: pure function of arrays; keyword-only parameters are static.
        name: PyTorch's name of the tape's node without `Backward0`; from the kernel's by default.
        vjp: `vjp(cts, inputs, outputs, needs, **static)` gives a gradient for every input; the
            default is JAX's derivative of the kernel.
        forward: `forward(*arrays, **static) -> (outputs, residuals)`, run in place of the kernel
            when a gradient is needed; `vjp` then gets `outputs + residuals` as its `outputs`.
        differentiable: False for comparisons and the like.
        pointwise: the result takes the memory order of the operands, as elementwise functions do.
        static: the kernel may have static parameters.
        zeros: a gradient that did not arrive may be taken for zeros (no output has an infinite
            slope), which saves making a derivative for each set of gradients.
        form: the op in NumPy, for ops that come at ever new shapes.
    """

    __slots__ = (
        "calls",
        "differentiable",
        "form",
        "forward",
        "kernel",
        "label",
        "pointwise",
        "programs",
        "vjp",
        "zeros",
    )

    def __init__(
        self,
        kernel: Callable[..., Any],
        *,
        name: str | None = None,
        vjp: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        differentiable: bool = True,
        pointwise: bool = False,
        static: bool = True,
        zeros: bool = False,
        form: Form | None = None,
    ):
        parameters = inspect.signature(kernel).parameters.values() if static else ()
        names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        self.kernel = kernel
        self.label = (name or _camel_case(kernel.__name__)) + "Backward0"
        self.vjp = vjp
        self.forward = forward
        self.differentiable = differentiable
        self.pointwise = pointwise
        self.zeros = zeros
        self.form = form
        self.programs = ProgramCache(kernel, tuple(names), form)
        self.calls: dict[tuple[Any, ...], Any] = {}  # Note [Known calls]


def _camel_case(name: str) -> str:
    return re.sub(r"(?:^|_)([a-z0-9])", lambda m: m.group(1).upper(), name.strip("_"))
