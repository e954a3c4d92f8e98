"""Views and writes in place: tensors that share a storage, and what a write does to the tape.

# Note [Families]
# A tensor and its differentiable views are a family; its first member is the base. A write to any
# member changes them all: the base gets a node (`CopySlices`) that takes the old base and the value
# written, and the views, whose nodes are out of date now (`_made_at` is not the storage's version),
# make new ones from the base when they are next asked. `detach()` starts a new family on the same
# storage; a write to it makes the views of the old one ask their base again, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import (
    LEAF_IN_PLACE,
    OVERLAPPING_WRITE,
    PARTIAL_OVERLAP,
    VIEW_OF_LEAF_IN_PLACE,
)
from ..kernels import views as view_kernels
from .calls import Call, remember
from .derivative import derivative_of
from .execute import Op
from .layout import (
    expanded_strides,
    host_replay,
    is_contiguous,
    is_dense,
    may_overlap,
    step_dtype,
    step_shape,
)
from .op import OpNode, known_node
from .state import modes
from .tape import Described, Edge, current_node, edge_of, move_retained, named
from .tensor import CPU, Tensor, wrap

VIEW = Op(view_kernels.replay, name="View")
PUT = Op(view_kernels.put, name="CopySlices")
STACK = Op(view_kernels.stack, name="Stack")
PIECES = Op(view_kernels.pieces, vjp=view_kernels.pieces_vjp)
LONG_CHAIN = 6


def view(
    x: Tensor, label: str, steps: tuple[tuple[Any, ...], ...], offsets: tuple[int, ...] = ()
) -> Tensor:
    """A tensor on the same storage that sees it through further `steps`.

    Args:
        label: the name of its node on the tape.
        offsets: a start for each of the steps that take one.
    """
    result = _unrecorded(x, steps, offsets)
    if modes.grad and not modes.inference:
        edge = edge_of(x)
        if edge is not None or (x._base is not None and x.requires_grad):
            record_view(result, x, edge, label, steps, offsets)
    return result


def view_pieces(x: Tensor, label: str, axis: int, sizes: Sequence[int], keep: bool) -> list[Tensor]:
    """Consecutive pieces of `x` along `axis`, as views, with one node for all of them.

    Args:
        sizes: the pieces' lengths.
        keep: keep the axis; if not, all sizes are 1 and the axis goes away.
    """
    pieces, start = [], 0
    for size in sizes:
        step = ("slice", axis, size, 1) if keep else ("select", axis)
        piece = _unrecorded(x, (step,), (start,))
        if modes.grad:
            piece._creation = "multi"
        pieces.append(piece)
        start += size
    recording = modes.grad and not modes.inference and bool(pieces)
    edge = edge_of(x) if recording else None
    if not recording or not (edge or (x._base is not None and x.requires_grad)):
        return pieces
    static = (axis, tuple(sizes), keep)
    program = PIECES.programs[static]
    whole = Described(x._dims(), x._dtype_numpy())
    infos = [Described(p._dims(), p._dtype_numpy()) for p in pieces]
    derivative = derivative_of(PIECES, program, static, (True,), (whole,), infos, len(infos))
    node = named(OpNode, label)(label, (edge,), infos, x._storage.device, derivative, [], ())
    for index, piece in enumerate(pieces):
        piece._node, piece._index = node, index
    return pieces


def _unrecorded(x: Tensor, steps: tuple[tuple[Any, ...], ...], offsets: tuple[int, ...]) -> Tensor:
    """A view without its node."""
    result = object.__new__(x._result_class or Tensor)
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
    if x._inference:
        result._inference = True
    if x._cut:
        result._cut = True
    if x._own_version is not None:
        result._own_version = x._own_version
    if dtype is not old and not (dtype.kind in "fcV" and old.kind in "fcV"):
        return result  # gradients do not see it as a view
    base = x if x._base is None else x._base
    result._base = base
    result._base_steps = x._base_steps + steps
    result._base_offsets = x._base_offsets + offsets
    result._made_at = result._count()
    if not modes.grad:
        result._creation = "no_grad"
    elif x._creation is not None:
        result._creation = x._creation
    if len(result._steps) > LONG_CHAIN:
        _shorten(result, base)
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
    edge: Edge | None,
    label: str,
    steps: tuple[tuple[Any, ...], ...],
    offsets: tuple[int, ...],
) -> None:
    """Hang the node of a view of `x` (whose gradient goes to `edge`) on `result`."""
    key = (label, steps, x._dims(), x._dtype_numpy())
    known = VIEW.calls.get(key)
    plain = not modes.special and result._storage.device is CPU
    if known is not None and plain and not result._retains_grad:
        none = [None] * len(offsets)
        result._node = known_node(known, [edge, *none], list(offsets))
        result._index = 0
        return
    program = VIEW.programs[(steps,)]
    needs = (True,) + (False,) * len(offsets)
    info = Described(result._dims(), result._dtype_numpy())
    described = Described(x._dims(), x._dtype_numpy())
    derivative = derivative_of(VIEW, program, (steps,), needs, (described, *offsets), [info], 1)
    node = named(OpNode, label)(
        label,
        (edge,) + (None,) * len(offsets),
        (info,),
        result._storage.device,
        derivative,
        list(offsets),
        (None,) * len(offsets),
    )
    if plain:
        call = Call(program, None, False, False, None, [info], derivative, type(node))
        remember(VIEW.calls, key, call)
        node.call = call
    move_retained(result, Edge(node, 0))
    result._node = node
    result._index = 0


# Writing in place


def check_writable(
    x: Tensor, others: Sequence[Any] = (), shared: bool = False, spread: bool = False
) -> None:
    """Raise where PyTorch refuses a write in place, before anything is computed.

    Args:
        others: what else the op reads.
        shared: several elements of `x` may lie in one place of memory (an expanded tensor).
        spread: the others are expanded to the shape of `x` first, as `x[...] = y` does.
    """
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
    if x._steps and not shared and may_overlap(x._dims(), x._strides_offset()[0]):
        raise RuntimeError(OVERLAPPING_WRITE)
    storage = x._storage
    for other in others:
        if other is x or not isinstance(other, Tensor) or other._storage is not storage:
            continue
        check_overlap(x, other, spread=spread)


def check_overlap(
    written: Tensor, read: Tensor, same_allowed: bool = True, spread: bool = False
) -> None:
    """Raise where two views of one storage share some of their elements, but are not the same.

    Args:
        same_allowed: whether they may be the same elements.
        spread: `read` is expanded to the shape of `written` first.
    """
    strides, start = written._strides_offset()
    other_strides, other_start = read._strides_offset()
    shape, other_shape = written._dims(), read._dims()
    if spread and shape != other_shape:
        if len(other_shape) > len(shape):
            return
        other_strides = expanded_strides(other_shape, other_strides, shape)
        other_shape = shape
    if not (is_dense(shape, strides) and is_dense(other_shape, other_strides)):
        return
    end, other_end = start + written.numel(), other_start + read.numel()
    if (start, end) == (other_start, other_end):
        partial = strides != other_strides or not same_allowed
    else:
        partial = start < other_end and other_start < end
    if partial:
        raise RuntimeError(PARTIAL_OVERLAP)


def _check_tape(x: Tensor, requires_grad: bool) -> None:
    base = x._base
    if base is not None and x._creation is not None:
        raise RuntimeError(_refusal(x, x._node, "and is being modified inplace"))
    if requires_grad and base is not None and current_node(base) is None:
        raise RuntimeError(VIEW_OF_LEAF_IN_PLACE)
    if requires_grad and x._node is None:  # nor has a stale view been asked for its node yet
        raise RuntimeError(LEAF_IN_PLACE)


def refuse_stale(x: Tensor) -> None:
    """A view that was made in a special way is used after its memory was written."""
    how = "and its base or another view of its base has been modified inplace"
    raise RuntimeError(_refusal(x, x._node, how))


def _refusal(x: Tensor, node: Any, how: str) -> str:
    """Why a view that was made in a special way may not be written to."""
    several = x._creation == "multi"
    if node is None:
        text = f"A view was created in no_grad mode {how}"
    else:
        label = node.label.removesuffix("Backward0")
        made = "" if several else "of a view which was created in no_grad mode "
        text = f"Output {x._index} of {label} is a view {made}{how}"
    if several:
        return text + (
            ". This view is the output of a function that returns multiple views. Such functions "
            "do not allow the output views to be modified inplace. You should replace the inplace "
            "operation by an out-of-place one."
        )
    return text + (
        " with grad mode enabled. Given that this use case is ambiguous and error-prone, it is "
        "forbidden. You can clarify your code by moving both the view and the inplace either both "
        "inside the no_grad block (if you don't want the inplace to be tracked) or both outside "
        "(if you want the inplace to be tracked)."
    )


def before_write(x: Tensor) -> Tensor:
    """`x` as the op that is about to overwrite it reads it: the old value, with its history.

    What that op saves of its first argument is a value of its own, which the write cannot spoil;
    the same tensor passed as another argument is watched as any other.
    """
    if not modes.grad:
        return x
    array = x._array()
    result = wrap(array.copy() if x._storage.external else array, x._storage.device)
    edge = edge_of(x)
    if edge is not None:
        result._node, result._index = edge
    return result


def overwrite(x: Tensor, value: Tensor) -> Tensor:
    """Store `value`, of `x`'s shape and type, into `x`; gradients follow. Returns `x`."""
    if modes.levels:
        from .levels import admit_write, with_history_of

        array, before = admit_write(x, value), x._storage.array
    else:
        array = value._array()
    storage = x._storage
    counted = x._own_version is None
    if x._own_version is not None:
        x._own_version.counted += 1
    if not x._steps:
        storage.write(array, counted)
    else:
        steps, offsets = _write_steps(x)
        part = host_replay(storage.array, steps, offsets) if storage.external else None
        if storage.device.type == "meta":
            storage.write(storage.array, counted)
        elif part is not None and np.may_share_memory(part, storage.array):
            storage.write_part(part, array, counted)
        else:
            whole = PUT.programs[(steps,)].run(storage.read(), array, *offsets)
            storage.write(whole, counted)
    if modes.levels and (x._cut or not modes.grad):
        storage.array = with_history_of(before, storage.array, x._cut)
    node = value._node
    if isinstance(node, OpNode):
        node.rebind(value._storage, _place(x))
    if modes.grad:
        rebase(x, value)
    return x


