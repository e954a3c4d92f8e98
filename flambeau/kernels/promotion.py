"""Kernels whose operands are first converted to a common element type."""

from __future__ import annotations

import functools
import inspect

from jax import lax

from .common import cast


def promoting(kernel):
    """`kernel` with a further static, the last: `dtype`, to which its operands are converted.

    None leaves them as they are (they have one type already).
    """
    signature = inspect.signature(kernel)
    own = list(signature.parameters.values())
    added = inspect.Parameter("dtype", inspect.Parameter.KEYWORD_ONLY)

    @functools.wraps(kernel)
    def run(*operands, dtype, **statics):
        return kernel(*_converted(operands, dtype), **statics)

    run.__signature__ = signature.replace(parameters=[*own, added])
    return run


def promoting_vjp(vjp):
    """A `NAME_vjp` for `promoting(NAME)`: the gradients get the types of the operands."""

    def run(cts, inputs, outputs, needs, *, dtype, **statics):
        gradients = vjp(cts, _converted(inputs, dtype), outputs, needs, **statics)
        return tuple(
            None if g is None else _back(g, x) for g, x in zip(gradients, inputs, strict=True)
        )

    return run


def _converted(operands, dtype):
    if dtype is None:
        return operands
    return tuple(None if x is None else lax.convert_element_type(x, dtype) for x in operands)


def _back(gradient, operand):
    if gradient.dtype.kind == "c" and operand.dtype.kind != "c":
        gradient = lax.real(gradient)
    return cast(gradient, operand.dtype)
