"""`apply`: run an op on tensors and, where a gradient is needed, record it on the tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ..devices import get_default_device
from ..errors import FREED_GRAPH, INFERENCE_SAVED
from .calls import Backward, Call, remember
from .derivative import Derivative, derivative_of
from .execute import Op, Program, counters
from .layout import propagated_strides
from .operands import PLAIN, captures, survey
from .state import modes
from .storage import Storage
from .tape import Described, Edge, Node, edge_of, named, sequence
from .tensor import CPU, Tensor, alias, replay, wrap


def apply(
    op: Op, inputs: Sequence[Any], static: tuple[Any, ...] = (), label: str | None = None
) -> Any:
    """Run `op` on `inputs` (tensors, numbers, None) and record it where a gradient is needed.

    Args:
        static: the kernel's keyword-only arguments, in their order.
        label: the node's name where it differs from the op's.

    Returns:
        A Tensor, or a tuple of them where the kernel returns a tuple.
    """
    if modes.special:
        return first_call(op, inputs, static, label)
    facts: list[Any] = [static, label]
    found = survey(inputs, facts, modes.grad and op.differentiable, op.pointwise)
    if found is None:
        return first_call(op, inputs, static, label)
    arrays, edges = found
    key = tuple(facts)
    call = op.calls.get(key)
    if call is None:
        return _second_call(op, inputs, static, label, key, arrays)
    if not captures:
        return repeat(call, inputs, arrays, edges)
    result = repeat(call, inputs, arrays, edges)
    captures[-1].append((call, inputs, result))
    return result


def _second_call(
    op: Op,
    inputs: Sequence[Any],
    static: tuple[Any, ...],
    label: str | None,
    key: tuple[Any, ...],
    arrays: list[Any],
) -> Any:
    """A call that is not known: the long way; known from the next time on if it was seen before."""
    result = first_call(op, inputs, static, label)
    if key not in op.calls:
        remember(op.calls, key, None)
        return result
    several = type(result) is tuple
    results = result if several else (result,)
    node = next((r._node for r in results if r._node is not None), None)
    program = op.programs[static]
    residuals = node is not None and op.forward is not None
    if residuals:
        program = _forward_program(op, program, static)
    outputs = [r._storage.array for r in results]
    call = Call(
        program,
        program.plan(arrays),
        residuals,
        several,
        results[0]._storage.strides,
        outputs,
        None if node is None else node.derivative,
        None if node is None else type(node),
    )
    remember(op.calls, key, call)
    return result


def known_node(call: Call, pairs: list[Any], values: list[Any]) -> OpNode:
    """The node of a known call of which nothing but numbers is saved."""
    node = make(call.node)  # type: ignore[arg-type]
    node.pairs = pairs
    node.outputs = call.infos
    node.device = CPU
    node.sequence = next(sequence)
    node.derivative = call.derivative
    node.call = call
    node.values = values
    node.watched = (None,) * len(values)
    return node


def repeat(call: Call, inputs: Sequence[Any], arrays: list[Any], edges: list[Any]) -> Any:
    """A known call (Note [Known calls])."""
    plan: Any = call.plan
    if plan.limit:
        plan.count()
    on_host = plan.host is not None
    if on_host:
        counters.host += 1
        out = plan.host.run(*arrays)
    else:
        counters.compiled += 1
        for i, array in enumerate(arrays):
            if type(array) is np.ndarray and isinstance(inputs[i], Tensor):
                arrays[i] = inputs[i]._on_device()
        out = call.program.compiled(*arrays)
    residuals: tuple[Any, ...] = ()
    if call.residuals:
        out, residuals = out
        if not call.several:
            (out,) = out
    if call.several:
        results = tuple([wrap(a) for a in out])
    else:
        result = make(Tensor)
        result._storage = Storage(out, CPU, call.strides)
        if call.derivative is None:
            return result
        results = (result,)
    if call.derivative is None:
        return results
    node = make(call.node)  # type: ignore[arg-type]
    node.pairs = edges
    node.outputs = call.infos
    node.device = CPU
    node.sequence = next(sequence)
    node.derivative = call.derivative
    node.call = call
    node.on_host = on_host
    values: list[Any] = []
    watched: list[Any] = []
    for i in call.saved_inputs:
        x = inputs[i]
        values.append(arrays[i])
        if type(x) in PLAIN:
            storage = x._storage
            if x._own_version is not None or x._steps or x._inference:
                watched.append(_watch(x))
            else:
                watched.append((storage, storage.counted))
        else:
            watched.append(None)
    for j in call.saved_outputs:
        if j < len(results):
            storage = results[j]._storage
            values.append(storage.array)
        else:
            storage = OUT_OF_REACH
            values.append(residuals[j - len(results)])
        watched.append((storage, 0))
    node.values = values
    node.watched = watched
    if not call.several:
        result._node = node  # type: ignore[possibly-undefined]
        return result  # type: ignore[possibly-undefined]
    for index, differentiable in enumerate(call.differentiable):
        if differentiable:
            results[index]._node = node
            results[index]._index = index
    return results


make = object.__new__


def first_call(
    op: Op, inputs: Sequence[Any], static: tuple[Any, ...] = (), label: str | None = None
) -> Any:
    """`apply` for operands that were not seen before, or are out of the ordinary."""
    if captures:
        captures[-1].append((None, inputs, None))
    if modes.levels:
        from .levels import apply_lifted

        return apply_lifted(op, inputs, static, label)
    program = op.programs[static]
    device = result_class = None
    needs_grad = unusual = False
    arrays = []
    for x in inputs:
        if isinstance(x, Tensor):
            arrays.append(x._array())
            storage = x._storage
            if storage.device is not device:
                device = storage.device if device is None else common_device(inputs)
            if x._steps or storage.strides is not None:
                unusual = True
            if x._result_class is not None:
                result_class = x._result_class
            else:
                PLAIN.add(type(x))
            if x._node is not None or x._requires_grad or (x._base is not None and x.requires_grad):
                needs_grad = True
        else:
            arrays.append(x)
    recording = needs_grad and modes.grad and op.differentiable and not modes.inference
    residuals: tuple[Any, ...] = ()
    try:
        if device is not None and device.type == "meta":
            out = program.abstract(*arrays)
            recording = recording and op.forward is None
        elif recording and op.forward is not None:
            out, residuals = execute(_forward_program(op, program, static), inputs, arrays, device)
            out = out if len(out) > 1 else out[0]
        else:
            out = execute(program, inputs, arrays, device)
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
        raise error.with_traceback(None) from None
    several = isinstance(out, (tuple, list))
    if device is None:
        device = get_default_device()
    if several:
        results = tuple([wrap(a, device) for a in out])
    else:
        strides = _result_strides(inputs, out.shape) if unusual and op.pointwise else None
        results = (wrap(out, device, strides),)
    if recording:
        record(op, program, static, inputs, arrays, results, residuals, label or op.label)
    if result_class is not None:
        for result in results:
            result.__class__ = result_class
    return results if several else results[0]


def execute(program: Program, inputs: Sequence[Any], arrays: list[Any], device: Any) -> Any:
    """Run a program; NumPy values that XLA gets move to the device for good."""
    if device is None or device.type == "cpu":
        host = program.host(arrays)
        if host is not None:
            return host(*arrays)
    for i, array in enumerate(arrays):
        if type(array) is np.ndarray and isinstance(inputs[i], Tensor):
            arrays[i] = inputs[i]._on_device()
    return program.compiled(*arrays)


def common_device(inputs: Sequence[Any]) -> Any:
    """The device of the tensors; a 0-d CPU tensor goes with any other device."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    wide = [t for t in tensors if t._dims() or t.device.type != "cpu"] or tensors
    device = wide[0].device
    for t in wide[1:]:
        if t.device != device:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{device} and {t.device}!"
            )
    return device