def _place(x: Tensor) -> tuple[Any, ...]:
    """Where the elements of `x` are, and its version (see `OpNode.watched`)."""
    own, storage = x._own_version, x._storage
    if own is not None:
        return own, own.counted
    chain = (x._steps, x._offsets) if x._steps else ()
    return storage, storage.counted, *chain


def _write_steps(x: Tensor) -> tuple[tuple[tuple[Any, ...], ...], tuple[int, ...]]:
    """The chain to write through; as a strided scatter where a step has no simple inverse."""
    if not any(s[0] in ("expand", "unfold") for s in x._steps):
        return x._steps, x._offsets
    storage = x._storage
    lead = ()
    memory_order = storage.strides
    if memory_order is not None:
        order = sorted(range(len(memory_order)), key=lambda i: -memory_order[i])
        lead = (("permute", tuple(order)),)
    strides, offset = x._strides_offset()
    return (*lead, ("as_strided", x._dims(), strides)), (offset,)


def rebase(x: Tensor, value: Tensor) -> None:
    """After a write: the family's base, and so all of its views, depend on `value`."""
    base = x._base
    edge = edge_of(value)
    if base is None:
        if edge is not None:
            move_retained(x, edge)
            x._node, x._index = edge
            x._requires_grad = False
        return
    old = edge_of(base)
    if edge is not None or old is not None:
        _record_put(x, base, old, edge)
        current_node(x)


