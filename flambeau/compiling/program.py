"""One compiled form of a function: its trace as an XLA program, and how a call runs it."""

from __future__ import annotations

import gc
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from ..core import tracing
from ..core.op import apply
from ..core.execute import Op
from ..core.storage import Storage
from ..core.tape import AccumulateGrad, Edge, Node, edge_of, named, run_backward
from ..core.tensor import Tensor
from ..errors import FREED_GRAPH
from .recipe import MadeStorage, Recipe, Same, made, plan
from .walk import Walk

Find = Callable[[Any], Tensor]


class Unsupported(RuntimeError):
    """Something that a compiled function cannot do as the plain function does it."""


class Run:
    """One call: where recipes find what they need."""

    __slots__ = ("arguments", "handles", "node", "storages")

    def __init__(self, handles: dict[str, Tensor], arguments: Sequence[Tensor]):
        self.handles = handles
        self.arguments = arguments
        self.storages: list[Storage] = []
        self.node: Any = None


def _captured(path: str) -> Find:
    return lambda run: run.handles[path]


def _argument(number: int) -> Find:
    return lambda run: run.arguments[number]


def _gradient_of(find: Find) -> Find:
    return lambda run: find(run).__dict__["_grad"]


class FreedNode(Node):
    """The node of a result whose graph was walked through inside the compiled function."""

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        raise RuntimeError(FREED_GRAPH)


class ProgramNode(Node):
    """The node of a compiled function: its backward pass is a program of its own."""

    freed = False

    def __init__(self, program: Program, edges: list[Any], run: Any, saved: list[Any], inputs: Any):
        super().__init__(program.label, edges, program.live_outputs, run)
        self.program = program
        self.saved = saved
        self.inputs = inputs

    def release(self) -> None:
        self.freed = True
        self.saved = []
        self.inputs = None

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.freed:
            raise RuntimeError(FREED_GRAPH)
        program = self.program
        full = [
            np.zeros(info.shape, info.dtype) if g is None else g
            for g, info in zip(gradients, self.outputs, strict=True)
        ]
        if create_graph:
            return apply(program.again(), [*self.inputs, *full])
        return program.backward(*self.saved, *full)


