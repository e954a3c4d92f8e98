"""Hooks on gradients, and the handles that remove them."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .tape import current_node, run_hooks
from .tensor import Tensor

_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away again.

    Usable as a context manager that removes the hook on exit.
    """

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None):
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = next(_numbers)
        extras = extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extras if d is not None)

    @classmethod
    def add(cls, hooks: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any]) -> Any:
        """Put `hook` into `hooks` and return its handle."""
        handle = cls(hooks)
        hooks[handle.id] = hook
        return handle

    def remove(self) -> None:
        """Take the hook away."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = reference()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> Any:
        hooks = (self.hooks_dict_ref(), self.id)
        return (*hooks, tuple(ref() for ref in self.extra_dict_ref))

    def __setstate__(self, state: Any) -> None:
        hooks = OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(hooks)
        self.id = state[1]
        extras = state[2] if len(state) > 2 else ()
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extras if d is not None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.remove()


def register_tensor_hook(tensor: Tensor, hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(gradient)` whenever the gradient of `tensor` is computed."""
    if not tensor.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node = current_node(tensor)
    if node is None:
        if tensor._backward_hooks is None:
            tensor._backward_hooks = OrderedDict()
        return RemovableHandle.add(tensor._backward_hooks, hook)
    if node.pre_hooks is None:
        node.pre_hooks = {}
    return RemovableHandle.add(node.pre_hooks.setdefault(tensor._index, OrderedDict()), hook)


def register_post_accumulate_grad_hook(tensor: Tensor, hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(tensor)` after the gradient of a leaf has been accumulated."""
    if not tensor.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if tensor.grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if tensor._post_accumulate_grad_hooks is None:
        tensor._post_accumulate_grad_hooks = OrderedDict()
    return RemovableHandle.add(tensor._post_accumulate_grad_hooks, hook)


def retain_grad(tensor: Tensor) -> None:
    """Keep the gradient of a non-leaf tensor in `.grad`."""
    if not tensor.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    node = current_node(tensor)
    if node is None or tensor._retains_grad:
        return
    if node.retained is None:
        node.retained = {}
    node.retained[tensor._index] = weakref.ref(tensor)
    tensor._retains_grad = True


__all__ = ["RemovableHandle", "register_tensor_hook", "retain_grad", "run_hooks"]
