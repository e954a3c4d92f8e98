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


class Modes(threading.local):
    """What `no_grad`, `inference_mode`, `detect_anomaly` and their like switch."""

    grad: bool = True
    inference: bool = False
    anomaly: bool = False
    anomaly_check_nan: bool = True
    saved_hooks: tuple[Any, ...] = ()
    saved_hooks_refusal: str | None = None
    default_device: Any = None
    autocast: frozenset[str] = frozenset()  # the kinds of device that it is on for
    autocast_cache: bool = True
    trace: Any = None  # what `core.tracing` records, while a function is being compiled

    def __init__(self) -> None:
        self.autocast_dtypes = dict(AUTOCAST_DTYPES)


modes = Modes()
