"""Interpolation and grid sampling against the oracle."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flambeau.kernels import resample
from tests.kernels.checking import check, normal

SHAPES = {1: (2, 3, 5), 2: (2, 3, 5, 4), 3: (1, 2, 4, 3, 5)}
NAMES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("size", [3, 8])
def test_interpolate_to_a_size(rank, size):
    x, statics = normal(*SHAPES[rank]), {"size": (size,) * rank, "factors": (None,) * rank}
    for mode in ("nearest", "nearest-exact"):
        check(
            resample.interpolate,
            lambda x, mode=mode: F.interpolate(x, size, mode=mode),
            (x,),
            {**statics, "mode": mode, "align_corners": False},
        )
    modes = [(NAMES[rank], "linear")] + ([("bicubic", "cubic")] if rank == 2 else [])
    for name, mode in modes:
        for corners in (False, True):
            check(
                resample.interpolate,
                lambda x, n=name, c=corners: F.interpolate(x, size, mode=n, align_corners=c),
                (x,),
                {**statics, "mode": mode, "align_corners": corners},
            )


@pytest.mark.parametrize("factor", [0.6, 1.7, 2.0])
def test_interpolate_by_a_factor(factor):
    x = normal(2, 3, 5)
    statics = {"size": (int(5 * factor),), "factors": (factor,), "align_corners": False}
    for mode in ("nearest", "nearest-exact", "linear"):
        check(
            resample.interpolate,
            lambda x, mode=mode: F.interpolate(x, scale_factor=factor, mode=mode),
            (x,),
            {**statics, "mode": mode},
        )


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, padding, corners):
    statics = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    grid = normal(2, 3, 4, 2, seed=1)
    grid[0, 0, 0], grid[0, 0, 1] = [-1, 1], [3.7, -5.2]
    check(
        resample.grid_sample,
        lambda x, g: F.grid_sample(x, g, mode, padding, corners),
        (normal(2, 3, 5, 4), grid),
        statics,
        tolerance=3e-5,
    )
    if mode != "bicubic":
        check(
            resample.grid_sample,
            lambda x, g: F.grid_sample(x, g, mode, padding, corners),
            (normal(1, 2, 3, 4, 5), normal(1, 2, 2, 3, 3, seed=1)),
            statics,
            tolerance=3e-5,
        )


# The oracle remarks on its history for axes of one element.
@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (1, 2), (2, 3, 4)])
def test_affine_grid(size, corners):
    axes = len(size)
    check(
        resample.affine_grid,
        lambda t: F.affine_grid(t, (2, 1, *size), corners),
        (normal(2, axes, axes + 1),),
        {"size": size, "align_corners": corners},
    )


def test_not_a_number():
    grid = np.full((1, 1, 1, 2), np.nan, np.float32)
    x = normal(1, 1, 3, 3)
    for padding in ("zeros", "border", "reflection"):
        ours = resample.grid_sample(
            x, grid, mode="bilinear", padding_mode=padding, align_corners=False
        )
        theirs = F.grid_sample(
            torch.from_numpy(x), torch.from_numpy(grid), "bilinear", padding, False
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
