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

PRODUCTS_PER_ELEMENT = 100
RULES: dict[str, Any] = {
    **elementwise.RULES,
    **structural.RULES,
    **selection.RULES,
    **convolution.RULES,
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
    """A kernel for arrays of given shapes and types, as NumPy calls; call it with the arrays.

    Args:
        call: the kernel, its static arguments bound.
        avals: shape and type of each argument (`jax.ShapeDtypeStruct`), None, or a Python number.

    Attributes:
        cost: elements computed, summed over the calls; a multiplication of a matrix product or
            convolution counts a hundredth.
        calls: NumPy calls, those of a loop's body counted each time.
    """

    def __init__(self, call: Callable[..., Any], avals: Sequence[Any]):
        closed, shape = jax.make_jaxpr(call, return_shape=True)(*avals)
        tree = jax.tree.structure(shape)
        self.several = isinstance(shape, (tuple, list))
        flat = self.several and all(hasattr(s, "shape") for s in shape)
        self.tree = None if flat or not self.several else tree
        lowering = _Lowering()
        env: dict[Any, Any] = {}
        arguments = [a for a in avals if a is not None]
        self.inputs = []
        for var, given in zip(closed.jaxpr.invars, arguments, strict=True):
            slot = lowering.new_slot()
            env[var] = _Value(slot, var.aval.shape, None)
            kind = None if hasattr(given, "shape") else var.aval.dtype
            self.inputs.append((slot, kind))
        outputs = lowering.lower(closed.jaxpr, closed.consts, env)
        self.outputs = [lowering.materialised(v).slot for v in outputs]
        self.steps = lowering.steps
        self.template = lowering.template
        self.cost = lowering.cost
        self.calls = lowering.calls
        self.optional = any(a is None for a in avals)

        self.run = self._specialised()

    def _specialised(self) -> Callable[..., Any]:
        """The fastest way to call the steps: one elementwise call needs no bookkeeping."""
        kinds = [kind for _, kind in self.inputs]
        if len(self.steps) == 1 and not self.several and not self.optional and not any(kinds):
            function, ins, out = self.steps[0]
            slots = [slot for slot, _ in self.inputs]
            if [out] == self.outputs and list(ins) == slots and len(ins) in (1, 2):
                return _one_operand(function) if len(ins) == 1 else _two_operands(function)
        return self._run

    def __call__(self, *arrays: Any) -> Any:
        return self.run(*arrays)

    @np.errstate(all="ignore")
    def _run(self, *arrays: Any) -> Any:
        env = self.template.copy()
        given = [a for a in arrays if a is not None] if self.optional else arrays
        for (slot, kind), array in zip(self.inputs, given, strict=True):
            env[slot] = array if type(array) is np.ndarray else np.asarray(array, kind)
        _execute(self.steps, env)
        found = [env[slot] for slot in self.outputs]
        found = [v if type(v) is np.ndarray else np.asarray(v) for v in found]
        if self.tree is not None:
            return jax.tree.unflatten(self.tree, found)
        return tuple(found) if self.several else found[0]


def _execute(steps: list[tuple[Any, tuple[int, ...], Any]], env: list[Any]) -> None:
    """Make the calls: each reads values of `env` and writes its own."""
    for function, ins, out in steps:
        if len(ins) == 1:
            result = function(env[ins[0]])
        elif len(ins) == 2:
            result = function(env[ins[0]], env[ins[1]])
        else:
            result = function(*[env[i] for i in ins])
        if type(out) is int:
            env[out] = result
        else:
            for slot, value in zip(out, result, strict=True):
                env[slot] = value


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
            _execute(steps, values)
            return tuple([values[place] for place in places])

        self.run = run


RULES.update(control.rules(_Body))


def _one_operand(function: Callable[..., Any]) -> Callable[..., Any]:
    @np.errstate(all="ignore")
    def run(x: Any) -> Any:
        result = function(x if type(x) is np.ndarray else np.asarray(x))
        return result if type(result) is np.ndarray else np.asarray(result)

    return run


def _two_operands(function: Callable[..., Any]) -> Callable[..., Any]:
    @np.errstate(all="ignore")
    def run(x: Any, y: Any) -> Any:
        result = function(
            x if type(x) is np.ndarray else np.asarray(x),
            y if type(y) is np.ndarray else np.asarray(y),
        )
        return result if type(result) is np.ndarray else np.asarray(result)

    return run


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
        self.steps: list[tuple[Any, tuple[int, ...], Any]] = []
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
        shape = value.shape
        slot = self.new_slot()
        self.steps.append((lambda x: np.broadcast_to(x, shape), (value.slot,), slot))
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
        if name in elementwise.ELEMENTWISE:
            env[equation.outvars[0]] = self._elementwise(function, ins, out_avals[0].shape)
            return
        slots = tuple(self.materialised(v).slot for v in ins)
        several = equation.primitive.multiple_results
        made = [_Value(self.new_slot(), a.shape, None) for a in out_avals]
        out: Any = [m.slot for m in made] if several else made[0].slot
        self.steps.append((function, slots, out))
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
            self.steps.append((lambda x: np.reshape(x, target), (value.slot,), slot))
        full = (1,) * (len(shape) - len(target)) + target == shape and len(target) == len(shape)
        return _Value(slot, shape, None if full else target)

    def _elementwise(self, function: Any, ins: list[_Value], shape: tuple[int, ...]) -> _Value:
        shapes = [v.lazy if v.lazy is not None else v.shape for v in ins]
        result = np.broadcast_shapes(*shapes) if shapes else ()
        slot = self.new_slot()
        self.steps.append((function, tuple(v.slot for v in ins), slot))
        return _Value(slot, shape, None if result == tuple(shape) else result)

    def _count(self, name: str, equation: Any) -> None:
        size = sum(int(np.prod(v.aval.shape, dtype=np.int64)) for v in equation.outvars)
        products = 0
        if name == "dot_general":
            (left, _), _ = equation.params["dimension_numbers"]
            inner = [equation.invars[0].aval.shape[i] for i in left]
            products = size * int(np.prod(inner, dtype=np.int64))
        elif name == "conv_general_dilated":
            weight = equation.invars[1].aval.shape
            outputs = weight[equation.params["dimension_numbers"].rhs_spec[0]]
            products = size * int(np.prod(weight, dtype=np.int64)) // max(outputs, 1)
        self.cost += size + products // PRODUCTS_PER_ELEMENT


__all__ = ["HostProgram", "Unsupported"]
