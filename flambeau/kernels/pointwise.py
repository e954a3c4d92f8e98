"""Elementwise functions. Binary ones take a static `dtype`, to which both operands are converted
(None: they have one type already)."""

from __future__ import annotations

import numpy as np
from jax import lax

from .common import broadcast, cast, unbroadcast


def operands(x, y, dtype):
    """Both operands as `dtype`, at their common shape."""
    if dtype is not None:
        x = lax.convert_element_type(x, dtype)
        y = lax.convert_element_type(y, dtype)
    return broadcast(x, y)


def binary(function, name):
    """A kernel of two operands from a function of equal shapes and types."""

    def kernel(x, y, *, dtype):
        return function(*operands(x, y, dtype))

    kernel.__name__ = name
    return kernel


def add_scaled(x, y, alpha, *, dtype):
    """x + alpha y"""
    x, y = operands(x, y, dtype)
    return plus(x, multiply(y, lax.full_like(y, alpha)))


def sub_scaled(x, y, alpha, *, dtype):
    """x - alpha y"""
    x, y = operands(x, y, dtype)
    return lax.sub(x, lax.mul(y, lax.full_like(y, alpha)))


def multiply(x, y):
    """x y; for bools, and."""
    return lax.bitwise_and(x, y) if x.dtype == np.bool_ else lax.mul(x, y)


def plus(x, y):
    """x + y; for bools, or."""
    return lax.bitwise_or(x, y) if x.dtype == np.bool_ else lax.add(x, y)


def multiply_vjp(cts, inputs, outputs, needs, *, dtype):
    """d(xy) = y dx + x dy, each summed over the axes along which it was broadcast."""
    (ct,) = cts
    x, y = inputs
    left = _product_gradient(ct, y, x, dtype) if needs[0] else None
    right = _product_gradient(ct, x, y, dtype) if needs[1] else None
    return left, right


def _product_gradient(ct, factor, target, dtype):
    factor = lax.convert_element_type(factor, ct.dtype)
    if factor.dtype.kind == "c":
        factor = lax.conj(factor)
    a, b = broadcast(ct, factor)
    gradient = lax.mul(a, b)
    if gradient.dtype.kind == "c" and target.dtype.kind != "c":
        gradient = lax.real(gradient)
    return cast(unbroadcast(gradient, target.shape), target.dtype)
