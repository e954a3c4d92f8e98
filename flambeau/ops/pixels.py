"""Padding, and shuffles between channels and pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import padding as kernels
from . import checks
from .autocast import autocast
from .registry import FUNCTIONS, declare


def _margins(mode: str, rank: int, node: str, name: str) -> Callable[..., Tensor]:
    """The function that pads `rank` axes in one mode."""
    op = Op(kernels.pad, name=node)

    @autocast(name)
    def run(input: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
        return apply(op, (input,), (pairs, mode))

    return run


PADS = {
    (mode, rank): _margins(mode, rank, f"{node}Pad{rank}D", f"{node.lower()}_pad{rank}d")
    for rank in (1, 2, 3)
    for mode, node in (("reflect", "Reflection"), ("replicate", "Replication"))
} | {("circular", rank): _margins("circular", rank, "Copy", "") for rank in (1, 2, 3)}
PIXEL_SHUFFLE = Op(kernels.pixel_shuffle)
PIXEL_UNSHUFFLE = Op(kernels.pixel_unshuffle)
CHANNEL_SHUFFLE = Op(kernels.channel_shuffle)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """Margins on the last axes, listed from the last axis: (before, after, before, after, ...).

    Args:
        mode: 'constant' (with `value`), 'reflect', 'replicate' or 'circular'.
    """
    checks.tensor("pad", input)
    widths = tuple(int(p) for p in pad)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(widths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(widths) // 2 > input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(widths)} and input of dimension {input.ndim}"
        )
    if mode == "constant":
        return FUNCTIONS["constant_pad_nd"](input, widths, 0 if value is None else value)
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    rank = len(widths) // 2
    if rank not in (1, 2, 3) or input.ndim not in (rank + 1, rank + 2):
        raise NotImplementedError(
            f"Padding size {len(widths)} is not supported for {input.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    pairs = tuple((widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2))
    _check_margins(input, pairs, mode)
    return PADS[mode, rank](input, pairs)


def _check_margins(x: Tensor, pairs: tuple[tuple[int, int], ...], mode: str) -> None:
    first = x.ndim - len(pairs)
    for axis, (before, after) in enumerate(pairs, start=first):
        size = x._dims()[axis]
        if mode == "reflect" and max(before, after) >= size:
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({before}, {after}) at dimension {axis} of input "
                f"{checks.sizes(x)}"
            )
        if mode == "circular" and max(before, after) > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")


@declare(method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) to (*, C, H r, W r)"""
    if checks.tensor("pixel_shuffle", input).ndim < 3:
        raise RuntimeError(
            "pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if upscale_factor <= 0:
        raise RuntimeError(
            f"pixel_shuffle expects a positive upscale_factor, but got {upscale_factor}"
        )
    channels = input._dims()[-3]
    if channels % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by "
            f"{upscale_factor**2}"
        )
    return apply(PIXEL_SHUFFLE, (input,), (int(upscale_factor),))


@declare(method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) to (*, C r^2, H, W)"""
    if checks.tensor("pixel_unshuffle", input).ndim < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if downscale_factor <= 0:
        raise RuntimeError(
            f"pixel_unshuffle expects a positive downscale_factor, but got {downscale_factor}"
        )
    for axis, word in ((-2, "height"), (-1, "width")):
        if input._dims()[axis] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but "
                f"input.size({axis})={input._dims()[axis]} is not divisible by {downscale_factor}"
            )
    if not input.numel():
        return input.clone()  # type: ignore[attr-defined]
    return apply(PIXEL_UNSHUFFLE, (input,), (int(downscale_factor),))


@declare(method=False, aliases=("native_channel_shuffle",))
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels dealt out from `groups` piles in turn."""
    if checks.tensor("channel_shuffle", input).ndim < 3:
        raise RuntimeError(
            "channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{checks.sizes(input)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    channels = input._dims()[1]
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups."
        )
    return apply(CHANNEL_SHUFFLE, (input,), (int(groups),))
