"""`torch.jit`: the marks of TorchScript, which a program that runs eagerly passes through.

Nothing is compiled: what `script` returns is the function or the module itself. `trace`, and files
of TorchScript, are not built.
"""

import builtins
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..errors import NotBuilt
from . import annotations


class Error(RuntimeError):
    """TorchScript refused a program."""


class Attribute(NamedTuple):
    """A value with the type that TorchScript should take it for."""

    value: Any
    type: Any


class ScriptModule:
    """What `script` made of a module in PyTorch; there are none here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("flambeau.jit.ScriptModule")


class ScriptFunction:
    """What `script` made of a function in PyTorch; there are none here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("flambeau.jit.ScriptFunction")


def is_scripting() -> bool:
    """Whether the code is being compiled by TorchScript: never."""
    return False


def is_tracing() -> bool:
    """Whether the code is being traced: never."""
    return False


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"`torch.jit.{name}` is deprecated. Please {instead}.", DeprecationWarning, stacklevel=3
    )


def script(
    obj: Any,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Any = None,
) -> Any:
    """The function, module or class itself, which runs as it is. Deprecated."""
    _deprecated("script", "switch to `torch.compile` or `torch.export`")
    return obj


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: nothing is ever traced."""
    return fn


_script_if_tracing = script_if_tracing


def _mark(text: str) -> Callable[[Any], Any]:
    def mark(fn: Any) -> Any:
        fn._torchscript_modifier = text
        return fn

    return mark


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Mark a method that TorchScript leaves to Python; usable as `@ignore` and `@ignore()`."""
    if callable(drop):
        return _mark("ignore (leave as a call to Python, cannot be torch.jit.save'd)")(drop)
    if not isinstance_(drop, bool):
        raise RuntimeError(
            f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}"
        )
    if drop or kwargs.get("drop_on_export"):
        warnings.warn(
            "ignore(True) has been deprecated. TorchScript will now drop the function call on "
            "compilation. Use torch.jit.unused now. {}",
            FutureWarning,
            stacklevel=2,
        )
        return unused
    return _mark("ignore (leave as a call to Python, cannot be torch.jit.save'd)")


isinstance_ = builtins.isinstance
unused = _mark("unused (ignored and replaced with raising of an exception)")
unused.__doc__ = "Mark a method that TorchScript replaces by an error."
export = _mark("export (compile this function even if nothing calls it)")
export.__doc__ = "Mark a method that TorchScript compiles although nothing calls it."


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value itself; TorchScript would take it for a `the_type`."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether a value is of a type, also of one such as `list[int]`."""
    kinds = target_type if isinstance_(target_type, tuple) else (target_type,)
    return any(_fits(obj, kind) for kind in kinds)


def _fits(value: Any, kind: Any) -> bool:
    if kind in (list, dict, tuple):
        raise RuntimeError(
            f"Attempted to use {kind.__name__} without a contained type. Please add a contained "
            f"type, e.g. {kind.__name__}[int]"
        )
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is None:
        return value is None if kind is None else isinstance_(value, kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, a) for a in args)
    if not isinstance_(value, origin):
        return False
    if not value:
        warnings.warn(
            "The inner type of a container is lost when calling torch.jit.isinstance in eager "
            "mode. For example, List[int] would become list and therefore falsely return True for "
            "List[float] or List[str].",
            UserWarning,
            stacklevel=4,
        )
    if origin is dict:
        return all(_fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items())
    if origin is tuple:
        return len(value) == len(args) and all(map(_fits, value, args))
    return all(_fits(item, args[0]) for item in value)


def _unwrap_optional(x: Any) -> Any:
    """The value, which is not None."""
    assert x is not None, "Unwrapping null optional"
    return x


_NOT_BUILT = frozenset(
    """
    CompilationUnit Future ONNXTracedModule RecursiveScriptClass RecursiveScriptModule
    ScriptWarning TopLevelTracedModule TracedModule TracerWarning TracingCheckError
    enable_onednn_fusion export_opnames fork freeze frontend fuser interface
    jit_module_from_flatbuffer last_executed_optimized_graph load onednn_fusion_enabled
    optimize_for_inference optimized_execution run_frozen_optimizations save
    save_jit_module_to_flatbuffer script_method set_fusion_strategy set_module strict_fusion
    trace trace_module wait
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"flambeau.jit.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = [
    "Attribute",
    "Error",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "annotations",
    "export",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "script",
    "script_if_tracing",
    "unused",
]
