"""From a kernel to a list of NumPy calls.

The kernel is traced once for the shapes at hand; each equation of the trace becomes one function
of NumPy arrays (`elementwise.py`, `structural.py`, `control.py`). What NumPy cannot do, or would
do in another precision than XLA, raises `Unsupported`, and the caller leaves the kernel to XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from . import control, convolution, elementwise, selection, structural
from .quiet import hush, unhush
from .source import Expressed, Source, Step, execute, written
from .trace import Trace, traced

PRODUCTS_PER_ELEMENT = 100
RUNS_BEFORE_SOURCE = 6
RULES: dict[str, Any] = {
    **elementwise.RULES,
    **structural.RULES,
    **selection.RULES,
    **convolution.RULES,
}
# What some primitives cost in NumPy: how many elements of an addition one element is worth, and how
# many calls there are behind one.
WEIGHTS = {
    "gather": 3,
    "scatter": 5,
    "scatter-add": 10,
    "scatter_add": 10,
    "sort": 40,
    "pow": 15,
    "sin": 8,
    "cos": 8,
    "erf": 10,
    "select_n": 2,
}
CALLS = {
    "gather": 10,
    "scatter": 15,
    "scatter-add": 15,
    "scatter_add": 15,
    "conv_general_dilated": 20,
    "pad": 2,
}
INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}


class Unsupported(Exception):
    """NumPy has no form of something in the kernel."""


class HostProgram:
    """A kernel for arrays of given shapes and types, as NumPy calls; `run(*arrays)` makes them.

    Attributes:
        cost: elements computed, summed over the calls; a multiplication of a matrix product or
            convolution counts a hundredth.
        calls: NumPy calls, those of a loop's body counted each time.
    """

    def __init__(self, trace: Trace):
        self.several, self.tree = trace.several, trace.tree
        lowering = _Lowering()
        env: dict[Any, Any] = {}
        variables = iter(trace.jaxpr.invars)
        self.inputs: list[tuple[int | None, Any]] = []
        for argument in trace.given:
            if argument is None:
                self.inputs.append((None, None))
                continue
            var = next(variables)
            slot = lowering.new_slot()
            env[var] = _Value(slot, var.aval.shape, None)
            kind = None if hasattr(argument, "shape") else var.aval.dtype
            self.inputs.append((slot, kind))
        outputs = lowering.lower(trace.jaxpr, trace.consts, env)
        self.outputs = [lowering.materialised(v).slot for v in outputs]
        self.scalars = [v.shape == () for v in outputs]
        self.steps = lowering.steps
        self.template = lowering.template
        self.cost = lowering.cost
        self.calls = lowering.calls
        self.runs = 0
        self.run: Callable[..., Any] = self._one_by_one

    @classmethod
    def of(cls, call: Callable[..., Any], given: Sequence[Any]) -> HostProgram:
        """The program of a kernel for arguments of given shapes and types.

        Args:
            call: the kernel, its static arguments bound.
            given: shape and type of each argument (`jax.ShapeDtypeStruct`), None, or a number.
        """
        return cls(traced(call, given))

    def __call__(self, *arrays: Any) -> Any:
        return self.run(*arrays)

    def _one_by_one(self, *arrays: Any) -> Any:
        """Make the calls from the list; later runs have them as one function."""
        self.runs += 1
        if self.runs > RUNS_BEFORE_SOURCE:
            return self.fast()(*arrays)
        env = self.template.copy()
        for (slot, kind), array in zip(self.inputs, arrays, strict=True):
            if slot is not None:
                env[slot] = array if type(array) is np.ndarray else np.asarray(array, kind)
        token = hush()
        try:
            execute(self.steps, env)
        finally:
            unhush(token)
        found = [env[slot] for slot in self.outputs]
        found = [v if type(v) is np.ndarray else np.asarray(v) for v in found]
        if self.tree is not None:
            return jax.tree.unflatten(self.tree, found)
        return tuple(found) if self.several else found[0]

    @property
    def warm(self) -> bool:
        """Whether it was run so often that source pays."""
        return self.runs > RUNS_BEFORE_SOURCE

    def fast(self) -> Callable[..., Any]:
        """The calls as one Python function, which `run` is from now on."""
        if self.run == self._one_by_one:
            self.run = written(self.steps, self.template, self.inputs, self._result, self.outputs)
        return self.run

    def spread(self, needed: Sequence[Any]) -> Callable[..., Any]:
        """Like `fast`, with a result for every position of `needed`: None where it is false."""

        def result(source: Source) -> str:
            names: Any = self._results(source)
            found = iter(names if self.tree is None else self.tree.unflatten(names))
            given = [str(next(found)) if n else "None" for n in needed]
            return "(" + "".join([name + ", " for name in given]) + ")"

        return written(self.steps, self.template, self.inputs, result, self.outputs)

    def _results(self, source: Source) -> list[str]:
        names = [source.read(slot) for slot in self.outputs]
        return [
            f"asarray({name})" if scalar else name
            for name, scalar in zip(names, self.scalars, strict=True)
        ]

    def _result(self, source: Source) -> str:
        names = self._results(source)
        if self.tree is not None:
            unflatten = source.constant(self.tree.unflatten)
            return f"{unflatten}([{', '.join(names)}])"
        return "(" + "".join([name + ", " for name in names]) + ")" if self.several else names[0]


class _Body(control.Body):
    """The body of a loop or a branch."""

    def __init__(self, closed: Any):
        lowering = _Lowering()
        slots = [lowering.new_slot() for _ in closed.jaxpr.invars]
        env: dict[Any, Any] = {
            var: _Value(slot, var.aval.shape, None)
            for var, slot in zip(closed.jaxpr.invars, slots, strict=True)
        }
        outputs = lowering.lower(closed.jaxpr, closed.consts, env)
        places = [lowering.materialised(v).slot for v in outputs]
        steps, template = lowering.steps, lowering.template
        self.cost, self.calls = lowering.cost, lowering.calls

        def run(*arrays: Any) -> tuple[Any, ...]:
            values = template.copy()
            for slot, array in zip(slots, arrays, strict=True):
                values[slot] = array
            execute(steps, values)
            return tuple([values[place] for place in places])

        self.run = run


RULES.update(control.rules(_Body))


class _Value:
    """A slot that holds a value of `shape`; `lazy` is its true, smaller shape while a broadcast
    is left to the elementwise functions that read it."""

    __slots__ = ("lazy", "shape", "slot")

    def __init__(self, slot: int, shape: tuple[int, ...], lazy: tuple[int, ...] | None):
        self.slot = slot
        self.shape = shape
        self.lazy = lazy


def value_shape(value: _Value) -> tuple[int, ...]:
    """The shape of the array in a value's slot."""
    return tuple(value.shape if value.lazy is None else value.lazy)


