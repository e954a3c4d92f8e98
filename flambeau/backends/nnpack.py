"""`torch.backends.nnpack`: a library for convolutions, whose place XLA takes."""

from __future__ import annotations

from .flags import Flags

_enabled_now = True


def is_available() -> bool:
    """Whether NNPACK can be called directly: never."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Remember the switch, and return what it was."""
    global _enabled_now
    before, _enabled_now = _enabled_now, _enabled
    return (before,)


def flags(enabled: bool = False) -> Flags:
    """Context manager: the switch inside."""
    return Flags(set_flags, {"_enabled": enabled})
