"""`torch.cuda.nvtx`: marks for NVIDIA's profiler, which CPU builds of PyTorch lack, too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_ABSENT = "NVTX functions not installed. Are you sure you have a CUDA build?"


def range_push(msg: str) -> int:
    """Raises: there are no marks."""
    raise RuntimeError(_ABSENT)


def range_pop() -> int:
    """Raises: there are no marks."""
    raise RuntimeError(_ABSENT)


def range_start(msg: str) -> int:
    """Raises: there are no marks."""
    raise RuntimeError(_ABSENT)


def range_end(range_id: int) -> None:
    """Raises: there are no marks."""
    raise RuntimeError(_ABSENT)


def mark(msg: str) -> None:
    """Raises: there are no marks."""
    raise RuntimeError(_ABSENT)


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Raises on entering: there are no marks."""
    range_push(msg.format(*args, **kwargs))
    yield
