"""Ops: a kernel applied to tensors, recorded on the tape; views; and writing in place.

`apply` is the path that every tensor function takes: find the program, run it, and, where a
gradient is needed, record a node. The derivative of a program is made once and kept: its kernel is
the op's own formula (`vjp`) or `jax.vjp` of the kernel, recomputing what it needs from the inputs
inside one compiled program. Inputs that the derivative does not read are not kept alive
(Note [What a node saves]).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.interpreters import partial_eval

from ..errors import (
    FREED_GRAPH,
    LEAF_IN_PLACE,
    OVERLAPPING_WRITE,
    VIEW_OF_LEAF_IN_PLACE,
)
from ..kernels import views as view_kernels
from .execute import Program, ProgramCache
from .state import modes
from .tape import Edge, Node, OutputInfo, current_node, edge_of
from .tensor import Tensor, wrap
from .views import is_contiguous, may_overlap, propagated_strides, step_dtype, step_shape

# Note [What a node saves]
# Tracing the derivative and removing dead code tells which inputs and outputs it reads. Only those
# are saved; of the others shape and type are enough. This is also what decides whether a write in
# place makes the backward pass raise, so it is checked against PyTorch's saved tensors by a test.


class Described(NamedTuple):
    """Shape and type of an input that is not saved."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Op:
    """An operation: a kernel, how it is named on the tape, and how it is differentiated.

    Args:
        kernel: pure function of arrays; keyword-only parameters are static.
        name: PyTorch's name of the tape's node without `Backward0`; from the kernel's by default.
        vjp: `vjp(cts, inputs, outputs, needs, **static)` gives a gradient for every input; the
            default is JAX's derivative of the kernel.
        forward: `forward(*arrays, **static) -> (outputs, residuals)`, run in place of the kernel
            when a gradient is needed; `vjp` then gets `outputs + residuals` as its `outputs`.
        differentiable: False for comparisons and the like.
        pointwise: the result takes the memory order of the operands, as elementwise functions do.
    """

    __slots__ = ("differentiable", "forward", "kernel", "label", "pointwise", "programs", "vjp")

    def __init__(
        self,
        kernel: Callable[..., Any],
        *,
        name: str | None = None,
        vjp: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        differentiable: bool = True,
        pointwise: bool = False,
    ):
        names = [
            p.name
            for p in inspect.signature(kernel).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        ]
        self.kernel = kernel
        self.label = (name or _camel_case(kernel.__name__)) + "Backward0"
        self.vjp = vjp
        self.forward = forward
        self.differentiable = differentiable
        self.pointwise = pointwise
        self.programs = ProgramCache(kernel, tuple(names))


def _camel_case(name: str) -> str:
    return re.sub(r"(?:^|_)([a-z0-9])", lambda m: m.group(1).upper(), name.strip("_"))


def apply(
    op: Op, inputs: Sequence[Any], static: tuple[Any, ...] = (), label: str | None = None
) -> Any:
    """Run `op` on `inputs` (tensors, Python numbers, None) and record it where a gradient is needed.

    Args:
        static: the kernel's keyword-only arguments, in their order.
        label: the node's name where it differs from the op's.

    Returns:
        A Tensor, or a tuple of them where the kernel returns a tuple.
    """
    program = op.programs[static]
    device = None
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
            if x._node is not None or x._requires_grad or (x._base is not None and x.requires_grad):
                needs_grad = True
        else:
            arrays.append(x)
    recording = needs_grad and modes.grad and op.differentiable
    residuals: tuple[Any, ...] = ()
    try:
        if device is not None and device.type == "meta":
            out = program.abstract(*arrays)
            recording = recording and op.forward is None
        elif recording and op.forward is not None:
            out, residuals = _forward_program(op, program, static).run(*arrays)
            out = out if len(out) > 1 else out[0]
        else:
            out = program.run(*arrays)
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
        raise error.with_traceback(None) from None
    several = isinstance(out, (tuple, list))
    if device is None:
        device = _default_device()
    if several:
        results = tuple([wrap(a, device) for a in out])
    else:
        strides = _result_strides(inputs, out.shape) if unusual and op.pointwise else None
        results = (wrap(out, device, strides),)
    if recording:
        record(op, program, static, inputs, arrays, results, residuals, label or op.label)
    return results if several else results[0]


