"""`torch.compiler`: marks for the compiler of whole functions, `flambeau.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core.state import modes
from .errors import NotBuilt


def is_compiling() -> bool:
    """Whether the running code is being traced by `flambeau.compile`."""
    return modes.trace is not None


def is_dynamo_compiling() -> bool:
    """Whether the running code is being traced by TorchDynamo: never."""
    return False


def is_exporting() -> bool:
    """Whether the running code is being exported: never."""
    return False


def disable(
    fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None
) -> Any:
    """Mark a function as one that is never compiled; usable as `@disable` and `@disable()`.

    >>> import flambeau as torch
    >>> @torch.compiler.disable
    ... def double(x):
    ...     return 2 * x
    >>> double(torch.ones(2))
    tensor([2., 2.])
    """
    return fn if fn is not None else lambda function: function


def allow_in_graph(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function as one that a compiler takes as a whole."""
    return fn


def assume_constant_result(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function as one whose result never changes."""
    return fn


def reset() -> None:
    """Forget what was compiled."""
    from .compiling.compiled import Compiled

    Compiled.forget_all()


def compile(*args: Any, **kwargs: Any) -> Any:
    """See `flambeau.compile`."""
    from .compiling import compile

    return compile(*args, **kwargs)


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of the compilers."""
    return ["inductor"]


def cudagraph_mark_step_begin() -> None:
    """Mark the beginning of a step; there are no CUDA graphs."""


_NOT_BUILT = frozenset(
    """
    config get_default_backend keep_portable_guards_unsafe keep_tensor_guards_unsafe
    load_cache_artifacts load_compiled_function nested_compile_region
    save_cache_artifacts set_default_backend set_enable_guard_collectives set_stance
    skip_all_guards_unsafe skip_guard_on_all_nn_modules_unsafe skip_guard_on_globals_unsafe
    skip_guard_on_inbuilt_nn_modules_unsafe substitute_in_graph wrap_numpy
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"flambeau.compiler.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
