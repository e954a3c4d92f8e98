"""Sampling at grids of points."""

from __future__ import annotations

from typing import Any

from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import antialias
from ..kernels import resample as kernels
from . import checks
from .autocast import autocast
from .registry import declare

INTERPOLATE = Op(kernels.interpolate, name="Upsample")
INTERPOLATE_ANTIALIAS = Op(antialias.interpolate_antialias, name="Upsample")
GRID_SAMPLE = {rank: Op(kernels.grid_sample, name=f"GridSampler{rank}D") for rank in (2, 3)}
AFFINE_GRID = Op(kernels.affine_grid, name="AffineGridGenerator")
MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")


@autocast("interpolate")
def interpolate(
    input: Tensor, static: tuple[Any, ...], label: str, antialiased: bool = False
) -> Tensor:
    """The input at another size; the kernel's arguments are checked already."""
    op = INTERPOLATE_ANTIALIAS if antialiased else INTERPOLATE
    return apply(op, (input,), static, label)


@autocast("grid_sampler")
def grid_sample(
    input: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    """The input at the points of a grid."""
    axes = input.ndim - 2
    if grid.ndim != input.ndim and grid._dims()[-1] == axes:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {checks.sizes(input)} and grid with sizes {checks.sizes(grid)}"
        )
    if input._dims()[0] != grid._dims()[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {checks.sizes(input)} and grid with sizes {checks.sizes(grid)}"
        )
    if grid._dims()[-1] != axes:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {axes} in last dimension, but got grid "
            f"with sizes {checks.sizes(grid)}"
        )
    if mode == "bicubic" and axes != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{_word(input)} and grid has {_word(grid)}"
        )
    checks.floating("grid_sampler_2d_cpu", input)
    return apply(GRID_SAMPLE[axes], (input, grid), (mode, padding_mode, bool(align_corners)))


def _word(x: Tensor) -> str:
    return {"torch.float32": "float", "torch.float64": "double"}.get(str(x.dtype), str(x.dtype))


@declare(method=False)
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`nn.functional.grid_sample` of (N, C, H, W), its modes by number."""
    modes = MODES[interpolation_mode], PADDING_MODES[padding_mode]
    return grid_sample(input, grid, *modes, align_corners)


@declare(method=False)
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`nn.functional.grid_sample` of (N, C, D, H, W), its modes by number."""
    modes = MODES[interpolation_mode], PADDING_MODES[padding_mode]
    return grid_sample(input, grid, *modes, align_corners)


@declare(method=False)
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`nn.functional.grid_sample`, its modes by number."""
    modes = MODES[interpolation_mode], PADDING_MODES[padding_mode]
    return grid_sample(input, grid, *modes, align_corners)
