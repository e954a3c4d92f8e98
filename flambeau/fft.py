"""Discrete Fourier transforms: `flambeau.fft`, as `torch.fft`.

>>> import flambeau as torch
>>> torch.fft.rfft(torch.ones(4)).real
tensor([4., 0., 0.])
"""

from .ops.namespaces import FFT

globals().update(FFT)

__all__ = sorted(FFT)
