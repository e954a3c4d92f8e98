"""`torch.cuda.nccl`: collectives between GPUs go through `flambeau.distributed` instead."""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import NotBuilt
from .device import absent
from .device import is_available as _gpu_is_there


def version() -> tuple[int, int, int]:
    """Raises: XLA brings NCCL with it and does not tell its version."""
    if not _gpu_is_there():
        raise absent("_nccl_version")
    raise NotImplementedError("flambeau.cuda.nccl.version: XLA does not tell")


def is_available(tensors: Any) -> bool:
    """Whether NCCL can be called directly: never."""
    warnings.warn("PyTorch is not compiled with NCCL support", UserWarning, stacklevel=2)
    return False


def __getattr__(name: str) -> Any:
    if name in ("all_gather", "all_reduce", "broadcast", "reduce", "reduce_scatter"):
        raise NotBuilt(f"flambeau.cuda.nccl.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
