"""Whether there is a device for mixed precision."""

from __future__ import annotations

from ...core.device import accelerator_count


def amp_definitely_not_available() -> bool:
    """Whether there is no GPU."""
    return not accelerator_count()


__all__ = ["amp_definitely_not_available"]