def steps_from_base(x: Tensor, base: Tensor) -> tuple[tuple[tuple[Any, ...], ...], tuple[int, ...]]:
    """How to read the view `x` out of `base`."""
    if not base._reshaped:
        return x._base_steps, x._base_offsets
    strides, start = base._strides_offset()
    if not is_dense(base._dims(), strides):
        raise NotImplementedError("a view of a tensor that became a sparse view of its own memory")
    order = tuple(sorted(range(len(strides)), key=lambda i: -strides[i]))
    own_strides, own_start = x._strides_offset()
    lead = (("permute", order),) if order != tuple(range(len(order))) else ()
    return (*lead, ("as_strided", x._dims(), own_strides)), (own_start - start,)


class _OverlappingWrite(OpNode):
    """A write to a view whose elements share memory (`fill_` of an expanded tensor). Its gradient
    would have to be taken out of the base's once for each of them: PyTorch refuses."""

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        raise RuntimeError(OVERLAPPING_WRITE)


def _record_put(x: Tensor, base: Tensor, old: Edge | None, edge: Edge | None) -> None:
    steps, offsets = steps_from_base(x, base)
    if any(s[0] in ("expand", "unfold") for s in steps):
        steps, offsets = _write_steps(x)
    program = PUT.programs[(steps,)]
    needs = (old is not None, edge is not None) + (False,) * len(offsets)
    whole = Described(base._dims(), base._dtype_numpy())
    part = Described(x._dims(), x._dtype_numpy())
    inputs = (whole, part, *offsets)
    derivative = derivative_of(PUT, program, (steps,), needs, inputs, [whole], 1)
    overlapping = base._steps and may_overlap(base._dims(), base._strides_offset()[0])
    if old is not None:
        overlapping = overlapping or may_overlap(x._dims(), x._strides_offset()[0])
    node = named(_OverlappingWrite if overlapping else OpNode, "CopySlices")(
        "CopySlices",
        (old, edge) + (None,) * len(offsets),
        (whole,),
        base._storage.device,
        derivative,
        list(offsets),
        (None,) * len(offsets),
    )
    move_retained(base, Edge(node, 0))
    base._node, base._index = node, 0
    base._requires_grad = False


__all__ = [
    "before_write",
    "check_overlap",
    "check_writable",
    "overwrite",
    "rebase",
    "view",
    "view_pieces",
]
