"""`autograd.Function`: operations whose derivative the user writes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import FREED_GRAPH, LEAF_MARKED_DIRTY
from .state import modes
from .tape import Described, Edge, Node, current_node, edge_of, named
from .tensor import Tensor, alias, wrap


class FunctionCtx:
    """What `forward` tells about its arguments and results."""

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; call it once, from `forward` or `setup_context`."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`."""
        for tensor in tensors:
            if not isinstance(tensor, Tensor) and tensor is not None:
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save "
                    "non-tensors as attributes on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs `forward` wrote to."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for outputs without a gradient."""
        self.materialize_grads = value

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Deprecated: shared storages are known."""
        warnings.warn(
            "`mark_shared_storage` is deprecated. Tensors with shared storages are automatically "
            "tracked. Note that calls to `set_()` are not tracked",
            FutureWarning,
            stacklevel=2,
        )


class FunctionNode(FunctionCtx, Node):
    """The node of a custom function; to `forward` and `backward` it is the context `ctx`."""

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads: bool = True
    dirty_tensors: tuple[Tensor, ...] = ()
    non_differentiable: tuple[Tensor, ...] = ()
    to_save: tuple[Tensor | None, ...] = ()
    saved_for_forward: tuple[Tensor | None, ...] = ()

    @property
    def requires_grad(self) -> bool:
        """Whether some argument of `forward` requires a gradient."""
        return any(edge is not None for edge in self.edges)

    def __init__(self, label: str, function: type[Function], edges: tuple[Edge | None, ...]):
        super().__init__(label, edges, (), None)
        self.function = function
        self.needs_input_grad = tuple(e is not None for e in edges)
        self._kept: list[Any] = []
        self._freed = False
        self._input_infos: tuple[Described | None, ...] = ()

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept."""
        if self._freed:
            raise RuntimeError(FREED_GRAPH)
        return tuple(k.unpack(self) if k is not None else None for k in self._kept)

    saved_variables = saved_tensors

    def keep(self, outputs: Sequence[Any]) -> None:
        """Turn `to_save` into what outlives the call without a reference cycle."""
        for tensor in self.to_save:
            if tensor is None:
                self._kept.append(None)
                continue
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{len(self._kept)} is of type {type(tensor).__name__}"
                )
            index = next((i for i, o in enumerate(outputs) if o is tensor), -1)
            self._kept.append(_Kept(tensor, index))
        self.to_save = ()

    def release(self) -> None:
        if self._kept:
            self._freed = True
            self._kept = []

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        given = [self._arriving(g, i) for i, g in enumerate(gradients)]
        results = self.function.backward(self, *given)  # type: ignore[arg-type]
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        expected = len(self.edges)
        if len(results) > expected and all(r is None for r in results[expected:]):
            results = results[:expected]
        if len(results) != expected:
            raise RuntimeError(
                f"function {self.label} returned an incorrect number of gradients (expected "
                f"{expected}, got {len(results)})"
            )
        return [self._leaving(r, i, create_graph) for i, r in enumerate(results)]

    def _arriving(self, gradient: Any, index: int) -> Tensor | None:
        info = self.outputs[index]
        if gradient is None:
            if not self.materialize_grads:
                return None
            return wrap(np.zeros(info.shape, info.dtype), self.device)
        return gradient if isinstance(gradient, Tensor) else wrap(gradient, self.device)

    def _leaving(self, gradient: Any, index: int, create_graph: bool) -> Any:
        if gradient is None:
            return None
        info = self._input_infos[index]
        if info is None:
            raise RuntimeError(
                f"function {self.label} returned a gradient different from None at position "
                f"{index + 1}, but the corresponding forward input was not a Variable"
            )
        if not isinstance(gradient, Tensor):
            raise RuntimeError(f"expected Variable or None (got {type(gradient).__name__})")
        if self.edges[index] is None:
            return None
        gradient = fitted(gradient, info, self.label, index)
        return gradient if create_graph else gradient._array()


def fitted(gradient: Tensor, info: Described, label: str, index: int) -> Tensor:
    """A gradient in the shape and type of the input that it belongs to."""
    if gradient._dims() != tuple(info.shape):
        try:
            gradient = gradient.sum_to_size(info.shape)  # type: ignore[attr-defined]
        except RuntimeError:
            raise RuntimeError(
                f"Function {label} returned an invalid gradient at index {index} - got "
                f"{list(gradient.shape)} but expected shape compatible with {list(info.shape)}"
            ) from None
    if gradient._dtype_numpy() != info.dtype:
        from .. import dtypes

        gradient = gradient.to(dtypes.BY_NUMPY[info.dtype])  # type: ignore[attr-defined]
    return gradient


class _Kept:
    """One tensor kept for backward, with its version at that time."""

    __slots__ = ("edge", "index", "packed", "tensor", "unpack_hook", "version")

    def __init__(self, tensor: Tensor, index: int):
        self.index = index
        self.tensor: Any = alias(tensor) if index >= 0 else tensor
        self.version = tensor._storage.counted
        self.unpack_hook = None
        if modes.saved_hooks:
            pack, self.unpack_hook = modes.saved_hooks[-1]
            self.packed = pack(self.tensor)
            self.edge = edge_of(tensor) if index < 0 else None
            self.tensor = None

    def unpack(self, node: FunctionNode) -> Tensor:
        """The tensor, if nobody wrote to it since."""
        if self.unpack_hook is not None:
            tensor = self.unpack_hook(self.packed)
            edge = self.edge if self.index < 0 else Edge(node, self.index)
            if edge is not None:
                tensor = alias(tensor)
                tensor._node, tensor._index = edge
            return tensor
        if self.tensor._storage.counted != self.version:
            from .op import modified_message

            source = edge_of(self.tensor) if self.index < 0 else Edge(node, self.index)
            value = self.tensor._array()
            raise RuntimeError(modified_message(value, self.tensor._storage, self.version, source))
        if self.index < 0:
            return self.tensor
        tensor = alias(self.tensor)
        tensor._node, tensor._index = node, self.index
        return tensor


class FunctionMeta(type):
    """The class of the subclasses of `Function`."""


class Function(FunctionCtx, metaclass=FunctionMeta):
    """An operation with a hand-written derivative.

    Subclass it with static methods `forward(ctx, *args)` and `backward(ctx, *grad_outputs)` (or
    `forward(*args)` with `setup_context(ctx, inputs, output)`), and call `apply`.

    >>> import flambeau as torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; the first argument is `ctx` unless `setup_context` is defined."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save what `backward` needs, in the form where `forward` gets no `ctx`."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient (or None) for every argument of `forward`."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The derivative in forward mode."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """The batched form."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap static method "
            "or set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the function and record it."""
        if modes.levels:
            from .function_levels import apply_lifted_function

            return apply_lifted_function(cls, args, kwargs)
        return run_forward(cls, args, kwargs)[1]


