"""JAX on demand: in the worker processes of a DataLoader, which rarely need it.

A worker loads items, stacks them and sends them; it never runs a compiled program. Importing JAX
there would cost a third of a second and a hundred megabytes a process, and would reach for the
accelerator. In such a process the library's own modules are given stand-ins for JAX's, and JAX is
imported when one of its functions is first called: by an augmentation on tensors, say.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from types import ModuleType
from typing import Any

import ml_dtypes

# A call that a module makes while it is imported is kept, and made when JAX is there; so is that of
# `jit`, which tables of programs make.
_KEPT_CALL = "jax.jit"
_PACKAGE = __name__.partition(".")[0]
_plain_import = builtins.__import__
_kept: list[Deferred] = []
_loaded = False


class Deferred:
    """Stands for a module of JAX, something in one, or the result of a call that was kept."""

    def __init__(self, path: str, origin: Any):
        self.__dict__["_path"] = path
        self.__dict__["_origin"] = origin
        self.__dict__["_value"] = None

    def __getattr__(self, name: str) -> Any:
        if _loaded:
            return getattr(real(self), name)
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self._path}.{name}"
        if path == "jax.numpy.bfloat16":
            return ml_dtypes.bfloat16
        child = self.__dict__[name] = Deferred(path, (self, name))
        return child

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        path: str = self._path
        importing = sys._getframe(1).f_code.co_name == "<module>"
        if not _loaded and (importing or path == _KEPT_CALL):
            result = Deferred(f"{path}()", (self, args, kwargs))
            _kept.append(result)
            return result
        load()
        return real(self)(*args, **kwargs)

    def __instancecheck__(self, instance: Any) -> bool:
        return "jax" in sys.modules and isinstance(instance, real(self))

    def __repr__(self) -> str:
        return f"<deferred {self._path}>"


def real(value: Any) -> Any:
    """What a stand-in stands for; any other value is itself."""
    if not isinstance(value, Deferred):
        return value
    found = value.__dict__["_value"]
    if found is None:
        origin = value.__dict__["_origin"]
        if isinstance(origin, str):
            found = importlib.import_module(origin)
        elif len(origin) == 2:
            found = _attribute(real(origin[0]), origin[1])
        else:
            function, args, kwargs = origin
            found = real(function)(
                *map(real, args), **{name: real(item) for name, item in kwargs.items()}
            )
        value.__dict__["_value"] = found
    return found


def _attribute(owner: Any, name: str) -> Any:
    if isinstance(owner, ModuleType) and not hasattr(owner, name):
        return importlib.import_module(f"{owner.__name__}.{name}")
    return getattr(owner, name)


def install() -> None:
    """Give the library's modules stand-ins for JAX from now on."""
    root = Deferred("jax", "jax")

    def find(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        ours = level == 0 and (name == "jax" or name.startswith("jax."))
        if ours and globals and str(globals.get("__name__")).partition(".")[0] == _PACKAGE:
            found = root
            for part in name.split(".")[1:] if fromlist else ():
                found = getattr(found, part)
            return found
        return _plain_import(name, globals, locals, fromlist, level)

    builtins.__import__ = find


def load() -> None:
    """Import JAX, on the CPU alone, and put the real things in the stand-ins' places."""
    global _loaded
    if _loaded:
        return
    builtins.__import__ = _plain_import
    os.environ["JAX_PLATFORMS"] = "cpu"  # the accelerator belongs to the training process
    importlib.import_module("jax")
    _loaded = True
    for call in _kept:
        real(call)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _PACKAGE and name != __name__:
            for key, value in list(vars(module).items()):
                vars(module)[key] = _replaced(value)


def _replaced(value: Any) -> Any:
    """`value`, or the real thing; a table of stand-ins gets the real ones."""
    if type(value) is dict and any(
        isinstance(item, Deferred) for pair in value.items() for item in pair
    ):
        pairs = [(real(key), real(item)) for key, item in value.items()]
        value.clear()
        value.update(pairs)
    return real(value)
