"""Tracing: Python code runs once with symbolic values in the storages, to be compiled.

# Note [Reads become inputs]
# While a trace runs, the first read of a storage that existed before becomes an input of the
# program (a `Slot`), and every write stays symbolic. Nothing has to be declared or found
# beforehand, and a value cannot slip in as a constant: a storage has one door, and that door is
# watched. The watching is done by exchanging the descriptors of `Storage.array`,
# `Storage.version` and `Tensor._grad` for the time of the trace, so that ordinary code pays
# nothing for it.
"""

from __future__ import annotations

import builtins
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.core
import jax.extend.core as jex
import numpy as np

from . import random
from .state import modes
from .storage import Storage
from .tensor import Tensor

_read = jex.Primitive("flambeau_read")
_read.def_abstract_eval(lambda *, slot, shape, dtype: jax.core.ShapedArray(shape, dtype))

_array = Storage.__dict__["array"]
_version = Storage.__dict__["version"]
_external = Storage.__dict__["external"]
_patching = threading.Lock()
_patched = 0
_traces = 0


class OuterGraph(RuntimeError):
    """A backward pass inside a compiled function that reaches what was recorded outside."""


@dataclass(eq=False)
class Slot:
    """An input of the program: how to get its value before each run.

    Attributes:
        storage: the storage that it is the contents of; or
        read: gives a number, or what a random draw gives, anew for each run.
        given: the number during the trace.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    storage: Storage | None = None
    read: Callable[[], Any] | None = None
    given: Any = None


@dataclass(eq=False)
class Kept:
    """A storage as it was before the trace."""

    storage: Storage
    array: Any
    version: int
    counted: int
    external: bool
    slot: int | None = None
    written: bool = False


@dataclass(eq=False)
class Fact:
    """Something that Python code asked about: valid while `read()` gives an equal value."""

    what: str
    read: Callable[[], Any]
    value: Any


@dataclass(eq=False)
class Trace:
    """What one run of Python code with symbolic values read, wrote, drew, asked and made."""

    slots: list[Slot] = field(default_factory=list)
    kept: dict[int, Kept] = field(default_factory=dict)
    made: dict[int, Any] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    before: list[Callable[[], None] | int] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)
    checks: list[tuple[int, Any, Any, Callable[[Any], None]]] = field(default_factory=list)
    undo: list[Callable[[], Any]] = field(default_factory=list)
    settled: dict[int, Any] = field(default_factory=dict)
    grads: dict[int, tuple[Tensor, Tensor | None, bool]] = field(default_factory=dict)
    shown: list[tuple[Tensor, str]] = field(default_factory=list)
    lines: list[Callable[[Any], None]] = field(default_factory=list)
    steps: dict[Any, int] = field(default_factory=dict)  # by optimiser and parameter
    offset: int = 0
    start: float = 0
    paused: bool = False
    top: Any = None

    def new_slot(self, slot: Slot) -> Any:
        """Add an input; returns the symbolic value."""
        self.slots.append(slot)
        with jex.set_current_trace(self.top):
            return _read.bind(slot=len(self.slots) - 1, shape=slot.shape, dtype=slot.dtype)

    # The door

    def keep(self, storage: Storage) -> Kept:
        """Note how a storage was before the trace touches it."""
        kept = self.kept.get(id(storage))
        if kept is None:
            array = _array.__get__(storage)
            kept = Kept(
                storage,
                array,
                _version.__get__(storage),
                storage.counted,
                _external.__get__(storage),
            )
            self.kept[id(storage)] = kept
        return kept

    def is_made(self, storage: Storage) -> bool:
        """Whether the storage was made during the trace."""
        reference = self.made.get(id(storage))
        return reference is not None and reference() is storage

    def read(self, storage: Storage) -> Any:
        array = _array.__get__(storage)
        known = id(storage) in self.kept or self.is_made(storage)
        if known or type(array) is jax.ShapeDtypeStruct:
            return array
        kept = self.keep(storage)
        kept.slot = len(self.slots)
        value = self.new_slot(Slot(tuple(array.shape), array.dtype, storage=storage))
        _array.__set__(storage, value)
        return value

    def write(self, storage: Storage, array: Any) -> None:
        key = id(storage)
        if key not in self.kept and not self.is_made(storage):
            if _is_new(storage):
                self.made[key] = weakref.ref(storage)
            else:
                self.keep(storage)
        if key in self.kept:
            self.kept[key].written = True
        _array.__set__(storage, array)

    def read_grad(self, tensor: Tensor) -> Tensor | None:
        value = tensor.__dict__.get("_grad")
        if id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, value, True)
        return value

    def write_grad(self, tensor: Tensor, value: Tensor | None) -> None:
        if id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, tensor.__dict__.get("_grad"), False)
        tensor.__dict__["_grad"] = value

    def describe(self, tensor: Tensor, spec: str) -> str:
        """The text of a tensor whose values are not known yet: a mark that `print` replaces."""
        self.shown.append((tensor, spec))
        return mark(len(self.shown) - 1)

    def enter_graph(self, nodes: Iterable[Any]) -> None:
        """A walk over the tape begins: it must not leave the graph that the trace itself made."""
        for node in nodes:
            if node.sequence < self.start:
                raise OuterGraph(
                    "backward() inside a compiled function goes through a graph that was recorded "
                    f"outside of it ({node.label}): compile the part that records it as well, or "
                    "call backward() outside"
                )

    def check(self, tensor: Tensor, check: Callable[[Any], None]) -> None:
        """Before each run, check what `tensor` holds, if it is (a view of) an input."""
        kept = self.kept.get(id(tensor._storage))
        if kept is not None and kept.slot is not None and not kept.written:
            self.checks.append((kept.slot, tensor._steps, tensor._offsets, check))

    def restore(self) -> None:
        """Put all storages and gradients back as they were."""
        for kept in self.kept.values():
            storage = kept.storage
            _array.__set__(storage, kept.array)
            _version.__set__(storage, kept.version)
            storage.counted = kept.counted
        for tensor, value, _ in self.grads.values():
            if value is None:
                tensor.__dict__.pop("_grad", None)
            else:
                tensor.__dict__["_grad"] = value


def mark(number: int) -> str:
    """What stands for a tensor in text that is made during a trace."""
    return f"<tensor {number} of a compiled function>"


def _is_new(storage: Storage) -> bool:
    try:
        _array.__get__(storage)
    except AttributeError:
        return True
    return False


# The watched descriptors. Other threads (data loading) see through them.


def _get_array(storage: Storage) -> Any:
    trace = modes.trace
    if trace is None:
        return _array.__get__(storage)
    if trace.paused:
        kept = trace.kept.get(id(storage))
        return _array.__get__(storage) if kept is None else kept.array
    return trace.read(storage)


def _set_array(storage: Storage, array: Any) -> None:
    trace = modes.trace
    if trace is None or trace.paused:
        _array.__set__(storage, array)
    else:
        trace.write(storage, array)


def _get_version(storage: Storage) -> int:
    trace = modes.trace
    raw = _version.__get__(storage)
    return raw if trace is None or trace.paused else raw + trace.offset


def _set_version(storage: Storage, version: int) -> None:
    trace = modes.trace
    if trace is None or trace.paused:
        _version.__set__(storage, version)
        return
    if not trace.is_made(storage) and not _is_new(storage):
        trace.keep(storage)
    _version.__set__(storage, version - trace.offset)


def _get_external(storage: Storage) -> bool:
    trace = modes.trace
    external = _external.__get__(storage)
    return external and (trace is None or trace.paused or trace.is_made(storage))


def _set_external(storage: Storage, external: bool) -> None:
    trace = modes.trace
    if trace is None or trace.paused or id(storage) not in trace.kept:
        _external.__set__(storage, external)


def _get_grad(tensor: Tensor) -> Tensor | None:
    trace = modes.trace
    if trace is None or trace.paused:
        return tensor.__dict__.get("_grad")
    return trace.read_grad(tensor)


def _set_grad(tensor: Tensor, value: Tensor | None) -> None:
    trace = modes.trace
    if trace is None or trace.paused:
        tensor.__dict__["_grad"] = value
    else:
        trace.write_grad(tensor, value)


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    global _patched
    with _patching:
        _patched += 1
        if _patched == 1:
            Storage.array = property(_get_array, _set_array)  # type: ignore[assignment]
            Storage.version = property(_get_version, _set_version)  # type: ignore[assignment]
            Storage.external = property(_get_external, _set_external)  # type: ignore[assignment]
            Tensor._grad = property(_get_grad, _set_grad)  # type: ignore[assignment]
    try:
        yield
    finally:
        with _patching:
            _patched -= 1
            if _patched == 0:
                Storage.array = _array
                Storage.version = _version
                Storage.external = _external
                Tensor._grad = None


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """What is printed during a trace is printed anew for each run, with that run's values."""
    plain = builtins.print

    def record(*values: Any, **settings: Any) -> None:
        trace = modes.trace
        if trace is None:
            plain(*values, **settings)
            return
        texts = [str(v) for v in values]

        def line(shown: list[tuple[Tensor, str]]) -> None:
            filled = texts
            for number, (tensor, spec) in enumerate(shown):
                place = mark(number)
                if any(place in text for text in filled):
                    filled = [t.replace(place, format(tensor, spec)) for t in filled]
            plain(*filled, **settings)

        trace.lines.append(line)

    builtins.print = record
    try:
        yield
    finally:
        builtins.print = plain


