"""Window functions for spectral analysis and filters.

A symmetric window (`sym=True`) of M points has its middle at (M - 1) / 2; a periodic one is the
symmetric window of M + 1 points without its last, as spectral analysis wants it.

Source: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
transform", 1978.

>>> import flambeau as torch
>>> torch.signal.windows.hann(5)
tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import formats
from ..core.tensor import Tensor
from ..dtypes import float32, float64, get_default_dtype
from ..ops.creation import tensor
from ..ops.filling import empty, ones
from ..ops.namespaces import SPECIAL
from ..ops.ranges import linspace

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(formula: Callable[..., Tensor]) -> Any:
    """Check the arguments that all windows have, and make the grid.

    `formula(intervals, grid, sym, <own parameters>)` gives the window: `intervals` is M - 1 or M,
    and `grid(start, end)` gives the M points that divide a range into so many intervals.
    """
    name = formula.__name__
    own = list(inspect.signature(formula).parameters.values())[3:]
    length = inspect.Parameter("M", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=int)
    defaults = {"sym": True, "dtype": None, "layout": formats.strided, "device": None}
    shared = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value)
        for key, value in {**defaults, "requires_grad": False}.items()
    ]

    @functools.wraps(formula)
    def window(
        M: int,
        *,
        sym: bool = True,
        dtype: Any = None,
        layout: Any = formats.strided,
        device: Any = None,
        requires_grad: bool = False,
        **parameters: Any,
    ) -> Tensor:
        dtype = get_default_dtype() if dtype is None else dtype
        _check(FAMILY.get(name, name), M, dtype, layout)
        CHECKS.get(name, lambda **_: None)(sym=sym, **parameters)
        options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
        if M == 0:
            return empty((0,), **options)
        if M == 1:
            return ones((1,), **options)

        def grid(start: float, end: float) -> Tensor:
            last = end if sym else start + (end - start) * (M - 1) / M
            return linspace(start, last, M, **options)

        return formula(M - 1 if sym else M, grid, sym, **parameters)

    window.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [length, *own, *shared], return_annotation=Tensor
    )
    return window


# The windows that are sums of cosines are checked under the name of their family.
FAMILY: dict[str, str] = dict.fromkeys(
    ("general_hamming", "hamming", "hann", "nuttall"), "general_cosine"
)


def _check(name: str, length: int, dtype: Any, layout: Any) -> None:
    if length < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={length}")
    if layout is not formats.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (float32, float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")


def _check_exponential(sym: bool, center: float | None = None, tau: float = 1.0) -> None:
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")


def _check_gaussian(sym: bool, std: float = 1.0) -> None:
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")


def _check_kaiser(sym: bool, beta: float = 12.0) -> None:
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")


def _check_coefficients(sym: bool, a: Any) -> None:
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")


CHECKS: dict[str, Any] = {
    "exponential": _check_exponential,
    "gaussian": _check_gaussian,
    "general_cosine": _check_coefficients,
    "kaiser": _check_kaiser,
}


def _cosines(grid: Any, coefficients: Iterable[float]) -> Tensor:
    """sum_i (-1)^i a_i cos(i x), for one turn x of the grid."""
    turn = grid(0.0, 2 * math.pi)
    signed = [(-1) ** i * a for i, a in enumerate(coefficients)]
    weights = tensor(signed, dtype=turn.dtype, device=turn.device)
    places = tensor(list(range(len(signed))), dtype=turn.dtype, device=turn.device)
    return (weights.unsqueeze(-1) * (places.unsqueeze(-1) * turn).cos()).sum(0)


@_window
def bartlett(intervals: int, grid: Any, sym: bool) -> Tensor:
    """The triangle 1 - |2 n / (M - 1) - 1|."""
    return 1 - grid(-1.0, 1.0).abs()


@_window
def blackman(intervals: int, grid: Any, sym: bool) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1))"""
    return _cosines(grid, (0.42, 0.5, 0.08))


@_window
def cosine(intervals: int, grid: Any, sym: bool) -> Tensor:
    """sin(pi (n + 1/2) / M)"""
    edge = 0.5 * math.pi / (intervals + 1)
    return grid(edge, math.pi - edge).sin()


@_window
def exponential(
    intervals: int, grid: Any, sym: bool, *, center: float | None = None, tau: float = 1.0
) -> Tensor:
    """exp(-|n - center| / tau); the center is the middle, (M - 1) / 2, unless given."""
    middle = intervals / 2 if center is None else center
    return (-grid(-middle / tau, (intervals - middle) / tau).abs()).exp()


@_window
def gaussian(intervals: int, grid: Any, sym: bool, *, std: float = 1.0) -> Tensor:
    """exp(-((n - (M - 1) / 2) / std)^2 / 2)"""
    edge = intervals / 2 / (std * math.sqrt(2))
    return (-(grid(-edge, edge) ** 2)).exp()


@_window
def general_cosine(intervals: int, grid: Any, sym: bool, *, a: Iterable[float]) -> Tensor:
    """sum_i (-1)^i a_i cos(2 pi i n / (M - 1))"""
    return _cosines(grid, a)


@_window
def general_hamming(intervals: int, grid: Any, sym: bool, *, alpha: float = 0.54) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / (M - 1))"""
    return _cosines(grid, (alpha, 1.0 - alpha))


@_window
def hamming(intervals: int, grid: Any, sym: bool) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / (M - 1))"""
    return _cosines(grid, (0.54, 0.46))


@_window
def hann(intervals: int, grid: Any, sym: bool) -> Tensor:
    """(1 - cos(2 pi n / (M - 1))) / 2"""
    return _cosines(grid, (0.5, 0.5))


@_window
def kaiser(intervals: int, grid: Any, sym: bool, *, beta: float = 12.0) -> Tensor:
    """I0(beta sqrt(1 - (2 n / (M - 1) - 1)^2)) / I0(beta)"""
    i0 = SPECIAL["i0"]
    position = grid(-beta, beta)
    limit = tensor(float(beta), dtype=position.dtype, device=position.device)
    return i0((limit * limit - position**2).clamp(min=0).sqrt()) / i0(limit)


@_window
def nuttall(intervals: int, grid: Any, sym: bool) -> Tensor:
    """The minimum 4-term Blackman-Harris window after Nuttall.

    Source: A. H. Nuttall, "Some windows with very good sidelobe behavior", 1981.
    """
    return _cosines(grid, (0.3635819, 0.4891775, 0.1365995, 0.0106411))