def _result_strides(inputs: Sequence[Any], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    operands = [(tuple(t._dims()), t._strides_offset()[0]) for t in tensors if t._dims()]
    return propagated_strides(operands, tuple(shape)) if operands and shape else None


# Recording


# These save a number as if it were a tensor, or release a write in place: they, too, can only be
# walked through once.
SINGLE_USE = {"MulBackward0", "DivBackward0", "CopySlices", "IndexPutBackward0"}
UNWATCHED: tuple[Any, ...] = (None, 0)  # in `watched`: a hook has the value


class OpNode(Node):
    """The node of an op: what its derivative reads, and the derivative.

    Attributes:
        values: what is saved: inputs first, then outputs and residuals.
        watched: for each, the storage and version that it was read from, and the chain of a view;
            None for numbers.
        on_host: whether NumPy ran the forward pass; None where nothing was run (views).
    """

    freed = False
    on_host: bool | None = None
    packed = False
    call: Call | None = None

    def __init__(
        self,
        label: str,
        edges: Sequence[Edge | None],
        outputs: Sequence[Any],
        device: Any,
        derivative: Derivative,
        values: list[Any],
        watched: Sequence[tuple[Any, ...] | None],
    ):
        super().__init__(label, edges, outputs, device)
        self.derivative = derivative
        self.values = values
        self.watched = watched
        if device.type != "cpu":
            self.on_host = False
        if modes.saved_hooks:
            pack, unpack = modes.saved_hooks[-1]
            self.packed = True
            for i, watch in enumerate(watched):
                if watch is not None:
                    values[i] = _Packed(pack(wrap(values[i], device)), unpack)
            self.watched = [None if w is None else UNWATCHED for w in watched]

    def release(self) -> None:
        if not self.derivative.wanted:
            return
        if self.label not in SINGLE_USE:
            for watch in self.watched:
                if watch is not None:
                    break
            else:
                return
        self.freed = True
        self.values = []
        self.watched = ()

    def rebind(self, old: Any, watch: tuple[Any, ...]) -> None:
        """An output, of storage `old`, was stored elsewhere (an in-place op): watch that place."""
        self.watched = [watch if w is not None and w[0] is old else w for w in self.watched]

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.freed:
            raise RuntimeError(FREED_GRAPH)
        call = self.call
        if call is not None and not create_graph and not modes.special:
            known, g = call.backward, gradients[0]
            if known and g is not None and g.dtype is call.dtype and g.shape == call.shape:
                return known.run(self.on_host, [*self.saved_values(), g])
        arrived = [g for g in gradients if g is not None]
        derivative = self.derivative
        if not arrived or not derivative.wanted:
            return [None] * len(self.pairs)
        if derivative.zeros and self.on_host and not create_graph:
            arrived = gradients = [
                np.zeros(o.shape, o.dtype) if g is None else g
                for g, o in zip(gradients, self.outputs, strict=True)
            ]
        recompute = create_graph and derivative.fallback is not None
        present = tuple([g is not None for g in gradients])
        op = derivative.op(present, recompute)
        count = len(derivative.saved_inputs) if recompute else len(self.values)
        if create_graph:
            results = apply(op, [*(self.saved_tensor(i) for i in range(count)), *arrived])
        else:
            program = op.programs[()]
            arrays = [*self.saved_values(), *arrived]
            if self.on_host is None:
                results = program.run(*arrays)
            else:
                results = program.run_as(self.on_host, arrays)
            if call is not None and len(gradients) == 1 and not modes.special:
                plan = program.plan(arrays)
                if call.plan is not None:
                    call.plan.join(plan.host)
                call.backward = Backward(program, plan, derivative.needs)
        it = iter(results)
        return [next(it) if needed else None for needed in derivative.needs]

    def saved_values(self) -> list[Any]:
        """What was saved, provided that nobody wrote to it since."""
        if self.packed:
            return self._checked_values()
        for watch in self.watched:
            if watch is not None and watch[0].version != watch[1]:
                return self._checked_values()
        return self.values

    def _checked_values(self) -> list[Any]:
        """The saved values, where some were written to, or packed by a hook."""
        values = self.values
        for i, watch in enumerate(self.watched):
            if watch is not None:
                if type(values[i]) is _Packed:
                    return [v.tensor()._array() if type(v) is _Packed else v for v in values]
                if watch[0].counted != watch[1]:
                    self._raise_modified(i)
                if watch[0].version != watch[1]:
                    return [self._present(j) for j in range(len(values))]
        return values

    def _present(self, i: int) -> Any:
        """A saved value as it is now: writes through `Tensor.data` show, uncounted."""
        watch = self.watched[i]
        if watch is None or watch[0].version == watch[1]:
            return self.values[i]
        storage, version, *chain = watch
        if storage.counted != version:
            self._raise_modified(i)
        steps, offsets = chain or ((), ())
        return replay(storage, steps, offsets) if steps else storage.device_array()

    def saved_tensor(self, i: int) -> Any:
        """A saved value as a tensor with its place on the tape."""
        value, watch = self.values[i], self.watched[i]
        if watch is None:
            return value
        if type(value) is _Packed:
            tensor = alias(value.tensor())
        else:
            if watch[0].counted != watch[1]:
                self._raise_modified(i)
            tensor = wrap(self._present(i), self.device)
        edge = self._edge_of_saved(i)
        if edge is not None:
            tensor._node, tensor._index = edge
        return tensor

    def _edge_of_saved(self, i: int) -> Edge | None:
        derivative = self.derivative
        if i < len(derivative.saved_inputs):
            return self.edges[derivative.saved_inputs[i]]
        index = derivative.saved_outputs[i - len(derivative.saved_inputs)]
        real = index < len(self.outputs) and self.outputs[index].dtype.kind in "fcV"
        return Edge(self, index) if real else None

    def _raise_modified(self, i: int) -> None:
        storage, version = self.watched[i][:2]  # type: ignore[index]
        raise RuntimeError(
            modified_message(self.values[i], storage, version, self._edge_of_saved(i))
        )


class _Packed(NamedTuple):
    """A saved tensor as `saved_tensors_hooks` packed it."""

    content: Any
    unpack: Callable[..., Any]

    def tensor(self) -> Tensor:
        return self.unpack(self.content)


def modified_message(value: Any, storage: Any, version: int, source: Edge | None) -> str:
    """The text for a saved tensor that was written to before the backward pass."""
    from .legacy import type_name

    shape = ", ".join(map(str, value.shape))
    origin = ""
    if source is not None and source.node.label != "AccumulateGrad":
        name = source.node.label.removesuffix("Backward0")
        origin = f", which is output {source.index} of {name},"
    hint = (
        "the backtrace further above shows the operation that failed to compute its gradient. The "
        "variable in question was changed in there or anywhere later. Good luck!"
        if modes.anomaly
        else "enable anomaly detection to find the operation that failed to compute its gradient, "
        "with torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{type_name(value.dtype, storage.device)} [{shape}]]{origin} is at version "
        f"{storage.counted}; expected version {version} instead. Hint: {hint}"
    )


def _forward_program(op: Op, program: Program, static: tuple[Any, ...]) -> Program:
    forward = program.derivatives.get("forward")
    if forward is None:
        assert op.forward is not None
        forward = Program(op.forward, dict(zip(op.programs.names, static, strict=True)))
        program.derivatives["forward"] = forward
    return forward


NUMBER = ()  # in `needs`: a Python number, which needs no gradient


class _OutOfReach:
    """Stands for the storage of residuals, which no tensor shows and nobody can write to."""

    counted = version = 0


OUT_OF_REACH = _OutOfReach()


def record(
    op: Op,
    program: Program,
    static: tuple[Any, ...],
    inputs: Sequence[Any],
    arrays: Sequence[Any],
    results: tuple[Tensor, ...],
    residuals: tuple[Any, ...],
    label: str,
) -> None:
    """Make the node of one run of an op and hang it on the results."""
    edges = [edge_of(x) if isinstance(x, Tensor) else None for x in inputs]
    # With an absent input, or a number for a tensor, the derivative is another one.
    needs = tuple(
        [
            e is not None if isinstance(x, Tensor) else None if x is None else NUMBER
            for x, e in zip(inputs, edges, strict=True)
        ]
    )
    outputs = [r._storage.array for r in results]
    derivative = derivative_of(
        op, program, static, needs, arrays, [*outputs, *residuals], len(outputs)
    )
    values: list[Any] = []
    watched: list[tuple[Any, ...] | None] = []
    for i in derivative.saved_inputs:
        x = inputs[i]
        values.append(arrays[i])
        watched.append(_watch(x) if isinstance(x, Tensor) else None)
    for j in derivative.saved_outputs:
        if j < len(outputs):
            values.append(outputs[j])
            watched.append((results[j]._storage, 0))
        else:
            values.append(residuals[j - len(outputs)])
            watched.append((OUT_OF_REACH, 0))
    node = named(OpNode, label)(
        label, edges, outputs_info(outputs), results[0].device, derivative, values, watched
    )
    node.on_host = type(outputs[0]) is np.ndarray
    for index, result in enumerate(results):
        if outputs[index].dtype.kind in "fcV":
            result._node = node
            result._index = index


def _watch(x: Tensor) -> tuple[Any, ...]:
    """Where a saved value was read from, and the version that it had (see `OpNode.watched`)."""
    if x._inference and not modes.inference:
        raise RuntimeError(INFERENCE_SAVED)
    storage = x._storage
    if x._own_version is not None:
        return (x._own_version, x._own_version.counted)
    if x._steps:
        return (storage, storage.counted, x._steps, x._offsets)
    return (storage, storage.counted)


def outputs_info(outputs: list[Any]) -> list[Any]:
    """Shape and type of arrays, without keeping the arrays."""
    return [a.aval if isinstance(a, jax.Array) else Described(a.shape, a.dtype) for a in outputs]


__all__ = ["Op", "OpNode", "apply", "record"]
