"""`torch.backends.quantized`: engines for quantised tensors, of which there are none."""

from __future__ import annotations

from typing import Any

from .flags import Flag, switchable

supported_engines: list[str] = []


class _Engine(Flag):
    def __set__(self, instance: Any, value: Any) -> None:
        raise NotImplementedError(f"flambeau.backends.quantized.engine = {value!r}")


switchable(__name__, {"engine": _Engine("none")})
