"""`torch.backends.miopen`: a switch of AMD's library, which XLA tunes by itself."""

from __future__ import annotations

import sys

from .flags import Flag, Flags, switchable
from .flags import set_flags as _set_flags


def set_flags(_immediate: bool | None = None) -> tuple[bool, ...]:
    """Set the switch unless None is given, and return what it was."""
    return _set_flags(sys.modules[__name__], {"immediate": _immediate})


def flags(immediate: bool = False) -> Flags:
    """Context manager: the switch inside."""
    return Flags(set_flags, {"_immediate": immediate})


switchable(__name__, {"immediate": Flag(False, bool, "set_immediate_miopen")})
