"""`torch.autograd.graph`: the tape's nodes, and hooks on what they save."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..core.hooks import RemovableHandle
from ..core.modes import saved_tensors_hooks
from ..core.state import modes
from ..core.tape import Edge as GradientEdge
from ..core.tape import Node, edge_of
from ..core.tensor import Tensor


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` goes: (node, output number)."""
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return edge


def increment_version(tensor: Any) -> None:
    """Count a write to `tensor` (or to each of several) that autograd could not see."""
    for t in [tensor] if isinstance(tensor, Tensor) else tensor:
        t._storage.count_write()


class save_on_cpu(saved_tensors_hooks):
    """Keep what the tape saves on the CPU until the backward pass.

    Args:
        pin_memory: accepted; XLA manages transfer buffers itself.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> Any:
            return tensor.device, tensor.cpu()  # type: ignore[attr-defined]

        def unpack(packed: Any) -> Tensor:
            device, tensor = packed
            return tensor.to(device)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Make `saved_tensors_hooks` raise `error_message` inside."""
    previous, modes.saved_hooks_refusal = modes.saved_hooks_refusal, error_message
    try:
        yield
    finally:
        modes.saved_hooks_refusal = previous


class _MultiHandle(RemovableHandle):
    """Removes several hooks at once."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> RemovableHandle:
    """Call `fn` once in a backward pass, when the gradients of `tensors` are known.

    Args:
        fn: gets the list of gradients (mode "all"; None where there is none), or the first
            gradient that arrives (mode "any").
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    buffer: list[Any] = [None] * len(tensors)
    state = {"arrived": 0}

    def hook_for(position: int) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            if mode == "any":
                if not state["arrived"]:
                    fn(gradient)
                state["arrived"] = (state["arrived"] + 1) % len(tensors)
                return
            buffer[position] = gradient
            state["arrived"] += 1
            if state["arrived"] == len(tensors):
                found = list(buffer)
                buffer[:] = [None] * len(tensors)
                state["arrived"] = 0
                fn(found)

        return hook

    return _MultiHandle([t.register_hook(hook_for(i)) for i, t in enumerate(tensors)])


__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]
