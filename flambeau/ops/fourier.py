"""Discrete Fourier transforms (`torch.fft`) over one, two or all axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import argument, dimension
from ..kernels import fft as kernels
from ..kernels import windows
from .arguments import check_tensor, integers
from .creation import dtype_argument, make, out_dtype
from .namespaces import FFT, member
from .registry import FUNCTIONS, cast

FFTN = Op(kernels.fftn, name="FftC2C")
RFFTN = Op(kernels.rfftn, name="FftR2C")
IRFFTN = Op(kernels.irfftn, name="FftC2R")
HFFTN = Op(kernels.hfftn, name="FftC2R")
IHFFTN = Op(kernels.ihfftn, name="Conj")

NORMS = (None, "backward", "ortho", "forward")

# What a transform takes and gives, by its name without a number of axes.
COMPLEX = {"fft": (FFTN, False), "ifft": (FFTN, True)}
FROM_REAL = {"rfft": RFFTN, "ihfft": IHFFTN}
TO_REAL = {"irfft": IRFFTN, "hfft": HFFTN}


def _norm_argument(norm: Any) -> str:
    if norm not in NORMS:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm or "backward"


def _transformed_axes(x: Tensor, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int | None]]:
    """The axes to transform and, where given, the lengths to cut or pad them to."""
    ndim = len(x._dims())
    if s is not None:
        s = integers("fft", s)
        if dim is None and len(s) > ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions."
            )
    if dim is None:
        axes = tuple(range(ndim)) if s is None else tuple(range(ndim - len(s), ndim))
    else:
        axes = tuple(dimension(d, ndim, scalar_ok=False) for d in integers("fft", dim))
        if len(set(axes)) != len(axes):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(axes):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    lengths: list[Any] = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    return axes, lengths


def _transform(base: str, name: str, x: Tensor, s: Any, dim: Any, norm: Any) -> Tensor:
    check_tensor(f"fft_{name}", x)
    axes, lengths = _transformed_axes(x, s, dim)
    if base in FROM_REAL and x.dtype.is_complex:
        _refuse_complex(name, x)
    if x.dtype.is_floating_point and x.dtype.itemsize < 4:
        raise RuntimeError(f"Unsupported dtype {scalar_type_name(x.dtype)}")
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        x = cast(x, dtypes.get_default_dtype())
    if not axes and base not in COMPLEX:
        raise RuntimeError(f"{name} must transform at least one axis")
    shape = x._dims()
    sizes = [shape[a] if n is None else n for a, n in zip(axes, lengths, strict=True)]
    if base in TO_REAL and lengths[-1] is None:
        sizes[-1] = 2 * (shape[axes[-1]] - 1)
    for n in sizes:
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
    static = (axes, tuple(sizes), _norm_argument(norm))
    if base in COMPLEX:
        op, inverse = COMPLEX[base]
        return _laid_out(apply(op, (x,), (*static, inverse), _label(base, name, x)), axes)
    result = apply({**FROM_REAL, **TO_REAL}[base], (x,), static)
    return _laid_out(result, (axes[-1], *axes[:-1]) if base == "ihfft" else axes)


def _laid_out(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A fresh result with its transformed axes innermost in memory, as PyTorch has them."""
    shape = x._dims()
    order = (*(i for i in range(len(shape)) if i not in axes), *axes)
    if order != tuple(range(len(shape))):
        strides, size = [0] * len(shape), 1
        for i in reversed(order):
            strides[i] = size
            size *= max(1, shape[i])
        x._storage.strides = tuple(strides)
    return x


def _label(base: str, name: str, x: Tensor) -> str:
    if x.dtype.is_complex or name != base:
        return "FftC2CBackward0"
    return "FftR2CBackward0" if base == "fft" else "ConjBackward0"


def _refuse_complex(name: str, x: Tensor) -> None:
    kind = scalar_type_name(x.dtype)
    if name in ("rfft", "ihfft"):
        raise RuntimeError(f"{name} expects a real input tensor, but got {kind}")
    if name.startswith("rfft"):
        raise RuntimeError(f"rfftn expects a real-valued input tensor, but got {kind}")
    raise RuntimeError(f"Only supports floating-point dtypes, but found: {kind}")


FORMULAS = {
    "fft": "The Fourier transform, y_k = sum_j x_j exp(-2 pi i j k / n)",
    "ifft": "The inverse of `fft`",
    "rfft": "The Fourier transform of real values, without its mirrored half",
    "irfft": "The inverse of `rfft`: real values",
    "hfft": "The Fourier transform of values with Hermitian symmetry: real",
    "ihfft": "The inverse of `hfft`",
}


def _define(base: str) -> None:
    """The transforms over one axis, over two and over any number of them."""

    def one(input: Tensor, n: Any = None, dim: int = -1, norm: str | None = None) -> Tensor:
        if not hasattr(dim, "__index__"):
            raise argument(f"fft_{base}", "dim", 3, "int", dim)
        if n is not None and n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
        return _transform(base, base, input, None if n is None else (n,), (dim,), norm)

    def two(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
        return _transform(base, f"{base}2", input, s, dim, norm)

    def several(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
        return _transform(base, f"{base}n", input, s, dim, norm)

    for function, suffix, over in (
        (one, "", "over axis `dim`, cut or padded with zeros to `n`"),
        (two, "2", "over two axes, cut or padded with zeros to `s`"),
        (several, "n", "over the axes `dim` (None: all), cut or padded with zeros to `s`"),
    ):
        _finish(function, base + suffix, f"{FORMULAS[base]}, {over}.")


def _finish(function: Callable[..., Any], name: str, doc: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    member(FFT, name, prefix="fft_")(function)


for _base in FORMULAS:
    _define(_base)


# Frequencies and shifts


def _frequencies(name: str, values: Callable[..., np.ndarray], doc: str) -> None:
    def function(
        n: int,
        d: float = 1.0,
        *,
        out: Tensor | None = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
    ) -> Tensor:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
        given = dtype_argument(f"fft_{name}", dtype)
        return make(
            f"fft_{name}",
            (n if name == "fftfreq" else n // 2 + 1,),
            out_dtype(out, given, dtypes.get_default_dtype()),
            lambda shape, holder: values(n, d).astype(holder),
            out=out,
            layout=layout,
            device=device,
            pin_memory=pin_memory,
            requires_grad=requires_grad,
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    FFT[name] = function


_frequencies(
    "fftfreq", windows.fftfreq, "The frequencies of `fft`: 0, 1, ..., -2, -1, divided by n d."
)
_frequencies("rfftfreq", windows.rfftfreq, "The frequencies of `rfft`: 0 ... n / 2, over n d.")


def _shift(name: str, inverse: bool, doc: str) -> None:
    def function(input: Tensor, dim: Any = None) -> Tensor:
        shape = input._dims()
        axes = tuple(range(len(shape))) if dim is None else integers("fft", dim)
        sizes = [shape[dimension(a, len(shape))] for a in axes]
        shifts = tuple((n + 1) // 2 if inverse else n // 2 for n in sizes)
        return FUNCTIONS["roll"](input, shifts, axes)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    member(FFT, name, out=False)(function)


_shift("fftshift", False, "The values reordered so that frequency 0 comes in the middle.")
_shift("ifftshift", True, "The inverse of `fftshift`.")
