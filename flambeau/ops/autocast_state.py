"""The switches of autocast: for each kind of device, whether it is on and what it computes in."""

from __future__ import annotations

import threading
import warnings
from typing import Any

from .. import dtypes
from ..core.state import AUTOCAST_DTYPES, modes
from ..devices import device as Device
from ..errors import argument
from .autocast import cache
from .registry import declare


class _Nesting(threading.local):
    """How many `autocast` blocks are open in the running thread."""

    depth = 0


_nesting = _Nesting()


def _kind(function: str, device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise argument(function, "device_type", 1, "str", device_type)
    return Device(device_type).type


def _known_kind(function: str, device_type: Any) -> str:
    kind = _kind(function, device_type)
    if kind not in AUTOCAST_DTYPES:
        raise RuntimeError(
            "unknown device type for autocast in get_autocast_dispatch_key_from_device_type"
        )
    return kind


@declare(method=False)
def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for a kind of device."""
    return _known_kind("is_autocast_enabled", device_type) in modes.autocast


@declare(method=False)
def set_autocast_enabled(*args: Any, **kwargs: Any) -> None:
    """Switch autocast on or off: `set_autocast_enabled(device_type, enabled)`, or for CUDA."""
    names = ("device_type", "enabled") if len(args) + len(kwargs) == 2 else ("enabled",)
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if set(given) != set(names) or len(args) > len(names):
        kinds = ", ".join(type(a).__name__ for a in args)
        raise TypeError(
            "set_autocast_enabled() received an invalid combination of arguments - got "
            f"({kinds}), but expected one of:\n * (str device_type, bool enabled)\n"
            " * (bool enabled)\n"
        )
    if not isinstance(given["enabled"], bool):
        raise argument("set_autocast_enabled", "enabled", len(names), "bool", given["enabled"])
    kind = _known_kind("set_autocast_enabled", given.get("device_type", "cuda"))
    _enable(kind, given["enabled"])


def _enable(kind: str, enabled: bool) -> None:
    modes.autocast = modes.autocast | {kind} if enabled else modes.autocast - {kind}


@declare(method=False)
def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The type that autocast computes in on a kind of device."""
    found = modes.autocast_dtypes.get(_kind("get_autocast_dtype", device_type))
    if found is None:
        raise RuntimeError("unsupported scalarType")
    return found


@declare(method=False)
def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Set the type that autocast computes in on a kind of device."""
    kind = _kind("set_autocast_dtype", device_type)
    if not isinstance(dtype, dtypes.dtype):
        raise argument("set_autocast_dtype", "dtype", 2, "torch.dtype", dtype)
    modes.autocast_dtypes[kind] = dtype


@declare(method=False)
def is_autocast_cache_enabled() -> bool:
    """Whether autocast keeps the weights that it has converted, until its outermost block ends."""
    return modes.autocast_cache


@declare(method=False)
def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether autocast keeps the weights that it has converted."""
    modes.autocast_cache = _checked_bool(enabled)


@declare(method=False)
def clear_autocast_cache() -> None:
    """Forget the weights that autocast has converted."""
    cache.entries.clear()


@declare(method=False)
def autocast_increment_nesting() -> int:
    """Say that a block of autocast begins; how many are open now."""
    _nesting.depth += 1
    return _nesting.depth


@declare(method=False)
def autocast_decrement_nesting() -> int:
    """Say that a block of autocast ends; how many are still open."""
    _nesting.depth -= 1
    return _nesting.depth


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows a kind of device."""
    return _kind("is_autocast_available", device_type) in AUTOCAST_DTYPES


def _checked_bool(enabled: Any) -> bool:
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be a bool (got {type(enabled).__name__})")
    return enabled


def _declare_old(kind: str, name: str) -> None:
    """The functions of one kind of device, from before there was one for all."""

    def is_enabled() -> bool:
        _warn(f"is_autocast_{name}_enabled()", f"torch.is_autocast_enabled('{kind}')")
        return kind in modes.autocast

    def set_enabled(enabled: bool) -> None:
        _warn(
            f"set_autocast_{name}_enabled(enabled)",
            f"torch.set_autocast_enabled('{kind}', enabled)",
        )
        _enable(kind, _checked_bool(enabled))

    def get_dtype() -> dtypes.dtype:
        _warn(f"get_autocast_{name}_dtype()", f"torch.get_autocast_dtype('{kind}')")
        return modes.autocast_dtypes[kind]

    def set_dtype(dtype: dtypes.dtype) -> None:
        _warn(f"set_autocast_{name}_dtype(dtype)", f"torch.set_autocast_dtype('{kind}', dtype)")
        if not isinstance(dtype, dtypes.dtype):
            raise TypeError(f"dtype must be a torch.dtype (got {type(dtype).__name__})")
        modes.autocast_dtypes[kind] = dtype

    is_enabled.__doc__ = "Deprecated form of `is_autocast_enabled`."
    set_enabled.__doc__ = "Deprecated form of `set_autocast_enabled`."
    get_dtype.__doc__ = "Deprecated form of `get_autocast_dtype`."
    set_dtype.__doc__ = "Deprecated form of `set_autocast_dtype`."
    if name != "gpu":
        declare(name=f"is_autocast_{name}_enabled", method=False)(is_enabled)
        declare(name=f"set_autocast_{name}_enabled", method=False)(set_enabled)
    declare(name=f"get_autocast_{name}_dtype", method=False)(get_dtype)
    declare(name=f"set_autocast_{name}_dtype", method=False)(set_dtype)


def _warn(call: str, instead: str) -> None:
    warnings.warn(
        f"torch.{call} is deprecated. Please use {instead} instead.",
        DeprecationWarning,
        stacklevel=3,
    )


for _device, _name in (("cpu", "cpu"), ("cuda", "gpu"), ("ipu", "ipu"), ("xla", "xla")):
    _declare_old(_device, _name)
