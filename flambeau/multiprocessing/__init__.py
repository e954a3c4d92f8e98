"""`torch.multiprocessing`: the standard library's, with `spawn` and tensors in shared memory.

A tensor that goes through a queue or a pipe of this module shares its memory with the receiver:
what one process writes, the other one reads. The sender has to live until it has been received.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
from typing import Any

from . import reductions
from .spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how memory is shared; only "file_descriptor" is built.

    Args:
        new_strategy: "file_descriptor" or "file_system".
    """
    assert new_strategy in _STRATEGIES, (
        f"invalid sharing strategy {new_strategy!r}, expected one of {_STRATEGIES}"
    )
    global _strategy
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was called with last. Memory goes by file descriptors."""
    return _strategy


def get_all_sharing_strategies() -> set[str]:
    """The names that `set_sharing_strategy` takes."""
    return set(_STRATEGIES)


def __getattr__(name: str) -> Any:
    return getattr(multiprocessing, name)


reductions.register()
__all__ = [
    *multiprocessing.__all__,  # type: ignore[attr-defined]
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]
