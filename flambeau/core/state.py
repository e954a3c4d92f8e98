"""The modes of the running thread: gradient recording, inference, anomaly detection."""

from __future__ import annotations

import threading
from typing import Any

from .. import dtypes

# The types that autocast computes in, by kind of device, until they are set.
AUTOCAST_DTYPES = {
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


class _Switch:
    """A mode that few programs use: setting it brings `modes.special` up to date."""

    def __init__(self, default: Any):
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, modes: Any, owner: type | None = None) -> Any:
        return modes.__dict__.get(self.name, self.default)

    def __set__(self, modes: Any, value: Any) -> None:
        modes.__dict__[self.name] = value
        modes.special = bool(
            modes.inference
            or modes.anomaly
            or modes.saved_hooks
            or modes.levels
            or modes.trace is not None
        )


class Walk:
    """A backward pass; `partial`: only the gradients of some tensors are wanted."""

    __slots__ = ("__weakref__", "partial")

    def __init__(self, partial: bool) -> None:
        self.partial = partial


class Modes(threading.local):
    """What `no_grad`, `inference_mode`, `detect_anomaly` and their like switch.

    Attributes:
        special: whether any of the switches is on. Operations look at this alone.
        autocast: the kinds of device that autocast is on for.
        trace: what `core.tracing` records, while a function is being compiled.
        walk: the backward pass that is under way.
        levels: the transformations of functions that are under way, see `core.levels`.
    """

    inference = _Switch(False)
    anomaly = _Switch(False)
    saved_hooks = _Switch(())
    trace = _Switch(None)
    levels = _Switch(())
    anomaly_check_nan: bool = True
    saved_hooks_refusal: str | None = None
    default_device: Any = None
    autocast_cache: bool = True
    walk: Walk | None = None

    def __init__(self) -> None:
        self.grad = True
        self.special = False
        self.autocast: frozenset[str] = frozenset()
        self.autocast_dtypes = dict(AUTOCAST_DTYPES)


modes = Modes()
