"""One run of a function with symbolic values: what it reads, writes, makes and gives."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import numpy as np

from ..core import tracing
from ..core.layout import is_contiguous, is_dense
from ..core.storage import Storage
from ..core.tape import AccumulateGrad, Edge, Node, named, run_backward
from ..core.tensor import Tensor
from .node import FreedNode
from .recipe import MadeStorage, Recipe, Same, plan
from .walk import Walk

# How a tensor is found again: ("path", p) in the walk, ("argument", i), or ("grad", of what).
Find = tuple[str, Any]


class Unsupported(tracing.OuterGraph):
    """Something that a compiled function cannot do as the plain function does it."""


class MemoryMatters(Exception):
    """The function writes to an argument of which only the value was to be an input, or gives it
    out: `number` is the argument's."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Capture:
    """A function run once inside a JAX trace.

    Attributes:
        closed: the equations, the reads of inputs among them (`core.tracing`).
        trace: what was read, written and asked.
        handles: the tensors that were there before, by identity, each with how to find it.
        result: the plan of what the function returns.
        effects: what each run does to Python objects.
        written: storages that were written: identity, output (or constant), versions.
        cotangents, targets: where the result still has a graph: the slots of the gradients that
            will arrive, and the tensors that the program's further outputs are gradients of.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        signature: Any,
        walk: Walk,
        roots: list[tuple[str, Any]],
    ):
        self.before = walk
        self.roots = roots
        self.handles: dict[int, tuple[Find, Tensor]] = {}
        self.paths: dict[int, str] = {}
        for path, tensor in walk.tensors.items():
            self._add_handle(tensor, ("path", path), path)
        for number, tensor in enumerate(signature.tensors):
            self._add_handle(tensor, ("argument", number), f"argument {number}")
        self.values = {number: signature.tensors[number] for number in signature.values}
        self.result: Any = None
        self.effects: list[tuple[Any, ...]] = []
        self.storages: list[MadeStorage] = []
        self.numbers: dict[int, int] = {}
        self.live_edges: list[Edge] = []
        self.live = False
        self.live_outputs: list[Any] = []
        self.targets: list[Any] = []
        self.written: list[tuple[Any, ...]] = []
        self.closed = jax.make_jaxpr(lambda: self._trace(function, args, kwargs))()
        self._check_escapes()
        self._find_sources()

    def _add_handle(self, tensor: Tensor, find: Find, path: str) -> None:
        if id(tensor) in self.handles:
            return
        self.handles[id(tensor)] = (find, tensor)
        self.paths[id(tensor)] = path
        gradient = tensor.__dict__.get("_grad")
        if gradient is not None:
            self._add_handle(gradient, ("grad", find), path + ".grad")

    # Tracing

    def _trace(self, function: Callable[..., Any], args: Any, kwargs: Any) -> list[Any]:
        before = [(t, dict(t.__dict__)) for _, t in self.handles.values()]
        self.start = Node("start", (), (), None).sequence
        for tensor in self.values.values():
            _make_whole(tensor)
        self.private = {id(t._storage): number for number, t in self.values.items()}
        with tracing.tracing() as trace:
            self.trace = trace
            trace.start = self.start
            done = False
            try:
                result = function(*args, **kwargs)
                outputs = self._collect(trace, result, before)
                done = True
            finally:
                del args, kwargs
                result = None
                trace.restore()
                for tensor, fields in before:
                    tensor.__dict__.clear()
                    tensor.__dict__.update(fields)
                if not done:
                    self._purge(trace)
                    for action in reversed(trace.undo):
                        action()
        return outputs

    def _collect(self, trace: Any, result: Any, before: list[Any]) -> list[Any]:
        """Decide what the program gives, and undo in Python what each run is to do again."""
        outputs: list[Any] = []
        self._outputs = outputs
        self.result = plan(result, self._plan)
        after = Walk(self.roots)
        for path, tensor in after.tensors.items():
            if path in after.entries and id(after.entries[path][0]) in trace.settled:
                self._add_handle(tensor, ("path", path), path)
        self._find_rebound(after)
        for tensor, entry, _ in trace.grads.values():
            value = tensor.__dict__.get("_grad")
            if id(tensor) in self.handles:
                if value is not entry:
                    find = self.handles[id(tensor)][0]
                    self.effects.append(("grad", find, plan(value, self._plan)))
            elif not trace.is_made(tensor._storage):
                raise Unsupported(
                    f"the gradient of a tensor of shape {tuple(tensor.shape)} is used that is in "
                    "no attribute, closure, global or argument that the function names"
                )
        for tensor, fields in before:
            self._find_changed(tensor, fields)
        for key, kept in trace.kept.items():
            if kept.written:
                for number, tensor in self.values.items():
                    if tensor._storage is kept.storage:
                        raise MemoryMatters(number)
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
            for number, tensor in self.values.items():
                if tensor._storage is storage:
                    raise MemoryMatters(number)
            for find, tensor in self.handles.values():
                if tensor._storage is storage:
                    return find
            raise Unsupported("the function gives out memory that it was not given")
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
        whole = id(own["_storage"]) in self.private  # a view that stands for its value
        if own["_storage"] is not fields["_storage"] and not whole:
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
        self.trace.start = 0  # the walk ends at the captures, beyond which it does not look
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

    def _find_sources(self) -> None:
        """How each storage that was read or written is found again: all the ways to it."""
        by_storage: dict[int, list[Any]] = {
            key: [(("value", number), self.values[number])] for key, number in self.private.items()
        }
        for find, tensor in self.handles.values():
            by_storage.setdefault(id(tensor.__dict__["_storage"]), []).append((find, tensor))
        self.sources: dict[int, tuple[list[Find], str]] = {}
        for key, kept in self.trace.kept.items():
            found = by_storage.get(key)
            if found is None:
                verb = "writes to" if kept.written else "reads"
                raise Unsupported(
                    f"the function {verb} a tensor of shape {tuple(kept.array.shape)} that "
                    "flambeau.compile cannot find again: it is in no attribute, closure, global "
                    "or argument that the function names"
                )
            self.sources[key] = ([f for f, _ in found], self.paths[id(found[0][1])])

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


_UNPLANNED = (str, bytes, int, float, complex, type(None))
_DESCRIBED = Storage(None, None)  # type: ignore[arg-type]


def _make_whole(tensor: Tensor) -> None:
    """Let a view be a tensor of its own with the same value, until its fields are put back."""
    shape, device = tensor._dims(), tensor.device
    strides = tensor._strides_offset()[0]
    dense = is_dense(shape, strides) and not is_contiguous(shape, strides)
    array = tensor._array()
    for name in _VIEW_FIELDS:
        tensor.__dict__.pop(name, None)
    tensor._storage = Storage(array, device, strides if dense else None)


_VIEW_FIELDS = (
    "_steps",
    "_offsets",
    "_view_shape",
    "_view_dtype",
    "_cache",
    "_cached_version",
    "_layout",
    "_base",
    "_base_steps",
    "_base_offsets",
    "_creation",
    "_made_at",
)


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


def put(container: Any, key: Any, value: Any) -> None:
    """Store into a dictionary, a list or a closure's cell."""
    if isinstance(container, types.CellType):
        container.cell_contents = value
    else:
        container[key] = value


def _put_back(container: Any, key: Any, old: Any, appended: bool) -> None:
    if appended:
        container.pop()
    elif old is not None:
        put(container, key, old[2])
    elif isinstance(container, dict):
        container.pop(key, None)
