"""Tracing a kernel: what it computes, as a list of XLA's primitives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import numpy as np

NESTS = (tuple, list, dict)


class Trace(NamedTuple):
    """A kernel's trace.

    Attributes:
        jaxpr, consts: the equations, and the values of their constants.
        several: the kernel gives a tuple.
        tree: how the results are nested; None for one result, or a plain tuple of them.
        given: what it was traced with: shapes and types, numbers, None.
    """

    jaxpr: Any
    consts: Sequence[Any]
    several: bool
    tree: Any
    given: Sequence[Any]


def traced(call: Callable[..., Any], given: Sequence[Any]) -> Trace:
    """Trace a kernel for arguments of given shapes and types.

    Args:
        call: the kernel, its static arguments bound.
        given: shape and type of each argument (`jax.ShapeDtypeStruct`), None, or a number.
    """
    places = [i for i, argument in enumerate(given) if argument is not None]
    nest: list[Any] = []

    def flat(*arguments: Any) -> list[Any]:
        full: list[Any] = [None] * len(given)
        for i, argument in zip(places, arguments, strict=True):
            full[i] = argument
        result = call(*full)
        values, tree = jax.tree.flatten(result)
        several = isinstance(result, (tuple, list))
        plain = several and not any(r is None or isinstance(r, NESTS) for r in result)
        nest.extend([several, None if plain or not several else tree])
        return values

    jaxpr, consts = _tracer()(flat, [_abstract(given[i]) for i in places])
    return Trace(jaxpr, consts, nest[0], nest[1], given)


def _abstract(argument: Any) -> Any:
    if hasattr(argument, "shape"):
        return jax.core.ShapedArray(argument.shape, argument.dtype)
    dtype = np.result_type(type(argument))
    return jax.core.ShapedArray((), dtype, weak_type=type(argument) is not bool)


def _public(function: Callable[..., Any], avals: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    given = [
        np.zeros((), a.dtype).item() if a.weak_type else jax.ShapeDtypeStruct(a.shape, a.dtype)
        for a in avals
    ]
    closed = jax.make_jaxpr(function)(*given)
    return closed.jaxpr, closed.consts


@functools.cache
def _tracer() -> Callable[..., tuple[Any, Sequence[Any]]]:
    """JAX's tracer itself, without the 200 us that `jax.make_jaxpr` adds; it is JAX's own, hence
    the trial."""
    try:
        from jax._src import core, linear_util
        from jax._src.interpreters.partial_eval import trace_to_jaxpr_dynamic

        info = core.DebugInfo("flambeau", "kernel", None, None)

        def bare(function: Callable[..., Any], avals: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
            wrapped = linear_util.wrap_init(function, debug_info=info)
            jaxpr, _, consts = trace_to_jaxpr_dynamic(wrapped, avals)
            count = len(consts) - len(jaxpr.constvars)
            if count:  # jax 0.11 lists the variables of constants before the arguments
                first, rest = jaxpr.invars[:count], jaxpr.invars[count:]
                jaxpr = jaxpr.replace(constvars=first, invars=rest)
            return jaxpr, consts

        number, array = _abstract(1.0), jax.core.ShapedArray((2,), np.dtype(np.float32))
        constant = np.ones(2, np.float32)
        jaxpr, consts = bare(
            lambda a, x: [jax.lax.mul(a, a), jax.lax.add(x, constant)], [number, array]
        )
        names = [e.primitive.name for e in jaxpr.eqns]
        if names == ["mul", "add"] and len(jaxpr.constvars) == len(consts) <= 1:
            return bare
    except Exception:  # whatever another version of JAX makes of it
        pass
    return _public


__all__ = ["Trace", "traced"]
