"""Every flag and environment variable of the library, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name)
    return default if text is None else text.lower() not in ("0", "false", "no", "off", "")


def _cache_folder() -> str | None:
    """Where compiled programs are kept from run to run."""
    text = os.environ.get("FLAMBEAU_COMPILATION_CACHE")
    if text is not None and text.lower() not in ("1", "true", "yes", "on"):
        return None if text.lower() in ("0", "false", "no", "off", "") else text
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return str((Path(home) if home else Path.home() / ".cache") / "flambeau" / "programs")
    except RuntimeError:  # nobody's home
        return None


@dataclass
class Counters:
    """How the calls of single operations were served (docs/architecture.md, "Two tiers").

    Attributes:
        host: by NumPy.
        compiled: by programs that XLA compiled.
        switched: how many programs went over from NumPy to XLA.
    """

    host: int = 0
    compiled: int = 0
    switched: int = 0


@dataclass
class Config:
    """The library's flags; `flambeau.config` is the one instance.

    Attributes:
        program_cache_size: how many compiled forms of one operation are kept
            (`FLAMBEAU_PROGRAM_CACHE_SIZE`).
        tier: "auto", or one executor for everything: "host" (NumPy where it can) or "xla"
            (`FLAMBEAU_TIER`).
        compilation_cache: the folder in which XLA's compiled programs are kept from run to run, so
            that a second run does not compile again; None: nowhere. `flambeau/programs` in the
            user's cache folder by default (`FLAMBEAU_COMPILATION_CACHE`: another folder, or 0).
            JAX's own setting, where there is one, goes first.
        collect_after: Python looks for reference cycles after this many new objects, unless the
            program has set another number (`FLAMBEAU_COLLECT_AFTER`, read at import; 0: Python's
            own 700, which the nodes of a graph, objects here, reach all the time).
        counters: how calls were served.
        deterministic_algorithms: set by `use_deterministic_algorithms`.
        namespace: how messages spell the library's name: "torch" after `alias_torch()`.
        compile_limit: how often a function is compiled anew before it runs uncompiled
            (`FLAMBEAU_COMPILE_LIMIT`).
        compile_cache_size: how many programs a compiled function keeps.
        compile_fallback: a function that cannot be compiled runs as it is, with a warning, instead
            of raising an error (`FLAMBEAU_COMPILE_FALLBACK`).
        log_recompiles: warn of each recompilation, with its reason (`FLAMBEAU_LOG_RECOMPILES`).
        keep_memory: let the process keep memory that was freed, which makes large programs faster
            and resident memory stay at its highest mark (`FLAMBEAU_KEEP_MEMORY`, read at import).
        memory_kept: whether that is so (it needs glibc).
        matmul_precision: set by `set_float32_matmul_precision`: "highest", "high" or "medium".
    """

    program_cache_size: int = int(os.environ.get("FLAMBEAU_PROGRAM_CACHE_SIZE", "2048"))
    tier: str = os.environ.get("FLAMBEAU_TIER", "auto")
    compilation_cache: str | None = _cache_folder()
    collect_after: int = int(os.environ.get("FLAMBEAU_COLLECT_AFTER", "10000"))
    counters: Counters = field(default_factory=Counters)
    namespace: str = "flambeau"
    deterministic_algorithms: bool = _flag("FLAMBEAU_DETERMINISTIC", False)
    deterministic_warn_only: bool = False
    matmul_precision: str = "highest"
    keep_memory: bool = _flag("FLAMBEAU_KEEP_MEMORY", True)
    memory_kept: bool = False
    compile_limit: int = int(os.environ.get("FLAMBEAU_COMPILE_LIMIT", "16"))
    compile_cache_size: int = 64
    compile_fallback: bool = _flag("FLAMBEAU_COMPILE_FALLBACK", False)
    log_recompiles: bool = _flag("FLAMBEAU_LOG_RECOMPILES", False)


config = Config()
