"""`flambeau.compile`: a function, a model or a whole training step as one XLA program.

>>> import flambeau as torch
>>> weight = torch.nn.Parameter(torch.zeros(3))
>>> optimizer = torch.optim.SGD([weight], lr=0.5)
>>> @torch.compile
... def step(x):
...     optimizer.zero_grad()
...     loss = ((weight - x) ** 2).sum()
...     loss.backward()
...     optimizer.step()
...     return loss
>>> [float(step(torch.ones(3))) for _ in range(2)]
[3.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..nn.modules.module import Module
from .compiled import Compiled, CompileError
from .explain import explain
from .export import Exported, export
from .module import OptimizedModule

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
_BACKENDS = ("inductor", "eager", "aot_eager", "cudagraphs", "openxla", "tvm", "onnxrt")


class InvalidBackend(RuntimeError):
    """A name that is no backend of PyTorch's `compile`."""


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
    fallback: bool | None = None,
    buckets: Any = None,
) -> Any:
    """Run the whole body of a function, or of a model's forward pass, as one XLA program.

    The function is run once with symbolic values to see what it computes; each call then is one
    call of the program. The body may hold anything that a training step does: `backward()`,
    clipping, an optimiser's step, running statistics, random draws. Nothing has to be declared:
    what the function reads becomes an input, what it writes an output. It is compiled anew when
    shapes, types or Python values that its code asks about change, but not for a learning rate.

    Args:
        model: a function, or a module, whose forward pass is compiled. Without it: a decorator.
        fullgraph: True forbids `fallback`.
        disable: return the function itself.
        recompile_limit: how often it may be compiled anew before it runs as it is, with a warning.
        fallback: let a function that cannot be compiled (it asks for the value of a tensor, say)
            run as it is, with one warning; by default that is a `CompileError`.
        buckets: sizes that axis 1 of the arguments is padded to, for functions that are called with
            many lengths, under `no_grad`; see Note [Buckets].
        dynamic, backend, mode, options, name, isolate_recompiles, shapes_spec: PyTorch's; checked,
            and without effect, for there is one compiler.

    Returns:
        A function with the same arguments and results; for a module, a module.

    Raises:
        CompileError: for a body whose course depends on values of tensors. It names the line.

    Example::

        >>> import flambeau as torch
        >>> @torch.compile
        ... def f(x):
        ...     return (x * x).sum()
        >>> f(torch.arange(4.0))
        tensor(14.)
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if isinstance(backend, str) and backend not in _BACKENDS:
        raise InvalidBackend(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available "
            "backends."
        )
    if model is None:
        return lambda function: compile(
            function,
            fullgraph=fullgraph,
            disable=disable,
            recompile_limit=recompile_limit,
            fallback=fallback,
            buckets=buckets,
        )
    if disable:
        return model
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    fallback = False if fullgraph else fallback
    settings = {"fallback": fallback, "limit": recompile_limit, "buckets": buckets}
    if isinstance(model, Module):
        return OptimizedModule(model, settings)
    return Compiled(model, **settings)


compile.explain = explain  # type: ignore[attr-defined]

__all__ = ["CompileError", "Exported", "OptimizedModule", "compile", "explain", "export"]
