"""What the global names of a checkpoint stand for: tensors, their storages, modules and values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .. import dtypes
from ..nn.modules.module import Module
from .archive import CheckpointError
from .functions import (
    FUNCTIONS,
    MORE_CONSTANTS,
    MORE_FUNCTIONS,
    PLAIN_CLASSES,
    UNTYPED,
    set_numpy_state,
)
from .locations import MapLocation, place
from .names import find_function, find_module_class, find_safe
from .stored import LoadedStorage, StoragePart
from .tags import STORAGE_DTYPES, TENSOR, Global

_REFUSED = (
    "Weights only load failed. WeightsUnpickler error: Unsupported global: GLOBAL {0} was not an "
    "allowed global by default. Please use `torch.serialization.add_safe_globals([{0}])` or the "
    "`torch.serialization.safe_globals([{0}])` context manager to allowlist this global if you "
    "trust this class/function."
)
_WITH_FALSE = (
    " With weights_only=False, modules (subclasses of nn.Module that this program has imported) "
    "and plain values of NumPy and the standard library are rebuilt, too; code of a checkpoint is "
    "never run."
)


class Source(Protocol):
    """Where the bytes of storages come from."""

    def memory(self, key: str, nbytes: int) -> np.ndarray:
        """The bytes of a storage, uint8."""
        ...


class Rebuilder:
    """Builds the objects of one checkpoint.

    Args:
        source: the checkpoint's storages.
        map_location: as for `flambeau.load`.
        trusting: whether modules, and plain values of NumPy and the standard library, are rebuilt.
    """

    def __init__(self, source: Source, map_location: MapLocation, trusting: bool = False):
        self._source = source
        self._map_location = map_location
        self._trusting = trusting
        self._functions = {**FUNCTIONS, **MORE_FUNCTIONS} if trusting else FUNCTIONS
        self._classes: set[type] = set()  # that instances may be made of
        self._callables: list[Any] = []  # that may be called
        self._storages: dict[str, LoadedStorage] = {}

    def constant(self, tag: Global) -> Any:
        """The object of a name; None for a function that `call` knows by its name."""
        found = find_safe(tag)
        if found is not None:
            self._callables.append(found)
            if isinstance(found, type):
                self._classes.add(found)
            return found
        if tag.module == "torch" and tag.name in dtypes.BY_NAME:
            return dtypes.BY_NAME[tag.name]
        known = tag in self._functions or tag in (UNTYPED, TENSOR)
        if known or (tag.module == "torch" and tag.name in STORAGE_DTYPES):
            return None
        if self._trusting:
            if tag in MORE_CONSTANTS:
                return None
            found = self._trusted(tag)
            if found is not None:
                return found
        raise CheckpointError(_REFUSED.format(tag) + ("" if self._trusting else _WITH_FALSE))

    def _trusted(self, tag: Global) -> Any:
        if tag in PLAIN_CLASSES:
            found = PLAIN_CLASSES[tag]
            self._callables.append(found)
        else:
            found = find_module_class(tag) or find_function(tag)
        if isinstance(found, type):
            self._classes.add(found)
        return found

    def call(self, target: Any, arguments: Any) -> Any:
        """What a function gives for arguments; it is one of ours, or one that the user trusts."""
        if type(arguments) is not tuple:
            raise CheckpointError("the pickle calls a function with something that is no tuple")
        if isinstance(target, Global):
            function = self._functions.get(target)
        else:
            function = next((known for known in self._callables if known is target), None)
        if function is None:
            raise CheckpointError("the pickle calls something that is no function")
        return _guarded(function, *arguments)

    def new(self, target: Any, arguments: Any) -> Any:
        """A new instance of a class, of which `__init__` is not called."""
        known = isinstance(target, type) and target in self._classes
        if not known or type(arguments) is not tuple:
            raise CheckpointError("the pickle makes an instance of something that is no class")
        if issubclass(target, Module) and arguments:
            raise CheckpointError(f"a {target.__name__} of the checkpoint is malformed")
        return _guarded(target.__new__, target, *arguments)

    def build(self, target: Any, state: Any) -> None:
        """Give an object its state."""
        if type(target) is OrderedDict:
            named = type(state) is dict and all(type(n) is str for n in state)
            if not named or any(name.startswith("__") for name in state):
                raise CheckpointError(
                    "an OrderedDict of the checkpoint has attributes of another kind"
                )
            target.__dict__.update(state)
        elif type(target) in self._classes:
            _set_state(target, state)
        elif self._trusting and isinstance(target, np.ndarray | np.dtype):
            _guarded(set_numpy_state, target, state)
        else:
            raise CheckpointError(f"a {type(target).__name__} in the checkpoint has a state")

    def storage(self, reference: Any) -> Any:
        """The storage that `("storage", type, key, location, elements, view?)` names."""
        parts: list[Any] = list(reference) if type(reference) is tuple else []
        if len(parts) == 4 and parts[0] == "module":
            return self._described_class(parts[1])
        if len(parts) not in (5, 6):
            raise CheckpointError("expected the description of a storage")
        kind, tag, key, location, count, *rest = parts
        texts = all(type(item) is str and len(item) < 1000 for item in (kind, key, location))
        if not texts or kind != "storage" or not isinstance(tag, Global) or type(count) is not int:
            raise CheckpointError("expected the description of a storage")
        if tag != UNTYPED and tag.name not in STORAGE_DTYPES:
            raise CheckpointError("expected the description of a storage, got one of another type")
        dtype = None if tag == UNTYPED else dtypes.BY_NAME[STORAGE_DTYPES[tag.name]]
        nbytes = count * (1 if dtype is None else dtype.itemsize)
        known = self._storages.get(key)
        if known is None:
            memory = self._source.memory(key, nbytes)
            placed, device = place(memory, location, self._map_location)
            known = self._storages[key] = LoadedStorage(placed, dtype, device)
        if known.dtype is not dtype or nbytes != known.memory.nbytes:
            raise CheckpointError("one record is used as storages of different types or sizes")
        if rest and rest[0] is not None:
            return _part(known, rest[0])
        return known

    def _described_class(self, kind: Any) -> Any:
        """The class of a module, which old files have together with its source code."""
        if isinstance(kind, type) and kind in self._classes:
            return kind
        raise CheckpointError("expected the description of a module")

    def itemsize(self, key: str) -> int:
        """The size in bytes of the elements of a storage."""
        dtype = self._storages[key].dtype
        return 1 if dtype is None else dtype.itemsize


def _part(storage: LoadedStorage, description: Any) -> StoragePart:
    if type(description) is not tuple or len(description) != 3:
        raise CheckpointError("a part of a storage is malformed")
    _, offset, count = description
    if type(offset) is not int or type(count) is not int:
        raise CheckpointError("a part of a storage is malformed")
    return storage.part(offset, count)


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`; arguments that do not fit are the checkpoint's fault."""
    try:
        return function(*arguments)
    except CheckpointError:
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", type(function).__name__).lstrip("_")
        raise CheckpointError(f"{name} got arguments that do not fit: {error}") from error


def _set_state(target: Any, state: Any) -> None:
    """As pickle does: by `__setstate__`, or as attributes."""
    if hasattr(target, "__setstate__"):
        _guarded(target.__setstate__, state)
        return
    attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
    for items in (attributes or {}, slots or {}):
        if type(items) is not dict or not all(type(name) is str for name in items):
            raise CheckpointError(f"the state of a {type(target).__name__} is malformed")
    if attributes:
        target.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        _guarded(setattr, target, name, value)
