"""`torch.autograd.profiler`: `record_function`. What ran is shown by JAX's profiler."""

from __future__ import annotations

import contextlib
from typing import Any, Self

import jax

from ..errors import NotBuilt
from ..names import in_pytorch


class record_function(contextlib.ContextDecorator):
    """Names a range of a program, in a `with` block or as a decorator.

    The range appears in what `jax.profiler.trace` records.

    Args:
        name: the range's name.
        args: a text that goes with it.

    >>> import flambeau as torch
    >>> with torch.autograd.profiler.record_function("forward"):
    ...     y = torch.ones(2) * 2
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._entered: list[Any] = []

    def __enter__(self) -> Self:
        about = {} if self.args is None else {"args": self.args}
        annotation = jax.profiler.TraceAnnotation(self.name, **about)
        annotation.__enter__()
        self._entered.append(annotation)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._entered.pop().__exit__(*exception)


def __getattr__(name: str) -> Any:
    if in_pytorch(f"torch.autograd.profiler.{name}"):
        raise NotBuilt(f"flambeau.autograd.profiler.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = ["record_function"]
