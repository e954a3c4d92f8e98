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


# Modes that few programs use: setting one brings `modes.special` up to date.
SWITCHES = ("inference", "anomaly", "saved_hooks", "levels", "trace")
OFTEN_READ = ("grad", "special", "inference", "autocast", "trace", "levels")


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

    grad: bool = True
    special: bool = False
    inference: bool = False
    anomaly: bool = False
    saved_hooks: tuple[Any, ...] = ()
    trace: Any = None
    levels: tuple[Any, ...] = ()
    anomaly_check_nan: bool = True
    saved_hooks_refusal: str | None = None
    default_device: Any = None
    autocast: frozenset[str] = frozenset()
    autocast_cache: bool = True
    walk: Walk | None = None

    def __init__(self) -> None:
        self.autocast_dtypes = dict(AUTOCAST_DTYPES)
        for name in OFTEN_READ:  # the thread's own values are read faster than the class's
            setattr(self, name, getattr(self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in SWITCHES:
            super().__setattr__("special", any(getattr(self, switch) for switch in SWITCHES))


modes = Modes()
