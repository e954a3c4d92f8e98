"""One compiled form of a function: an XLA program, and how a call runs it."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from ..core import tracing
from ..core.execute import Op
from ..core.layout import host_replay
from ..core.storage import Storage
from ..core.tape import edge_of, named
from ..core.tensor import Tensor, wrap
from .capture import Capture, Find, put
from .layout import relaid
from .node import ProgramNode
from .recipe import made
from .uninterrupted import Uninterrupted
from .walk import Walk

_storage_of = attrgetter("_storage")
_array_of = attrgetter("array")
_version_of = attrgetter("version")
_flag_of = attrgetter("_requires_grad")
_OPEN = contextlib.nullcontext()


class Run:
    """One call: where recipes find what they need."""

    __slots__ = ("arguments", "handles", "node", "storages")

    def __init__(self, handles: dict[str, Tensor], arguments: Sequence[Tensor]):
        self.handles = handles
        self.arguments = arguments
        self.storages: list[Storage] = []
        self.node: Any = None

    def find(self, find: Find) -> Tensor:
        """The tensor that a path, an argument's number or the owner of a gradient leads to."""
        kind, key = find
        if kind == "path":
            return self.handles[key]
        if kind == "argument":
            return self.arguments[key]
        return self.find(key).__dict__["_grad"]


