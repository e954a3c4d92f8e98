"""Forward-mode differentiation: tensors with a tangent (Note [Levels]).

With every op on dual tensors its derivative runs, an op like any other: JAX's derivative of the
kernel, or where the op has a formula of its own for the backward pass, the transpose of that
formula, so that both modes agree at kinks.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax

from .derivative import automatic
from .execute import Op, Program
from .levels import Level, contents, settle, snapshot, without_residuals
from .state import modes
from .tape import edge_of
from .tensor import Tensor

Wanted = tuple[bool, ...]

# The formulas of these ops are not linear in the gradient as JAX sees it, or are not the derivative
# where indices repeat or are padding; here JAX's derivative of the kernel is right.
PUSHED = ("Embedding", "LogcumsumexpBackward", "MaxUnpool")


class DualLevel(Level):
    """A level of dual numbers: under each tensor are its value and its tangent, or None."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: weakref.WeakSet[Any] = weakref.WeakSet()

    def dual(self, primal: Tensor, tangent: Tensor | None) -> Tensor:
        """A tensor of this level; on the tape it has the place of its value."""
        result = self.make(primal, tangent=tangent)
        edge = edge_of(primal)
        if edge is not None:
            result._node, result._index = edge
        return result

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The value and the tangent of a tensor."""
        found = self.lifted(x)
        return (x, None) if found is None else (found.tensor, found.tangent)

    def apply(self, op: Op, inputs: Sequence[Any], static: tuple[Any, ...], label: Any) -> Any:
        from .op import apply

        pairs = [self.parts(x) if isinstance(x, Tensor) else (x, None) for x in inputs]
        primals = [primal for primal, _ in pairs]
        tangents = [tangent for _, tangent in pairs if tangent is not None]
        with self.below():
            out = apply(op, primals, static, label)
            if not tangents or not op.differentiable:
                return out
            several = isinstance(out, tuple)
            results = out if several else (out,)
            wanted = tuple([tangent is not None for _, tangent in pairs])
            found = iter(self.tangents(op, static, primals, results, wanted, tangents))
            pairs = [(t, next(found) if _is_inexact(t) else None) for t in results]
        duals = tuple([t if d is None else self.make(t, tangent=d) for t, d in pairs])
        self._record(op, inputs, static, label, duals)
        return duals if several else duals[0]

    def _record(
        self,
        op: Op,
        inputs: Sequence[Any],
        static: tuple[Any, ...],
        label: Any,
        results: tuple[Tensor, ...],
    ) -> None:
        """Record the op on dual numbers, so that gradients taken inside have tangents, too."""
        from .op import record

        if not (modes.grad and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)):
            return
        op = without_residuals(op)
        arrays = [contents(x) if isinstance(x, Tensor) else x for x in inputs]
        program = op.programs[static]
        record(op, program, static, inputs, arrays, results, (), label or op.label)
        self.nodes.update(t._node for t in results if t._node is not None)

    def tangents(
        self,
        op: Op,
        static: tuple[Any, ...],
        primals: Sequence[Any],
        results: Sequence[Tensor],
        wanted: Wanted,
        tangents: Sequence[Tensor],
    ) -> Sequence[Tensor]:
        """The tangents of the results that can have one, made at the level below."""
        from .op import apply

        if not any(map(_is_inexact, results)):
            return ()
        linear = linear_op(op, static, wanted, len(results))
        return apply(linear, [*primals, *results, *tangents])

    def checked_dual(self, x: Tensor, tangent: Tensor) -> Tensor:
        """A tensor of this level with the value of `x`, recorded as a view of it."""
        from .views import view

        if x._dims() != tangent._dims():
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the "
                f"original Tensor, this is not supported. Tensor is of size {list(x._dims())} "
                f"while the given forward gradient is of size {list(tangent._dims())}."
            )
        with self.below():
            primal = view(x, "ViewBackward0", ())
        return self.dual(primal, tangent)

    def close(self) -> None:
        """Take the tangents away from all tensors of this level."""
        settle(self)
        for node in list(self.nodes):
            node.values = [self._primal(v) for v in node.values]

    def _primal(self, value: Any) -> Any:
        return value.tensor._array() if self.lifted(value) else value


class LinearLevel(DualLevel):
    """A level that notes the derivative of each op; `replay` computes it for given tangents.

    Tangents are numbers here: places in the table that `replay` fills.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Op, list[Any], list[int], list[int]]] = []
        self.variables = 0

    def variable(self, x: Tensor) -> Tensor:
        """A tensor with the next free place for its tangent."""
        self.variables += 1
        return self.dual(snapshot(x), self.variables - 1)  # type: ignore[arg-type]

    def tangents(
        self,
        op: Op,
        static: tuple[Any, ...],
        primals: Sequence[Any],
        results: Sequence[Tensor],
        wanted: Wanted,
        tangents: Sequence[Any],
    ) -> Sequence[Any]:
        count = sum(map(_is_inexact, results))
        if not count:
            return ()
        made = list(range(self.variables, self.variables + count))
        self.variables += count
        linear = linear_op(op, static, wanted, len(results))
        values = [snapshot(x) if isinstance(x, Tensor) else x for x in (*primals, *results)]
        self.steps.append((linear, values, list(tangents), made))
        return made

    def replay(self, table: dict[int, Any], wanted: Sequence[int | None]) -> list[Any]:
        """The tangents in the places `wanted` from those of the variables."""
        from .op import apply

        for linear, values, places, made in self.steps:
            found = apply(linear, [*values, *(table[i] for i in places)])
            table.update(zip(made, found, strict=True))
        return [None if place is None else table[place] for place in wanted]


