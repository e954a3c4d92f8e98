"""`torch.accelerator`: the GPU, if JAX has one, without naming its maker."""

from __future__ import annotations

import warnings
from typing import Any

from . import cuda
from .devices import device as Device
from .errors import NotBuilt


def is_available() -> bool:
    """Whether there is an accelerator."""
    return cuda.is_available()


def device_count() -> int:
    """How many accelerators there are."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> Device | None:
    """The kind of accelerator as a device, or None.

    >>> import flambeau as torch
    >>> found = torch.accelerator.current_accelerator()
    >>> device = found.type if found is not None else "cpu"
    """
    return Device("cuda") if is_available() else None


def _require() -> None:
    if not is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")


def current_device_index() -> int:
    """The number of the current accelerator."""
    _require()
    return cuda.current_device()


def current_device_idx() -> int:
    """Deprecated name of `current_device_index`."""
    warnings.warn("Use `current_device_index` instead.", FutureWarning, stacklevel=2)
    return current_device_index()


def set_device_index(device: Any, /) -> None:
    """Make an accelerator the current one."""
    _require()
    cuda.set_device(device)


def set_device_idx(device: Any, /) -> None:
    """Deprecated name of `set_device_index`."""
    warnings.warn("Use `set_device_index` instead.", FutureWarning, stacklevel=2)
    set_device_index(device)


class device_index:
    """Context manager: an accelerator is the current one inside; None does nothing."""

    def __init__(self, device: int | None, /) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None:
            set_device_index(self.idx)

    def __exit__(self, *exception: Any) -> None:
        pass


def synchronize(device: Any = None, /) -> None:
    """Wait until an accelerator has done everything that it was given."""
    _require()
    cuda.synchronize(device)


def current_stream(device: Any = None, /) -> Any:
    """The stream that work goes to."""
    _require()
    return cuda.current_stream(device)


def empty_cache() -> None:
    """Do nothing where there is an accelerator: XLA's allocator keeps its pool."""
    _require()


def memory_allocated(device_index: Any = None, /) -> int:
    """Bytes in use by arrays."""
    _require()
    return cuda.memory_allocated(device_index)


def max_memory_allocated(device_index: Any = None, /) -> int:
    """The most bytes that were in use by arrays since the program started."""
    _require()
    return cuda.max_memory_allocated(device_index)


def memory_reserved(device_index: Any = None, /) -> int:
    """Bytes that the allocator holds."""
    _require()
    return cuda.memory_reserved(device_index)


def max_memory_reserved(device_index: Any = None, /) -> int:
    """The most bytes that the allocator held."""
    _require()
    return cuda.max_memory_reserved(device_index)


def memory_stats(device_index: Any = None, /) -> dict[str, Any]:
    """What XLA's allocator counts."""
    _require()
    return cuda.memory_stats(device_index)


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """(free bytes, all bytes) of what JAX may use."""
    _require()
    return cuda.mem_get_info(device_index)


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Raises: XLA's allocator never forgets its peak."""
    _require()
    cuda.reset_peak_memory_stats(device_index)


def reset_accumulated_memory_stats(device_index: Any = None, /) -> None:
    """Raises: XLA's allocator has no such counters to forget."""
    _require()
    cuda.reset_accumulated_memory_stats(device_index)


def __getattr__(name: str) -> Any:
    if name in ("Graph", "empty_host_cache", "get_device_capability", "set_stream"):
        raise NotBuilt(f"flambeau.accelerator.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
