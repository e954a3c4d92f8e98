"""`torch.autograd.forward_ad`: dual numbers, which are not built; tensors have no tangents."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.tensor import Tensor
from ..errors import NotBuilt


class UnpackedDualTensor(NamedTuple):
    """A tensor's value and its tangent, None where there is none."""

    primal: Tensor
    tangent: Tensor | None


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor, which has none."""
    return UnpackedDualTensor(tensor, None)


def exit_dual_level(*, level: int | None = None) -> None:
    """Raises: no level was entered."""
    raise RuntimeError("Dual level must be a positive number.")


def __getattr__(name: str) -> Any:
    if name in ("dual_level", "enter_dual_level", "make_dual"):
        raise NotBuilt(f"flambeau.autograd.forward_ad.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
