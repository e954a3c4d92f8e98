"""`torch.backends.cudnn`: switches of NVIDIA's library, which XLA tunes by itself."""

from __future__ import annotations

import sys
from typing import Any

from .flags import Flag, Flags, Fp32Precision, Precision, switchable
from .flags import set_flags as _set_flags

conv = Fp32Precision("tf32")
rnn = Fp32Precision("tf32")


def is_available() -> bool:
    """Whether cuDNN can be called directly: never."""
    return False


def version() -> int | None:
    """cuDNN's version: None."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether cuDNN would take the tensor: never."""
    return False


def set_flags(
    _enabled: bool | None = None,
    _benchmark: bool | None = None,
    _benchmark_limit: int | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
    _depthwise_kernel: str | None = None,
) -> tuple[Any, ...]:
    """Set the switches that are not None, and return what all of them were."""
    names = {
        "enabled": _enabled,
        "benchmark": _benchmark,
        "benchmark_limit": _benchmark_limit,
        "deterministic": _deterministic,
        "allow_tf32": _allow_tf32,
        "fp32_precision": _fp32_precision,
        "depthwise_kernel": _depthwise_kernel,
    }
    return _set_flags(sys.modules[__name__], names)


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
    depthwise_kernel: str = "auto",
) -> Flags:
    """Context manager: the switches inside."""
    return Flags(set_flags, {f"_{name}": value for name, value in locals().items()})


switchable(
    __name__,
    {
        "enabled": Flag(True, bool, "set_enabled_cudnn"),
        "benchmark": Flag(False, bool, "set_benchmark_cudnn"),
        "benchmark_limit": Flag(None),
        "deterministic": Flag(False, bool, "set_deterministic_cudnn"),
        "allow_tf32": Flag(True, bool, "set_allow_tf32_cublas"),
        "fp32_precision": Precision("none"),
        "depthwise_kernel": Flag("auto"),
    },
)
