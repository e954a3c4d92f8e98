"""Modules of settings for PyTorch's compilers, which programs set and XLA has no use for.

They keep what they are set to. A name that PyTorch does not have is refused as there.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .config import config
from .errors import NotBuilt
from .names import names_in_pytorch

# Settings of PyTorch's that mean a setting of this library.
MEANT = {
    "torch._dynamo.config.suppress_errors": "compile_fallback",
    "torch._dynamo.config.cache_size_limit": "compile_limit",
    "torch._dynamo.config.recompile_limit": "compile_limit",
}


class Settings(ModuleType):
    """A module whose public attributes are settings."""

    _torch_name: str
    _prefix: str = ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        full = f"{self._torch_name}.{name}"
        if full in MEANT:
            return getattr(config, MEANT[full])
        known = names_in_pytorch().get(self._torch_name.removesuffix(f".{self._prefix}"), ())
        inner = f"{self._prefix}.{name}" if self._prefix else name
        if inner in known:
            raise NotBuilt(full)
        if not self._prefix and any(entry.startswith(f"{name}.") for entry in known):
            group = Settings(full)
            group.__dict__.update(_torch_name=full, _prefix=name)
            self.__dict__[name] = group
            return group
        raise AttributeError(f"{full} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            full = f"{self._torch_name}.{name}"
            if full in MEANT:
                setattr(config, MEANT[full], value)
                return
            with contextlib.suppress(NotBuilt):  # known, and not set so far
                getattr(self, name)
        super().__setattr__(name, value)

    @contextlib.contextmanager
    def _patched(self, changes: dict[str, Any]) -> Iterator[None]:
        before = {}
        for name, value in changes.items():
            with contextlib.suppress(NotBuilt):  # known, and not set so far
                before[name] = getattr(self, name)
            setattr(self, name, value)
        try:
            yield
        finally:
            for name in changes:
                if name in before:
                    setattr(self, name, before[name])
                else:
                    del self.__dict__[name]

    def patch(self, arg: Any = None, value: Any = None, **changes: Any) -> Any:
        """Settings that hold in a `with` block, or in a function that is decorated."""
        if isinstance(arg, str):
            changes[arg] = value
        elif arg:
            changes.update(arg)
        return self._patched(changes)


def settings(name: str) -> None:
    """Make the module `name` one of settings."""
    module = sys.modules[name]
    module.__dict__["_torch_name"] = "torch" + name[name.index(".") :]
    module.__class__ = Settings