def _is_inexact(x: Tensor) -> bool:
    return x._dtype_numpy().kind in "fcV"


# The derivative of an op in forward mode


def linear_op(op: Op, static: tuple[Any, ...], wanted: Wanted, outputs: int) -> Op:
    """(inputs, outputs, tangents of the wanted inputs) -> tangents of the outputs.

    Args:
        wanted: which inputs have a tangent.
        outputs: how many outputs the op has.
    """
    program = op.programs[static]
    key = ("linear", wanted, outputs, op.vjp is not None)
    found = program.derivatives.get(key)
    if found is None:
        kernel = _kernel(op, static, program, wanted, outputs)
        name = op.label.removesuffix("Backward0")
        found = program.derivatives[key] = Op(kernel, name=name)
    return found


def _kernel(
    op: Op, static: tuple[Any, ...], program: Program, wanted: Wanted, outputs: int
) -> Callable[..., Any]:
    places = [i for i, chosen in enumerate(wanted) if chosen]
    bound = dict(zip(op.programs.names, static, strict=True))

    def linear(*arrays: Any) -> Any:
        inputs = arrays[: len(wanted)]
        results = arrays[len(wanted) : len(wanted) + outputs]
        tangents = [
            lax.convert_element_type(t, inputs[i].dtype)
            for i, t in zip(places, arrays[len(wanted) + outputs :], strict=True)
        ]
        if op.vjp is None or op.label.startswith(PUSHED):
            return _pushed(program.call, inputs, places, tangents)
        if op.forward is not None:
            made, kept = op.forward(*inputs, **bound)
            results = (*made, *kept)
        formula = partial(op.vjp, **bound)
        return _transposed(formula, inputs, results, outputs, places, tangents)

    return linear


def _pushed(call: Callable[..., Any], inputs: Any, places: list[int], tangents: list[Any]) -> Any:
    """JAX's derivative of a kernel."""

    def of_chosen(*chosen: Any) -> Any:
        full = list(inputs)
        for i, x in zip(places, chosen, strict=True):
            full[i] = x
        return call(*full)

    chosen = [inputs[i] for i in places]
    if _has_backward_rule(jax.make_jaxpr(of_chosen)(*chosen).jaxpr):
        found = call(*inputs)
        results = found if isinstance(found, (tuple, list)) else (found,)
        formula = automatic(call)
        return _transposed(formula, inputs, results, len(results), places, tangents)
    _, found = jax.jvp(of_chosen, chosen, tangents)
    found = found if isinstance(found, (tuple, list)) else (found,)
    return tuple([t for t in found if t.dtype != jax.dtypes.float0])


def _has_backward_rule(jaxpr: Any) -> bool:
    """Whether something in a kernel has a rule for reverse mode alone."""
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("custom_vjp_call"):
            return True
        inner = [p for value in equation.params.values() for p in _as_list(value)]
        inner = [getattr(p, "jaxpr", p) for p in inner]
        if any(_has_backward_rule(p) for p in inner if hasattr(p, "eqns")):
            return True
    return False


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (tuple, list)) else (value,)


def _transposed(
    formula: Callable[..., Any],
    inputs: Any,
    results: Any,
    outputs: int,
    places: list[int],
    tangents: list[Any],
) -> Any:
    """The transpose of an op's formula for the backward pass.

    The formula multiplies by the conjugate of the derivative, the tangents by the derivative
    itself, hence the conjugations.
    """
    needs = tuple([i in places for i in range(len(inputs))])
    inexact = [i for i in range(outputs) if jax.numpy.issubdtype(results[i].dtype, np.inexact)]

    def backward(*gradients: Any) -> Any:
        given: list[Any] = [None] * outputs
        for i, gradient in zip(inexact, gradients, strict=True):
            given[i] = gradient
        found = formula(tuple(given), tuple(inputs), tuple(results), needs)
        return {i: found[i] for i in places if found[i] is not None}

    zeros = [lax.full_like(results[i], 0) for i in inexact]
    found, transpose = jax.vjp(backward, *zeros)
    given = {
        i: _conjugate(lax.convert_element_type(t, found[i].dtype))
        for i, t in zip(places, tangents, strict=True)
        if i in found
    }
    return tuple(map(_conjugate, transpose(given)))


def _conjugate(x: Any) -> Any:
    return lax.conj(x) if x.dtype.kind == "c" else x


__all__ = ["DualLevel", "LinearLevel", "linear_op"]
