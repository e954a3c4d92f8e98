"""What a function can reach: the tensors, and the Python facts that its code may ask about.

# Note [Places]
# A compiled function must notice when `model.fc` is replaced, when `eval()` was called, or when a
# number in a closure changed. A walk starts at the function and its object arguments and follows
# closures, globals that the code names, attributes and containers. It notes each tensor by its
# path (`self.model._parameters['weight']`), and each plain value with its path. Two walks that find
# equal facts at equal paths stand for the same program, whatever the objects' identities.
# Attributes of a user's own objects count only where code that can be reached names them, so that
# a step counter on a trainer object costs nothing.
# For the check before each call it is enough to compare identities in the containers that the walk
# went through; only when one differs is the walk taken again.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from operator import call
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..dtypes import dtype as Dtype

PLAIN = (int, float, complex, str, bytes, type(None), Dtype, type, slice, range, type(...))
LIBRARIES = {"flambeau", "jax", "jaxlib", "numpy", "torch", "tqdm", "matplotlib", "scipy"}
MISSING = object()
_FIELDS = {
    name for name in Tensor.__dict__ if name.startswith("_") and not name.startswith("__")
} | {"_storage"}
_TABLES = ("_parameters", "_buffers", "_modules")


class Watch:
    """A container that the walk went through, and the identities that it held.

    Attributes:
        read: gives the values that matter, in an order that stays.
        values: what it gave, kept alive, so that no new object is taken for one of them.
    """

    __slots__ = ("read", "values")

    def __init__(self, read: Callable[[], Any]):
        self.read = read
        self.values = list(read())


class Walk:
    """One walk from `roots` (pairs of path and object).

    Attributes:
        tensors: by path.
        facts: by path: plain values, and how things are put together.
        entries: by path: the container, the key in it, and the value found there.
        watches: what to compare before a call.
    """

    def __init__(self, roots: list[tuple[str, Any]]):
        self.names: set[str] = set()
        known = -1
        while len(self.names) != known:  # attributes matter where code names them: find all code
            known = len(self.names)
            self.tensors: dict[str, Tensor] = {}
            self.facts: dict[str, Any] = {}
            self.entries: dict[str, tuple[Any, Any, Any]] = {}
            self.holders: set[int] = set()
            self.watches: list[Watch] = []
            self.empty: list[Any] = []
            self.seen: dict[int, tuple[str, Any]] = {}
            self.pending: deque[tuple[str, Any]] = deque(roots)
            while self.pending:
                self.visit(*self.pending.popleft())
        self.reads = [watch.read for watch in self.watches]
        self.ids = [*map(id, chain.from_iterable(watch.values for watch in self.watches))]

    def holds(self) -> bool:
        """Whether nothing that the walk went through has changed."""
        return (
            not any(self.empty)
            and [*map(id, chain.from_iterable(map(call, self.reads)))] == self.ids
        )

    def visit(self, path: str, value: Any) -> None:
        if isinstance(value, Tensor):
            self.tensors[path] = value
            self.visit_tensor(path, value)
            return
        if isinstance(value, PLAIN):
            self.facts[path] = (type(value), value)
            return
        first = self.seen.get(id(value))
        if first is not None:
            self.facts[path] = ("same as", first[0])
            return
        self.seen[id(value)] = (path, value)
        if isinstance(value, np.ndarray):
            self.facts[path] = ("array", id(value))
        elif isinstance(value, Mapping):
            self.visit_mapping(path, value)
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            self.visit_items(path, value)
        elif isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
            self.visit_callable(path, value)
        elif isinstance(value, types.ModuleType):
            self.visit_module(path, value)
        elif isinstance(value, type) or not hasattr(value, "__dict__"):
            self.facts[path] = ("object", id(value))
        else:
            self.visit_object(path, value)

    def follow(self, path: str, container: Any, key: Any, value: Any) -> None:
        self.entries[path] = (container, key, value)
        self.holders.add(id(container))
        self.pending.append((path, value))

    def visit_tensor(self, path: str, value: Tensor) -> None:
        first = self.seen.get(id(value))
        if first is not None:
            self.facts[path] = ("same as", first[0])
            return
        self.seen[id(value)] = (path, value)
        own = value.__dict__
        for name, extra in own.items():
            if name not in _FIELDS:
                self.follow(f"{path}.{name}", own, name, extra)
        for table in (value._backward_hooks, value._post_accumulate_grad_hooks):
            if table is not None:
                self.visit(f"{path} (hooks)", table)

    def visit_mapping(self, path: str, value: Mapping[Any, Any]) -> None:
        self.facts[path] = (type(value), None)
        self.holders.add(id(value))
        if not value:
            self.empty.append(value)
            return
        self.watches.append(Watch(value.values))
        for number, (key, item) in enumerate(value.items()):
            spelled = f"{number}" if isinstance(key, Tensor) else repr(key)
            self.follow(f"{path}[{spelled}]", value, key, item)

    def visit_items(self, path: str, value: Any) -> None:
        self.facts[path] = (type(value), None)
        self.holders.add(id(value))
        if isinstance(value, (list, deque)):
            if value:
                self.watches.append(Watch(value.__iter__))
            else:
                self.empty.append(value)
        for number, item in enumerate(value):
            self.follow(f"{path}[{number}]", value, number, item)

    def visit_callable(self, path: str, value: Any) -> None:
        if isinstance(value, functools.partial):
            self.facts[path] = ("partial", len(value.args), tuple(value.keywords))
            parts = {"func": value.func, **dict(enumerate(value.args)), **value.keywords}
            for key, part in parts.items():
                self.pending.append((f"{path}({key})", part))
            return
        if isinstance(value, types.MethodType):
            self.facts[path] = ("method", value.__func__.__code__)
            self.pending.append((f"{path}.__self__", value.__self__))
            value = value.__func__
        else:
            self.facts[path] = ("function", value.__code__)
        if not _of_user(value):
            if value.__closure__:
                self.visit_closure(path, value)
            return
        global_names, attributes = _names_in(value.__code__)
        self.names |= attributes
        spaces = value.__globals__
        used = [n for n in global_names if n in spaces]
        if used:
            self.watches.append(Watch(lambda: [spaces.get(n, MISSING) for n in used]))
        for name in used:
            self.follow(name, spaces, name, spaces[name])
        self.visit_closure(path, value)
        for part in (value.__defaults__ or (), (value.__kwdefaults__ or {}).values()):
            for number, item in enumerate(part):
                self.pending.append((f"{path} (default {number})", item))

    def visit_closure(self, path: str, value: Any) -> None:
        cells = value.__closure__ or ()
        if not cells:
            return
        self.watches.append(Watch(lambda: [_contents(c) for c in cells]))
        for name, cell in zip(value.__code__.co_freevars, cells, strict=True):
            content = _contents(cell)
            if content is not MISSING:
                self.follow(name, cell, "cell_contents", content)

    def visit_module(self, path: str, value: types.ModuleType) -> None:
        self.facts[path] = ("module", value.__name__)
        if _is_library(value.__name__):
            return
        own = vars(value)
        used = [n for n in sorted(self.names) if n in own]
        if used:
            self.watches.append(Watch(lambda: [own.get(n, MISSING) for n in used]))
        for name in used:
            self.follow(f"{path}.{name}", own, name, own[name])

    def visit_object(self, path: str, value: Any) -> None:
        kind = type(value)
        inner = getattr(kind, "_stands_for", None)
        if inner is not None:
            self.visit(path, value.__dict__[inner])
            return
        plain = "_modules" in value.__dict__ or not _is_library(kind.__module__)
        self.facts[path] = ("object of", kind) if plain else ("object", value)
        self.holders.add(id(value.__dict__))
        for base in kind.__mro__:
            if _is_library(base.__module__):
                continue
            for name, member in vars(base).items():
                function = getattr(member, "__func__", getattr(member, "fget", member))
                function = getattr(function, "function", function)  # a compiled method
                called = name in self.names or (name[:2] == "__" and name != "__init__")
                if isinstance(function, types.FunctionType) and (called or name == "forward"):
                    self.visit(f"{path}.{name}()", function)
        own = value.__dict__
        hidden = getattr(kind, "_not_facts", ())
        if _is_library(kind.__module__):
            used = [n for n in own if n not in hidden]
            read = own.values if not hidden else (lambda: [own.get(n, MISSING) for n in used])
            self.watches.append(Watch(read))
        else:
            used = [n for n in own if self.counts(n) and n not in hidden]
            shared = [n for n in self.shared_values(kind) if n not in own]
            all_names = used + shared
            self.watches.append(Watch(lambda: [own.get(n, MISSING) for n in all_names]))
            for name in shared:
                self.pending.append((f"{path}.{name}", getattr(kind, name)))
            self.watches.append(Watch(lambda: [getattr(kind, n, MISSING) for n in shared]))
        for name in used:
            self.follow(f"{path}.{name}", own, name, own[name])
        if hidden:
            self.watches.append(Watch(lambda: value._reached().values()))
            self.watches.append(Watch(lambda: [value.state]))  # `load_state_dict` exchanges it
            for name, found in value._reached().items():
                self.follow(f"{path}.{name}", own, name, found)
            self.visit_state(f"{path}.state", value.state)

    def visit_state(self, path: str, state: dict[Any, Any]) -> None:
        """An optimiser's state: the tensors in it; its numbers are its own affair."""
        self.holders.add(id(state))
        self.watches.append(Watch(state.values))
        for number, (key, entry) in enumerate(state.items()):
            self.entries[f"{path}[{number}]"] = (state, key, entry)
            if not isinstance(entry, dict):
                continue
            self.holders.add(id(entry))
            self.watches.append(Watch(functools.partial(_tensors_in, entry)))
            for name, value in entry.items():
                if isinstance(value, Tensor):
                    self.follow(f"{path}[{number}][{name!r}]", entry, name, value)

    def shared_values(self, kind: type) -> list[str]:
        """The plain values that a user's class holds for its objects, of those that code names."""
        found = []
        for base in kind.__mro__:
            if not _is_library(base.__module__):
                found += [
                    name
                    for name, member in vars(base).items()
                    if name in self.names
                    and isinstance(member, (*PLAIN, Tensor, list, dict, tuple))
                ]
        return found

    def counts(self, name: str) -> bool:
        """Whether an attribute of a user's object can matter."""
        return name in self.names or name in _TABLES or name == "training" or "_hooks" in name


def _tensors_in(entry: dict[str, Any]) -> list[Any]:
    return [v for v in entry.values() if isinstance(v, Tensor)]


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


@functools.lru_cache(4096)
def _names_in(code: types.CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    """The globals and the attributes that code names, nested functions included."""
    global_names, attributes = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            global_names.add(instruction.argval)
        elif isinstance(instruction.argval, types.CodeType):
            inner = _names_in(instruction.argval)
            global_names.update(inner[0])
            attributes |= inner[1]
        elif instruction.opcode in _NAMED or isinstance(instruction.argval, str):
            attributes.add(instruction.argval)
    return tuple(sorted(global_names)), frozenset(attributes)


_NAMED = frozenset(dis.hasname)


@functools.cache
def _is_library(module: str) -> bool:
    top = module.partition(".")[0]
    return top in LIBRARIES or (top in sys.stdlib_module_names and top != "__main__")


def _of_user(function: types.FunctionType) -> bool:
    typed_in = function.__code__.co_filename.startswith("<")  # at a prompt, in a doctest
    return typed_in or not _is_library(function.__module__ or "__main__")
