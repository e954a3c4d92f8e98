"""`torch.backends.mkl`: Intel's library, whose place XLA's own kernels take."""

from __future__ import annotations

from typing import Any

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available() -> bool:
    """Whether MKL can be called directly: never."""
    return False


class verbose:
    """Context manager: accepted; there is no MKL that could report."""

    def __init__(self, enable: int) -> None:
        self.enable = enable

    def __enter__(self) -> verbose | None:
        return None if self.enable == VERBOSE_OFF else self

    def __exit__(self, *exception: Any) -> bool:
        return False
