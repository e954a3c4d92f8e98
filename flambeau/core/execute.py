"""The seam between the library and XLA: a kernel bound to its static arguments, ready to run.

Everything that computes goes through a `Program`. Today it is one `jax.jit`; whatever runs a
kernel in another way takes its place here. An `Op` is a kernel with its name and its derivative.
"""

from __future__ import annotations

import inspect
import re
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


class Op:
    """An operation: a kernel, how it is named on the tape, and how it is differentiated.

    Args:
        kernel: pure function of arrays; keyword-only parameters are static.
        name: PyTorch's name of the tape's node without `Backward0`; from the kernel's by default.
        vjp: `vjp(cts, inputs, outputs, needs, **static)` gives a gradient for every input; the
            default is JAX's derivative of the kernel.
        forward: `forward(*arrays, **static) -> (outputs, residuals)`, run in place of the kernel
            when a gradient is needed; `vjp` then gets `outputs + residuals` as its `outputs`.
        differentiable: False for comparisons and the like.
        pointwise: the result takes the memory order of the operands, as elementwise functions do.
    """

    __slots__ = ("differentiable", "forward", "kernel", "label", "pointwise", "programs", "vjp")

    def __init__(
        self,
        kernel: Callable[..., Any],
        *,
        name: str | None = None,
        vjp: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        differentiable: bool = True,
        pointwise: bool = False,
    ):
        names = [
            p.name
            for p in inspect.signature(kernel).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        ]
        self.kernel = kernel
        self.label = (name or _camel_case(kernel.__name__)) + "Backward0"
        self.vjp = vjp
        self.forward = forward
        self.differentiable = differentiable
        self.pointwise = pointwise
        self.programs = ProgramCache(kernel, tuple(names))


def _camel_case(name: str) -> str:
    return re.sub(r"(?:^|_)([a-z0-9])", lambda m: m.group(1).upper(), name.strip("_"))
