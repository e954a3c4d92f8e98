"""`torch.autograd.graph`: the tape's nodes, and hooks on what they save."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..core.hooks import RemovableHandle
from ..core.modes import saved_tensors_hooks
from ..core.state import modes
from ..core.tape import Edge as GradientEdge
from ..core.tape import Node, edge_of
from ..core.tensor import Tensor, wrap


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


class _AllowMutationOnSavedContext:
    """A `with` block of `allow_mutation_on_saved_tensors`."""

    def clear(self) -> None:
        """Do nothing: what is saved is kept by the graph itself."""


class _Active(threading.local):
    mutation: _AllowMutationOnSavedContext | None = None


_active = _Active()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_AllowMutationOnSavedContext]:
    """Let tensors be written to inside that the backward pass still needs, with their old values.

    The backward pass has to be inside, too.

    >>> import flambeau as torch
    >>> a = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     b = a.clone()
    ...     y = (b**2).sum()
    ...     _ = b.sin_()
    ...     y.backward()
    >>> a.grad
    tensor([2., 2.])
    """
    if _active.mutation is not None:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    context = _AllowMutationOnSavedContext()

    def pack(tensor: Tensor) -> Tensor:
        kept = wrap(tensor._array(), tensor.device)  # arrays are never written to
        edge = edge_of(tensor)
        if edge is not None:
            kept._node, kept._index = edge
        return kept

    def unpack(kept: Tensor) -> Tensor:
        assert _active.mutation is context, (
            "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which "
            "the graph was originally recorded."
        )
        return kept

    _active.mutation = context
    try:
        with saved_tensors_hooks(pack, unpack):
            yield context
    finally:
        _active.mutation = None


@contextlib.contextmanager
def _no_region() -> Iterator[None]:
    raise RuntimeError(
        "torch.autograd.graph.region_activation_memory_budget can only be used inside a "
        "torch.compile region; it has no effect in eager mode."
    )
    yield


def region_activation_memory_budget(budget: float) -> contextlib.AbstractContextManager[None]:
    """Raises on entering: it serves compiled regions only.

    Args:
        budget: the part of the activations to save, from 0 to 1.
    """
    if not 0 <= budget <= 1:
        raise ValueError(
            f"torch.autograd.graph.region_activation_memory_budget: must be in [0, 1], got {budget}"
        )
    return _no_region()


def _check_switch(enabled: bool) -> None:
    if not isinstance(enabled, bool):
        raise RuntimeError(f"enabled must be a bool, but got {type(enabled).__name__}")


def set_warn_on_accumulate_grad_stream_mismatch(enabled: bool) -> None:
    """Accepted: all work of a device is on one stream."""
    _check_switch(enabled)


def set_override_stale_capture_stream(enabled: bool) -> None:
    """Accepted: all work of a device is on one stream."""
    _check_switch(enabled)


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
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "region_activation_memory_budget",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
    "set_override_stale_capture_stream",
    "set_warn_on_accumulate_grad_stream_mismatch",
]
