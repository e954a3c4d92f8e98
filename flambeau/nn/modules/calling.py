"""Calling a module: its hooks, and `forward` among them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ...core.hooks import RemovableHandle
from . import hooks as global_hooks
from .hooks import BackwardWatch, hook_node


def _missing_forward(self: Any, *input: Any) -> None:
    """The computation of the module; every subclass defines it."""
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


class Hooked:
    """The part of `Module` that runs `forward` with hooks around it."""

    forward: Callable[..., Any] = _missing_forward
    _compiled_call_impl: Any = None
    _is_full_backward_hook: bool | None
    _forward_hooks: OrderedDict[int, Any]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Any]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _backward_hooks: OrderedDict[int, Any]
    _backward_pre_hooks: OrderedDict[int, Any]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments."""
        handle = RemovableHandle(
            self._forward_pre_hooks, extra_dict=self._forward_pre_hooks_with_kwargs
        )
        self._forward_pre_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; it may replace the output."""
        handle = RemovableHandle(
            self._forward_hooks,
            extra_dict=[self._forward_hooks_with_kwargs, self._forward_hooks_always_called],
        )
        self._forward_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` when gradients arrive; it may replace them."""
        handle = RemovableHandle.add(self._backward_pre_hooks, hook)
        if prepend:
            self._backward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)`; it may replace the input's gradients."""
        self._use_backward_hooks(full=True)
        handle = RemovableHandle.add(self._backward_hooks, hook)
        if prepend:
            self._backward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` at the node that made the output.

        Deprecated in favour of `register_full_backward_hook`: `grad_input` is what this one
        operation gives, not what leaves the module.
        """
        self._use_backward_hooks(full=False)
        return RemovableHandle.add(self._backward_hooks, hook)

    def _use_backward_hooks(self, *, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single "
                "Module. Please use only one of them."
            )
        self._is_full_backward_hook = full

    # Running

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        tables = self.__dict__
        if not (
            tables["_forward_hooks"]
            or tables["_forward_pre_hooks"]
            or tables["_backward_hooks"]
            or tables["_backward_pre_hooks"]
            or global_hooks.FORWARD
            or global_hooks.FORWARD_PRE
            or global_hooks.BACKWARD
            or global_hooks.BACKWARD_PRE
        ):
            return self.forward(*args, **kwargs)
        called: set[int] = set()
        try:
            return self._run_hooks_and_forward(args, kwargs, called)
        except Exception:
            self._run_always_called_hooks(args, kwargs, called)
            raise

    def _run_always_called_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
    ) -> None:
        """After an error, the hooks that are to be called nevertheless and were not."""
        for key, hook, with_kwargs, always in self._all_forward_hooks():
            if not always or key in called:
                continue
            try:
                hook(self, args, *((kwargs,) if with_kwargs else ()), None)
            except Exception as error:
                where = "global module" if key in global_hooks.FORWARD else "module"
                warnings.warn(
                    f"{where} forward hook with ``always_call=True`` raised an exception that was "
                    f"silenced as another error was raised in forward: {error!s}",
                    stacklevel=4,
                )

    def _run_hooks_and_forward(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
    ) -> Any:
        for key, hook in [*global_hooks.FORWARD_PRE.items(), *self._forward_pre_hooks.items()]:
            args, kwargs = self._run_pre_hook(key, hook, args, kwargs)
        full, at_node = self._backward_hooks_by_kind()
        before = [*global_hooks.BACKWARD_PRE.values(), *self._backward_pre_hooks.values()]
        watch = BackwardWatch(self, before, full) if full or before else None
        if watch is not None:
            args = watch.enter(args)
        output = self.forward(*args, **kwargs)
        for key, hook, with_kwargs, _ in self._all_forward_hooks():
            called.add(key)
            replacement = hook(self, args, *((kwargs,) if with_kwargs else ()), output)
            output = output if replacement is None else replacement
        if watch is not None:
            output = watch.exit(output)
        if at_node:
            hook_node(self, at_node, args, output)
        return output

    def _backward_hooks_by_kind(self) -> tuple[list[Any], list[Any]]:
        """The hooks at the module's boundary, and those at the node that made the output."""
        kinds: tuple[list[Any], list[Any]] = ([], [])
        if global_hooks.kind.full is not None:
            kinds[not global_hooks.kind.full].extend(global_hooks.BACKWARD.values())
        if self._is_full_backward_hook is not None:
            kinds[not self._is_full_backward_hook].extend(self._backward_hooks.values())
        return kinds

    def _all_forward_hooks(self) -> list[tuple[int, Any, bool, bool]]:
        found = [
            (
                key,
                hook,
                key in global_hooks.FORWARD_WITH_KWARGS,
                key in global_hooks.FORWARD_ALWAYS,
            )
            for key, hook in global_hooks.FORWARD.items()
        ]
        found += [
            (
                key,
                hook,
                key in self._forward_hooks_with_kwargs,
                key in self._forward_hooks_always_called,
            )
            for key, hook in self._forward_hooks.items()
        ]
        return found

    def _run_pre_hook(
        self, key: int, hook: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if key in self._forward_pre_hooks_with_kwargs:
            replacement = hook(self, args, kwargs)
            if replacement is None:
                return args, kwargs
            if isinstance(replacement, tuple) and len(replacement) == 2:
                return replacement
            raise RuntimeError(
                "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                f"{replacement}."
            )
        replacement = hook(self, args)
        if replacement is None:
            return args, kwargs
        return (replacement if isinstance(replacement, tuple) else (replacement,)), kwargs