class Program:
    """A function traced once, for arguments of certain kinds and a certain state of the world.

    Attributes:
        order: the slots that are inputs, in the program's order.
        sources: for inputs that are storages: position, all ways to it, and its path in words.
        expected, tensors: the facts and the tensors' paths for which the program holds.
        walk: the walk that it is known to fit.
    """

    label = "CompiledFunctionBackward"

    def __init__(
        self,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        signature: Any,
        walk: Walk,
        roots: list[tuple[str, Any]],
    ):
        capture = Capture(function, args, kwargs, signature, walk, roots)
        self.result = capture.result
        self.effects = capture.effects
        self.storages = capture.storages
        self.shown = capture.shown
        self.targets = capture.targets
        self.live = capture.live
        self.live_outputs = capture.live_outputs
        self.plain_outputs = capture.plain_outputs
        self.facts = capture.trace.facts
        self.after = capture.trace.after
        self.lines = capture.trace.lines
        self.compiled = False
        self._build(capture)
        self._prepare(capture)

    def expect(self, before: Walk, after: Walk) -> None:
        """Fix the facts that the program holds for.

        Those are the ones from before the trace, with the state that the trace set up for good. A
        fact that the trace changed (a counter) is another one for the next call.
        """
        self.expected = {**after.facts, **before.facts}
        self.tensors = after.tensors.keys()
        self.walk = after if self.expected == after.facts else None

    # From the equations to programs

    def _build(self, capture: Capture) -> None:
        closed, slots = capture.closed, capture.trace.slots
        reads = {e.params["slot"]: e for e in closed.eqns if e.primitive is tracing._read}
        eqns = [e for e in closed.eqns if e.primitive is not tracing._read]
        self.equations = len(eqns)
        self.order = [k for k in sorted(reads) if k not in set(capture.cotangents)]
        invars = [reads[k].outvars[0] for k in self.order]
        outvars = list(closed.jaxpr.outvars)
        plain, gradients = outvars[: self.plain_outputs], outvars[self.plain_outputs :]
        written = {key for key, output, *_ in capture.written if type(output) is int}
        self.donated = tuple(
            position
            for position, k in enumerate(self.order)
            if not self.live and slots[k].storage is not None and id(slots[k].storage) in written
        )
        if self.live:
            cts = [reads[k].outvars[0] if k in reads else None for k in capture.cotangents]
            forward, backward, residuals = _split(closed, eqns, gradients, cts)
            self._make_backward(closed, gradients, cts, residuals, backward)
            self._make_again(closed, gradients, cts, invars, eqns)
            plain, eqns = plain + residuals, forward
        call = _function(closed, invars, self._in_order_of_inputs(capture, plain), eqns)
        self.forward = jax.jit(call, donate_argnums=self.donated)

    def _in_order_of_inputs(self, capture: Capture, outvars: list[Any]) -> list[Any]:
        """The outputs behind those that take the place of a donated input, in the inputs' order.

        JAX pairs donated inputs and outputs of one shape in their order; a pair that does not
        belong together would cost XLA a copy.
        """
        slots = capture.trace.slots
        output_of = {key: output for key, output, *_ in capture.written}
        donated = [output_of[id(slots[self.order[p]].storage)] for p in self.donated]
        first = list(dict.fromkeys(donated))
        order = first + [n for n in range(len(outvars)) if n not in set(first)]
        place = {old: new for new, old in enumerate(order)}
        capture.written = [
            (key, place[output] if type(output) is int else output, *rest)
            for key, output, *rest in capture.written
        ]
        for entry in self.storages:
            if entry.output is not None:
                entry.output = place[entry.output]
        self.residual_places = [place[n] for n in range(self.plain_outputs, len(outvars))]
        return [outvars[n] for n in order]

    def _make_backward(
        self, closed: Any, gradients: Any, cts: list[Any], residuals: list[Any], eqns: list[Any]
    ) -> None:
        arriving = [v for v in cts if v is not None]
        places = [i for i, v in enumerate(cts) if v is not None]
        body = jax.jit(_function(closed, [*residuals, *arriving], gradients, eqns))
        n = len(residuals)
        self.backward = lambda *a: body(*a[:n], *(a[n + i] for i in places))

    def _make_again(
        self, closed: Any, gradients: Any, cts: list[Any], invars: list[Any], eqns: list[Any]
    ) -> None:
        arriving = [v for v in cts if v is not None]
        places = [i for i, v in enumerate(cts) if v is not None]
        body = _function(closed, [*invars, *arriving], gradients, eqns)
        n = len(invars)

        def compiled_backward(*a: Any) -> Any:
            return tuple(body(*a[:n], *(a[n + i] for i in places)))

        self._again: Op | None = None
        self._again_kernel = compiled_backward

    def again(self) -> Op:
        """The gradients as an operation on inputs and cotangents, for higher derivatives."""
        if self._again is None:
            self._again = Op(self._again_kernel)
        return self._again

    def _prepare(self, capture: Capture) -> None:
        """Gather, by kind, what each call has to do; nothing of the trace is kept alive."""
        trace, slots = capture.trace, capture.trace.slots
        places = {k: position for position, k in enumerate(self.order)}
        drawn = {entry for entry in trace.before if not callable(entry)}
        self.host: list[tuple[int | None, Any]] = [
            (None, entry) if callable(entry) else (places.get(entry), slots[entry].read)
            for entry in trace.before
        ]
        self.sources: list[tuple[int, list[Find], str]] = []
        self.live_numbers: list[tuple[int, Any]] = []
        self.given: list[tuple[int, Any]] = []  # the numbers during the trace, for the first run
        for position, k in enumerate(self.order):
            storage = slots[k].storage
            if storage is not None:
                self.sources.append((position, *capture.sources[id(storage)]))
            elif k not in drawn:
                self.live_numbers.append((position, slots[k].read))
                self.given.append((position, slots[k].given))
        by_key = {id(slots[k].storage): p for p, k in enumerate(self.order) if slots[k].storage}
        self.written = [
            (by_key.get(key), capture.sources[key][0][0], output, versions, counted)
            for key, output, versions, counted in capture.written
        ]
        self.checks = [
            (places[slot], steps, offsets, check)
            for slot, steps, offsets, check in trace.checks
            if slot in places
        ]
        self.shapes = [(tuple(slots[k].shape), np.dtype(slots[k].dtype)) for k in self.order]
        self.asked = [
            (capture.handles[id(t)][0], entry is None)
            for t, entry, consulted in trace.grads.values()
            if consulted
        ]
        self.flags = [
            (find, bool(t._requires_grad))
            for find, t in capture.handles.values()
            if find[0] == "path"
        ]
        self.bound: _Binding | None = None

    # Running

    def writes_into(self, walk: Walk) -> bool:
        """Whether the containers that each run stores into are those that `walk` went through."""
        return all(
            id(target) in walk.holders
            for kind, target, *_ in self.effects
            if kind in ("set", "append")
        )

    def passing(self) -> bool:
        """Whether the function changed numbers that it had read: it is right for this run alone."""
        now = [(position, read()) for position, read in self.live_numbers]
        return now != self.given

    def refusal(self, run: Run) -> str | None:
        """Why this program does not fit the present state of things; None if it does."""
        try:
            return self._refusal(run)
        except KeyError:
            return "a gradient is None now"

    def _refusal(self, run: Run) -> str | None:
        for find, absent in self.asked:
            if (run.find(find).__dict__.get("_grad") is None) != absent:
                return "a gradient is " + ("there now" if absent else "None now")
        for fact in self.facts:
            value = fact.read()
            if value != fact.value:
                return f"{fact.what} changed from {fact.value} to {value}"
        bound = self.bound
        if bound is None or bound.handles is not run.handles:
            bound = self.bound = _Binding(self, run)
        if [*map(_flag_of, bound.flagged)] != bound.flags:
            return "requires_grad of a tensor changed"
        return bound.gather(run)

    def call(self, run: Run) -> Any:
        """Run the program on the values that `refusal` found; write, make and return the rest."""
        bound = self.bound
        assert bound is not None
        arrays = bound.inputs
        bound.inputs = []
        for position, steps, offsets, check in self.checks:
            values = host_replay(np.asarray(arrays[position]), steps, offsets)
            if values is not None:
                check(values)
        with Uninterrupted() if self.written or self.after else _OPEN:
            self._execute(run, bound, arrays)
        for line in self.lines:
            line([(made(recipe, run), spec) for recipe, spec in self.shown])
        return made(self.result, run)

    def _execute(self, run: Run, bound: _Binding, arrays: list[Any]) -> None:
        numbers = self.given or [(position, read()) for position, read in self.live_numbers]
        self.given = []
        for position, number in numbers:
            arrays[position] = number
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
        if self.live:
            self._hang_node(run, arrays, outputs)
        arrays.clear()
        self._deliver(run, bound, outputs)
        for action in self.after:
            action()

    def _deliver(self, run: Run, bound: _Binding, outputs: Any) -> None:
        for storage, output, versions, counted in bound.writes(run):
            array = outputs[output] if type(output) is int else output.make(()).array
            if storage.external:
                storage.write(array)
                versions -= 1
                counted -= 1
            else:
                storage.array = array
            storage.version += versions
            storage.counted += counted
        bound.note_versions()
        run.storages = [entry.make(outputs) for entry in self.storages]
        for kind, target, *rest in self.effects:
            if kind == "grad":
                run.find(target)._grad = made(rest[0], run)
            elif kind == "set":
                put(target, rest[0], made(rest[1], run))
            elif kind == "append":
                target.append(made(rest[1], run))
            elif kind == "data":
                run.find(target).data = made(rest[0], run)
            else:
                run.find(target)._requires_grad = rest[0]

    def _hang_node(self, run: Run, arrays: list[Any], outputs: Any) -> None:
        edges = [edge_of(run.find(find)) for find in self.targets]
        inputs: list[Any] = list(arrays)
        device = None
        for position, finds, _ in self.sources:
            if finds[0][0] == "value":
                inputs[position] = wrap(arrays[position])
                continue
            tensor = run.find(finds[0])
            device = device or tensor.device
            value = wrap(arrays[position], tensor.device)
            edge = None if tensor._steps else edge_of(tensor)
            if edge is not None:
                value._node, value._index = edge
            inputs[position] = value
        saved = [outputs[n] for n in self.residual_places]
        run.node = named(ProgramNode, self.label)(self, edges, device, saved, inputs)


