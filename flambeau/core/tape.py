"""Reverse-mode automatic differentiation: the tape's nodes and the walk over them.

Every recorded operation makes a `Node` that points, by its edges, to the nodes that made its
inputs. `run_backward` starts at a result with a gradient and visits the nodes so that each is
visited once, after everything that it fed into: it multiplies the gradient of a node's outputs by
the operation's derivative and hands the products along the edges, where they are summed. A leaf
has an `AccumulateGrad` node, which adds what arrives to the leaf's `.grad`.

A gradient travels as a bare array; when the caller wants derivatives of the gradients
(`create_graph=True`) it travels as a Tensor, and the same derivative is an operation like any
other, recorded in turn.
"""

from __future__ import annotations

import functools
import gc
import heapq
import itertools
import traceback
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import lax

from ..config import config
from ..host.quiet import hush, unhush
from .execute import Program
from .state import Walk, modes
from .tensor import Tensor, wrap

PYTHONS_THRESHOLD = 2000  # the largest default of a Python version
sequence = itertools.count()
if config.collect_after and gc.get_threshold()[0] <= PYTHONS_THRESHOLD:
    gc.set_threshold(config.collect_after, *gc.get_threshold()[1:])
_add = Program(lax.add, {})
SMALL = 1 << 14  # elements
IMMEDIATELY = float("inf")


class Edge(NamedTuple):
    """Where a gradient goes: an output of a node."""

    node: Node
    index: int

    @property
    def output_nr(self) -> int:
        """Which output of the node."""
        return self.index


