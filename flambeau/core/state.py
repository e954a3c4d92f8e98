"""The modes of the running thread: gradient recording, inference, anomaly detection."""

from __future__ import annotations

import threading
from typing import Any


class Modes(threading.local):
    """What `no_grad`, `inference_mode`, `detect_anomaly` and `saved_tensors_hooks` switch."""

    grad: bool = True
    inference: bool = False
    anomaly: bool = False
    anomaly_check_nan: bool = True
    saved_hooks: tuple[Any, ...] = ()
    saved_hooks_refusal: str | None = None
    default_device: Any = None


modes = Modes()
