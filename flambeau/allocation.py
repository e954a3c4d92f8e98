"""How the process gets its memory: freed blocks are kept for reuse (Linux with glibc).

XLA's large temporary buffers are otherwise mapped and unmapped in every call of a program, and each
mapping's pages are cleared anew: tens of thousands of page faults in a training step. The price is
that resident memory stays at its highest mark.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3).
_ARENA_MAX, _MMAP_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -4, -3, -1
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; False where there is no glibc.

    To be called before the first threads start. `FLAMBEAU_KEEP_MEMORY=0` switches it off; settings
    of the user's own for glibc (`MALLOC_ARENA_MAX` and its siblings) are left alone.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        mallopt(parameter, value)
        for parameter, value in (
            (_ARENA_MAX, 1),
            (_MMAP_THRESHOLD, _LARGEST),
            (_TRIM_THRESHOLD, _LARGEST),
            (_MMAP_MAX, 0),
        )
    )