class _Binding:
    """A program's inputs among the tensors of one walk, looked up once.

    Attributes:
        inputs: the arrays for the next call.
    """

    def __init__(self, program: Program, run: Run):
        self.program = program
        self.handles = run.handles
        self.flagged = [run.find(find) for find, _ in program.flags]
        self.flags = [flag for _, flag in program.flags]
        fixed = [s for s in program.sources if s[1][0][0] == "path"]
        self.positions = [position for position, *_ in fixed]
        self.tensors = [run.find(finds[0]) for _, finds, _ in fixed]
        self.paths = [path for *_, path in fixed]
        self.others = [s for s in program.sources if s[1][0][0] != "path"]
        self.aliases = [
            (number, find) for number, (_, finds, _) in enumerate(fixed) for find in finds[1:]
        ]
        self.storages: list[Storage] = []
        self.known: list[int] = []
        self.donated = set(program.donated)
        self.versions: list[int] = []
        self.counts: list[int] = []
        self.writers: list[tuple[Any, ...]] | None = None
        self.inputs: list[Any] = []

    def gather(self, run: Run) -> str | None:
        """Collect the inputs; what speaks against running the program, if anything does."""
        storages = [*map(_storage_of, self.tensors)]
        same = len(storages) == len(self.storages) and all(map(_is, storages, self.storages))
        if not same:
            if len(set(map(id, storages))) != len(storages):
                return "tensors share memory that did not before"
            self.storages = storages
            self.writers = None
        for number, find in self.aliases:
            if run.find(find)._storage is not storages[number]:
                return f"{self.paths[number]} no longer shares memory with what it shared it with"
        arrays: list[Any] = [None] * len(self.program.order)
        shapes, donated = self.program.shapes, self.donated
        if [*map(_version_of, storages)] == self.versions and self._owns(storages):
            for position, storage in zip(self.positions, storages, strict=True):
                arrays[position] = storage.array
        else:
            for position, storage, path in zip(self.positions, storages, self.paths, strict=True):
                array = storage.array
                if (array.shape, array.dtype) != shapes[position]:
                    return _changed(path, shapes[position], array)
                arrays[position] = (
                    _given_away(storage, array) if position in donated else _settled(storage, array)
                )
                del array
        seen: dict[int, int] = {}
        for position, finds, path in self.others:
            if finds[0][0] == "value":
                arrays[position] = run.arguments[finds[0][1]]._array()
                continue
            storage = run.find(finds[0])._storage
            for find in finds[1:]:
                if run.find(find)._storage is not storage:
                    return f"{path} no longer shares memory with what it shared it with"
            if seen.setdefault(id(storage), position) != position or storage in storages:
                return f"{path} shares memory with another tensor"
            array = storage.array
            if (array.shape, array.dtype) != shapes[position]:
                return _changed(path, shapes[position], array)
            arrays[position] = (
                _given_away(storage, array) if position in donated else storage.read()
            )
            del array
        self.inputs = arrays
        return None

    def note_versions(self) -> None:
        """After a run: what the storages hold now is known to fit, until someone writes to them."""
        storages = self.storages
        if any(storage.external for storage in storages):
            self.versions = []
            return
        self.versions = [*map(_version_of, storages)]
        self.counts = [_ALONE if p in self.donated else 0 for p in self.positions]

    def _owns(self, storages: list[Storage]) -> bool:
        """Whether nobody else holds an array that the program is to overwrite."""
        held = map(sys.getrefcount, map(_array_of, storages))
        return all(
            not limit or count <= limit for count, limit in zip(held, self.counts, strict=True)
        )

    def writes(self, run: Run) -> list[tuple[Any, ...]]:
        """The storages to write, with the outputs that they get."""
        if self.writers is None:
            self.writers = []
            self.moving: list[Any] = []
            for _, find, *rest in self.program.written:
                if find[0] == "path":
                    self.writers.append((run.find(find)._storage, *rest))
                else:
                    self.moving.append((find, rest))
        if not self.moving:
            return self.writers
        return self.writers + [(run.find(find)._storage, *rest) for find, rest in self.moving]


