"""`torch.autograd.grad_mode`: what is recorded, and how the backward pass runs."""

from __future__ import annotations

from typing import Any

from ..core.modes import (
    _ModeContext as ModeContext,
)
from ..core.modes import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from ..errors import argument


class set_multithreading_enabled(ModeContext):
    """Accepted, as a function and for a `with` block: the backward pass runs in this thread.

    Args:
        mode: whether other threads may run backward passes of other devices.
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise argument("set_multithreading_enabled", "enabled", 1, "bool", mode)
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass

    def clone(self) -> set_multithreading_enabled:
        """A fresh context of the same mode."""
        return set_multithreading_enabled(self.mode)


class enforce_grad_layout_policy(ModeContext):
    """Accepted, as a function and for a `with` block: gradients are laid out like their parameters.

    Args:
        enable: whether they have to be; without, they may be laid out otherwise.
    """

    def __init__(self, enable: bool = True) -> None:
        self.enable = enable

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass

    def clone(self) -> enforce_grad_layout_policy:
        """A fresh context of the same setting."""
        return enforce_grad_layout_policy(self.enable)


__all__ = [
    "enable_grad",
    "enforce_grad_layout_policy",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]
