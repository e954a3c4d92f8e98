"""Window functions and sample frequencies, as NumPy float64 arrays.

Source of the windows: F. Harris, "On the use of windows for harmonic analysis with the discrete
Fourier transform" (1978).
"""

from __future__ import annotations

import numpy as np


def _angles(length: int, periodic: bool) -> np.ndarray:
    """2 pi n / (length - 1), or / length where the window is one period of a longer one."""
    return 2 * np.pi * np.arange(length) / (length if periodic else length - 1)


def cosine(length: int, periodic: bool, coefficients: tuple[float, ...]) -> np.ndarray:
    """sum_k (-1)^k a_k cos(k angle): Hann (0.5, 0.5), Hamming (0.54, 0.46), Blackman, ..."""
    if length == 1:
        return np.ones(1)
    angles = _angles(length, periodic)
    return sum((-1) ** k * a * np.cos(k * angles) for k, a in enumerate(coefficients))


def bartlett(length: int, periodic: bool) -> np.ndarray:
    """1 - |2 n / N - 1|: a triangle."""
    if length == 1:
        return np.ones(1)
    return 1 - np.abs(_angles(length, periodic) / np.pi - 1)


def kaiser(length: int, periodic: bool, beta: float) -> np.ndarray:
    """I_0(beta sqrt(1 - (2 n / N - 1)^2)) / I_0(beta)."""
    if length == 1:
        return np.ones(1)
    place = _angles(length, periodic) / np.pi - 1
    return np.i0(beta * np.sqrt(np.maximum(1 - place * place, 0))) / np.i0(beta)


def _over(steps: np.ndarray, total: float) -> np.ndarray:
    """steps / total; a total of 0 gives infinities and NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return steps * np.divide(1.0, total)


def fftfreq(n: int, d: float) -> np.ndarray:
    """The frequencies of `fft`: 0, 1, ..., then the negative ones, divided by n d."""
    return _over(np.concatenate((np.arange((n + 1) // 2), np.arange(-(n // 2), 0))), n * d)


def rfftfreq(n: int, d: float) -> np.ndarray:
    """The frequencies of `rfft`: 0 ... n / 2, divided by n d."""
    return _over(np.arange(n // 2 + 1), n * d)
