"""Images at other sizes and at other points."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ... import dtypes
from ...core.op import apply
from ...core.tensor import Tensor
from ...ops import resample as ops
from . import pooling

_ALL_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"
_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}
_SMOOTH = {
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
    "bicubic": "cubic",
    "lanczos": "lanczos",
}


def _sizes(input: Tensor, size: Any, scale_factor: Any) -> tuple[Any, Any]:
    """The result's size, and the factor of each axis, or None."""
    axes, shape = input.ndim - 2, input._dims()[2:]
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple, Sequence)):
            if len(size) != axes:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got "
                    f"input with spatial dimensions of {list(shape)} and output size of {size}. "
                    "Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size "
                    "in (o1, o2, ...,oK) format."
                )
            return tuple(int(n) for n in size), None
        return (int(size),) * axes, None
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != axes:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got "
                f"input with spatial dimensions of {list(shape)} and scale_factor of shape "
                f"{scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in (s1, s2, ...,sK) format."
            )
        factors = tuple(float(f) for f in scale_factor)
    else:
        factors = (float(scale_factor),) * axes
    return tuple(math.floor(n * f) for n, f in zip(shape, factors, strict=True)), factors


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, *spatial) at another size, or scaled by a factor.

    Args:
        mode: 'nearest', 'nearest-exact', 'linear' (3-D), 'bilinear', 'bicubic', 'lanczos' (4-D),
            'trilinear' (5-D) or 'area'.
        align_corners: whether the corners stay in place (for the linear and cubic modes).
        recompute_scale_factor: measure distances by the sizes rather than by the factor.
        antialias: widen the filter when shrinking ('bilinear', 'bicubic' and 'lanczos').
    """
    if mode not in _SMOOTH and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    target, factors = _sizes(input, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "lanczos" and input.ndim == 4:
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    else:
        _check_mode(input, mode)
    if mode == "area":
        return getattr(pooling, f"adaptive_avg_pool{input.ndim - 2}d")(input, target)
    _check_sizes(input, target)
    if factors is None or recompute_scale_factor:
        factors = (None,) * len(target)
    _check_type(input, mode, antialias)
    static = (target, factors, _SMOOTH.get(mode, mode), bool(align_corners))
    result = ops.interpolate(input, static, _label(mode, len(target), antialias), antialias)
    return ops.checks.keep_format(result, input)


def _check_type(input: Tensor, mode: str, antialias: bool) -> None:
    """Floats are resized, and bytes too in some modes."""
    kernel = f"upsample_{mode.removesuffix('-exact')}{input.ndim - 2}d_channels_last"
    if mode in ("bicubic", "linear", "trilinear"):
        kernel = "compute_indices_weights_" + mode.removeprefix("bi").removeprefix("tri")
    if input.dtype is not dtypes.uint8 or mode in ("linear", "trilinear"):
        ops.checks.floating("compute_index_ranges_weights" if antialias else kernel, input)
    if antialias and input.dtype in (dtypes.float16, dtypes.bfloat16):
        name = {dtypes.float16: "Half", dtypes.bfloat16: "BFloat16"}[input.dtype]
        raise NotImplementedError(f"\"compute_index_ranges_weights\" not implemented for '{name}'")


def _label(mode: str, axes: int, antialias: bool) -> str:
    word = {"nearest-exact": "NearestExact"}.get(mode, mode.capitalize())
    return f"Upsample{word}{axes}D{'Aa' if antialias else ''}Backward0"


def _check_mode(input: Tensor, mode: str) -> None:
    if mode in _RANKS and input.ndim in (3, 4, 5) and input.ndim != _RANKS[mode]:
        if mode != "bicubic":
            raise NotImplementedError(
                f"Got {input.ndim}D input, but {mode} mode needs {_RANKS[mode]}D input"
            )
    elif input.ndim in (3, 4, 5) and mode in (*_RANKS, "nearest", "nearest-exact", "area"):
        return
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the "
        f"modes: {_ALL_MODES} (got {mode})"
    )


def _check_sizes(input: Tensor, target: tuple[int, ...]) -> None:
    shape = input._dims()[2:]
    if min((*shape, *target)) > 0:
        return
    names = "DHW"[3 - len(shape) :]
    given, made = (
        ", ".join(f"{axis}: {n}" for axis, n in zip(names, sizes, strict=True))
        for sizes in (shape, target)
    )
    raise RuntimeError(
        f"Input and output sizes should be greater than 0, but got input ({given}) and output "
        f"({made})"
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The early name of `interpolate`."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The early name of `interpolate` with mode='nearest'."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The early name of `interpolate` with mode='bilinear' and aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """(N, C, H, W) at the points (x, y) of `grid` (N, H_out, W_out, 2), or in three dimensions.

    Args:
        mode: 'bilinear', 'nearest' or 'bicubic'.
        padding_mode: what lies outside: 'zeros', 'border' or 'reflection'.
        align_corners: -1 and 1 are the centres of the corner pixels rather than their edges.
    """
    if mode not in ops.MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ops.PADDING_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            stacklevel=2,
        )
        align_corners = False
    return ops.grid_sample(input, grid, mode, padding_mode, align_corners)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points for `grid_sample` that affine maps (N, 2, 3) or (N, 3, 4) send a grid to.

    Args:
        size: of the image to sample, (N, C, H, W) or (N, C, D, H, W).
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            stacklevel=2,
        )
        align_corners = False
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(size)
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    axes = len(size) - 2
    if theta.ndim != 3 or theta._dims()[-2:] != (axes, axes + 1):
        raise ValueError(
            f"Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size "
            f"{size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return apply(ops.AFFINE_GRID, (theta,), (size[2:], bool(align_corners)))
