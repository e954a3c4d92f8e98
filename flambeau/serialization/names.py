"""Classes and functions by the names that checkpoints have for them, and the list of trusted ones.

Looking a name up never imports anything and never calls anything.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import nn
from ..nn.modules.module import Module
from .tags import Global

_PACKAGE = __name__.partition(".")[0]
_IN_PYTORCH = re.compile(r"torch(\.nn(\.[A-Za-z]\w*)*)?")
_LAYERS = "torch.nn.modules."
# Layers that PyTorch has in a file of another name.
_FILES = {
    "ChannelShuffle": "channelshuffle",
    "InstanceNorm1d": "instancenorm",
    "InstanceNorm2d": "instancenorm",
    "InstanceNorm3d": "instancenorm",
    "LazyInstanceNorm1d": "instancenorm",
    "LazyInstanceNorm2d": "instancenorm",
    "LazyInstanceNorm3d": "instancenorm",
    "MultiheadAttention": "activation",
}

_safe: dict[Global, Any] = {}


def tag_of(value: Any) -> Global:
    """The name of a class or a function, as PyTorch spells it; AttributeError if it has none."""
    module, name = value.__module__, value.__qualname__
    if getattr(nn.functional, name, None) is value:
        return Global("torch.nn.functional", name)
    if "<locals>" in name or _attribute(sys.modules.get(module), name) is not value:
        raise AttributeError(f"Can't save {value!r}: it is not found as {module}.{name}")
    spelled = _spelled(module)
    if spelled.startswith(_LAYERS) and name in _FILES:
        spelled = _LAYERS + _FILES[name]
    return Global(spelled, name)


def _spelled(module: str) -> str:
    package, dot, rest = module.partition(".")
    return f"torch{dot}{rest}" if package == _PACKAGE else module


def _attribute(owner: Any, path: str) -> Any:
    for part in path.split("."):
        owner = getattr(owner, part, None)
    return owner


def find_object(tag: Global) -> Any:
    """What a name stands for in this process; None if that is nothing."""
    name = tag.module
    if _IN_PYTORCH.fullmatch(name):
        name = _PACKAGE + name.removeprefix("torch")
    module: Any = sys.modules.get(name)
    for part in tag.name.split("."):
        if module is None or part.startswith("__"):
            return None
        # Not `getattr`: a module may import what it is asked for.
        module = inspect.getattr_static(module, part, None)
    return module


def find_module_class(tag: Global) -> type[Module] | None:
    """A subclass of `nn.Module` that the library or the program has under this name."""
    found = find_object(tag)
    if found is None and tag.module.startswith(_LAYERS):
        found = find_object(Global("torch.nn", tag.name))
    return found if isinstance(found, type) and issubclass(found, Module) else None


def find_function(tag: Global) -> Any:
    """A function of `nn.functional` or of tensors, which a layer may keep as an attribute."""
    if tag.module == "torch.nn.functional" or tag.module == "torch._C._nn":
        found = find_object(Global("torch.nn.functional", tag.name))
    elif tag.module in ("torch", "torch._C._VariableFunctions"):
        found = find_object(Global("torch", tag.name))
    else:
        return None
    return found if callable(found) and not isinstance(found, type) else None


# What the user trusts


def find_safe(tag: Global) -> Any:
    """The object that the user allowed checkpoints to name so; None if there is none."""
    return _safe.get(tag)


def _entries(safe_globals: list[Any]) -> dict[Global, Any]:
    entries = {}
    for item in safe_globals:
        if isinstance(item, tuple):
            value, path = item
            if not isinstance(path, str):
                raise TypeError(f"Expected second item in tuple to be a string, got {type(path)}")
            module, _, name = path.rpartition(".")
        else:
            value, module, name = item, item.__module__, item.__qualname__
        if not callable(value):
            raise TypeError(f"Expected a class or a function, got {type(value).__name__}")
        entries[Global(_spelled(module), name)] = value
    return entries


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let `load` rebuild objects of further classes, and call further functions.

    Args:
        safe_globals: classes and functions, or pairs of one and the full name that checkpoints
            have for it. What they do when they are called or given a state is up to you.

    Example::

        >>> import argparse
        >>> torch.serialization.add_safe_globals([argparse.Namespace])
        >>> torch.serialization.get_safe_globals()
        [<class 'argparse.Namespace'>]
        >>> torch.serialization.clear_safe_globals()
    """
    _safe.update(_entries(safe_globals))


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` and `safe_globals` were given."""
    return [
        value
        if Global(_spelled(value.__module__), value.__qualname__) == tag
        else (value, str(tag))
        for tag, value in _safe.items()
    ]


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` was given."""
    _safe.clear()


@contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for the block of a `with` statement.

    >>> import argparse, io
    >>> buffer = io.BytesIO()
    >>> torch.save(argparse.Namespace(epochs=3), buffer)
    >>> _ = buffer.seek(0)
    >>> with torch.serialization.safe_globals([argparse.Namespace]):
    ...     torch.load(buffer)
    Namespace(epochs=3)
    """
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)
