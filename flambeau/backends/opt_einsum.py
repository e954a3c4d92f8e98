"""`torch.backends.opt_einsum`: in which order `einsum` contracts several operands."""

from __future__ import annotations

import sys
from typing import Any

from .flags import Flag, Flags, switchable
from .flags import set_flags as _set_flags


def is_available() -> bool:
    """Whether a contraction order can be looked for: yes, JAX brings opt_einsum."""
    return True


def set_flags(_enabled: bool | None = None, _strategy: str | None = None) -> tuple[Any, ...]:
    """Set the switches that are not None, and return what they were."""
    if _strategy not in (None, "auto", "greedy", "optimal"):
        raise ValueError(
            f"`strategy` must be one of the following: [auto, greedy, optimal] but is {_strategy}"
        )
    return _set_flags(sys.modules[__name__], {"enabled": _enabled, "strategy": _strategy})


def flags(enabled: bool | None = None, strategy: str | None = None) -> Flags:
    """Context manager: the switches inside."""
    return Flags(set_flags, {"_enabled": enabled, "_strategy": strategy})


switchable(__name__, {"enabled": Flag(True), "strategy": Flag("auto")})
