"""Small words that the neural-network kernels are written in: numbers, choices, wide arithmetic."""

from __future__ import annotations

import functools

import jax
import numpy as np
from jax import lax

from flambeau.kernels.common import NARROW, cast, expand


def number(value, x):
    """The Python number `value` in the dtype of `x`, as `jax.lax` wants its second operand."""
    return np.asarray(value).astype(x.dtype)[()]


def plus(x, value):
    """x + a Python number."""
    return lax.add(x, number(value, x))


def times(x, value):
    """x * a Python number."""
    return lax.mul(x, number(value, x))


def where(condition, x, y):
    """`x` where `condition` holds, else `y`; one of the two may be a Python number."""
    shape = condition.shape
    if isinstance(x, int | float):
        x = number(x, y)
    elif isinstance(y, int | float):
        y = number(y, x)
    return lax.select(condition, _full(x, shape), _full(y, shape))


def _full(x, shape):
    return lax.full(shape, x, x.dtype) if isinstance(x, np.generic) else expand(x, shape)


def above(x, value):
    """x > a Python number (False for NaN)."""
    return lax.gt(x, number(value, x))


def below(x, value):
    """x < a Python number (False for NaN)."""
    return lax.lt(x, number(value, x))


def at_most(x, value):
    """x <= a Python number (False for NaN)."""
    return lax.le(x, number(value, x))


def at_least(x, value):
    """x >= a Python number (False for NaN)."""
    return lax.ge(x, number(value, x))


def absolute(x):
    """|x|, with derivative 0 at 0."""
    return lax.mul(x, lax.stop_gradient(lax.sign(x)))


def is_nan(x):
    """True where `x` is NaN."""
    return lax.ne(x, x)


def widen(x):
    """A 16-bit float array in float32; anything else as it is."""
    return cast(x, np.dtype(np.float32)) if x is not None and x.dtype in NARROW else x


def widened(kernel):
    """`kernel` with 16-bit floats computed in float32 and its results rounded once.

    Results get the dtype of the first array argument.
    """

    @functools.wraps(kernel)
    def run(*arrays, **statics):
        dtype = arrays[0].dtype
        if dtype not in NARROW:
            return kernel(*arrays, **statics)
        results = kernel(*map(widen, arrays), **statics)
        return jax.tree.map(lambda r: cast(r, dtype) if r.dtype == np.float32 else r, results)

    return run


def widened_vjp(vjp):
    """The same for a `NAME_vjp`: each gradient gets the dtype of its input."""

    @functools.wraps(vjp)
    def run(cts, inputs, outputs, needs, **statics):
        wide = (tuple(map(widen, group)) for group in (cts, inputs, outputs))
        gradients = vjp(*wide, needs, **statics)
        return tuple(
            None if g is None else cast(g, x.dtype) for g, x in zip(gradients, inputs, strict=True)
        )

    return run