class _Lowering:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.template: list[Any] = []
        self.cost = 0
        self.inner_calls = 0

    @property
    def calls(self) -> int:
        """How many NumPy calls are made when it runs."""
        return len(self.steps) + self.inner_calls

    def new_slot(self, value: Any = None) -> int:
        self.template.append(value)
        return len(self.template) - 1

    def lower(self, jaxpr: Any, consts: Sequence[Any], env: dict[Any, Any]) -> list[_Value]:
        for var, const in zip(jaxpr.constvars, consts, strict=True):
            array = np.asarray(const)
            env[var] = _Value(self.new_slot(array), array.shape, None)
        for equation in jaxpr.eqns:
            self._equation(equation, env)
        return [self._read(v, env) for v in jaxpr.outvars]

    def _read(self, atom: Any, env: dict[Any, Any]) -> _Value:
        if hasattr(atom, "val"):
            array = np.asarray(atom.val, atom.aval.dtype)
            return _Value(self.new_slot(array), array.shape, None)
        return env[atom]

    def materialised(self, value: _Value) -> _Value:
        """The value at its full shape."""
        if value.lazy is None:
            return value
        slot = self.new_slot()
        function = structural.enlarged(value.shape)
        self.steps.append(Step("broadcast", function, (value.slot,), slot))
        value.slot, value.lazy = slot, None
        return value

    def _equation(self, equation: Any, env: dict[Any, Any]) -> None:
        name = equation.primitive.name
        params = equation.params
        ins = [self._read(v, env) for v in equation.invars]
        if name in INLINED:
            inner = params[INLINED[name]]
            jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
            scope = dict(zip(jaxpr.invars, ins, strict=True))
            results = self.lower(jaxpr, consts, scope)
            for var, value in zip(equation.outvars, results, strict=True):
                env[var] = value
            return
        if name == "optimization_barrier":
            for var, value in zip(equation.outvars, ins, strict=True):
                env[var] = value
            return
        in_avals = [v.aval for v in equation.invars]
        out_avals = [v.aval for v in equation.outvars]
        for aval in (*in_avals, *out_avals):
            if (aval.dtype.itemsize == 2 and aval.dtype.kind in "fV") or aval.dtype.kind == "V":
                raise Unsupported("16-bit floats: NumPy accumulates in the narrow type")
        rule = RULES.get(name)
        if rule is None:
            raise Unsupported(name)
        try:
            function = rule(params, in_avals, out_avals)
        except NotImplementedError as error:
            raise Unsupported(f"{name}: {error}") from None
        self._count(name, equation)
        if isinstance(function, control.Controlled):
            self.cost += function.cost
            self.inner_calls += function.calls
        if name == "broadcast_in_dim" and len(ins) == 1:
            env[equation.outvars[0]] = self._broadcast(params, ins[0])
            return
        if function is elementwise.identity:
            env[equation.outvars[0]] = ins[0]
            return
        if name in elementwise.ELEMENTWISE:
            made = self._elementwise(name, function, ins, out_avals[0].shape)
            env[equation.outvars[0]] = made
            return
        if name == "iota":
            env[equation.outvars[0]] = _Value(self.new_slot(function()), out_avals[0].shape, None)
            return
        slots = tuple(self.materialised(v).slot for v in ins)
        several = equation.primitive.multiple_results
        made = [_Value(self.new_slot(), a.shape, None) for a in out_avals]
        out: Any = [m.slot for m in made] if several else made[0].slot
        self.steps.append(Step(name, function, slots, out))
        for var, value in zip(equation.outvars, made, strict=True):
            env[var] = value

    def _broadcast(self, params: Any, value: _Value) -> _Value:
        """Leave a broadcast to its readers: only line the axes up."""
        shape, axes = tuple(params["shape"]), params["broadcast_dimensions"]
        small = value.lazy if value.lazy is not None else value.shape
        small = (1,) * (len(value.shape) - len(small)) + tuple(small)
        aligned = [1] * len(shape)
        for axis, size in zip(axes, small, strict=True):
            aligned[axis] = size
        while aligned and aligned[0] == 1:
            del aligned[0]
        target = tuple(aligned)
        slot = value.slot
        if target != value_shape(value):
            slot = self.new_slot()
            function = Expressed("{0}.reshape({shape})", shape=target)
            self.steps.append(Step("reshape", function, (value.slot,), slot))
        full = (1,) * (len(shape) - len(target)) + target == shape and len(target) == len(shape)
        return _Value(slot, shape, None if full else target)

    def _elementwise(
        self, name: str, function: Any, ins: list[_Value], shape: tuple[int, ...]
    ) -> _Value:
        shapes = [v.lazy if v.lazy is not None else v.shape for v in ins]
        result = np.broadcast_shapes(*shapes) if shapes else ()
        slot = self.new_slot()
        if result and name in elementwise.INFIX:
            function = elementwise.INFIX[name]
        self.steps.append(Step(name, function, tuple(v.slot for v in ins), slot))
        return _Value(slot, shape, None if result == tuple(shape) else result)

    def _count(self, name: str, equation: Any) -> None:
        self.inner_calls += CALLS.get(name, 1) - 1
        size = sum(int(np.prod(v.aval.shape, dtype=np.int64)) for v in equation.outvars)
        products = 0
        if name.startswith("scatter"):  # what is put somewhere counts, not where
            size = int(np.prod(equation.invars[2].aval.shape, dtype=np.int64))
        if name == "dot_general":
            (left, _), _ = equation.params["dimension_numbers"]
            inner = [equation.invars[0].aval.shape[i] for i in left]
            products = size * int(np.prod(inner, dtype=np.int64))
        elif name == "conv_general_dilated":
            weight = equation.invars[1].aval.shape
            outputs = weight[equation.params["dimension_numbers"].rhs_spec[0]]
            products = size * int(np.prod(weight, dtype=np.int64)) // max(outputs, 1)
        self.cost += size * WEIGHTS.get(name, 1) + products // PRODUCTS_PER_ELEMENT


__all__ = ["HostProgram", "Unsupported"]
