"""Discrete Fourier transforms: y_k = sum_j x_j exp(-2 pi i j k / n), over any axes.

`sizes` holds one length per axis of `dim`: inputs are cut or padded with zeros to it. `norm` says
where the factor 1/n goes: 'backward' (the inverse), 'forward', or 'ortho' (its root to both).
"""

from __future__ import annotations

import math

import numpy as np
from jax import lax

from .common import cast

MOST_AXES = 3  # that one XLA transform takes


def _resized(x, axis, size):
    """`x` cut or padded with zeros at the end of an axis."""
    if x.shape[axis] > size:
        return lax.slice_in_dim(x, 0, size, axis=axis)
    if x.shape[axis] < size:
        config = [(0, size - n, 0) if i == axis else (0, 0, 0) for i, n in enumerate(x.shape)]
        return lax.pad(x, lax.full((), 0, x.dtype), config)
    return x


def _scaled(x, sizes, norm, inverse):
    """The transform with XLA's factors ('backward') brought to `norm`."""
    count = math.prod(sizes)
    power = {"backward": 0.0, "ortho": 0.5, "forward": 1.0}[norm]
    if power == 0:
        return x
    factor = count**power if inverse else count**-power
    return lax.mul(x, lax.full_like(x, factor))


def _complex(x):
    if np.issubdtype(x.dtype, np.complexfloating):
        return x
    return lax.convert_element_type(x, np.result_type(x.dtype, np.complex64))


def _to_end(x, dim):
    """`x` with the axes `dim` last, and the permutation that undoes it."""
    order = (*(i for i in range(x.ndim) if i not in dim), *dim)
    undo = tuple(int(i) for i in np.argsort(order))
    return lax.transpose(x, order), undo


def _transform(x, dim, kind, lengths):
    """XLA's transform of one kind over at most three axes, in any place."""
    if dim == tuple(range(x.ndim - len(dim), x.ndim)):
        return lax.fft(x, kind, lengths)
    moved, undo = _to_end(x, dim)
    return lax.transpose(lax.fft(moved, kind, lengths), undo)


def _complex_axes(x, dim, sizes, inverse):
    """Complex transforms over any number of axes."""
    kind = lax.FftType.IFFT if inverse else lax.FftType.FFT
    for start in range(0, len(dim), MOST_AXES):
        part = slice(start, start + MOST_AXES)
        x = _transform(x, dim[part], kind, sizes[part])
    return x


def fftn(x, *, dim, sizes, norm, inverse):
    """The transform (its inverse where `inverse`) of a real or complex array."""
    x = _complex(x)
    for axis, size in zip(dim, sizes, strict=True):
        x = _resized(x, axis, size)
    if x.size:
        x = _complex_axes(x, dim, sizes, inverse)
    return _scaled(x, sizes, norm, inverse)


def rfftn(x, *, dim, sizes, norm):
    """The transform of a real array: the last axis of `dim` keeps only n/2 + 1 values."""
    for axis, size in zip(dim, sizes, strict=True):
        x = _resized(x, axis, size)
    x = _transform(x, dim[-1:], lax.FftType.RFFT, sizes[-1:])
    return _scaled(_complex_axes(x, dim[:-1], sizes[:-1], False), sizes, norm, False)


