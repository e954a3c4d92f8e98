"""Functions that live in `torch.linalg`, `torch.fft` and `torch.special` only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .registry import with_out

LINALG: dict[str, Any] = {}
FFT: dict[str, Any] = {}
SPECIAL: dict[str, Any] = {}


def member(
    space: dict[str, Any], name: str | None = None, *, out: bool = True, prefix: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function into a namespace, with a keyword `out=` unless told otherwise.

    Args:
        name: its name there; the function's own by default.
        prefix: what PyTorch's messages put before the name (`linalg_`).
    """

    def register(plain: Callable[..., Any]) -> Callable[..., Any]:
        public = name or plain.__name__
        space[public] = with_out(plain, prefix + public) if out else plain
        return space[public]

    return register
