"""`torch.profiler`: `record_function`; `jax.profiler.trace` records what runs."""

from __future__ import annotations

from typing import Any

from .autograd.profiler import record_function
from .errors import NotBuilt
from .names import in_pytorch


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.profiler.{name}"):
        raise NotBuilt(f"flambeau.profiler.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = ["record_function"]
