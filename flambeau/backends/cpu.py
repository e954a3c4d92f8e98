"""`torch.backends.cpu`: what the processor can do."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def get_cpu_capability() -> str:
    """The widest vector instructions: "AVX512", "AVX2" or "DEFAULT"; "NO AVX" without any."""
    information = Path("/proc/cpuinfo")
    flags: set[str] = set()
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                break
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return "AVX512"
    if {"avx2", "fma"} <= flags:
        return "AVX2"
    return "DEFAULT"
