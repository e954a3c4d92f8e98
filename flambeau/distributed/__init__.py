"""`torch.distributed` of a build without it: `is_available()` says so."""

from typing import Any

from ..errors import NotBuilt
from ..names import in_pytorch


def is_available() -> bool:
    """Whether processes can work together: not yet."""
    return False


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.distributed.{name}"):
        raise NotBuilt(f"flambeau.distributed.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = ["is_available"]
