"""The derivative of a program: what it reads, and the kernel that computes it.

It is made once for a program and kept. Its kernel is the op's own formula (`vjp`), or `jax.vjp` of
the op's kernel, which recomputes what it needs from the inputs inside one compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.interpreters import partial_eval

from ..host.form import Form, FormProgram
from ..host.trace import Trace, traced
from .execute import Op, Program

# Note [What a node saves]
# Tracing the derivative and removing dead code tells which inputs and outputs it reads. Only those
# are saved; of the others shape and type are enough. This is also what decides whether a write in
# place makes the backward pass raise, so it is checked against PyTorch's saved tensors by a test.


MOST_DERIVATIVES = 512


def derivative_of(
    op: Op,
    program: Program,
    static: tuple[Any, ...],
    needs: tuple[Any, ...],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    visible: int,
) -> Derivative:
    """The derivative of a program for inputs of these shapes and types, made once.

    Args:
        needs: for every input, whether a gradient is wanted (see `core.op.record`).
        inputs, outputs: arrays, or what has their shape and type; residuals follow the outputs.
        visible: how many of the outputs can have a gradient.
    """
    facts = tuple([(x.shape, x.dtype) for x in inputs if hasattr(x, "shape")])
    found = program.derivatives.get((needs, facts))
    if found is None:
        if len(program.derivatives) >= MOST_DERIVATIVES:
            program.derivatives.clear()
        found = Derivative(op, program, static, needs, inputs, outputs, visible)
        program.derivatives[(needs, facts)] = found
    return found


class Derivative:
    """The derivative of one program for inputs of given shapes with respect to some of them.

    Attributes:
        saved_inputs, saved_outputs: positions of what it reads.
        wanted: whether any input needs a gradient.
        zeros: see `Op`.
    """

    __slots__ = (
        "absent",
        "absent_outputs",
        "fallback",
        "form",
        "formula",
        "label",
        "needs",
        "ops",
        "saved_inputs",
        "saved_outputs",
        "trace",
        "wanted",
        "zeros",
    )

    def __init__(
        self,
        op: Op,
        program: Program,
        static: tuple[Any, ...],
        needs: tuple[Any, ...],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        visible: int,
    ):
        names = op.programs.names
        self.needs = needs
        self.wanted = any(needs)
        self.label = op.label
        self.zeros = op.zeros
        self.fallback: Callable[..., Any] | None = None
        by_jax = automatic(program.call)
        if op.vjp is None:
            self.formula = by_jax
        else:
            own, bound = op.vjp, dict(zip(names, static, strict=True))

            def formula(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
                return own(cts, inputs, outputs, needs, **bound)

            self.formula = formula
            if op.forward is not None:
                self.fallback = by_jax
        self.form: Callable[..., Any] | None = None
        if op.form is not None and op.form.accepts(inputs):
            bound = dict(zip(names, static, strict=True))
            self.form = partial(self._in_form, op.form, bound, op.form.cost(inputs))
        known = program.derivatives.get(("reads", needs)) if self.form is not None else None
        trace = None
        if known is not None:  # what a form reads does not depend on shapes
            used_inputs, used_outputs = known
        else:
            trace = self._traced(self.formula, inputs, outputs, visible)
            used_inputs, used_outputs = _reads(trace, inputs, outputs)
            if self.form is not None:
                program.derivatives["reads", needs] = used_inputs, used_outputs
        if self.fallback is not None:
            made = outputs[:visible]
            other = self._traced(self.fallback, inputs, made, visible)
            used_inputs |= _reads(other, inputs, made)[0]
        self.saved_inputs = tuple(
            i
            for i, x in enumerate(inputs)
            if x is not None and (i in used_inputs or not hasattr(x, "shape"))
        )
        self.absent = [
            (i, tuple(x.shape), x.dtype)
            for i, x in enumerate(inputs)
            if x is not None and i not in self.saved_inputs
        ]
        self.saved_outputs = tuple(sorted(used_outputs))
        self.absent_outputs = {
            i: (tuple(x.shape), x.dtype) for i, x in enumerate(outputs) if i not in used_outputs
        }
        self.ops: dict[Any, Op] = {}
        self.trace = None
        if trace is not None:
            kept = [i in self.saved_inputs for i, x in enumerate(inputs) if x is not None]
            kept += [j in used_outputs for j in range(len(outputs))] + [True] * visible
            self.trace = _restricted(trace, kept)

    def _in_form(
        self, form: Form, bound: dict[str, Any], cost: tuple[int, int], arrays: Sequence[Any]
    ) -> FormProgram:
        """The derivative's NumPy form, over what `op` takes with all gradients."""
        n_in, n_out = len(self.saved_inputs), len(self.saved_outputs)
        needs = self.needs

        def backward(*args: Any) -> tuple[Any, ...]:
            inputs: list[Any] = [None] * len(needs)
            for i, x in zip(self.saved_inputs, args, strict=False):
                inputs[i] = x
            outputs = dict(zip(self.saved_outputs, args[n_in : n_in + n_out], strict=True))
            cts = args[n_in + n_out :]
            return _wanted(form.backward(cts, inputs, outputs, needs, **bound), needs)

        return FormProgram(backward, *cost)

    def _traced(
        self,
        formula: Callable[..., Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        visible: int,
    ) -> Trace:
        """The formula over (inputs, outputs, gradients of the visible ones)."""
        ins = [i for i, x in enumerate(inputs) if x is not None]
        outs = list(range(len(outputs)))

        def flat(*args: Any) -> Any:
            given: list[Any] = [None] * len(inputs)
            for i, a in zip(ins, args, strict=False):
                given[i] = a
            made = args[len(ins) : len(ins) + len(outs)]
            cts = args[len(ins) + len(outs) :]
            return _wanted(formula(tuple(cts), tuple(given), tuple(made), self.needs), self.needs)

        shapes = [_abstract(inputs[i]) for i in ins] + [_abstract(x) for x in outputs]
        shapes += [_abstract(x) for x in outputs[:visible]]
        return traced(flat, shapes)

    def op(self, cts: tuple[bool, ...], recompute: bool = False) -> Op:
        """The derivative as an operation over (saved inputs, saved outputs, gradients).

        Args:
            cts: which outputs have a gradient.
            recompute: use JAX's derivative of the kernel (for derivatives of higher order).
        """
        op = self.ops.get((cts, recompute))
        if op is None:
            op = Op(self._kernel(cts, recompute), name=self.label, static=False)
            if all(cts) and not recompute:
                op.programs[()].trace = self.trace
                op.programs[()].form = self.form
            self.ops[(cts, recompute)] = op
        return op

    def _kernel(self, cts: tuple[bool, ...], recompute: bool) -> Any:
        saved_inputs = self.saved_inputs
        saved_outputs = () if recompute else self.saved_outputs
        formula = self.fallback if recompute and self.fallback is not None else self.formula
        needs = self.needs
        absent, absent_outputs = self.absent, {} if recompute else self.absent_outputs
        n_in, n_out = len(saved_inputs), len(saved_outputs)

        def backward(*args: Any) -> Any:
            saved = dict(zip(saved_outputs, args[n_in : n_in + n_out], strict=True))
            outputs = SavedOutputs(saved, absent_outputs)
            arrived = iter(args[n_in + n_out :])
            gradients = tuple(next(arrived) if present else None for present in cts)

            inputs: list[Any] = [None] * len(needs)
            for i, x in zip(saved_inputs, args, strict=False):
                inputs[i] = x
            for i, shape, dtype in absent:  # read for shape and type alone
                inputs[i] = lax.full(shape, 0, dtype)
            return _wanted(formula(gradients, tuple(inputs), outputs, needs), needs)

        return backward


def _reads(
    trace: Trace, inputs: Sequence[Any], outputs: Sequence[Any]
) -> tuple[set[int], set[int]]:
    """Positions of the inputs and outputs that a formula's result depends on."""
    ins = [i for i, x in enumerate(inputs) if x is not None]
    _, used = partial_eval.dce_jaxpr(trace.jaxpr, [True] * len(trace.jaxpr.outvars))
    made = {j for j in range(len(outputs)) if used[len(ins) + j]}
    return {i for at, i in enumerate(ins) if used[at]}, made


def _restricted(trace: Trace, kept: Sequence[bool]) -> Trace:
    """The trace without what its result does not need, as a function of the arguments `kept`."""
    jaxpr, _ = partial_eval.dce_jaxpr(
        trace.jaxpr, [True] * len(trace.jaxpr.outvars), instantiate=list(kept)
    )
    given = [g for g, keep in zip(trace.given, kept, strict=True) if keep]
    return trace._replace(jaxpr=jaxpr, given=given)


class SavedOutputs:
    """The saved outputs by position; of the others only shape and type are right."""

    def __init__(self, saved: dict[int, Any], absent: dict[int, tuple[Any, ...]]):
        self.saved = saved
        self.absent = absent

    def __getitem__(self, index: Any) -> Any:
        if index in self.saved:
            return self.saved[index]
        shape, dtype = self.absent[index]
        return lax.full(shape, 0, dtype)

    def __iter__(self) -> Any:
        return (self.saved.get(i) for i in range(max(self.saved, default=-1) + 1))


def _wanted(gradients: Sequence[Any], needs: Sequence[bool | None]) -> tuple[Any, ...]:
    return tuple(g for g, needed in zip(gradients, needs, strict=True) if needed)


def _abstract(x: Any) -> Any:
    return x if not hasattr(x, "shape") else jax.ShapeDtypeStruct(x.shape, x.dtype)


def automatic(call: Callable[..., Any]) -> Callable[..., Any]:
    """JAX's derivative of a kernel, in PyTorch's convention for complex numbers.

    JAX multiplies by the derivative, PyTorch by its conjugate, hence the conjugations.
    """

    def formula(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
        wanted = [i for i, needed in enumerate(needs) if needed]

        def partial_call(*chosen: Any) -> Any:
            full = list(inputs)
            for i, x in zip(wanted, chosen, strict=True):
                full[i] = x
            return call(*full)

        out, pull = jax.vjp(partial_call, *(inputs[i] for i in wanted))
        several = isinstance(out, (tuple, list))
        parts = list(out) if several else [out]
        given = [_cotangent(o, c) for o, c in zip(parts, cts, strict=False)]
        grads = pull(type(out)(given) if several else given[0])
        result: list[Any] = [None] * len(needs)
        for i, g in zip(wanted, grads, strict=True):
            result[i] = lax.conj(g) if _is_complex(g) else g
        return tuple(result)

    return formula


def _cotangent(output: Any, gradient: Any) -> Any:
    if not jax.numpy.issubdtype(output.dtype, np.inexact):
        return np.zeros(output.shape, jax.dtypes.float0)
    if gradient is None:
        return lax.full_like(output, 0)
    return lax.conj(gradient) if _is_complex(gradient) else gradient


def _is_complex(x: Any) -> bool:
    return x.dtype.kind == "c"
