"""`torch.version`: which build this is."""

from __future__ import annotations

__version__ = "0.1.0"
REFERENCE = "2.13.0"  # the version of PyTorch whose behaviour this is
debug = False
cuda: str | None = None
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
git_version = "Unknown"

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "rocm", "xpu"]