class Program:
    """A function traced once, for arguments of certain kinds and a certain state of the world.

    Attributes:
        trace: what the run read, wrote and asked.
        slots: the inputs, in the program's order.
        finds: for each input that is a tensor's storage, how the tensors on it are found.
    """

    label = "CompiledFunctionBackward"

    def __init__(
        self,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        arguments: list[Tensor],
        walk: Walk,
        roots: list[tuple[str, Any]],
    ):
        self.walk: Walk | None = walk
        self.before = walk
        self.roots = roots
        self.handles: dict[int, tuple[Find, Tensor]] = {}
        self.paths: dict[int, str] = {}
        for path, tensor in walk.tensors.items():
            self._add_handle(tensor, _captured(path), path)
        for number, tensor in enumerate(arguments):
            self._add_handle(tensor, _argument(number), f"argument {number}")
        self.result: Any = None
        self.effects: list[tuple[Any, ...]] = []
        self.storages: list[MadeStorage] = []
        self.numbers: dict[int, int] = {}
        self.live_edges: list[Edge] = []
        self.live = False
        self.live_outputs: list[Any] = []
        self.targets: list[Any] = []
        self.written: list[tuple[int, Any, int, int]] = []
        closed = jax.make_jaxpr(lambda: self._trace(function, args, kwargs))()
        self._finish(closed)

    def expect(self, before: Walk, after: Walk) -> None:
        """Fix the facts that the program holds for.

        Those are the ones from before the trace, with the state that the trace set up for good. A
        fact that the trace changed (a counter) is another one for the next call.
        """
        self.expected = {**after.facts, **before.facts}
        self.tensors = after.tensors
        self.walk = after if self.expected == after.facts else None

    def _add_handle(self, tensor: Tensor, find: Find, path: str) -> None:
        if id(tensor) in self.handles:
            return
        self.handles[id(tensor)] = (find, tensor)
        self.paths[id(tensor)] = path
        gradient = tensor.__dict__.get("_grad")
        if gradient is not None:
            self._add_handle(gradient, _gradient_of(find), path + ".grad")

    # Tracing

    def _trace(self, function: Callable[..., Any], args: Any, kwargs: Any) -> list[Any]:
        before = [(t, dict(t.__dict__)) for _, t in self.handles.values()]
        self.start = Node("start", (), (), None).sequence
        with tracing.tracing() as trace:
            self.trace = trace
            done = False
            try:
                result = function(*args, **kwargs)
                outputs = self._collect(trace, result, before)
                done = True
            finally:
                del args, kwargs
                result = None
                final = trace.restore()
                for tensor, fields in before:
                    tensor.__dict__.clear()
                    tensor.__dict__.update(fields)
                if not done:
                    self._purge(trace)
                    for action in reversed(trace.undo):
                        action()
        self.final = final
        return outputs

    def _collect(self, trace: Any, result: Any, before: list[Any]) -> list[Any]:
        """Decide what the program gives, and undo in Python what each run is to do again."""
        outputs: list[Any] = []
        self._outputs = outputs
        self.result = plan(result, self._plan)
        after = Walk(self.roots)
        for path, tensor in after.tensors.items():
            if path in after.entries and id(after.entries[path][0]) in trace.settled:
                self._add_handle(tensor, _captured(path), path)
        self._find_rebound(after)
        for tensor, entry, _ in trace.grads.values():
            value = tensor.__dict__.get("_grad")
            if value is not entry and id(tensor) in self.handles:
                self.effects.append(("grad", self.handles[id(tensor)][0], plan(value, self._plan)))
        for tensor, fields in before:
            self._find_changed(tensor, fields)
        for key, kept in trace.kept.items():
            if kept.written:
                array = tracing._array.__get__(kept.storage)
                self.written.append((key, self._output(array), *self._counts(trace, kept)))
        self.shown = [(plan(t, self._plan), spec) for t, spec in trace.shown]
        trace.shown.clear()
        self._add_derivative(outputs)
        trace.grads = {k: v for k, v in trace.grads.items() if k in self.handles}
        return outputs

    def _counts(self, trace: Any, kept: Any) -> tuple[int, int]:
        return (
            tracing._version.__get__(kept.storage) - kept.version,
            kept.storage.counted - kept.counted,
        )

    def _output(self, array: Any) -> Any:
        """The number of an output of the program; a constant as it is."""
        if not isinstance(array, jax.core.Tracer):
            return MadeStorage(_DESCRIBED, array)
        key = id(array)
        if key not in self.numbers:
            self.numbers[key] = len(self._outputs)
            self._outputs.append(array)
        return self.numbers[key]

    def _plan(self, tensor: Tensor) -> Any:
        """The recipe for a tensor that a run gives."""
        known = self.handles.get(id(tensor))
        if known is not None and "_storage" in tensor.__dict__ and self._unmoved(tensor):
            return Same(known[0])
        storage = tensor._storage
        recipe = Recipe(tensor, self._storage_plan(storage))
        node = tensor._node
        if node is not None:
            if _walked(node, self.start):
                recipe.node = named(FreedNode, node.label)(
                    node.label, (), node.outputs, node.device
                )
            else:
                recipe.output = len(self.live_edges)
                self.live_edges.append(Edge(node, tensor._index))
        return recipe

    def _unmoved(self, tensor: Tensor) -> bool:
        return not self.trace.is_made(tensor._storage)

    def _storage_plan(self, storage: Storage) -> Any:
        key = id(storage)
        if not self.trace.is_made(storage):
            for find, tensor in self.handles.values():
                if tensor._storage is storage:
                    return find
            array = tracing._array.__get__(storage)  # made outside the trace
            return lambda run: _Holder(storage) if array is not None else None
        number = self.numbers.get(("storage", key))  # type: ignore[call-overload]
        if number is None:
            array = tracing._array.__get__(storage)
            entry = MadeStorage(storage, array)
            if isinstance(array, jax.core.Tracer):
                entry.output = self._output(array)
            self.storages.append(entry)
            number = self.numbers[("storage", key)] = len(self.storages) - 1  # type: ignore[index]
        return number

    def _find_rebound(self, after: Walk) -> None:
        """Attributes and items of containers from before that now hold new tensors."""
        for path, (container, key, value) in after.entries.items():
            old = self.before.entries.get(path)
            if id(container) not in self.before.holders or (old is not None and old[2] is value):
                continue
            if id(value) in self.trace.settled or isinstance(value, tuple(_UNPLANNED)):
                continue
            recipe = plan(value, self._plan)
            if recipe is value or not _is_new(recipe):
                continue
            appended = isinstance(container, list) and old is None
            self.effects.append(("append" if appended else "set", container, key, recipe))
            _put_back(container, key, old, appended)

    def _find_changed(self, tensor: Tensor, fields: dict[str, Any]) -> None:
        """Tensors from before whose storage or flags were exchanged (`p.data = ...`)."""
        find = self.handles[id(tensor)][0]
        own = tensor.__dict__
        if own["_storage"] is not fields["_storage"]:
            source = self._storage_plan(own["_storage"])
            self.effects.append(("data", find, Recipe(tensor, source)))
        if own.get("_requires_grad") != fields.get("_requires_grad"):
            self.effects.append(("flag", find, own.get("_requires_grad", False)))

    def _purge(self, trace: Any) -> None:
        """After a failure: nothing that was there before may hold a symbolic value."""
        for path, (container, key, value) in Walk(self.roots).entries.items():
            old = self.before.entries.get(path)
            if id(container) not in self.before.holders or (old is not None and old[2] is value):
                continue
            if id(value) in trace.settled:
                continue
            if _holds_made(value, trace):
                _put_back(container, key, old, isinstance(container, list) and old is None)

    def _add_derivative(self, outputs: list[Any]) -> None:
        """For results that still have a graph: the gradients by what came from outside."""
        self.plain_outputs = len(outputs)
        self.cotangents: list[int] = []
        if not self.live_edges:
            return
        self.live = True
        edges = self._outer_edges([e.node for e in self.live_edges])
        roots = []
        for edge in self.live_edges:
            info = edge.node.outputs[edge.index]
            shape, dtype = tuple(info.shape), np.dtype(info.dtype)
            self.cotangents.append(len(self.trace.slots))
            roots.append((edge, self.trace.new_slot(tracing.Slot(shape, dtype))))
            self.live_outputs.append(info)
        captures = {edge: [place] for place, edge in enumerate(edges)}
        hooks = [
            (e.node.variable, e.node.variable._backward_hooks)
            for e in edges
            if isinstance(e.node, AccumulateGrad)
        ]
        for variable, _ in hooks:
            variable._backward_hooks = None
        caught = run_backward(roots, True, False, captures)
        for variable, table in hooks:
            variable._backward_hooks = table
        for place, edge in enumerate(edges):
            gradient = caught.get(place)
            if gradient is not None:
                self.targets.append(self._source_of(edge))
                outputs.append(gradient)

    def _outer_edges(self, start: list[Any]) -> list[Edge]:
        """Edges from the trace's graph to leaves, and to nodes from before."""
        found: dict[Edge, None] = {}
        seen, stack = set(start), list(start)
        while stack:
            for edge in stack.pop().edges:
                if edge is None:
                    continue
                node = edge.node
                if isinstance(node, AccumulateGrad):
                    if id(node.variable) in self.handles:
                        found[edge] = None
                elif node.sequence < self.start:
                    found[edge] = None
                elif node not in seen:
                    seen.add(node)
                    stack.append(node)
        return list(found)

    def _source_of(self, edge: Edge) -> Find:
        if isinstance(edge.node, AccumulateGrad):
            return self.handles[id(edge.node.variable)][0]
        for find, tensor in self.handles.values():
            if tensor.__dict__.get("_node") is edge.node and tensor._index == edge.index:
                return find
        raise Unsupported(
            "a compiled function uses a tensor with a history that it was not given: pass it as an "
            "argument, or detach it"
        )

    # From the trace to a program

    def _finish(self, closed: Any) -> None:
        self._check_escapes()
        slots = self.trace.slots
        reads = {e.params["slot"]: e for e in closed.eqns if e.primitive is tracing._read}
        eqns = [e for e in closed.eqns if e.primitive is not tracing._read]
        cts = set(self.cotangents)
        self.order = [k for k in sorted(reads) if k not in cts]
        self.closed, self.reads = closed, reads
        outvars = closed.jaxpr.outvars
        invars = [reads[k].outvars[0] for k in self.order]
        plain = list(outvars[: self.plain_outputs])
        self.sources = self._sources()
        self.donated = () if self.live else self._donated()
        if self.live:
            eqns, residuals = self._split(eqns, outvars[self.plain_outputs :])
            plain += residuals
        call = _function(closed, invars, plain, eqns)
        self.forward = jax.jit(call, donate_argnums=self.donated)
        self.compiled = False
        self._prepare()

    def _check_escapes(self) -> None:
        known = {key[1] for key in self.numbers if isinstance(key, tuple)}
        self._outputs = []
        self.live_edges = []
        stray = [r for k, r in self.trace.made.items() if k not in known and r() is not None]
        if not stray:
            return
        gc.collect()
        stray = [r() for r in stray if r() is not None]
        if stray:
            shapes = ", ".join(str(tuple(s.array.shape)) for s in stray[:3])
            raise Unsupported(
                f"the function keeps {len(stray)} tensor(s) that it made (of shape {shapes}) in a "
                "place that flambeau.compile cannot fill anew for each call; return them, or keep "
                "them in an attribute of an object that the function names"
            )

    def _split(self, eqns: list[Any], gradients: list[Any]) -> tuple[list[Any], list[Any]]:
        """Part the equations; returns the forward ones, and what the backward pass reads."""
        late = {self.reads[k].outvars[0] for k in self.cotangents if k in self.reads}
        forward, backward = [], []
        for eqn in eqns:
            if any(isinstance(v, jex.Var) and v in late for v in eqn.invars):
                late.update(eqn.outvars)
                backward.append(eqn)
            else:
                forward.append(eqn)
        needed = dict.fromkeys(v for v in gradients if isinstance(v, jex.Var))
        used = []
        for eqn in reversed(backward):
            if any(v in needed for v in eqn.outvars):
                used.append(eqn)
                needed.update(dict.fromkeys(v for v in eqn.invars if isinstance(v, jex.Var)))
        used.reverse()
        constants = set(self.closed.jaxpr.constvars)
        residuals = [v for v in needed if v not in late and v not in constants]
        cts = [self.reads[k].outvars[0] if k in self.reads else None for k in self.cotangents]
        self.ct_places = [i for i, v in enumerate(cts) if v is not None]
        body = _function(
            self.closed, [*residuals, *(v for v in cts if v is not None)], gradients, used
        )
        jitted = jax.jit(body)
        n, places = len(residuals), self.ct_places
        self.backward = lambda *a: jitted(*a[:n], *(a[n + i] for i in places))
        self._all_gradients = (gradients, eqns)
        return forward, residuals

    def again(self) -> Op:
        """The gradients as an operation on the inputs and cotangents, for higher derivatives."""
        if getattr(self, "_again", None) is None:
            gradients, eqns = self._all_gradients
            invars = [self.reads[k].outvars[0] for k in self.order]
            invars += [self.reads[k].outvars[0] for k in self.cotangents if k in self.reads]
            body = _function(self.closed, invars, gradients, eqns)
            n, places = len(self.order), self.ct_places

            def compiled_backward(*a: Any) -> Any:
                return tuple(body(*a[:n], *(a[n + i] for i in places)))

            self._again = Op(compiled_backward)
        return self._again

    def _sources(self) -> list[tuple[int, list[Find], str]]:
        """For each input that is a storage: every way to a tensor on it."""
        by_storage: dict[int, list[Any]] = {}
        for find, tensor in self.handles.values():
            by_storage.setdefault(id(tensor.__dict__["_storage"]), []).append((find, tensor))
        sources = []
        for position, k in enumerate(self.order):
            storage = self.trace.slots[k].storage
            if storage is None:
                continue
            found = by_storage.get(id(storage))
            if found is None:
                raise Unsupported(
                    f"the function reads a tensor of shape {self.trace.slots[k].shape} that "
                    "flambeau.compile cannot find again: it is in no attribute, closure, global or "
                    "argument that the function names"
                )
            sources.append((position, [f for f, _ in found], self.paths[id(found[0][1])]))
        return sources

    def _donated(self) -> tuple[int, ...]:
        written = {key for key, output, *_ in self.written if type(output) is int}
        return tuple(
            position
            for position, k in enumerate(self.order)
            if self.trace.slots[k].storage is not None
            and id(self.trace.slots[k].storage) in written
        )

    def _prepare(self) -> None:
        """Gather, by kind, what each call has to do."""
        slots = self.trace.slots
        places = {k: position for position, k in enumerate(self.order)}
        self.host: list[tuple[int | None, Any]] = []
        drawn = set()
        for entry in self.trace.before:
            if callable(entry):
                self.host.append((None, entry))
            else:
                drawn.add(entry)
                self.host.append((places.get(entry), slots[entry].read))
        self.live_numbers = [
            (position, slots[k].read)
            for position, k in enumerate(self.order)
            if slots[k].storage is None and k not in drawn
        ]
        by_key = {id(self.trace.slots[k].storage): p for p, k in enumerate(self.order)}
        self.write_list = []
        for key, output, versions, counted in self.written:
            finds = [f for f, t in self.handles.values() if id(t.__dict__["_storage"]) == key]
            if not finds:
                raise Unsupported("the function writes to a tensor that cannot be found again")
            self.write_list.append((by_key.get(key), finds[0], output, versions, counted))
        self.shapes = [(tuple(slots[k].shape), np.dtype(slots[k].dtype)) for k in self.order]
        self.asked = [
            (self.handles[id(t)][0], entry is None)
            for t, entry, consulted in self.trace.grads.values()
            if consulted and id(t) in self.handles
        ]
        self.flags = [
            (find, bool(t._requires_grad), t.__dict__.get("_node") is None)
            for find, t in self.handles.values()
        ]
        self.facts = self.trace.facts
        self.after = self.trace.after
        self.bound: Any = None

    # Running

    def refusal(self, run: Run) -> str | None:
        """Why this program does not fit the present state of things; None if it does."""
        try:
            for find, absent in self.asked:
                if (find(run).__dict__.get("_grad") is None) != absent:
                    return "a gradient is " + ("there now" if absent else "None now")
            for find, requires_grad, leaf in self.flags:
                tensor = find(run)
                if tensor._requires_grad != requires_grad:
                    return f"requires_grad of a tensor changed from {requires_grad}"
            for fact in self.facts:
                value = fact.read()
                if value != fact.value:
                    return f"{fact.what} changed from {fact.value} to {value}"
            seen: dict[int, int] = {}
            for position, finds, path in self.sources:
                storage = finds[0](run)._storage
                for find in finds[1:]:
                    if find(run)._storage is not storage:
                        return f"{path} no longer shares memory with what it shared it with"
                if seen.setdefault(id(storage), position) != position:
                    return f"{path} shares memory with another tensor now"
                array = storage.array
                if (array.shape, array.dtype) != self.shapes[position]:
                    return (
                        f"{path} was {_spelled(*self.shapes[position])} and is "
                        f"{_spelled(array.shape, array.dtype)}"
                    )
        except KeyError:
            return "a gradient is None now"
        return None

    def call(self, run: Run) -> Any:
        """Run the program on the present values; write, make and return what the function does."""
        arrays: list[Any] = [None] * len(self.order)
        donated = set(self.donated)
        for position, finds, _ in self.sources:
            storage = finds[0](run)._storage
            arrays[position] = (
                _given_away(storage) if position in donated else storage.device_array()
            )
        for position, read in self.live_numbers:
            arrays[position] = read()
        for position, read in self.host:
            value = read()
            if position is not None:
                arrays[position] = value
        if self.compiled:
            outputs = self.forward(*arrays)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Some donated buffers")
                outputs = self.forward(*arrays)
            self.compiled = True
        self._deliver(run, arrays, outputs)
        for action in self.after:
            action()
        for line in self.trace.lines:
            line([(made(recipe, run), spec) for recipe, spec in self.shown])
        return made(self.result, run)

    def _deliver(self, run: Run, arrays: list[Any], outputs: Any) -> None:
        for _, find, output, versions, counted in self.write_list:
            storage = find(run)._storage
            storage.write(outputs[output] if type(output) is int else output.make(()).array)
            storage.version += versions - 1
            storage.counted += counted - 1
        run.storages = [entry.make(outputs) for entry in self.storages]
        if self.live:
            self._hang_node(run, arrays, outputs)
        for kind, *rest in self.effects:
            if kind == "grad":
                find, value = rest
                find(run)._grad = made(value, run)
            elif kind == "set":
                container, key, value = rest
                _put(container, key, made(value, run))
            elif kind == "append":
                rest[0].append(made(rest[2], run))
            elif kind == "data":
                rest[0](run).data = made(rest[1], run)
            else:
                rest[0](run)._requires_grad = rest[1]

    def _hang_node(self, run: Run, arrays: list[Any], outputs: Any) -> None:
        edges = [edge_of(find(run)) for find in self.targets]
        inputs = self._differentiable_inputs(run, arrays)
        saved = list(outputs[self.plain_outputs :])
        device = inputs[0].device if inputs and isinstance(inputs[0], Tensor) else None
        run.node = named(ProgramNode, self.label)(self, edges, device, saved, inputs)

    def _differentiable_inputs(self, run: Run, arrays: list[Any]) -> list[Any]:
        from ..core.tensor import wrap

        inputs: list[Any] = list(arrays)
        for position, finds, _ in self.sources:
            tensor = finds[0](run)
            value = wrap(arrays[position], tensor.device)
            edge = edge_of(tensor) if not tensor._steps else None
            if edge is not None:
                value._node, value._index = edge
            inputs[position] = value
        return inputs


