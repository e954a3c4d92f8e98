"""`torch.autograd.graph`: the tape's nodes, and hooks on what they save."""

from __future__ import annotations

from typing import Any

from ..core.modes import saved_tensors_hooks
from ..core.tape import Edge as GradientEdge
from ..core.tape import Node, edge_of
from ..core.tensor import Tensor


def get_gradient_edge(tensor: Tensor) -> Any:
    """Where the gradient of `tensor` goes: (node, output number)."""
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return edge


__all__ = ["GradientEdge", "Node", "get_gradient_edge", "saved_tensors_hooks"]
