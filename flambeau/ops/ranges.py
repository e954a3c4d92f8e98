"""Tensors of evenly spaced numbers, and complex numbers from their parts."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from jax import lax

from .. import dtypes
from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor
from ..dtypes import dtype as DType
from ..kernels.common import broadcast
from .creation import dtype_argument, is_size, make, number_argument, out_dtype
from .registry import declare

# Note [Blocks of arange]
# PyTorch computes `start + step * i` once for every 32 bytes of the result, rounds it, and adds
# multiples of `step` to that, with fused multiply-adds. We do the same, so that the last digits
# agree.


@declare(method=False)
def arange(
    *args: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **keyword: Any,
) -> Tensor:
    """start, start + step, ... below `end`: `arange(end)`, `arange(start, end, step=1)`.

    >>> import flambeau as torch
    >>> torch.arange(1, 6, 2)
    tensor([1, 3, 5])
    """
    start, end, step = _bounds(args, keyword)
    whole = all(isinstance(x, int) for x in (start, end, step))
    natural = dtypes.int64 if whole else dtypes.get_default_dtype()
    wanted = out_dtype(out, dtype_argument("arange", dtype), natural)
    if wanted.is_complex or wanted is dtypes.bool:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{wanted._scalar_name}'")
    if not wanted.is_floating_point and math.isfinite(start) and math.isfinite(end):
        start, end = int(start), int(end)
        if step and not int(step):
            raise ValueError("step must be nonzero")
        step = int(step)
    count = _count(start, end, step)
    return make(
        "arange",
        (count,),
        wanted,
        lambda shape, holder: _progression(start, step, count, holder),
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


def _bounds(args: tuple[Any, ...], keyword: dict[str, Any]) -> tuple[Any, Any, Any]:
    names = ("end",) if len(args) == 1 and "end" not in keyword else ("start", "end", "step")
    given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **keyword}
    unknown = set(given) - {"start", "end", "step"}
    if unknown:
        raise TypeError(f"arange() got an unexpected keyword argument '{unknown.pop()}'")
    if len(args) > 3 or not given:
        listed = ", ".join(type(a).__name__ for a in args)
        raise TypeError(
            f"arange() received an invalid combination of arguments - got ({listed}), but expected "
            "(Number end) or (Number start, Number end, Number step = 1)"
        )
    if "end" not in given:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    values = {
        name: number_argument("arange", name, 1 + names.index(name) if name in names else 1, value)
        for name, value in given.items()
    }
    for value in values.values():
        if isinstance(value, complex):
            raise RuntimeError("value cannot be converted to type double without overflow")
    return values.get("start", 0), values["end"], values.get("step", 1)


def _count(start: Any, end: Any, step: Any) -> int:
    if not step:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end < start) if step > 0 else (end > start):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if all(isinstance(x, int) for x in (start, end, step)):
        return -((start - end) // step)
    return math.ceil((end - start) / step)


def _progression(start: Any, step: Any, count: int, holder: np.dtype) -> np.ndarray:
    """start + i * step in the type `holder` (Note [Blocks of arange])."""
    if holder.kind in "iu":
        return (int(start) + np.arange(count) * int(step)).astype(holder)
    position = np.arange(count)
    exact = np.longdouble(start) + np.longdouble(step) * position
    if holder.itemsize < 4 or not count:
        return exact.astype(np.float64).astype(holder)
    width = 32 // holder.itemsize
    lane = position % width
    values = (exact[position - lane].astype(holder) + np.longdouble(step) * lane).astype(holder)
    rest = count - count % width
    values[rest:] = exact[rest:].astype(holder)
    return values


@declare(method=False, name="range")
def range_(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to and including `end` (deprecated: use `arange`)."""
    if end is None:
        raise TypeError('range() missing 1 required positional arguments: "end"')
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    first, last, stride = (
        number_argument("range", name, position, value)
        for position, (name, value) in enumerate(
            (("start", start), ("end", end), ("step", step)), 1
        )
    )
    _count(first, last, stride)
    wanted = out_dtype(out, dtype_argument("range", dtype), dtypes.get_default_dtype())
    count = int((last - first) / stride) + 1
    return make(
        "range",
        (count,),
        wanted,
        lambda shape, holder: _progression(first, stride, count, holder),
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


@declare(method=False)
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers, evenly spaced from `start` to `end`, both included.

    >>> import flambeau as torch
    >>> torch.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    first, last = _ends("linspace", start, end)
    wanted = _spaced_dtype("linspace", (first, last), out, dtype)
    if wanted is dtypes.bool:
        raise NotImplementedError("\"linspace_cpu\" not implemented for 'Bool'")
    return make(
        "linspace",
        (_steps("linspace", steps),),
        wanted,
        lambda shape, holder: _spaced(first, last, shape[0], holder),
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


@declare(method=False)
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """`base` to the powers of `steps` evenly spaced numbers from `start` to `end`."""
    first, last = _ends("logspace", start, end)
    root = number_argument("logspace", "base", 4, base)
    wanted = _spaced_dtype("logspace", (first, last, root), out, dtype)

    def powers(shape: tuple[int, ...], holder: np.dtype) -> np.ndarray:
        wide = np.dtype(np.complex128 if holder.kind == "c" else np.float64)
        exponents = _spaced(first, last, shape[0], wide)
        with np.errstate(all="ignore"):
            return np.power(np.asarray(root, wide), exponents).astype(holder)

    return make(
        "logspace",
        (_steps("logspace", steps),),
        wanted,
        powers,
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


def _ends(function: str, start: Any, end: Any) -> tuple[Any, Any]:
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, Tensor) and value._dims():
            raise RuntimeError(
                f"{function} only supports 0-dimensional start and end tensors, but got {name} "
                f"with {len(value._dims())} dimension(s)."
            )
    return tuple(  # type: ignore[return-value]
        value.item() if isinstance(value, Tensor) else number_argument(function, name, at, value)
        for at, (name, value) in enumerate((("start", start), ("end", end)), 1)
    )


def _steps(function: str, steps: Any) -> int:
    if not is_size(steps):
        raise TypeError(
            f"{function}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}"
        )
    count = steps.__index__()
    if count < 0:
        raise RuntimeError("number of steps must be non-negative")
    return count


def _spaced_dtype(function: str, ends: Any, out: Tensor | None, dtype: Any) -> DType:
    inferred = dtypes.get_default_dtype()
    if any(isinstance(x, complex) for x in ends):
        inferred = inferred.to_complex()
    wanted = out_dtype(out, dtype_argument(function, dtype), inferred)
    if inferred.is_complex and not wanted.is_complex:
        raise RuntimeError(
            f"torch.{function}(): inferred dtype c10::complex<float> can't be safely cast to "
            f"passed dtype {wanted._scalar_name}"
        )
    return wanted


def _spaced(start: Any, end: Any, count: int, holder: np.dtype) -> np.ndarray:
    """Evenly spaced numbers: the first half counted from `start`, the second from `end`."""
    if holder.kind in "iu":
        start, end = int(start), int(end)
    position = np.arange(count)
    if count < 2:
        return np.full(count, start).astype(holder)
    narrow = np.dtype(np.float64) if holder.kind in "iu" else holder
    first, last = (np.asarray(x).astype(narrow) for x in (start, end))
    step = ((last - first) / np.asarray(count - 1).astype(narrow)).astype(narrow)
    if narrow.itemsize == 2:
        from_start = first + step * position.astype(narrow)
        from_end = last - step * (count - 1 - position).astype(narrow)
    else:
        # The products are exact before they are added, as in a fused multiply-add.
        wide = np.clongdouble if narrow.kind == "c" else np.longdouble
        from_start = first.astype(wide) + step.astype(wide) * position
        from_end = last.astype(wide) - step.astype(wide) * (count - 1 - position)
    return np.where(position < count // 2, from_start, from_end).astype(holder)


# Complex numbers


def _complex(real: Any, imag: Any) -> Any:
    return lax.complex(*broadcast(real, imag))


def _polar(length: Any, angle: Any) -> Any:
    length, angle = broadcast(length, angle)
    return lax.complex(lax.mul(length, lax.cos(angle)), lax.mul(length, lax.sin(angle)))


COMPLEX = Op(_complex, pointwise=True)
POLAR = Op(_polar, pointwise=True)


@declare(method=False, out=True, name="complex")
def complex_(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag"""
    return _from_parts("complex", COMPLEX, "real", "imag", real, imag)


@declare(method=False, out=True)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs (cos(angle) + i sin(angle))"""
    return _from_parts("polar", POLAR, "abs", "angle", abs, angle)


def _from_parts(function: str, op: Op, first: str, second: str, a: Tensor, b: Tensor) -> Tensor:
    for position, (name, value) in enumerate(((first, a), (second, b)), 1):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be Tensor, not "
                f"{type(value).__name__}"
            )
    names = a.dtype._scalar_name, b.dtype._scalar_name
    parts = (dtypes.float16, dtypes.float32, dtypes.float64)
    if a.dtype not in parts or b.dtype not in parts:
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{names[0]} and {names[1]}"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second "
            "argument"
        )
    if a.dtype is dtypes.float16:
        raise NotImplementedError(f"flambeau.{function}: tensors of torch.complex32")
    return apply(op, (a, b))
