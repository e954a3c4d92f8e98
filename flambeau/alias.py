"""`alias_torch`: for this process, and those that it starts, `import torch` means flambeau.

Every module of flambeau is also found under its name in PyTorch, as the same object:
`torch.nn.functional` is `flambeau.nn.functional`. Names that are missing are spelled `torch...` in
errors; those that PyTorch has raise `NotImplementedError`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import multiprocessing.spawn
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import version
from .config import config
from .errors import ModuleNotBuilt, NotBuilt
from .names import in_pytorch
from .torch_version import TorchVersion

_PACKAGE = __name__.partition(".")[0]
_INTERNAL = ("core", "host", "kernels")  # folders that PyTorch has nothing like
# Modules of PyTorch's that a larger module takes the place of here.
_LARGER = {
    f"torch.optim.{name}": "optim"
    for name in (
        "_adafactor",
        "_muon",
        "adadelta",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "asgd",
        "nadam",
        "radam",
        "rmsprop",
        "rprop",
        "sgd",
    )
} | {
    "torch.utils.data._utils": "utils.data",
    "torch.utils.data._utils.collate": "utils.data.collate",
}
_adopted: set[str] = set()


def alias_torch() -> None:
    """Let `import torch`, and every `torch.x.y`, mean flambeau in this process.

    To be called before anything imports PyTorch, which need not be installed. Processes started by
    `multiprocessing` follow. `torch.__version__` begins with PyTorch's version, so that comparisons
    in programs come out as they do there.

    Raises:
        RuntimeError: PyTorch itself is imported already.

    Example::

        import flambeau
        flambeau.alias_torch()
        import torch.nn as nn    # flambeau.nn
    """
    present = sys.modules.get("torch")
    if present is not None and present is sys.modules[_PACKAGE]:
        return
    if present is not None:
        raise RuntimeError(
            f"alias_torch(): PyTorch {getattr(present, '__version__', '')} is imported in this "
            "process already; call alias_torch() before anything imports torch"
        )
    config.namespace = "torch"
    spelled = TorchVersion(f"{version.REFERENCE}+{_PACKAGE}.{version.__version__}")
    version.__version__ = spelled
    sys.modules[_PACKAGE].__version__ = spelled  # type: ignore[attr-defined]
    sys.meta_path.insert(0, _Torch())
    sys.meta_path.append(_Missing())
    multiprocessing.spawn.get_preparation_data = _with_alias(  # type: ignore[assignment]
        multiprocessing.spawn.get_preparation_data
    )
    _adopt_all()


class _InTheChild:
    """What a child process unpickles first, and is aliased by."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return alias_torch, ()


def _with_alias(get_preparation_data: Callable[[str], dict[str, Any]]) -> Any:
    @functools.wraps(get_preparation_data)
    def with_alias(name: str) -> dict[str, Any]:
        return {_PACKAGE: _InTheChild(), **get_preparation_data(name)}

    return with_alias


def _spelled(name: str) -> str:
    """The name in PyTorch of a module of flambeau."""
    return "torch" + name.removeprefix(_PACKAGE)


def _adopt_all() -> None:
    """Enter the loaded modules of flambeau under their names in PyTorch, too."""
    for name, module in list(sys.modules.items()):
        package, _, rest = name.partition(".")
        if package != _PACKAGE or name in _adopted or rest.split(".")[0] in _INTERNAL:
            continue
        if not getattr(module.__spec__, "_initializing", False):
            _adopted.add(name)
            sys.modules[_spelled(name)] = module
            module.__getattr__ = _lookup(module)  # type: ignore[method-assign]
            # A module with a path asks the finders for `from module import missing`.
            module.__dict__.setdefault("__path__", [])


def _lookup(module: ModuleType) -> Callable[[str], Any]:
    """A module's `__getattr__` that spells names as programs do."""
    own = module.__dict__.get("__getattr__")
    torch_name = _spelled(module.__name__)

    def __getattr__(name: str) -> Any:
        if own is not None:
            try:
                found = own(name)
            except NotBuilt:
                raise
            except AttributeError:
                pass
            else:
                if isinstance(found, ModuleType):
                    _adopt_all()
                return found
        if not name.startswith("__") and in_pytorch(f"{torch_name}.{name}"):
            raise NotBuilt(f"{torch_name}.{name}")
        raise AttributeError(f"module '{torch_name}' has no attribute '{name}'")

    return __getattr__


class _Torch:
    """Finds `torch` and `torch.x.y`: first among the finders, and their last word."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] != "torch":
            return None
        ours = f"{_PACKAGE}{name.removeprefix('torch')}"
        if name in _LARGER:
            ours = f"{_PACKAGE}.{_LARGER[name]}"
        try:
            module = importlib.import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{ours}.".startswith(f"{error.name}."):
                raise  # something else is missing
            if in_pytorch(name):
                raise ModuleNotBuilt(name) from None
            raise ModuleNotFoundError(f"No module named {name!r}", name=name) from None
        _adopt_all()
        sys.modules.pop(name, None)  # what is there already, the import system would run again
        return importlib.util.spec_from_loader(name, _Loaded(module))


class _Loaded(importlib.abc.Loader):
    """Hands out a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: Any) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put that of `torch...` there


class _Missing:
    """Last among the finders: tells what is the matter with `from torch import x`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith(f"{_PACKAGE}.") and in_pytorch(_spelled(name)):
            raise ModuleNotBuilt(_spelled(name))


__all__ = ["alias_torch"]
