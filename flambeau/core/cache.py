"""XLA's compiled programs on disk, so that the second run of a script does not compile again."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import jax

from ..config import config

_applied: str | None = None


def use_compilation_cache() -> None:
    """Make JAX keep compiled programs in `config.compilation_cache`.

    JAX's own setting goes first: with `JAX_COMPILATION_CACHE_DIR` nothing is changed. A folder that
    cannot be written to is not used.
    """
    global _applied
    wanted = config.compilation_cache or None
    present = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if wanted == _applied or present != _applied:
        return
    if wanted is not None and not _writable(Path(wanted)):
        wanted = config.compilation_cache = None
    if wanted is not None:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        # A disk that fills up later costs the cache, and nothing else.
        warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation")
    jax.config.update("jax_compilation_cache_dir", wanted)
    _applied = wanted


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


__all__ = ["use_compilation_cache"]