def _default_device() -> Any:
    from .device import default_device

    return default_device()


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


# Derivatives


class Derivative:
    """The derivative of one program with respect to one choice of inputs.

    Attributes:
        saved_inputs, saved_outputs: positions of what it reads.
        described_inputs: positions of the arrays of which shape and type are enough.
    """

    __slots__ = (
        "described_inputs",
        "fallback",
        "formula",
        "label",
        "needs",
        "ops",
        "saved_inputs",
        "saved_outputs",
    )

    def __init__(
        self,
        op: Op,
        program: Program,
        static: tuple[Any, ...],
        needs: tuple[bool, ...],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        visible: int,
    ):
        names = op.programs.names
        self.needs = needs
        self.label = op.label
        self.fallback: Callable[..., Any] | None = None
        automatic = _automatic(program.call)
        if op.vjp is None:
            self.formula = automatic
        else:
            own, bound = op.vjp, dict(zip(names, static, strict=True))

            def formula(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
                return own(cts, inputs, outputs, needs, **bound)

            self.formula = formula
            if op.forward is not None:
                self.fallback = automatic
        used_inputs, used_outputs = self._reads(self.formula, inputs, outputs, visible)
        if self.fallback is not None:
            used_inputs |= self._reads(self.fallback, inputs, outputs[:visible], visible)[0]
        self.saved_inputs = tuple(
            i
            for i, x in enumerate(inputs)
            if x is not None and (i in used_inputs or not hasattr(x, "shape"))
        )
        self.described_inputs = tuple(
            i for i, x in enumerate(inputs) if x is not None and i not in self.saved_inputs
        )
        self.saved_outputs = tuple(sorted(used_outputs))
        self.ops: dict[Any, Op] = {}

    def _reads(
        self,
        formula: Callable[..., Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        visible: int,
    ) -> tuple[set[int], set[int]]:
        """Positions of the inputs and outputs that the formula's result depends on."""
        ins = [i for i, x in enumerate(inputs) if x is not None]
        outs = list(range(len(outputs)))

        def flat(*args: Any) -> Any:
            given: list[Any] = [None] * len(inputs)
            for i, a in zip(ins, args, strict=False):
                given[i] = a
            made = args[len(ins) : len(ins) + len(outs)]
            cts = args[len(ins) + len(outs) :]
            return _wanted(formula(tuple(cts), tuple(given), tuple(made), self.needs), self.needs)

        shapes = [_abstract(inputs[i]) for i in ins] + [_abstract(x) for x in outputs]
        shapes += [_abstract(x) for x in outputs[:visible]]
        jaxpr = jax.make_jaxpr(flat)(*shapes).jaxpr
        _, used = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
        made = {j for j in outs if used[len(ins) + j]}
        return {i for at, i in enumerate(ins) if used[at]}, made

    def op(self, described: tuple[Any, ...], cts: tuple[bool, ...], recompute: bool = False) -> Op:
        """The derivative as an operation over (saved inputs, saved outputs, gradients).

        Args:
            described: shape and type of each input that is not saved.
            cts: which outputs have a gradient.
            recompute: use JAX's derivative of the kernel (for derivatives of higher order).
        """
        key = (described, cts, recompute)
        op = self.ops.get(key)
        if op is None:
            if len(self.ops) > 512:
                self.ops.clear()
            op = self.ops[key] = Op(self._kernel(described, cts, recompute), name=self.label)
        return op

    def _kernel(self, described: tuple[Any, ...], cts: tuple[bool, ...], recompute: bool) -> Any:
        saved_inputs = self.saved_inputs
        saved_outputs = () if recompute else self.saved_outputs
        formula = self.fallback if recompute and self.fallback is not None else self.formula
        needs = self.needs
        positions = self.described_inputs
        n_in, n_out = len(saved_inputs), len(saved_outputs)

        def backward(*args: Any) -> Any:
            outputs = _Outputs(dict(zip(saved_outputs, args[n_in : n_in + n_out], strict=True)))
            arrived = iter(args[n_in + n_out :])
            gradients = tuple(next(arrived) if present else None for present in cts)

            def with_unread(*unread: Any) -> Any:
                inputs: list[Any] = [None] * len(needs)
                for i, x in (*zip(saved_inputs, args, strict=False), *zip(positions, unread)):
                    inputs[i] = x
                return _wanted(formula(gradients, tuple(inputs), outputs, needs), needs)

            placeholders = [lax.full(d.shape, 0, d.dtype) for d in described]
            if placeholders:
                _check_unread(with_unread, placeholders)
            return with_unread(*placeholders)

        return backward


def _check_unread(function: Callable[..., Any], placeholders: list[Any]) -> None:
    """Make sure that the derivative, at these shapes too, reads only what was saved."""
    jaxpr = jax.make_jaxpr(function)(*placeholders).jaxpr
    _, used = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    if any(used):
        raise AssertionError("a derivative reads an input that was not saved")


class _Outputs:
    """The saved outputs by position; asking for another one is a bug in the formula."""

    def __init__(self, saved: dict[int, Any]):
        self.saved = saved

    def __getitem__(self, index: Any) -> Any:
        return self.saved[index]

    def __iter__(self) -> Any:
        return (self.saved.get(i) for i in range(max(self.saved, default=-1) + 1))


def _wanted(gradients: Sequence[Any], needs: Sequence[bool]) -> tuple[Any, ...]:
    return tuple(g for g, needed in zip(gradients, needs, strict=True) if needed)


def _abstract(x: Any) -> Any:
    return x if not hasattr(x, "shape") else jax.ShapeDtypeStruct(x.shape, x.dtype)


def _automatic(call: Callable[..., Any]) -> Callable[..., Any]:
    """JAX's derivative of a kernel, in PyTorch's convention for complex numbers.

    JAX multiplies by the derivative, PyTorch by its conjugate, hence the conjugations.
    """

    def formula(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
        wanted = [i for i, needed in enumerate(needs) if needed]

        def partial_call(*chosen: Any) -> Any:
            full = list(inputs)
            for i, x in zip(wanted, chosen, strict=True):
                full[i] = x
            return call(*full)

        out, pull = jax.vjp(partial_call, *(inputs[i] for i in wanted))
        several = isinstance(out, (tuple, list))
        parts = list(out) if several else [out]
        given = [_cotangent(o, c) for o, c in zip(parts, cts, strict=False)]
        grads = pull(type(out)(given) if several else given[0])
        result: list[Any] = [None] * len(needs)
        for i, g in zip(wanted, grads, strict=True):
            result[i] = lax.conj(g) if _is_complex(g) else g
        return tuple(result)

    return formula


def _cotangent(output: Any, gradient: Any) -> Any:
    if not jax.numpy.issubdtype(output.dtype, np.inexact):
        return np.zeros(output.shape, jax.dtypes.float0)
    if gradient is None:
        return lax.full_like(output, 0)
    return lax.conj(gradient) if _is_complex(gradient) else gradient


def _is_complex(x: Any) -> bool:
    return x.dtype.kind == "c"


# Recording


class OpNode(Node):
    """The node of an op: what its derivative reads, and the derivative."""

    __slots__ = ("derivative", "described", "freed", "saved")

    def __init__(self, label: str, edges: Any, outputs: Any, derivative: Derivative):
        super().__init__(label, edges, outputs)
        self.derivative = derivative
        self.described: tuple[Any, ...] = ()
        self.saved: list[Saved] = []
        self.freed = False

    def release(self) -> None:
        if any(s.storage is not None for s in self.saved):
            self.freed = True
            self.saved = []

    def rebind(self, old: Any, new: Any) -> None:
        """An output was written into another storage (an in-place op): watch that one."""
        for saved in self.saved:
            if saved.storage is old:
                saved.storage, saved.version = new, new.version

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        if self.freed:
            raise RuntimeError(FREED_GRAPH)
        arrived = [g for g in gradients if g is not None]
        edges = self.edges
        if not arrived:
            return [None] * len(edges)
        derivative = self.derivative
        recompute = create_graph and derivative.fallback is not None
        present = tuple(g is not None for g in gradients)
        op = derivative.op(self.described, present, recompute)
        saved = self.saved
        if recompute:
            saved = saved[: len(derivative.saved_inputs)]
        if create_graph:
            values = [s.tensor(self) for s in saved]
            results = apply(op, [*values, *arrived])
        else:
            results = op.programs[()].run(*(s.array(self) for s in saved), *arrived)
        it = iter(results)
        return [next(it) if needed else None for needed in derivative.needs]


class Saved:
    """A value that a node keeps for its derivative, and the version at which it was read."""

    __slots__ = ("edge", "index", "packed", "storage", "unpack", "value", "version")

    def __init__(self, value: Any, storage: Any, edge: Edge | None, index: int = -1):
        self.value = value
        self.storage = storage
        self.version = storage.version if storage is not None else 0
        self.edge = edge
        self.index = index
        self.unpack = None
        if storage is not None and modes.saved_hooks:
            pack, self.unpack = modes.saved_hooks[-1]
            self.packed = pack(wrap(value, storage.device))
            self.value = None

    def array(self, node: Node) -> Any:
        """The value, if nobody wrote to its tensor since."""
        storage = self.storage
        if storage is not None and storage.version != self.version and self.unpack is None:
            self._raise_modified(node)
        if self.unpack is not None:
            return self.unpack(self.packed)._array()
        return self.value

    def tensor(self, node: Node) -> Any:
        """The value as a tensor with its place on the tape."""
        value = self.array(node)
        if self.storage is None:
            return value
        tensor = wrap(value, self.storage.device)
        edge = self.edge if self.index < 0 else Edge(node, self.index)
        if edge is not None:
            tensor._node, tensor._index = edge
        return tensor

    def _raise_modified(self, node: Node) -> None:
        from .legacy import type_name

        value = self.value
        shape = ", ".join(map(str, value.shape))
        source = self.edge if self.index < 0 else Edge(node, self.index)
        origin = ""
        if source is not None and type(source.node).__name__ != "AccumulateGrad":
            origin = f", which is output {source.index} of {source.node.label},"
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: [{type_name(value.dtype, self.storage.device)} [{shape}]]{origin} is at "
            f"version {self.storage.version}; expected version {self.version} instead. Hint: "
            + (
                "the backtrace further above shows the operation that failed to compute its "
                "gradient. The variable in question was changed in there or anywhere later. Good "
                "luck!"
                if modes.anomaly
                else "enable anomaly detection to find the operation that failed to compute its "
                "gradient, with torch.autograd.set_detect_anomaly(True)."
            )
        )


def _forward_program(op: Op, program: Program, static: tuple[Any, ...]) -> Program:
    forward = program.derivatives.get("forward")
    if forward is None:
        assert op.forward is not None
        forward = Program(op.forward, dict(zip(op.programs.names, static, strict=True)))
        program.derivatives["forward"] = forward
    return forward


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
    edges = tuple([edge_of(x) if isinstance(x, Tensor) else None for x in inputs])
    needs = tuple([e is not None for e in edges])
    outputs = [r._storage.array for r in results]
    derivative = program.derivatives.get(needs)
    if derivative is None:
        derivative = Derivative(
            op, program, static, needs, arrays, [*outputs, *residuals], len(outputs)
        )
        program.derivatives[needs] = derivative
    infos = tuple(
        [
            OutputInfo(a.shape, a.dtype, r._storage.device)
            for a, r in zip(outputs, results, strict=True)
        ]
    )
    node = OpNode(label, edges, infos, derivative)
    saved = node.saved
    for i in derivative.saved_inputs:
        x = inputs[i]
        if isinstance(x, Tensor):
            if x._inference and not modes.inference:
                raise RuntimeError(
                    "Inference tensors cannot be saved for backward. Please do not use Tensors "
                    "created in inference mode in computation tracked by autograd. To work around "
                    "this, you can make a clone to get a normal tensor and use it in autograd, or "
                    "use `torch.no_grad()` instead of `torch.inference_mode()`."
                )
            saved.append(Saved(arrays[i], x._storage, edges[i]))
        else:
            saved.append(Saved(arrays[i], None, None))
    for j in derivative.saved_outputs:
        if j < len(outputs):
            saved.append(Saved(outputs[j], results[j]._storage, None, j))
        else:
            saved.append(Saved(residuals[j - len(outputs)], None, None))
    if derivative.described_inputs:
        node.described = tuple(
            [Described(arrays[i].shape, arrays[i].dtype) for i in derivative.described_inputs]
        )
    for index, result in enumerate(results):
        if infos[index].dtype.kind in "fcV":
            result._node = node
            result._index = index


# Views


VIEW = Op(view_kernels.replay, name="View")
PUT = Op(view_kernels.put, name="CopySlices")
STACK = Op(view_kernels.stack, name="Stack")
LONG_CHAIN = 6


def view(
    x: Tensor,
    label: str,
    steps: tuple[tuple[Any, ...], ...],
    offsets: tuple[int, ...] = (),
    creation: str | None = None,
) -> Tensor:
    """A tensor on the same storage that sees it through further `steps`.

    Args:
        label: the name of its node on the tape.
        offsets: a start for each of the steps that take one.
        creation: "multi" where it is one of several views that one function returned.
    """
    result = object.__new__(Tensor)
    storage = result._storage = x._storage
    shape, dtype = x._dims(), x._view_dtype or storage.array.dtype
    old = dtype
    for step in steps:
        shape = step_shape(shape, step, dtype.itemsize)
        dtype = step_dtype(dtype, step)
    result._view_shape = shape
    if dtype is not old or x._view_dtype is not None:
        result._view_dtype = dtype
    result._steps = x._steps + steps
    result._offsets = x._offsets + offsets
    base = x if x._base is None else x._base
    result._base = base
    result._base_steps = x._base_steps + steps
    result._base_offsets = x._base_offsets + offsets
    result._base_writes = base._writes
    if x._inference:
        result._inference = True
    if len(result._steps) > LONG_CHAIN:
        _shorten(result, base)
    if modes.grad:
        edge = edge_of(x)
        if creation is not None:
            result._creation = creation
        elif x._creation is not None:
            result._creation = x._creation
        if edge is not None:
            record_view(result, x, edge, label, steps, offsets)
    else:
        result._creation = creation or "no_grad"
    return result


def _shorten(result: Tensor, base: Tensor) -> None:
    """Replace a long chain of steps by an equal short one."""
    if result._view_dtype is not None or result._storage.strides is not None:
        return
    strides, offset = result._strides_offset()
    shape = result._dims()
    size = int(np.prod(result._storage.array.shape))
    if is_contiguous(shape, strides):
        length = int(np.prod(shape))
        steps = (("reshape", (size,)), ("slice", 0, length, 1), ("reshape", shape))
    else:
        steps = (("as_strided", shape, strides),)
    same = not base._steps
    result._steps, result._offsets = steps, (offset,)
    if same:
        result._base_steps, result._base_offsets = steps, (offset,)


def record_view(
    result: Tensor,
    x: Tensor,
    edge: Edge,
    label: str,
    steps: tuple[tuple[Any, ...], ...],
    offsets: tuple[int, ...],
) -> None:
    """Hang the node of a view of `x` (whose gradient goes to `edge`) on `result`."""
    program = VIEW.programs[(steps,)]
    needs = (True,) + (False,) * len(offsets)
    info = OutputInfo(result._dims(), result._dtype_numpy(), result._storage.device)
    described = Described(x._dims(), x._dtype_numpy())
    derivative = program.derivatives.get(needs)
    if derivative is None:
        derivative = Derivative(VIEW, program, (steps,), needs, (described, *offsets), [info], 1)
        program.derivatives[needs] = derivative
    node = OpNode(label, (edge,) + (None,) * len(offsets), (info,), derivative)
    node.described = (described,)
    node.saved = [Saved(o, None, None) for o in offsets]
    result._node = node
    result._index = 0


# Writing in place


def check_writable(x: Tensor, others: Sequence[Any] = ()) -> None:
    """Raise where PyTorch refuses a write in place, before anything is computed."""
    if x._inference and not modes.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make "
            "a clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if modes.grad:
        own = x.requires_grad
        if own or any(isinstance(o, Tensor) and o.requires_grad for o in others):
            _check_tape(x, own)
    if x._steps and may_overlap(x._dims(), x._strides_offset()[0]):
        raise RuntimeError(OVERLAPPING_WRITE)


def _check_tape(x: Tensor, requires_grad: bool) -> None:
    base = x._base
    if base is not None and x._creation is not None:
        node = current_node(x)
        name = node.label if node is not None else "None"
        prefix = f"Output {x._index} of {name} is a view and is being modified inplace. "
        if node is None:
            prefix = "A view was created in no_grad mode and is being modified inplace with grad mode enabled. "
        if x._creation == "multi":
            raise RuntimeError(
                prefix + "This view is the output of a function that returns multiple views. Such "
                "functions do not allow the output views to be modified inplace. You should "
                "replace the inplace operation by an out-of-place one."
            )
        if x._creation == "no_grad":
            raise RuntimeError(
                "A view was created in no_grad mode and is being modified inplace with grad mode "
                "enabled. Given that this use case is ambiguous and error-prone, it is forbidden. "
                "You can clarify your code by moving both the view and the inplace either both "
                "inside the no_grad block (if you don't want the inplace to be tracked) or both "
                "outside (if you want the inplace to be tracked)."
            )
    if requires_grad and current_node(x) is None:
        raise RuntimeError(LEAF_IN_PLACE)
    if base is not None and base.requires_grad and current_node(base) is None:
        raise RuntimeError(VIEW_OF_LEAF_IN_PLACE)


def overwrite(x: Tensor, value: Tensor) -> Tensor:
    """Store `value`, of `x`'s shape and type, into `x`; gradients follow. Returns `x`."""
    array = value._array()
    storage = x._storage
    if not x._steps:
        storage.write(array)
    else:
        steps, offsets = _write_steps(x)
        if storage.device.type == "meta":
            storage.write(storage.array)
        else:
            whole = PUT.programs[(steps,)].run(storage.device_array(), array, *offsets)
            storage.write(whole)
    node = value._node
    if isinstance(node, OpNode):
        node.rebind(value._storage, storage)
    if modes.grad:
        _rebase(x, value)
    return x


def _write_steps(x: Tensor) -> tuple[tuple[tuple[Any, ...], ...], tuple[int, ...]]:
    """The chain to write through; as a strided scatter where a step has no simple inverse."""
    if not any(s[0] in ("expand", "unfold") for s in x._steps):
        return x._steps, x._offsets
    storage = x._storage
    lead = ()
    if storage.strides is not None:
        order = sorted(range(len(storage.strides)), key=lambda i: -storage.strides[i])
        lead = (("permute", tuple(order)),)
    strides, offset = x._strides_offset()
    return (*lead, ("as_strided", x._dims(), strides)), (offset,)


def _rebase(x: Tensor, value: Tensor) -> None:
    """After a write: the family's base, and so all of its views, depend on `value`."""
    base = x._base
    edge = edge_of(value)
    if base is None:
        if edge is not None:
            x._node, x._index = edge
            x._requires_grad = False
        x._writes += 1
        return
    old = edge_of(base)
    if edge is not None or old is not None:
        _record_put(x, base, old, edge)
    base._writes += 1


def _record_put(x: Tensor, base: Tensor, old: Edge | None, edge: Edge | None) -> None:
    steps, offsets = x._base_steps, x._base_offsets
    if any(s[0] in ("expand", "unfold") for s in steps):
        steps, offsets = _write_steps(x)
    program = PUT.programs[(steps,)]
    needs = (old is not None, edge is not None) + (False,) * len(offsets)
    whole = Described(base._dims(), base._dtype_numpy())
    part = Described(x._dims(), x._dtype_numpy())
    info = OutputInfo(whole.shape, whole.dtype, base._storage.device)
    derivative = program.derivatives.get(needs)
    if derivative is None:
        derivative = Derivative(PUT, program, (steps,), needs, (whole, part, *offsets), [info], 1)
        program.derivatives[needs] = derivative
    node = OpNode("CopySlices", (old, edge) + (None,) * len(offsets), (info,), derivative)
    node.described = (whole, part)
    node.saved = [Saved(o, None, None) for o in offsets]
    base._node, base._index = node, 0
    base._requires_grad = False


__all__ = ["Op", "apply", "check_writable", "overwrite", "view"]
