"""Copies between devices, with the gradient sent back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.device import move
from ..core.state import modes
from ..core.tape import Described, Node, edge_of
from ..core.tensor import Tensor, wrap
from ..devices import device as Device


class TransferNode(Node):
    """The gradient of a copy to another device is its copy back."""

    source: Device

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        gradient = gradients[0]
        if gradient is None:
            return [None]
        if isinstance(gradient, Tensor):
            return [transfer(gradient, self.source)]
        return [move(gradient, self.source)]


def transfer(x: Tensor, device: Device) -> Tensor:
    """A copy of `x` on `device`."""
    result = wrap(move(x._array(), device), device)
    edge = edge_of(x) if modes.grad else None
    if edge is not None:
        info = Described(x._dims(), x._dtype_numpy())
        node = TransferNode("ToCopyBackward0", (edge,), (info,), device)
        node.source = x.device
        result._node = node
    return result
