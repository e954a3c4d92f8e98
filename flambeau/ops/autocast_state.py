"""What the autocast switches say. Autocast itself is not built: they can be read, not set."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..devices import device as Device
from ..errors import argument
from .registry import declare

_TYPES = {
    "cpu": dtypes.bfloat16,
    "cuda": dtypes.float16,
    "xpu": dtypes.float16,
    "mps": dtypes.float16,
    "ipu": dtypes.float16,
    "mtia": dtypes.float16,
    "privateuseone": dtypes.float16,
    "hpu": dtypes.bfloat16,
    "xla": dtypes.bfloat16,
    "maia": dtypes.bfloat16,
}


def _kind(function: str, device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise argument(function, "device_type", 1, "str", device_type)
    return Device(device_type).type


@declare(method=False)
def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for a kind of device: never."""
    if _kind("is_autocast_enabled", device_type) not in _TYPES:
        raise RuntimeError(
            "unknown device type for autocast in get_autocast_dispatch_key_from_device_type"
        )
    return False


@declare(method=False)
def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The type that autocast computes in on a kind of device."""
    found = _TYPES.get(_kind("get_autocast_dtype", device_type))
    if found is None:
        raise RuntimeError("unsupported scalarType")
    return found


@declare(method=False)
def is_autocast_cache_enabled() -> bool:
    """Whether autocast keeps the weights that it has converted: yes, when it is on."""
    return True


@declare(method=False)
def clear_autocast_cache() -> None:
    """Forget the weights that autocast has converted: there are none."""


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows a kind of device."""
    return _kind("is_autocast_available", device_type) in _TYPES


def _declare_old(kind: str, name: str) -> None:
    def enabled() -> bool:
        _warn(f"is_autocast_{name}_enabled", f"torch.is_autocast_enabled('{kind}')")
        return False

    def dtype() -> dtypes.dtype:
        _warn(f"get_autocast_{name}_dtype", f"torch.get_autocast_dtype('{kind}')")
        return _TYPES[kind]

    enabled.__doc__ = "Deprecated form of `is_autocast_enabled`."
    dtype.__doc__ = "Deprecated form of `get_autocast_dtype`."
    if name != "gpu":
        declare(name=f"is_autocast_{name}_enabled", method=False)(enabled)
    declare(name=f"get_autocast_{name}_dtype", method=False)(dtype)


def _warn(name: str, instead: str) -> None:
    warnings.warn(
        f"torch.{name}() is deprecated. Please use {instead} instead.",
        DeprecationWarning,
        stacklevel=3,
    )


for _device, _name in (("cpu", "cpu"), ("cuda", "gpu"), ("ipu", "ipu"), ("xla", "xla")):
    _declare_old(_device, _name)