class Described(NamedTuple):
    """Shape and element type of an array that is not kept."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Node:
    """A recorded operation.

    Attributes:
        pairs: for every input, where its gradient goes: the node and its output's number, or None.
        outputs: shape and type of every output.
        device: where the outputs are.
        sequence: nodes are numbered in the order in which they were recorded.
        pre_hooks: per output, hooks on the gradient that arrives (tensor hooks).
    """

    pre_hooks: dict[int, OrderedDict[int, Callable[..., Any]]] | None = None
    node_pre_hooks: OrderedDict[int, Callable[..., Any]] | None = None
    post_hooks: OrderedDict[int, Callable[..., Any]] | None = None
    retained: dict[int, weakref.ref[Tensor]] | None = None
    label: str
    pairs: Sequence[tuple[Node, int] | None]
    origin: list[str] | None = None
    _metadata: dict[Any, Any] | None = None

    def __init__(
        self,
        label: str,
        edges: Sequence[tuple[Node, int] | None],
        outputs: Sequence[Any],
        device: Any,
    ):
        self.label = label
        self.pairs = edges
        self.outputs = outputs
        self.device = device
        self.sequence: float = next(sequence)
        if modes.anomaly:
            self.origin = traceback.format_stack()[:-2]

    @property
    def edges(self) -> tuple[Edge | None, ...]:
        """For every input, where its gradient goes, or None."""
        return tuple([None if pair is None else Edge(*pair) for pair in self.pairs])

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        """The gradient for every edge from those of the outputs (arrays, or Tensors)."""
        raise NotImplementedError

    def release(self) -> None:
        """Let go of what was saved for the backward pass."""

    def name(self) -> str:
        """The operation's name, as `MulBackward0`."""
        return _QUALIFIED.get(self.label, self.label)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that the gradients go to."""
        return tuple((p[0], p[1]) if p else (None, 0) for p in self.pairs)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for users."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def _sequence_nr(self) -> int:
        return int(self.sequence) if self.sequence != IMMEDIATELY else 2**64 - 1

    def _input_metadata(self) -> Sequence[Any]:
        return self.outputs

    def register_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(grad_inputs, grad_outputs)` after this node."""
        from .hooks import RemovableHandle

        if self.post_hooks is None:
            self.post_hooks = OrderedDict()
        return RemovableHandle.add(self.post_hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(grad_outputs)` before this node."""
        from .hooks import RemovableHandle

        if self.node_pre_hooks is None:
            self.node_pre_hooks = OrderedDict()
        return RemovableHandle.add(self.node_pre_hooks, hook)

    def __repr__(self) -> str:
        return f"<{self.label} object at {id(self):#x}>"


# The nodes that are the engine's own, not an operation's, go by their full name.
_QUALIFIED = {n: f"torch::autograd::{n}" for n in ("AccumulateGrad", "CopySlices")}


@functools.cache
def named(kind: type[Any], label: str) -> type[Any]:
    """The class `kind` under the name of its node: `type(y.grad_fn).__name__` is the label."""
    return type(label, (kind,), {"label": label})


class AccumulateGrad(Node):
    """The node of a leaf: adds the gradient to `variable.grad`."""

    def __init__(self, variable: Tensor):
        info = Described(variable._dims(), variable._dtype_numpy())
        super().__init__("AccumulateGrad", (), (info,), variable.device)
        self.sequence = IMMEDIATELY
        self.variable = variable

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        gradient = gradients[0]
        leaf = self.variable
        if gradient is None or not leaf._requires_grad:
            if leaf._node is not None:
                raise RuntimeError("leaf variable has been moved into the graph interior")
            return ()
        hooks = leaf._backward_hooks
        if hooks:
            gradient = run_hooks(hooks, gradient, leaf.device)
        accumulate(leaf, gradient)
        if leaf._post_accumulate_grad_hooks:
            for hook in tuple(leaf._post_accumulate_grad_hooks.values()):
                hook(leaf)
        return ()


def accumulate(leaf: Tensor, gradient: Any) -> None:
    """Add a gradient (array, or Tensor when its own derivative is wanted) to `leaf.grad`."""
    old = leaf._grad
    if old is not None and old.is_sparse and not isinstance(gradient, Tensor):
        gradient = wrap(gradient, leaf.device)
    if isinstance(gradient, Tensor):
        leaf._grad = gradient if old is None else _sum(old, gradient)
    elif old is None:
        leaf._grad = wrap(gradient, leaf.device)
    elif old._node is not None or old._requires_grad:
        leaf._grad = old.detach() + wrap(gradient, leaf.device)  # type: ignore[operator]
    elif not old._steps:
        old._storage.write(add(old._array(), gradient))
    else:
        from .views import overwrite

        overwrite(old, wrap(_add.run(old._array(), gradient), leaf.device))


def _sum(old: Any, gradient: Any) -> Tensor:
    """The sum of two gradients, one of them perhaps sparse; in place where nothing is recorded."""
    if gradient.is_sparse and not modes.grad:
        return old.add_(gradient)
    return gradient + old if old.is_sparse else old + gradient


# Edges


def current_node(tensor: Tensor) -> Node | None:
    """`grad_fn`: the node that made the tensor, brought up to date if it is a view."""
    base = tensor._base
    if base is None:
        return tensor._node
    written = tensor._count()
    if tensor._made_at != written and (tensor._node is not None or base.requires_grad):
        from .views import record_view, refuse_stale, steps_from_base

        if tensor._creation is not None:
            refuse_stale(tensor)
        tensor._made_at = written
        steps, offsets = steps_from_base(tensor, base)
        record_view(tensor, base, edge_of(base), "AsStridedBackward0", steps, offsets)
    return tensor._node


def edge_of(tensor: Any) -> Edge | None:
    """Where the gradient of `tensor` (a tensor or an edge) goes; None where it needs none."""
    if isinstance(tensor, Edge):
        return tensor
    node = tensor._node if tensor._base is None else current_node(tensor)
    if node is not None:
        return Edge(node, tensor._index)
    if not tensor._requires_grad:
        return None
    accumulator = tensor._accumulator() if tensor._accumulator is not None else None
    if accumulator is None:
        accumulator = AccumulateGrad(tensor)
        tensor._accumulator = weakref.ref(accumulator)
    return Edge(accumulator, 0)


def move_retained(tensor: Tensor, edge: Edge) -> None:
    """`retain_grad` goes with the tensor when a write in place gives it a new node."""
    node = tensor._node
    if tensor._retains_grad and node is not None and node.retained:
        reference = node.retained.pop(tensor._index, None)
        if reference is not None:
            if edge.node.retained is None:
                edge.node.retained = {}
            edge.node.retained[edge.index] = reference


# The walk


def run_hooks(hooks: OrderedDict[int, Callable[..., Any]], gradient: Any, device: Any) -> Any:
    """Pass a gradient through tensor hooks; each may replace it."""
    bare = not isinstance(gradient, Tensor)
    value = wrap(gradient, device) if bare else gradient
    for hook in tuple(hooks.values()):
        result = hook(value)
        if result is not None:
            _check_replacement(hook, value, result)
            value = result
    return value._array() if bare else value


def _check_replacement(hook: Callable[..., Any], value: Tensor, result: Any) -> None:
    if not isinstance(result, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    name = getattr(hook, "__name__", type(hook).__name__)
    if result.dtype is not value.dtype:
        raise RuntimeError(
            f"hook '{name}' has changed the type of value (was {value.type()} got "  # type: ignore[attr-defined]
            f"{result.type()})"  # type: ignore[attr-defined]
        )
    if result._dims() != value._dims():
        raise RuntimeError(f"hook '{name}' has changed the size of value")


def _quick(a: np.ndarray) -> bool:
    """Whether NumPy adds arrays like this one as fast as anything."""
    return a.ndim > 0 and a.size <= SMALL and a.dtype.kind == "f"


def add(a: Any, b: Any) -> Any:
    """The sum of two gradients."""
    if type(a) is type(b) is np.ndarray and a.dtype is b.dtype and _quick(a):
        token = hush()
        try:
            return a + b
        finally:
            unhush(token)
    if not isinstance(a, Tensor):
        if not isinstance(b, Tensor):
            return _add.run(a, b)
        a = wrap(a, b.device)
    elif not isinstance(b, Tensor):
        b = wrap(b, a.device)
    return b + a if a.is_sparse else a + b  # type: ignore[operator]


def run_backward(
    roots: list[tuple[Edge, Any]],
    keep_graph: bool,
    create_graph: bool,
    captures: dict[Edge, list[int]] | None = None,
    accumulate_captured: bool = False,
) -> dict[int, Any]:
    """Walk the tape from `roots` (pairs of edge and gradient).

    Args:
        keep_graph: keep what the nodes saved.
        create_graph: the gradients are Tensors, and their computation is recorded.
        captures: edges whose gradients are wanted, with the slots that they go to. Nodes that
            lead to none of them are not visited, and no leaf accumulates...
        accumulate_captured: ...except that leaves among the captures do (`backward(inputs=)`).

    Returns:
        The captured gradients by slot.
    """
    start = [edge.node for edge, _ in roots]
    pending, useful = _survey(start, captures)
    if modes.trace is not None:
        modes.trace.enter_graph(pending)
    buffers: dict[Node, list[Any]] = {}
    ready: list[tuple[float, int, Node]] = []
    caught: dict[int, Any] = {}
    order = 0

    for (node, index), gradient in roots:
        slots = buffers.setdefault(node, [None] * len(node.outputs))
        slots[index] = gradient if slots[index] is None else add(slots[index], gradient)
    for node in dict.fromkeys(start):
        if not pending.get(node):
            order += 1
            heapq.heappush(ready, (-node.sequence, order, node))
    visit = _visit_with_care if modes.anomaly else _visit
    previous, outer = modes.grad, modes.walk
    modes.grad, modes.walk = create_graph, Walk(captures is not None)
    try:
        while ready:
            node = heapq.heappop(ready)[2]
            gradients = buffers.pop(node, None)
            if gradients is None:
                gradients = [None] * len(node.outputs)
            if node.pre_hooks or node.node_pre_hooks or node.retained:
                gradients = _arrived(node, gradients)
            if captures is not None:
                for index, gradient in enumerate(gradients):
                    for slot in captures.get(Edge(node, index), ()):
                        caught[slot] = _through_leaf_hooks(node, gradient)
                if not _leads_on(node, useful, accumulate_captured):
                    continue
            results = visit(node, gradients, create_graph)
            if not keep_graph:
                node.release()
            for pair, gradient in zip(node.pairs, results):  # noqa: B905 (hooks return anything)
                if pair is None:
                    continue
                target, index = pair
                if useful is not None and target not in useful:
                    continue
                if gradient is not None:
                    slots = buffers.get(target)
                    if slots is None:
                        slots = buffers[target] = [None] * len(target.outputs)
                    old = slots[index]
                    slots[index] = gradient if old is None else add(old, gradient)
                left = pending[target] - 1
                if left:
                    pending[target] = left
                else:
                    order += 1
                    heapq.heappush(ready, (-target.sequence, order, target))
    finally:
        modes.grad, modes.walk = previous, outer
    return caught


def _leads_on(node: Node, useful: set[Node] | None, accumulate_captured: bool) -> bool:
    """Whether a walk with captures goes on through `node`."""
    if isinstance(node, AccumulateGrad):
        return accumulate_captured
    return useful is None or any(pair is not None and pair[0] in useful for pair in node.pairs)


def _survey(
    start: list[Node], captures: dict[Edge, list[int]] | None
) -> tuple[dict[Node, int], set[Node] | None]:
    """How many gradients each node waits for; and, with captures, the nodes that lead to one."""
    pending: dict[Node, int] = {}
    starts = set(start)
    stack = list(starts)
    visited: list[Node] = []
    parents: dict[Node, list[Node]] = {}
    while stack:
        node = stack.pop()
        if captures is not None:
            visited.append(node)
        for pair in node.pairs:
            if pair is None:
                continue
            target = pair[0]
            if target in pending:
                pending[target] += 1
            else:
                pending[target] = 1
                if target not in starts:
                    stack.append(target)
            if captures is not None:
                parents.setdefault(target, []).append(node)
    if captures is None:
        return pending, None
    seen = starts.union(pending)
    useful: set[Node] = set()
    stack = [edge.node for edge in captures if edge.node in seen]
    while stack:
        node = stack.pop()
        if node not in useful:
            useful.add(node)
            stack.extend(parents.get(node, ()))
    pending = {}
    for node in visited:
        if node in useful:
            for pair in node.pairs:
                if pair is not None and pair[0] in useful:
                    pending[pair[0]] = pending.get(pair[0], 0) + 1
    return pending, useful


def _arrived(node: Node, gradients: list[Any]) -> list[Any]:
    """The gradients of a node's outputs after the hooks on them."""
    if node.pre_hooks:
        for index, hooks in node.pre_hooks.items():
            if gradients[index] is not None:
                gradients[index] = run_hooks(hooks, gradients[index], node.device)
    if node.node_pre_hooks:
        for hook in tuple(node.node_pre_hooks.values()):
            tensors = tuple(_as_tensor(g, node.device) for g in gradients)
            result = hook(tensors)
            if result is not None:
                bare = not any(isinstance(g, Tensor) for g in gradients)
                values = result if isinstance(result, tuple) else (result,)
                gradients = [v._array() if bare and v is not None else v for v in values]
    if node.retained:
        for index, reference in node.retained.items():
            tensor = reference()
            if tensor is not None and gradients[index] is not None:
                retain(tensor, _as_tensor(gradients[index], node.device))
    return gradients


def retain(tensor: Tensor, gradient: Tensor | None) -> None:
    old = tensor._grad
    tensor._grad = gradient if old is None else old + gradient  # type: ignore[operator]


def _through_leaf_hooks(node: Node, gradient: Any) -> Any:
    """A captured leaf's gradient passes its tensor hooks, as an accumulated one does."""
    if isinstance(node, AccumulateGrad) and gradient is not None:
        hooks = node.variable._backward_hooks
        if hooks:
            return run_hooks(hooks, gradient, node.variable.device)
    return gradient


def _as_tensor(gradient: Any, device: Any) -> Tensor | None:
    if gradient is None or isinstance(gradient, Tensor):
        return gradient
    return wrap(gradient, device)


def _visit(node: Node, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
    """One node's derivative, with the hooks after it."""
    results = node.pull(gradients, create_graph)
    return _after(node, results, gradients) if node.post_hooks else results


def _visit_with_care(node: Node, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
    """One node's derivative, with anomaly detection and the hooks after it."""
    try:
        results = node.pull(gradients, create_graph)
    except Exception:
        _report_origin(node)
        raise
    if modes.anomaly_check_nan:
        for number, gradient in enumerate(results):
            if gradient is not None and _has_nan(gradient):
                _report_origin(node)
                raise RuntimeError(
                    f"Function '{node.label}' returned nan values in its {number}th output."
                )
    return _after(node, results, gradients) if node.post_hooks else results


def _after(node: Node, results: Sequence[Any], gradients: list[Any]) -> Sequence[Any]:
    bare = not any(isinstance(g, Tensor) for g in (*results, *gradients))
    device = node.device
    inputs = tuple(r if r is None or isinstance(r, Tensor) else wrap(r, device) for r in results)
    outputs = tuple(_as_tensor(g, node.device) for g in gradients)
    assert node.post_hooks is not None
    for hook in tuple(node.post_hooks.values()):
        replaced = hook(inputs, outputs)
        if replaced is not None:
            inputs = replaced if isinstance(replaced, tuple) else (replaced,)
    return [t._array() if bare and t is not None else t for t in inputs]


def _has_nan(gradient: Any) -> bool:
    if modes.levels:
        from .levels import known_values

        values = known_values(gradient if isinstance(gradient, Tensor) else wrap(gradient))
        gradient = () if values is None else values
    elif isinstance(gradient, Tensor):
        gradient = (gradient._values() if gradient.is_sparse else gradient)._host()  # type: ignore[attr-defined]
    array = np.asarray(gradient)
    if array.dtype.kind not in "fcV":
        return False
    return bool(np.isnan(array.astype(np.complex128 if array.dtype.kind == "c" else float)).any())


def _report_origin(node: Node) -> None:
    if node.origin is None:
        text = (
            f"Error detected in {node.label}. No forward pass information available. Enable detect "
            "anomaly during forward pass for more information."
        )
    else:
        text = (
            f"Error detected in {node.label}. Traceback of forward call that caused the error:\n"
            + "".join(node.origin)
        )
    warnings.warn(text, UserWarning, stacklevel=6)