def new_node(cls: type[Function], args: Sequence[Any]) -> tuple[FunctionNode, bool]:
    """The node of a call, which is its context, and whether it is to be recorded."""
    recording = modes.grad and not modes.inference
    edges = tuple(edge_of(a) if recording and isinstance(a, Tensor) else None for a in args)
    label = cls.__name__ + "Backward"
    node = named(FunctionNode, label)(label, cls, edges)
    node.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
    node._input_infos = tuple(_info(a) if isinstance(a, Tensor) else None for a in args)
    return node, any(e is not None for e in edges)


def run_forward(
    cls: type[Function], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[FunctionNode, Any]:
    """Call the user's `forward`; returns the context and the outputs, recorded."""
    node, recording = new_node(cls, args)
    previous, modes.grad = modes.grad, False
    try:
        if cls.setup_context is not Function.setup_context:
            outputs = cls.forward(*args, **kwargs)
            cls.setup_context(node, tuple(args), outputs)
        else:
            outputs = cls.forward(node, *args, **kwargs)
    finally:
        modes.grad = previous
    return node, finished(node, args, outputs, recording)


def _info(tensor: Tensor) -> Described:
    return Described(tuple(tensor._dims()), tensor._dtype_numpy())


def finished(node: FunctionNode, args: Sequence[Any], outputs: Any, recording: bool) -> Any:
    """Hang the node on the outputs."""
    several = isinstance(outputs, tuple)
    found = list(outputs) if several else [outputs]
    node.outputs = tuple(
        _info(o) if isinstance(o, Tensor) else Described((), np.dtype(np.float32)) for o in found
    )
    node.device = next((t.device for t in (*found, *args) if isinstance(t, Tensor)), None)
    dirty = {id(t) for t in node.dirty_tensors}
    fixed = {id(t) for t in node.non_differentiable}
    inputs = {id(a) for a in args if isinstance(a, Tensor)}
    if recording:
        for tensor in node.dirty_tensors:
            if tensor.requires_grad and current_node(tensor) is None:
                raise RuntimeError(LEAF_MARKED_DIRTY)
    results = []
    for index, output in enumerate(found):
        if not isinstance(output, Tensor):
            results.append(output)
            continue
        made_elsewhere = id(output) in inputs or (recording and output._node is not None)
        result = alias(output) if made_elsewhere and id(output) not in dirty else output
        if recording and id(output) not in fixed and node.outputs[index].dtype.kind in "fcV":
            _attach(result, node, index, id(output) in dirty)
        results.append(result)
    if recording:
        node.keep([r if id(o) not in inputs else o for o, r in zip(found, results, strict=True)])
    node.dirty_tensors = node.non_differentiable = ()
    return tuple(results) if several else results[0]


def _attach(result: Tensor, node: FunctionNode, index: int, written: bool) -> None:
    if written and result._base is not None:
        from .views import rebase

        value = alias(result)
        value._node, value._index = node, index
        rebase(result, value)
        return
    result._node, result._index = node, index
    result._requires_grad = False


# PyTorch's class is that of the context, too: what a context has can be looked up on it.
for _name in (
    *("dirty_tensors", "materialize_grads", "metadata", "name", "needs_input_grad"),
    *("next_functions", "non_differentiable", "register_hook", "register_prehook"),
    *("requires_grad", "saved_for_forward", "saved_tensors", "saved_variables", "to_save"),
):
    setattr(Function, _name, getattr(FunctionNode, _name))


class _ErrorNode(Node):
    """Stands where a second derivative was ruled out."""

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` whose result cannot be differentiated again."""

    @functools.wraps(function)
    def wrapper(ctx: Any, *args: Any) -> Any:
        recording = modes.grad and any(isinstance(a, Tensor) and a.requires_grad for a in args)
        previous, modes.grad = modes.grad, False
        try:
            outputs = function(ctx, *args)
        finally:
            modes.grad = previous
        if not recording:
            return outputs
        several = isinstance(outputs, tuple)
        results = []
        for output in outputs if several else (outputs,):
            if isinstance(output, Tensor):
                output = alias(output)
                edges = tuple(edge_of(a) for a in args if isinstance(a, Tensor))
                output._node = _ErrorNode(
                    "NotDifferentiable", edges, (_info(output),), output.device
                )
            results.append(output)
        return tuple(results) if several else results[0]

    return wrapper
