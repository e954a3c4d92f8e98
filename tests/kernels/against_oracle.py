"""Compares a kernel's values and gradients with PyTorch's, through NumPy."""

import sys

import jax
import numpy as np
import torch

jax.config.update("jax_enable_x64", True)


def to_torch(x, requires_grad=False):
    if not isinstance(x, np.ndarray):
        return x
    tensor = torch.from_numpy(np.array(x, order="C"))
    differentiable = requires_grad and np.issubdtype(x.dtype, np.inexact)
    return tensor.requires_grad_() if differentiable else tensor


def as_tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def assert_same(ours, theirs, rtol, atol, what):
    ours = np.asarray(ours)
    theirs = theirs.detach().resolve_conj().numpy()
    assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype, (what, ours.dtype, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=what)


def _draw_like(array, random):
    values = np.asarray(random.standard_normal(array.shape))
    if np.issubdtype(array.dtype, np.complexfloating):
        values = values + 1j * random.standard_normal(array.shape)
    return np.asarray(values, array.dtype)


def _gradients(kernel, inputs, outputs, cotangents, statics):
    """By the kernel's own vjp where it has one, else by `jax.vjp`, as the library does."""
    rule = getattr(sys.modules[kernel.__module__], f"{kernel.__name__}_vjp", None)
    needs = tuple(x is not None and np.issubdtype(x.dtype, np.inexact) for x in inputs)
    if rule is not None:
        return rule(cotangents, inputs, outputs, needs, **statics)
    wanted = [i for i, need in enumerate(needs) if need]

    def of_wanted(*values):
        full = list(inputs)
        for i, value in zip(wanted, values, strict=True):
            full[i] = value
        produced = as_tuple(kernel(*full, **statics))
        return [o for o, c in zip(produced, cotangents, strict=True) if c is not None]

    _, pull = jax.vjp(of_wanted, *(inputs[i] for i in wanted))
    found = iter(pull([c for c in cotangents if c is not None]))
    return tuple(next(found) if need else None for need in needs)


def check(kernel, oracle, inputs, statics=None, *, grad=True, rtol=1e-5, atol=1e-6, grad_rtol=None):
    """`kernel(*inputs, **statics)` against `oracle(*torch inputs)`: values, dtypes, gradients."""
    statics = statics or {}
    grad_rtol = rtol if grad_rtol is None else grad_rtol
    arrays = tuple(None if x is None else jax.numpy.asarray(x) for x in inputs)
    ours = as_tuple(jax.jit(lambda *a: kernel(*a, **statics))(*arrays))
    tensors = [to_torch(x, grad) for x in inputs]
    theirs = as_tuple(oracle(*tensors))
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_same(a, b, rtol, atol, f"output {i}")
    if not grad or not any(t.requires_grad for t in theirs):
        return
    random = np.random.RandomState(7)
    cotangents = tuple(
        _draw_like(a, random) if t.requires_grad else None
        for a, t in zip(ours, theirs, strict=True)
    )
    leaves = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad]
    expected = torch.autograd.grad(
        [t for t in theirs if t.requires_grad],
        leaves,
        [to_torch(c) for c in cotangents if c is not None],
        allow_unused=True,
    )
    expected = iter(expected)
    # JAX's cotangents of complex values are the conjugates of PyTorch's gradients.
    has_rule = hasattr(sys.modules[kernel.__module__], f"{kernel.__name__}_vjp")
    if not has_rule:
        cotangents = tuple(None if c is None else np.conj(c) for c in cotangents)
    given = tuple(None if c is None else jax.numpy.asarray(c) for c in cotangents)
    found = jax.jit(lambda a, o, c: _gradients(kernel, a, o, c, statics))(arrays, ours, given)
    for i, (tensor, gradient) in enumerate(zip(tensors, found, strict=True)):
        if not (isinstance(tensor, torch.Tensor) and tensor.requires_grad):
            continue
        wanted = next(expected)
        if wanted is None:
            assert gradient is None or not np.any(np.asarray(gradient)), f"gradient {i}"
            continue
        gradient = np.asarray(gradient)
        gradient = gradient if has_rule else np.conj(gradient)
        assert_same(gradient, wanted, grad_rtol, max(atol, grad_rtol), f"gradient {i}")
