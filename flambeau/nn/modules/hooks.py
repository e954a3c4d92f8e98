"""Hooks of modules: the global ones, and those that see gradients pass a module's boundary."""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ...core.function import Function
from ...core.hooks import RemovableHandle
from ...core.state import modes
from ...core.tensor import Tensor

FORWARD_PRE: OrderedDict[int, Callable[..., Any]] = OrderedDict()
FORWARD: OrderedDict[int, Callable[..., Any]] = OrderedDict()
FORWARD_WITH_KWARGS: OrderedDict[int, bool] = OrderedDict()
FORWARD_ALWAYS: OrderedDict[int, bool] = OrderedDict()
BACKWARD_PRE: OrderedDict[int, Callable[..., Any]] = OrderedDict()
BACKWARD: OrderedDict[int, Callable[..., Any]] = OrderedDict()
BUFFER_REGISTRATION: OrderedDict[int, Callable[..., Any]] = OrderedDict()
MODULE_REGISTRATION: OrderedDict[int, Callable[..., Any]] = OrderedDict()
PARAMETER_REGISTRATION: OrderedDict[int, Callable[..., Any]] = OrderedDict()


class _Kind:
    """Whether the global backward hooks are at modules' boundaries; None before the first one."""

    full: bool | None = None

    def use(self, *, full: bool) -> None:
        if self.full is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks as a global Module "
                "hook. Please use only one of them."
            )
        self.full = full


