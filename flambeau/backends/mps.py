"""`torch.backends.mps`: Apple's GPUs, of which there is no build here."""

from __future__ import annotations

from ..errors import NotBuilt


def is_available() -> bool:
    """Whether tensors can be on an Apple GPU: no."""
    return False


def is_built() -> bool:
    """Whether this is a build for Apple's GPUs: no."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Raises: there is no build for Apple's GPUs."""
    raise RuntimeError("Cannot execute isOnMacOSorNewer() without MPS backend.")


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Raises: there is no build for Apple's GPUs."""
    return is_macos_or_newer(13, minor)


def __getattr__(name: str) -> object:
    if name in ("get_core_count", "get_name"):
        raise NotBuilt(f"flambeau.backends.mps.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
