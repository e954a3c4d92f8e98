"""`torch.backends.mkldnn`: switches of oneDNN, whose place XLA's own kernels take."""

from __future__ import annotations

import sys
from typing import Any

from .flags import Flag, Flags, Fp32Precision, Precision, switchable
from .flags import set_flags as _set_flags

VERBOSE_OFF, VERBOSE_ON, VERBOSE_ON_CREATION = 0, 1, 2
conv, matmul, rnn = Fp32Precision(), Fp32Precision(), Fp32Precision()


def is_available() -> bool:
    """Whether oneDNN can be called directly: never."""
    return False


def is_acl_available() -> bool:
    """Whether Arm's library can be called directly: never."""
    return False


def set_flags(
    _enabled: bool | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
) -> tuple[Any, ...]:
    """Set the switches that are not None, and return what all of them were."""
    names = {
        "enabled": _enabled,
        "deterministic": _deterministic,
        "allow_tf32": _allow_tf32,
        "fp32_precision": _fp32_precision,
    }
    return _set_flags(sys.modules[__name__], names)


def flags(
    enabled: bool = False,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Flags:
    """Context manager: the switches inside."""
    return Flags(set_flags, {f"_{name}": value for name, value in locals().items()})


class verbose:
    """Context manager: accepted; there is no oneDNN that could report."""

    def __init__(self, level: int) -> None:
        self.level = level

    def __enter__(self) -> verbose | None:
        return None if self.level == VERBOSE_OFF else self

    def __exit__(self, *exception: Any) -> bool:
        return False


switchable(
    __name__,
    {
        "enabled": Flag(True, bool, "set_enabled_mkldnn"),
        "deterministic": Flag(False, bool, "set_deterministic_mkldnn"),
        "allow_tf32": Flag(None),
        "fp32_precision": Precision("none"),
    },
)