_UNPLANNED = (str, bytes, int, float, complex, type(None))
_DESCRIBED = Storage(None, None)  # type: ignore[arg-type]


class _Holder:
    """Stands for a tensor whose storage was made outside the trace."""

    def __init__(self, storage: Storage):
        self._storage = storage


def _given_away(storage: Storage) -> Any:
    """The storage's array for a program that overwrites it: a copy where anyone else holds it."""
    array = storage.device_array()
    if sys.getrefcount(array) > 3 or storage.external:
        return jax.numpy.array(array, copy=True)
    return array


def _function(closed: Any, invars: list[Any], outvars: list[Any], eqns: list[Any]) -> Any:
    """The equations as a function of `invars`."""
    jaxpr = closed.jaxpr.replace(invars=list(invars), outvars=list(outvars), eqns=eqns)
    return jex.jaxpr_as_fun(jex.ClosedJaxpr(jaxpr, closed.consts))


def _walked(node: Any, start: float) -> bool:
    """Whether the graph behind a node has been walked through, and released."""
    seen, stack = {node}, [node]
    while stack:
        at = stack.pop()
        if getattr(at, "freed", False) or getattr(at, "_freed", False):
            return True
        for edge in at.edges:
            if edge is not None and edge.node not in seen and edge.node.sequence >= start:
                seen.add(edge.node)
                stack.append(edge.node)
    return False


def _is_new(recipe: Any) -> bool:
    parts = getattr(recipe, "parts", None)
    if parts is not None:
        return any(_is_new(p) for p in parts)
    return isinstance(recipe, (Recipe, Same))


def _holds_made(value: Any, trace: Any) -> bool:
    if isinstance(value, Tensor):
        storage = value.__dict__.get("_storage")
        return storage is not None and trace.is_made(storage)
    if isinstance(value, dict):
        return any(_holds_made(v, trace) for v in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_made(v, trace) for v in value)
    return False


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, types.CellType):
        container.cell_contents = value
    else:
        container[key] = value


def _put_back(container: Any, key: Any, old: Any, appended: bool) -> None:
    if appended:
        container.pop()
    elif old is not None:
        _put(container, key, old[2])
    elif isinstance(container, dict):
        container.pop(key, None)


def _spelled(shape: Any, dtype: Any) -> str:
    return f"{dtype}{list(shape)}"
