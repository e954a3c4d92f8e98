"""The memory order of convolutions' weights."""

from __future__ import annotations

from typing import Any

from ..modules import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d


def _convert(module: Any, memory_format: Any, layers: tuple[type, ...]) -> Any:
    for child in module.modules():
        if isinstance(child, layers):
            child.weight.data = (
                child.weight.detach()
                .clone()
                .contiguous(  # type: ignore[attr-defined]
                    memory_format=memory_format
                )
            )
    return module


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Store the weights of all (transposed) 2-d convolutions of a module in a memory format.

    Returns:
        The module.
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Store the weights of all (transposed) 3-d convolutions of a module in a memory format.

    Returns:
        The module.
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
