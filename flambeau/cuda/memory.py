"""Memory of a GPU, as XLA's allocator reports it."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any

from .device import absent, gpu, is_available, require_cuda


def _statistic(name: str, device: Any) -> int:
    """One number of XLA's allocator; 0 where there is no GPU."""
    return int((gpu(device).memory_stats() or {}).get(name, 0)) if is_available() else 0


def memory_allocated(device: Any = None) -> int:
    """Bytes in use by arrays."""
    return _statistic("bytes_in_use", device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use by arrays since the program started."""
    return _statistic("peak_bytes_in_use", device)


def memory_reserved(device: Any = None) -> int:
    """Bytes that the allocator holds."""
    return _statistic("pool_bytes", device) or _statistic("bytes_in_use", device)


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the allocator held."""
    return _statistic("peak_pool_bytes", device) or _statistic("peak_bytes_in_use", device)


def memory_cached(device: Any = None) -> int:
    """Deprecated name of `memory_reserved`."""
    _renamed("memory_cached", "memory_reserved")
    return memory_reserved(device)


def max_memory_cached(device: Any = None) -> int:
    """Deprecated name of `max_memory_reserved`."""
    _renamed("max_memory_cached", "max_memory_reserved")
    return max_memory_reserved(device)


def _renamed(old: str, new: str) -> None:
    warnings.warn(
        f"`torch.cuda.{old}` has been renamed to `torch.cuda.{new}`", FutureWarning, stacklevel=3
    )


def memory_stats(device: Any = None) -> dict[str, Any]:
    """What XLA's allocator counts, under PyTorch's names where they mean the same."""
    if not is_available():
        return OrderedDict()
    return OrderedDict(
        [
            ("allocated_bytes.all.current", memory_allocated(device)),
            ("allocated_bytes.all.peak", max_memory_allocated(device)),
            ("reserved_bytes.all.current", memory_reserved(device)),
            ("reserved_bytes.all.peak", max_memory_reserved(device)),
        ]
    )


def host_memory_stats() -> dict[str, Any]:
    """Statistics of pinned host memory: there is none."""
    return OrderedDict()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """`memory_stats` as lines of text."""
    stats = memory_stats(device)
    if not stats:
        raise KeyError("allocated_bytes.all.current")
    return "\n".join(f"{name:<32} {value:>16,}" for name, value in stats.items())


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free bytes, all bytes) of what JAX may use."""
    require_cuda()
    limit = _statistic("bytes_limit", device)
    return limit - memory_allocated(device), limit


def empty_cache() -> None:
    """Do nothing: XLA's allocator keeps its pool."""


def caching_allocator_enable(value: bool = True) -> None:
    """Do nothing: which allocator there is was decided when JAX started."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Raises: XLA's allocator never forgets its peak."""
    raise _no_reset("reset_peak_memory_stats", "_cuda_resetPeakMemoryStats")


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Raises: XLA's allocator has no such counters to forget."""
    raise _no_reset("reset_accumulated_memory_stats", "_cuda_resetAccumulatedMemoryStats")


def reset_max_memory_allocated(device: Any = None) -> None:
    """Deprecated name of `reset_peak_memory_stats`."""
    _replaced("reset_max_memory_allocated")
    reset_peak_memory_stats(device)


def reset_max_memory_cached(device: Any = None) -> None:
    """Deprecated name of `reset_peak_memory_stats`."""
    _replaced("reset_max_memory_cached")
    reset_peak_memory_stats(device)


def _no_reset(name: str, symbol: str) -> Exception:
    if not is_available():
        return absent(symbol)
    return NotImplementedError(f"flambeau.cuda.{name}: XLA's allocator keeps its statistics")


def _replaced(name: str) -> None:
    warnings.warn(
        f"torch.cuda.{name} now calls torch.cuda.reset_peak_memory_stats, which resets /all/ peak "
        "memory stats.",
        FutureWarning,
        stacklevel=3,
    )


def get_per_process_memory_fraction(device: Any = None) -> float:
    """Raises: the share of the memory is fixed by XLA_PYTHON_CLIENT_MEM_FRACTION."""
    require_cuda()
    raise NotImplementedError("flambeau.cuda.get_per_process_memory_fraction")


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Raises: the share of the memory is fixed by XLA_PYTHON_CLIENT_MEM_FRACTION."""
    require_cuda()
    raise NotImplementedError(
        "flambeau.cuda.set_per_process_memory_fraction: set XLA_PYTHON_CLIENT_MEM_FRACTION"
    )
