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
    return _set_flags(sys.modules[__name__], {"enabled": _enabled, "strategy": _strategy})


def flags(enabled: bool | None = None, strategy: str | None = None) -> Flags:
    """Context manager: the switches inside."""
    return Flags(set_flags, {"_enabled": enabled, "_strategy": strategy})


class _Strategy(Flag):
    def __set__(self, instance: Any, value: Any) -> None:
        if value not in ("auto", "greedy", "optimal"):
            raise ValueError(
                f"`strategy` must be one of the following: [auto, greedy, optimal] but is {value}"
            )
        self.value = value


switchable(__name__, {"enabled": Flag(True), "strategy": _Strategy("auto")})
