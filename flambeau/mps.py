"""`torch.mps`: Apple's GPUs, of which there is no build here."""

from __future__ import annotations

from typing import Any

_SYMBOLS = {
    "synchronize": "deviceSynchronize",
    "empty_cache": "emptyCache",
    "seed": "getDefaultGenerator",
    "get_rng_state": "getDefaultGenerator",
    "set_rng_state": "getDefaultGenerator",
    "current_allocated_memory": "getCurrentAllocatedMemory",
    "driver_allocated_memory": "getDriverAllocatedMemory",
    "recommended_max_memory": "getRecommendedMaxMemory",
    "set_per_process_memory_fraction": "setMemoryFraction",
    "Event": "acquireEvent",
}


def is_available() -> bool:
    """Whether tensors can be on an Apple GPU: no."""
    return False


def device_count() -> int:
    """How many Apple GPUs there are: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the generators of the Apple GPUs: there are none."""


def _absent(symbol: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"Cannot execute {symbol}() without MPS backend.")

    function.__doc__ = "Raises: there is no build for Apple's GPUs."
    return function


globals().update({name: _absent(symbol) for name, symbol in _SYMBOLS.items()})


def compile_shader(source: str) -> None:
    """Raises: there is no build for Apple's GPUs."""
    raise RuntimeError("MPS is not available")
