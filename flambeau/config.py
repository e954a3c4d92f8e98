"""Every flag and environment variable of the library, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name)
    return default if text is None else text.lower() not in ("0", "false", "no", "off", "")


@dataclass
class Config:
    """The library's flags; `flambeau.config` is the one instance.

    Attributes:
        program_cache_size: how many compiled forms of one operation are kept
            (`FLAMBEAU_PROGRAM_CACHE_SIZE`).
        tier: "auto", or one executor for everything: "host" (NumPy where it can) or "xla"
            (`FLAMBEAU_TIER`).
        deterministic_algorithms: set by `use_deterministic_algorithms`.
        namespace: how messages spell the library's name: "torch" after `alias_torch()`.
        matmul_precision: set by `set_float32_matmul_precision`: "highest", "high" or "medium".
    """

    program_cache_size: int = int(os.environ.get("FLAMBEAU_PROGRAM_CACHE_SIZE", "2048"))
    tier: str = os.environ.get("FLAMBEAU_TIER", "auto")
    namespace: str = "flambeau"
    deterministic_algorithms: bool = _flag("FLAMBEAU_DETERMINISTIC", False)
    deterministic_warn_only: bool = False
    matmul_precision: str = "highest"


config = Config()
