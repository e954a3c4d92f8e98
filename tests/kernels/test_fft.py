"""Fourier transforms and windows against the oracle."""

import numpy as np
import pytest
import torch

from flambeau.kernels import fft, windows

from .against_oracle import check

random = np.random.RandomState(0)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


def cplx(*shape):
    return (real(*shape) + 1j * real(*shape)).astype(np.complex64)


NORMS = ["backward", "ortho", "forward"]
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inverse", [False, True])
def test_complex_transforms(norm, inverse):
    one, many = (torch.fft.ifft, torch.fft.ifftn) if inverse else (torch.fft.fft, torch.fft.fftn)
    statics = {"norm": norm, "inverse": inverse}
    check(
        fft.fftn,
        lambda x: one(x, norm=norm),
        [real(2, 5)],
        {"dim": (1,), "sizes": (5,), **statics},
        **TOLERANCE,
    )
    check(
        fft.fftn,
        lambda x: many(x, s=(6, 2), dim=(0, 2), norm=norm),
        [cplx(4, 3, 5)],
        {"dim": (0, 2), "sizes": (6, 2), **statics},
        **TOLERANCE,
    )


def test_more_axes_than_one_transform_takes():
    check(
        fft.fftn,
        torch.fft.fftn,
        [cplx(2, 3, 2, 3, 2)],
        {"dim": tuple(range(5)), "sizes": (2, 3, 2, 3, 2), "norm": "backward", "inverse": False},
        **TOLERANCE,
    )


REAL = [
    (fft.rfftn, torch.fft.rfftn, real(3, 5), (0, 1), (3, 5)),
    (fft.rfftn, torch.fft.rfftn, real(3, 4, 2), (1, 0), (6, 2)),
    (fft.irfftn, torch.fft.irfftn, cplx(3, 4), (0, 1), (3, 6)),
    (fft.irfftn, torch.fft.irfftn, cplx(3, 4), (0, 1), (4, 5)),
    (fft.hfftn, torch.fft.hfftn, cplx(3, 4), (0, 1), (3, 6)),
    (fft.ihfftn, torch.fft.ihfftn, real(3, 5), (0, 1), (3, 5)),
]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("row", REAL, ids=lambda r: r[0].__name__)
def test_real_transforms(row, norm):
    kernel, oracle, x, dim, sizes = row
    check(
        kernel,
        lambda x: oracle(x, s=sizes, dim=dim, norm=norm),
        [x],
        {"dim": dim, "sizes": sizes, "norm": norm},
        **TOLERANCE,
    )


STFT = [
    {"n_fft": 8, "hop_length": 3, "center": True, "pad_mode": "reflect", "normalized": False},
    {"n_fft": 8, "hop_length": 8, "center": True, "pad_mode": "constant", "normalized": True},
    {"n_fft": 6, "hop_length": 2, "center": False, "pad_mode": "reflect", "normalized": False},
    {"n_fft": 7, "hop_length": 9, "center": True, "pad_mode": "replicate", "normalized": False},
    {"n_fft": 8, "hop_length": 1, "center": True, "pad_mode": "circular", "normalized": False},
]


@pytest.mark.parametrize("statics", STFT, ids=lambda s: s["pad_mode"])
@pytest.mark.parametrize("onesided", [True, False])
def test_stft(statics, onesided):
    window = np.hanning(5).astype(np.float32) + 0.1
    check(
        fft.stft,
        lambda x, w: torch.stft(
            x, window=w, win_length=5, onesided=onesided, return_complex=True, **statics
        ),
        [real(2, 30), window],
        {**statics, "onesided": onesided},
        **TOLERANCE,
    )


@pytest.mark.parametrize("hop", [2, 3])
@pytest.mark.parametrize("onesided", [True, False])
def test_istft(hop, onesided):
    window = np.hamming(8).astype(np.float32)
    x = torch.stft(torch.tensor(real(2, 30)), 8, hop, 8, torch.tensor(window), return_complex=True)
    x = x.numpy() if onesided else cplx(2, 8, 12)
    length = hop * (x.shape[2] - 1)

    def signal(x, w, **statics):
        return fft.istft(x, w, **statics)[0]

    for asked in (length, length - 4, length + 3):
        check(
            signal,
            lambda x, w, asked=asked: torch.istft(
                x, 8, hop, 8, w, onesided=onesided, length=asked, normalized=True
            ),
            [x, window],
            {
                "n_fft": 8,
                "hop_length": hop,
                "normalized": True,
                "onesided": onesided,
                "return_complex": False,
                "start": 4,
                "stop": 4 + asked,
            },
            rtol=1e-4,
            atol=1e-4,
        )


WINDOWS = [
    (torch.hann_window, windows.cosine, ((0.5, 0.5),), {}),
    (torch.hamming_window, windows.cosine, ((0.54, 0.46),), {}),
    (torch.blackman_window, windows.cosine, ((0.42, 0.5, 0.08),), {}),
    (torch.bartlett_window, windows.bartlett, (), {}),
    (torch.kaiser_window, windows.kaiser, (5.0,), {"beta": 5.0}),
]


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [1, 2, 7, 8])
@pytest.mark.parametrize("row", WINDOWS, ids=lambda r: r[0].__name__)
def test_window(row, length, periodic):
    oracle, ours, arguments, options = row
    expected = oracle(length, periodic=periodic, dtype=torch.float64, **options)
    np.testing.assert_allclose(
        ours(length, periodic, *arguments), expected.numpy(), rtol=1e-12, atol=1e-15
    )


def test_frequencies():
    for n in (1, 5, 8):
        np.testing.assert_allclose(windows.fftfreq(n, 0.5), torch.fft.fftfreq(n, 0.5).numpy())
        np.testing.assert_allclose(windows.rfftfreq(n, 0.5), torch.fft.rfftfreq(n, 0.5).numpy())
