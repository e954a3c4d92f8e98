"""Functions of `torch` that look modules up: `get_device_module`, `get_file_path`."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from .devices import device as Device
from .random import thread_safe_generator

_MODULES = ("cpu", "cuda", "mps", "xpu")


def get_device_module(device: Any = None) -> ModuleType:
    """The module of a kind of device: `torch.cuda` for "cuda"; of the accelerator by default.

    Raises:
        RuntimeError: there is no such module.
    """
    if device is None:
        from .accelerator import current_accelerator

        found = current_accelerator() or Device("cpu")
    elif isinstance(device, (str, Device)):
        found = Device(device)
    else:
        raise RuntimeError(f"Invalid value of device '{device}', expect torch.device, str, or None")
    if found.type not in _MODULES:
        raise RuntimeError(
            f"Device '{found.type}' does not have a corresponding module registered as "
            f"'torch.{found.type}'."
        )
    return importlib.import_module(f".{found.type}", __package__)


def get_file_path(*path_components: str) -> str:
    """A path below the folder that the package is in."""
    return str(Path(__file__).resolve().parent.parent.joinpath(*path_components))


def _assert(condition: Any, message: str) -> None:
    """`assert condition, message`.

    Raises:
        AssertionError: the condition is not true.
    """
    assert condition, message


__all__ = ["get_device_module", "get_file_path", "thread_safe_generator"]