def irfftn(x, *, dim, sizes, norm):
    """The inverse of `rfftn`; `sizes` are the lengths of the real result."""
    x = _complex(x)
    for axis, size in zip(dim[:-1], sizes[:-1], strict=True):
        x = _resized(x, axis, size)
    x = _resized(x, dim[-1], sizes[-1] // 2 + 1)
    x = _complex_axes(x, dim[:-1], sizes[:-1], True)
    x = _transform(x, dim[-1:], lax.FftType.IRFFT, sizes[-1:])
    return _scaled(x, sizes, norm, True)


_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfftn(x, *, dim, sizes, norm):
    """The transform of an array with Hermitian symmetry along the last axis: real."""
    return irfftn(lax.conj(_complex(x)), dim=dim, sizes=sizes, norm=_OPPOSITE[norm])


def ihfftn(x, *, dim, sizes, norm):
    """The inverse of `hfftn`: of a real array, with n/2 + 1 values along the last axis."""
    return lax.conj(rfftn(x, dim=dim, sizes=sizes, norm=_OPPOSITE[norm]))


# --- short-time transforms ----------------------------------------------------------------------


def frames(x, *, size, hop):
    """(batch, length) -> (batch, count, size): windows of `size` values, `hop` apart.

    The signal is cut into pieces of `hop` values; each frame is a run of neighbouring pieces, so
    both this and its derivative are sums of slices.
    """
    batch, length = x.shape
    count, pieces = 1 + (length - size) // hop, -(-size // hop)
    total = (count + pieces - 1) * hop
    cut = lax.reshape(_resized(x, 1, total), (batch, count + pieces - 1, hop))
    runs = [lax.slice_in_dim(cut, i, i + count, axis=1) for i in range(pieces)]
    joined = lax.concatenate(runs, 2) if pieces > 1 else runs[0]
    return lax.slice_in_dim(joined, 0, size, axis=2)


def overlap_add(x, *, hop):
    """(batch, count, size) -> (batch, (count - 1) hop + size): the frames added at their places."""
    batch, count, size = x.shape
    pieces = -(-size // hop)
    x = lax.reshape(_resized(x, 2, pieces * hop), (batch, count, pieces, hop))
    total = None
    zero = lax.full((), 0, x.dtype)
    for i in range(pieces):
        piece = lax.pad(x[:, :, i], zero, ((0, 0, 0), (i, pieces - 1 - i, 0), (0, 0, 0)))
        total = piece if total is None else lax.add(total, piece)
    flat = lax.reshape(total, (batch, (count + pieces - 1) * hop))
    return lax.slice_in_dim(flat, 0, (count - 1) * hop + size, axis=1)


def pad_signal(x, *, amount, mode):
    """(batch, length): `amount` values more at both ends ('constant', 'reflect', 'replicate',
    'circular')."""
    length = x.shape[1]
    if mode == "constant":
        return lax.pad(x, lax.full((), 0, x.dtype), ((0, 0, 0), (amount, amount, 0)))
    if mode == "reflect":
        left = lax.rev(lax.slice_in_dim(x, 1, amount + 1, axis=1), (1,))
        right = lax.rev(lax.slice_in_dim(x, length - 1 - amount, length - 1, axis=1), (1,))
    elif mode == "circular":
        left = lax.slice_in_dim(x, length - amount, length, axis=1)
        right = lax.slice_in_dim(x, 0, amount, axis=1)
    else:
        ends = (lax.slice_in_dim(x, i, i + 1, axis=1) for i in (0, length - 1))
        left, right = (lax.broadcast_in_dim(e, (x.shape[0], amount), (0, 1)) for e in ends)
    return lax.concatenate((left, x, right), 1)


def _centred(window, size):
    """The window with zeros on both sides, `size` long."""
    left = (size - window.shape[0]) // 2
    right = size - window.shape[0] - left
    return lax.pad(window, lax.full((), 0, window.dtype), ((left, right, 0),))


def stft(x, window, *, n_fft, hop_length, center, pad_mode, normalized, onesided):
    """(batch, length) -> (batch, frequencies, frames): transforms of windowed stretches.

    Source: J. Allen and L. Rabiner, "A unified approach to short-time Fourier analysis and
    synthesis" (1977).
    """
    if center:
        x = pad_signal(x, amount=n_fft // 2, mode=pad_mode)
    stretches = frames(x, size=n_fft, hop=hop_length)
    window = _centred(window, n_fft)
    if np.issubdtype(window.dtype, np.complexfloating):
        stretches = _complex(stretches)
    window = cast(window, stretches.dtype)
    stretches = lax.mul(stretches, lax.broadcast_in_dim(window, stretches.shape, (2,)))
    statics = {"dim": (2,), "sizes": (n_fft,), "norm": "ortho" if normalized else "backward"}
    if onesided:
        spectrum = rfftn(stretches, **statics)
    else:
        spectrum = fftn(stretches, inverse=False, **statics)
    return lax.transpose(spectrum, (0, 2, 1))


def istft(x, window, *, n_fft, hop_length, normalized, onesided, return_complex, start, stop):
    """(batch, frequencies, frames) -> (batch, stop - start): the signal whose `stft` is nearest.

    Returns the signal, cut to [start, stop) (zeros where it is shorter), and the least sum of
    squared windows there, by which it was divided. Source: D. Griffin and J. Lim, "Signal
    estimation from modified short-time Fourier transform" (1984).
    """
    x = lax.transpose(x, (0, 2, 1))
    statics = {"dim": (2,), "sizes": (n_fft,), "norm": "ortho" if normalized else "backward"}
    if return_complex:
        stretches = fftn(x, inverse=True, **statics)
    else:
        x = x if onesided else lax.slice_in_dim(x, 0, n_fft // 2 + 1, axis=2)
        stretches = irfftn(x, **statics)
    window = cast(_centred(window, n_fft), stretches.dtype)
    spread = lax.broadcast_in_dim(window, (1, *stretches.shape[1:]), (2,))
    signal = overlap_add(
        lax.mul(stretches, lax.broadcast_in_dim(window, stretches.shape, (2,))), hop=hop_length
    )
    envelope = overlap_add(lax.mul(spread, spread), hop=hop_length)
    end = min(stop, signal.shape[1])
    signal = lax.slice_in_dim(signal, start, end, axis=1)
    envelope = lax.slice_in_dim(envelope, start, end, axis=1)
    least = lax.reduce_min(lax.abs(envelope), (0, 1))
    signal = lax.div(signal, lax.broadcast_in_dim(envelope, signal.shape, (0, 1)))
    return _resized(signal, 1, stop - start), least
