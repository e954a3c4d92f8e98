"""`torch.distributed` before any process group: one process, on its own.

Groups and their collectives are not built; `is_available()` says so, and what asks for a group
raises as PyTorch does where there is none.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import NotBuilt
from ..names import in_pytorch

NO_GROUP = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)


def is_available() -> bool:
    """Whether processes can work together: not yet."""
    return False


def is_initialized() -> bool:
    """Whether there is a process group: never."""
    return False


def is_nccl_available() -> bool:
    """Whether processes can talk through NCCL: not yet."""
    return False


is_gloo_available = is_mpi_available = is_torchelastic_launched = is_nccl_available


def get_rank(group: Any = None) -> NoReturn:
    """Raises ValueError: there is no process group."""
    raise ValueError(NO_GROUP)


def get_world_size(group: Any = None) -> NoReturn:
    """Raises ValueError: there is no process group."""
    raise ValueError(NO_GROUP)


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.distributed.{name}"):
        raise NotBuilt(f"flambeau.distributed.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = [
    "get_rank",
    "get_world_size",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
]