_ALONE = 2  # references to an array that only its storage holds, as `getrefcount` counts


def _is(a: Any, b: Any) -> bool:
    return a is b


def _settled(storage: Storage, array: Any) -> Any:
    """A captured storage's array, on the device for good."""
    return storage.device_array() if type(array) is np.ndarray or storage.external else array


def _given_away(storage: Storage, array: Any) -> Any:
    """The storage's array for a program that overwrites it: a copy where anyone else holds it."""
    if type(array) is np.ndarray or storage.external:
        return jax.device_put(np.array(storage.read()), may_alias=False)
    if sys.getrefcount(array) > 4:  # the storage, the caller, this function, the count itself
        return jax.numpy.array(array, copy=True)
    return array


def _changed(path: str, expected: tuple[Any, Any], array: Any) -> str:
    shape, dtype = expected
    return f"{path} was {dtype}{list(shape)} and is {array.dtype}{list(array.shape)}"


def _function(closed: Any, invars: list[Any], outvars: list[Any], eqns: list[Any]) -> Any:
    """The equations as a function of `invars`."""
    jaxpr = closed.jaxpr.replace(invars=list(invars), outvars=list(outvars), eqns=eqns)
    return relaid(jaxpr, closed.consts)


def _split(
    closed: Any, eqns: list[Any], gradients: list[Any], cts: list[Any]
) -> tuple[list[Any], list[Any], list[Any]]:
    """The equations of the forward pass, those of the backward pass, and what passes between."""
    late = {v for v in cts if v is not None}
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
    constants = set(closed.jaxpr.constvars)
    residuals = [v for v in needed if v not in late and v not in constants]
    return forward, used, residuals