@contextlib.contextmanager
def tracing() -> Iterator[Trace]:
    """Trace what the block does. The caller restores the storages before the block ends.

    Must be entered inside a JAX trace (`jax.make_jaxpr`), whose equations the reads become.
    """
    global _traces
    if modes.trace is not None:
        raise RuntimeError("a trace is already running in this thread")
    _traces += 1
    trace = Trace(offset=_traces << 40, top=_current())
    recorder = random.recording.recorder
    with _watched(), _printing():
        modes.trace = trace
        random.recording.recorder = _record_draw
        try:
            yield trace
        finally:
            random.recording.recorder = recorder
            modes.trace = None


def _current() -> Any:
    with jex.take_current_trace() as current:
        return current


def _record_draw(values: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> Any:
    trace = modes.trace
    assert trace is not None
    trace.before.append(len(trace.slots))
    return trace.new_slot(Slot(tuple(shape), np.dtype(dtype), read=values))


# What code that knows of traces calls


def live(read: Callable[[], float]) -> Any:
    """A number that may differ from call to call: a compiled function reads it anew each time."""
    trace = modes.trace
    if trace is None:
        return read()
    return trace.new_slot(Slot((), np.dtype(np.float64), read=read, given=read()))


def consult(what: str, read: Callable[[], Any]) -> Any:
    """A fact that decides what is computed: a compiled function holds while it stays equal."""
    value = read()
    trace = modes.trace
    if trace is not None:
        trace.facts.append(Fact(what, read, value))
    return value


def afterwards(action: Callable[[], None]) -> None:
    """Do something on the host: now, or after each run of the function that is being compiled."""
    trace = modes.trace
    if trace is None:
        action()
    else:
        trace.after.append(action)


def settled(made: Any, undo: Callable[[], Any]) -> None:
    """`made` outside the trace is there to stay; `undo` takes it away should the trace fail."""
    trace = modes.trace
    if trace is not None:
        trace.settled[id(made)] = made
        trace.undo.append(undo)


def held(tensor: Tensor) -> Any:
    """What a whole tensor held before the trace, which does not become an input by this."""
    kept = None if modes.trace is None else modes.trace.kept.get(id(tensor._storage))
    return _array.__get__(tensor._storage) if kept is None else kept.array


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Leave the trace for a moment: what the block makes and writes is real."""
    trace = modes.trace
    if trace is None or trace.paused:
        yield
        return
    trace.paused = True
    recorder, random.recording.recorder = random.recording.recorder, None
    try:
        with jax.ensure_compile_time_eval():
            yield
    finally:
        trace.paused = False
        random.recording.recorder = recorder
