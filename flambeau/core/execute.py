"""The seam between the library and XLA: a kernel bound to its static arguments, ready to run.

Everything that computes goes through a `Program`. Today it is one `jax.jit`; whatever runs a
kernel in another way takes its place here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from ..config import config


class Program:
    """A kernel with its static arguments bound; `run(*arrays)` executes it."""

    __slots__ = ("call", "derivatives", "run")

    def __init__(self, kernel: Callable[..., Any], static: dict[str, Any]):
        self.call = partial(kernel, **static) if static else kernel
        self.run: Callable[..., Any] = jax.jit(self.call)
        self.derivatives: dict[Any, Any] = {}

    def abstract(self, *arrays: Any) -> Any:
        """The shapes and types of the results, without computing them (the meta device)."""
        return jax.eval_shape(self.call, *arrays)


class ProgramCache(dict):
    """Programs by static arguments; emptied when it outgrows `config.program_cache_size`."""

    def __init__(self, kernel: Callable[..., Any], names: tuple[str, ...]):
        super().__init__()
        self.kernel = kernel
        self.names = names

    def __missing__(self, static: tuple[Any, ...]) -> Program:
        if len(self) >= config.program_cache_size:
            self.clear()
        program = Program(self.kernel, dict(zip(self.names, static, strict=True)))
        self[static] = program
        return program
