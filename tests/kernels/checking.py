"""Kernels against the oracle: the same arrays through both, values and gradients compared."""

import jax
import ml_dtypes
import numpy as np
import torch

jax.config.update("jax_enable_x64", True)

TOLERANCE = {
    np.dtype(np.float64): 1e-12,
    np.dtype(np.float32): 1e-5,
    np.dtype(ml_dtypes.bfloat16): 1e-2,
    np.dtype(np.float16): 2e-3,
}


def to_torch(array, grad=False):
    """The oracle's tensor with the values of a NumPy array; anything else as it is."""
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype == ml_dtypes.bfloat16:
        tensor = torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array.copy())
    return tensor.requires_grad_(grad and tensor.dtype.is_floating_point)


def to_numpy(tensor):
    """The values of the oracle's tensor; bfloat16 as `ml_dtypes.bfloat16`."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.to(torch.float32).numpy().astype(ml_dtypes.bfloat16)
    return tensor.numpy()


def assert_same(ours, theirs, tolerance=None, what=""):
    """Equal shape and dtype, values within the dtype's tolerance (relative to the largest)."""
    ours, theirs = np.asarray(ours), to_numpy(theirs)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape} against {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: dtype {ours.dtype} against {theirs.dtype}"
    if tolerance is None:
        tolerance = TOLERANCE.get(ours.dtype, 0)
    if tolerance == 0:
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
        return
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.abs(theirs[np.isfinite(theirs)])
    scale = min(1.0, finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(
        ours, theirs, rtol=tolerance, atol=tolerance * max(scale, 1e-30), err_msg=what
    )


def check(
    kernel,
    oracle,
    arrays,
    statics=None,
    tolerance=None,
    vjp=None,
    forward=None,
    differentiable=None,
):
    """Values of `kernel(*arrays, **statics)` and all gradients against `oracle(*tensors)`.

    Gradients are those that the library takes: NAME_vjp's where there is one, else JAX's.

    Args:
        vjp, forward: the kernel's NAME_vjp and NAME_forward, where it has them.
        differentiable: which arrays' gradients to compare; default: every floating one.
    """
    statics = statics or {}
    given = tuple(None if a is None else jax.numpy.asarray(a) for a in arrays)
    asked = differentiable or [True] * len(arrays)
    tensors = [to_torch(a, grad=wanted) for a, wanted in zip(arrays, asked, strict=True)]
    theirs = oracle(*tensors)
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    if forward is not None:
        ours, residuals = jax.jit(lambda: forward(*given, **statics))()
    else:
        ours, residuals = jax.jit(lambda: kernel(*given, **statics))(), ()
    plain = kernel(*given, **statics)
    ours = ours if isinstance(ours, tuple) else (ours,)
    plain = plain if isinstance(plain, tuple) else (plain,)
    assert len(ours) == len(plain) == len(theirs)
    for position, (a, b, c) in enumerate(zip(ours, plain, theirs, strict=True)):
        assert_same(a, c, tolerance, f"output {position}")
        assert_same(b, c, tolerance, f"output {position}, plain kernel")
    generator = np.random.default_rng(11)
    cotangents = []
    for t in theirs:
        if t.requires_grad:
            values = generator.standard_normal(t.shape).astype(np.float32)
            cotangents.append(values.astype(np.asarray(to_numpy(t)).dtype))
        else:
            cotangents.append(None)
    if not any(c is not None for c in cotangents):
        return
    if differentiable is None:
        differentiable = [isinstance(t, torch.Tensor) and t.requires_grad for t in tensors]
    wanted = [t for t, d in zip(tensors, differentiable, strict=True) if d]
    pairs = [(t, c) for t, c in zip(theirs, cotangents, strict=True) if c is not None]
    expected = torch.autograd.grad(
        [t for t, _ in pairs], wanted, [to_torch(c) for _, c in pairs], allow_unused=True
    )
    needs = tuple(differentiable)
    if vjp is not None:
        wide = tuple(None if c is None else jax.numpy.asarray(c) for c in cotangents)
        found = jax.jit(lambda c: vjp(c, given, ours + tuple(residuals), needs, **statics))(wide)
        _compare_gradients(found, needs, expected, tolerance, "NAME_vjp")
        if forward is None:
            # Nobody derives this kernel's gradient: second derivatives go through NAME_vjp.
            return
    _compare_gradients(
        _derived(kernel, given, statics, needs, cotangents), needs, expected, tolerance, "derived"
    )


def _derived(kernel, given, statics, needs, cotangents):
    """The gradients that JAX derives from the plain kernel."""

    def run(*chosen):
        remaining = iter(chosen)
        arrays = [next(remaining) if n else a for a, n in zip(given, needs, strict=True)]
        results = kernel(*arrays, **statics)
        results = results if isinstance(results, tuple) else (results,)
        return [r for r, c in zip(results, cotangents, strict=True) if c is not None]

    chosen = [a for a, n in zip(given, needs, strict=True) if n]
    seeds = [jax.numpy.asarray(c) for c in cotangents if c is not None]
    gradients = iter(jax.jit(lambda s: jax.vjp(run, *chosen)[1](s))(seeds))
    return [next(gradients) if n else None for n in needs]


def _compare_gradients(found, needs, expected, tolerance, what):
    remaining = iter(expected)
    for position, (gradient, need) in enumerate(zip(found, needs, strict=True)):
        if not need:
            continue
        theirs = next(remaining)
        if theirs is not None:
            assert_same(gradient, theirs, tolerance, f"gradient {position} ({what})")


def normal(*shape, seed=0, dtype=np.float32):
    """Normal values of `shape`, the same for a seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
