"""`torch.utils.dlpack`: exchange of tensors with other libraries without a copy."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.registry import FUNCTIONS


class _Capsule:
    """A bare DLPack capsule on the CPU, as an object that hands it out."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def to_dlpack(tensor: Tensor) -> Any:
    """The tensor's memory as a DLPack capsule."""
    return tensor.__dlpack__()  # type: ignore[attr-defined]


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of another library's array, or of a DLPack capsule.

    >>> import flambeau as torch
    >>> from flambeau.utils.dlpack import from_dlpack, to_dlpack
    >>> from_dlpack(to_dlpack(torch.arange(3)))
    tensor([0, 1, 2])
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        ext_tensor = _Capsule(ext_tensor)
    return FUNCTIONS["from_dlpack"](ext_tensor)