kind = _Kind()


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before every module's `forward`."""
    return RemovableHandle.add(FORWARD_PRE, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after every module's `forward`."""
    handle = RemovableHandle(FORWARD, extra_dict=[FORWARD_WITH_KWARGS, FORWARD_ALWAYS])
    FORWARD[handle.id] = hook
    if with_kwargs:
        FORWARD_WITH_KWARGS[handle.id] = True
    if always_call:
        FORWARD_ALWAYS[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_output)` when gradients arrive at any module."""
    return RemovableHandle.add(BACKWARD_PRE, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when gradients have passed any module."""
    kind.use(full=True)
    return RemovableHandle.add(BACKWARD, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` at the node that made any module's output.

    Deprecated in favour of `register_module_full_backward_hook`.
    """
    kind.use(full=False)
    return RemovableHandle.add(BACKWARD, hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, buffer)` when a buffer is registered; it may replace it."""
    return RemovableHandle.add(BUFFER_REGISTRATION, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, submodule)` when a submodule is registered; it may replace it."""
    return RemovableHandle.add(MODULE_REGISTRATION, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, parameter)` when a parameter is registered; it may replace it."""
    return RemovableHandle.add(PARAMETER_REGISTRATION, hook)


class BackwardHookFunction(Function):
    """The identity on several tensors, whose backward shows all their gradients to a callback."""

    @staticmethod
    def forward(ctx: Any, callback: Callable[..., Any], *tensors: Tensor) -> Any:  # type: ignore[override]
        ctx.callback = callback
        ctx.set_materialize_grads(False)
        return tuple(t.detach().view_as(t) for t in tensors)  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:  # type: ignore[override]
        return (None, *ctx.callback(gradients))


def _tensors_of(values: tuple[Any, ...]) -> list[int]:
    return [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]


def _cross(values: tuple[Any, ...], callback: Callable[..., Any]) -> tuple[Any, ...]:
    """The values, their tensors with gradients led through a `BackwardHookFunction`.

    `callback` gets a tuple as long as `values`, None in the place of everything else, and returns
    the gradients to go on with, in the same places.
    """
    places = _tensors_of(values)
    if not places or not modes.grad:
        return values

    def spread(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        full: list[Any] = [None] * len(values)
        for place, gradient in zip(places, gradients, strict=True):
            full[place] = gradient
        going_on = callback(tuple(full))
        return tuple(going_on[place] for place in places)

    crossed = BackwardHookFunction.apply(spread, *(values[place] for place in places))
    result = list(values)
    for place, tensor in zip(places, crossed, strict=True):
        result[place] = tensor
    return tuple(result)


class BackwardWatch:
    """Calls a module's backward hooks for one run of its forward."""

    def __init__(self, module: Any, pre_hooks: list[Any], hooks: list[Any]):
        self.module = module
        self.pre_hooks = pre_hooks
        self.hooks = hooks
        self.grad_output: tuple[Any, ...] | None = None
        self.input_count: int = 0
        self.input_has_gradient = False

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, watched where gradients leave the module."""
        self.input_count = len(args)
        self.input_has_gradient = bool(_tensors_of(args))
        return _cross(args, self._leave) if self.input_has_gradient else args

    def exit(self, output: Any) -> Any:
        """The output, watched where gradients enter the module."""
        single = isinstance(output, Tensor)
        if not single and not isinstance(output, tuple):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(output)}",
                stacklevel=4,
            )
            return output
        crossed = _cross((output,) if single else output, self._arrive)
        return crossed[0] if single else crossed

    def _arrive(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.pre_hooks:
            gradients = _replaced(hook(self.module, gradients), gradients, "output")
        self.grad_output = gradients
        if not self.input_has_gradient:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module "
                "outputs since no inputs require gradients. See https://docs.pytorch.org/docs/main/"
                "generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook for "
                "more details.",
                stacklevel=2,
            )
            for hook in self.hooks:
                result = hook(self.module, (None,) * self.input_count, gradients)
                if result is not None and any(r is not None for r in result):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always "
                        "return None or None for all gradients."
                    )
            self.grad_output = None
        return gradients

    def _leave(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.grad_output is None:  # the gradient came past the module's output
            return gradients
        for hook in self.hooks:
            result = hook(self.module, gradients, self.grad_output)
            gradients = _replaced(result, gradients, "input")
        self.grad_output = None
        return gradients


def _replaced(result: Any, gradients: tuple[Any, ...], side: str) -> tuple[Any, ...]:
    """What a hook returned in place of the gradients, or the gradients."""
    if result is None:
        return gradients
    if len(result) != len(gradients):
        word = "pre hook" if side == "output" else "hook"
        raise RuntimeError(
            f"Backward {word} returned an invalid number of grad_{side}, got {len(result)}, but "
            f"expected {len(gradients)}"
        )
    return tuple(result)


def hook_node(module: Any, hooks: list[Any], args: tuple[Any, ...], output: Any) -> None:
    """Put non-full backward hooks on the node that made the first tensor of the output."""
    first = output
    while not isinstance(first, Tensor):
        if isinstance(first, dict):
            first = next(value for value in first.values() if isinstance(value, Tensor))
        else:
            first = first[0]
    node: Any = first.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(_NodeHook(hook, module))
    missing = _missing_at_node(args, output, node)
    if missing is not None:
        warnings.warn(
            f"{missing} Please use register_full_backward_hook to get the documented behavior.",
            FutureWarning,
            stacklevel=5,
        )


class _NodeHook:
    """A module's hook at a node; it does not keep the module alive."""

    def __init__(self, hook: Callable[..., Any], module: Any):
        self.hook = hook
        self.module = weakref.ref(module)

    def __call__(self, *gradients: Any) -> Any:
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *gradients)


def _missing_at_node(args: tuple[Any, ...], output: Any, node: Any) -> str | None:
    """What a hook at `node` will not see of the module's gradients; None where it sees all."""
    outputs = (output,) if isinstance(output, Tensor) else output
    ending = "will be removed in future versions. This hook will be missing some"
    if not _all_tensors(outputs):
        return (
            "Using non-full backward hooks on a Module that does not return a single Tensor or a "
            f"tuple of Tensors is deprecated and {ending} of the grad_output."
        )
    if not _all_tensors(args):
        return (
            "Using non-full backward hooks on a Module that does not take as input a single Tensor "
            f"or a tuple of Tensors is deprecated and {ending} of the grad_input."
        )
    made_by = {id(tensor.grad_fn) for tensor in outputs if tensor.grad_fn is not None}
    if made_by != {id(node)}:
        return (
            "Using a non-full backward hook when outputs are generated by different autograd Nodes "
            f"is deprecated and {ending} grad_output."
        )
    if {id(tensor.grad_fn) for tensor in args} != {id(edge[0]) for edge in node.next_functions}:
        return (
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is "
            f"deprecated and {ending} grad_input."
        )
    return None


def _all_tensors(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, Tensor) for value in values)
