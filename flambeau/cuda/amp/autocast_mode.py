"""`torch.cuda.amp.autocast`, deprecated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ... import dtypes
from ...amp import autocast_mode


class autocast(autocast_mode.autocast):
    """Deprecated form of `torch.amp.autocast("cuda", ...)`."""

    def __init__(
        self,
        enabled: bool = True,
        dtype: dtypes.dtype = dtypes.float16,
        cache_enabled: bool = True,
    ) -> None:
        warnings.warn(
            "`torch.cuda.amp.autocast(args...)` is deprecated. Please use "
            "`torch.amp.autocast('cuda', args...)` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: Any = None) -> Any:
    """Deprecated form of `torch.amp.custom_fwd(..., device_type="cuda")`."""
    _warn("custom_fwd")
    return autocast_mode.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., Any]) -> Any:
    """Deprecated form of `torch.amp.custom_bwd(..., device_type="cuda")`."""
    _warn("custom_bwd")
    return autocast_mode.custom_bwd(bwd, device_type="cuda")


def _warn(name: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use "
        f"`torch.amp.{name}(args..., device_type='cuda')` instead.",
        FutureWarning,
        stacklevel=3,
    )


__all__ = ["autocast", "custom_bwd", "custom_fwd"]
