"""`gradcheck`: the tape's derivatives against finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.gradients import grad
from ..core.modes import enable_grad, no_grad
from ..core.tensor import Tensor, wrap
from .forward_ad import dual_level, make_dual, unpack_dual


class GradcheckError(RuntimeError):
    """`gradcheck` or `gradgradcheck` found a wrong derivative."""


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _differentiable(values: tuple[Any, ...]) -> list[Tensor]:
    return [
        v
        for v in values
        if isinstance(v, Tensor) and (v.dtype.is_floating_point or v.dtype.is_complex)
    ]


def _run(func: Callable[..., Any], inputs: tuple[Any, ...]) -> list[Tensor]:
    return _differentiable(_as_tuple(func(*inputs)))


def _numerical(
    func: Callable[..., Any], inputs: tuple[Any, ...], target: Tensor, eps: float
) -> list[np.ndarray]:
    """For each output, what a backward pass should give: an array (target elements, outputs).

    For a complex input z = x + iy that is dRe/dx + i dRe/dy, PyTorch's convention.
    """
    values = np.array(target._host())
    flat = values.reshape(-1)
    steps = (1.0, 1j) if values.dtype.kind == "c" else (1.0,)
    columns: list[list[np.ndarray]] = []

    def outputs_at(value: Any, i: int) -> list[np.ndarray]:
        flat[i], saved = value, flat[i]
        with no_grad():
            target.data = wrap(values.copy())
            found = [np.real(o._host().reshape(-1)).astype(np.float64) for o in _run(func, inputs)]
        flat[i] = saved
        return found

    original = target.data
    try:
        for i in range(flat.size):
            slopes: Any = 0
            for step in steps:
                above = outputs_at(flat[i] + eps * step, i)
                below = outputs_at(flat[i] - eps * step, i)
                slope = [(a - b) / (2 * eps) * step for a, b in zip(above, below, strict=True)]
                slopes = (
                    slope if slopes == 0 else [a + b for a, b in zip(slopes, slope, strict=True)]
                )
            columns.append(slopes)
    finally:
        target.data = original
    count = len(columns[0]) if columns else len(_run(func, inputs))
    return [np.array([c[k] for c in columns]).reshape(flat.size, -1) for k in range(count)]


def _analytical(output: Tensor, targets: list[Tensor]) -> list[np.ndarray]:
    """d output / d target for every target by one backward pass per element of the output."""
    size = output.numel()
    found = [np.zeros((t.numel(), size), np.complex128) for t in targets]
    for column in range(size):
        seed = np.zeros(output._dims(), output._dtype_numpy())
        seed.reshape(-1)[column] = 1
        grads = grad(output, targets, wrap(seed), retain_graph=True, allow_unused=True)
        for jacobian, gradient, target in zip(found, grads, targets, strict=True):
            if gradient is not None:
                if gradient._dims() != target._dims():
                    raise GradcheckError("Analytical gradient has incorrect size")
                jacobian[:, column] = gradient._host().reshape(-1)
    return found


def _forward(
    func: Callable[..., Any], inputs: tuple[Any, ...], target: Tensor, count: int
) -> list[np.ndarray]:
    """For each output, in `_numerical`'s form, what forward mode gives."""
    size = target.numel()
    dtype = target._dtype_numpy()
    steps = (1.0, 1j) if dtype.kind == "c" else (1.0,)
    found: list[list[Any]] = [[0] * size for _ in range(count)]
    for i in range(size):
        for step in steps:
            tangent = np.zeros(target._dims(), dtype)
            tangent.reshape(-1)[i] = step
            with dual_level():
                dual = make_dual(target, wrap(tangent))
                outputs = _run(func, tuple(dual if x is target else x for x in inputs))
                for k, output in enumerate(outputs):
                    pushed = unpack_dual(output).tangent
                    if pushed is not None:
                        slope = np.real(pushed._host().reshape(-1)).astype(np.float64)
                        found[k][i] = found[k][i] + slope * step
    sizes = [o.numel() for o in _run(func, inputs)]
    return [
        np.array([np.broadcast_to(row, (n,)) for row in rows]).reshape(size, n)
        for rows, n in zip(found, sizes, strict=True)
    ]


