"""Functions that live in `torch.linalg`, `torch.fft` and `torch.special` only."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .autocast import autocast
from .registry import with_out

LINALG: dict[str, Any] = {}
FFT: dict[str, Any] = {}
SPECIAL: dict[str, Any] = {}
_PREFIXES = {id(LINALG): "linalg_", id(FFT): "fft_", id(SPECIAL): "special_"}


def member(
    space: dict[str, Any], name: str | None = None, *, out: bool = True, prefix: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function into a namespace, with a keyword `out=` unless told otherwise.

    Args:
        name: its name there; the function's own by default.
        prefix: what PyTorch's messages put before the name (`linalg_`).
    """

    def register(plain: Callable[..., Any]) -> Callable[..., Any]:
        public = name or plain.__name__
        full = with_out(plain, prefix + public) if out else plain
        space[public] = with_numpy_names(autocast(_PREFIXES[id(space)] + public)(full))
        return space[public]

    return register


_NUMPY_NAMES = {"x": "input", "x2": "other", "axis": "dim", "keepdims": "keepdim"}


def with_numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` that also takes NumPy's names for the parameters that it has."""
    code = inspect.unwrap(function).__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    others = {theirs: ours for theirs, ours in _NUMPY_NAMES.items() if ours in own}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for theirs in others.keys() & kwargs.keys():
                if theirs not in own:
                    kwargs[others[theirs]] = kwargs.pop(theirs)
        return function(*args, **kwargs)

    return call
