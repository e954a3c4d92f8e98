"""`torch.fx`: `wrap`, which programs call as they are imported; there are no symbolic traces."""

from __future__ import annotations

import inspect
from typing import Any

from .errors import NotBuilt
from .names import in_pytorch


def wrap(fn_or_name: Any) -> Any:
    """Mark a function that a symbolic trace takes as a whole; there are no such traces here.

    Raises:
        RuntimeError: neither a function nor a name.
        NotImplementedError: not called at the top level of a module.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name"
        )
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    if caller is not None and caller.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    return fn_or_name


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.fx.{name}"):
        raise NotBuilt(f"flambeau.fx.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = ["wrap"]