def _check_forward(
    func: Callable[..., Any],
    inputs: tuple[Any, ...],
    targets: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    for i, target in enumerate(targets):
        numerical = _numerical(func, inputs, target, eps)
        forward = _forward(func, inputs, target, len(numerical))
        for k, (mine, expected) in enumerate(zip(forward, numerical, strict=True)):
            at = f"output {k} with respect to input {i}"
            _compare(mine, expected, at, atol, rtol, "Jacobian computed with forward mode")


def _compare(
    analytical: np.ndarray,
    numerical: np.ndarray,
    at: str,
    atol: float,
    rtol: float,
    what: str = "Jacobian",
) -> None:
    if numerical.size == analytical.size == 0:
        return
    numerical = numerical.reshape(analytical.shape)
    if not np.allclose(analytical, numerical, rtol=rtol, atol=atol, equal_nan=True):
        real = not (np.iscomplex(analytical).any() or np.iscomplex(numerical).any())
        shown = (np.real(numerical), np.real(analytical)) if real else (numerical, analytical)
        raise GradcheckError(
            f"{what} mismatch for {at},\nnumerical:{wrap(np.array(shown[0]))}\n"
            f"analytical:{wrap(np.array(shown[1]))}\n"
        )


def _check_inputs(inputs: tuple[Any, ...]) -> list[Tensor]:
    targets = [t for t in inputs if isinstance(t, Tensor) and t.requires_grad]
    if not targets:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of "
            "them have requires_grad=True."
        )
    for index, t in enumerate(inputs):
        if isinstance(t, Tensor) and t.requires_grad:
            if t._dtype_numpy() not in (np.dtype(np.float64), np.dtype(np.complex128)):
                warnings.warn(
                    f"Input #{index} requires gradient and is not a double precision floating "
                    "point or complex. This check will likely fail if all the inputs are not of "
                    "double precision floating point or complex. ",
                    stacklevel=4,
                )
            if any(s == 0 and n > 1 for s, n in zip(t.stride(), t.shape, strict=True)):  # type: ignore[attr-defined]
                raise RuntimeError(
                    f"The {index}th input has a dimension with stride 0. gradcheck only supports "
                    "inputs that are non-overlapping to be able to compute the numerical gradients "
                    "correctly. You should call .contiguous on the input before passing it to "
                    "gradcheck."
                )
    return targets


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Check the derivatives of `func` at `inputs` against central finite differences.

    Args:
        func: takes tensors, returns a tensor or several.
        inputs: float64 or complex128 tensors that require gradients, and whatever else.
        eps: the step. atol, rtol: how far apart the two may be.
        raise_exception: raise instead of returning False.
        nondet_tol: how far apart two backward passes may be.
        check_undefined_grad: outputs may stay without a gradient.
        check_grad_dtypes: gradients must have their input's type.
        check_forward_ad: check forward mode, too. check_backward_ad: check reverse mode.
        fast_mode: accepted; the full check is made.

    Returns:
        True where all derivatives agree.

    Raises:
        GradcheckError: one does not.
    """
    given = _as_tuple(inputs)
    try:
        targets = _check_inputs(given)
        if check_forward_ad:
            _check_forward(func, given, targets, eps, atol, rtol)
        if check_backward_ad:
            _check_all(func, given, targets, eps, atol, rtol, nondet_tol, check_grad_dtypes)
    except (GradcheckError, RuntimeError):
        if raise_exception:
            raise
        return False
    return True


def _check_all(
    func: Callable[..., Any],
    inputs: tuple[Any, ...],
    targets: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_grad_dtypes: bool,
) -> None:
    with enable_grad():
        outputs = _run(func, inputs)
    numerical = [_numerical(func, inputs, t, eps) for t in targets]
    recorded = [o for o in outputs if o.requires_grad]
    if not recorded:
        if any(np.abs(jacobian).max(initial=0) > atol for rows in numerical for jacobian in rows):
            raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    for k, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        analytical = _analytical(output, targets)
        again = _analytical(output, targets)
        for i, (first, second) in enumerate(zip(analytical, again, strict=True)):
            if not np.allclose(first, second, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values, although analytical "
                    "gradient matches numerical gradient.The tolerance for nondeterminism was "
                    f"{nondet_tol}."
                )
            at = f"output {k} with respect to input {i}"
            _compare(first, numerical[i][k], at, atol, rtol)
    if check_grad_dtypes:
        for target in targets:
            total = recorded[0].sum()  # type: ignore[attr-defined]
            (gradient,) = grad(total, target, retain_graph=True, allow_unused=True)
            if gradient is not None and gradient.dtype is not target.dtype:
                raise GradcheckError("Gradient has dtype mismatch")


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check second derivatives: `gradcheck` of the function (inputs, gradients) -> gradients.

    Args:
        grad_outputs: what to multiply the outputs' derivatives with; random by default.
        Others: as for `gradcheck`.
    """
    given = _as_tuple(inputs)
    with enable_grad():
        outputs = [o for o in _run(func, given) if o.requires_grad]
    if grad_outputs is None:
        generator = np.random.default_rng(0)
        seeds = []
        for o in outputs:
            values = np.asarray(generator.standard_normal(o._dims())).astype(o._dtype_numpy())
            seeds.append(wrap(values).requires_grad_())
    else:
        seeds = list(_as_tuple(grad_outputs))
    count = len(seeds)

    def gradients(*args: Any) -> Any:
        originals, cts = args[: len(args) - count], args[len(args) - count :]
        with enable_grad():
            found = [o for o in _run(func, originals) if o.requires_grad]
            targets = [a for a in originals if isinstance(a, Tensor) and a.requires_grad]
            results = grad(found, targets, cts, create_graph=True, allow_unused=True)
        return tuple(r for r in results if r is not None)

    return gradcheck(
        gradients,
        (*given, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
    )
