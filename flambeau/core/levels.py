"""Transformations of functions (vmap, grad, jvp) as levels of meaning under a tensor.

# Note [Levels]
# While a function is being transformed, its tensors hold a `Lifted` in their storage in place of an
# array: a tensor of the level below, with what the level adds (an axis of examples, a place on a
# tape of its own, a tangent). An op on lifted tensors is taken apart by the topmost level that is
# among its operands: it says what ops on the tensors below are to be done, and lifts the results.
# Those ops may meet the next level, or be ordinary ones; so transformations nest, every derivative
# is recorded by the one tape there is, with PyTorch's conventions, and values stay concrete.
#
# `modes.levels` is the stack of the levels that are active. Below a level, nothing is recorded
# where grad mode was off when the level was entered.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.core
import numpy as np

from ..config import config
from ..errors import CAPTURED_IN_PLACE, ESCAPED
from .execute import Op, Program
from .state import modes
from .storage import Storage
from .tape import edge_of
from .tensor import Tensor, alias, wrap


class Lifted:
    """What the storage of a lifted tensor holds.

    Attributes:
        level: whose it is.
        tensor: the tensor of the level below.
        shape, dtype: as the function that is transformed sees them.
        tangent: the tensor's derivative, at a level of forward mode.
    """

    __slots__ = ("dtype", "level", "shape", "tangent", "tensor")

    def __init__(
        self, level: Level, tensor: Tensor, shape: tuple[int, ...], tangent: Tensor | None = None
    ):
        self.level = level
        self.tensor = tensor
        self.shape = tuple(shape)
        self.dtype = tensor._dtype_numpy()
        self.tangent = tangent

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """The size in memory of the elements."""
        return self.size * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.level.host(self)
        return values if dtype is None else values.astype(dtype)

    def __repr__(self) -> str:
        return self.level.describe(self)


class Level:
    """A transformation that is under way; `with level:` makes it the topmost one."""

    differentiates = True  # what is done at it may be differentiated
    admits = True  # its values can be written to ordinary tensors that were made inside
    of_function = True  # it transforms a function, which may not call `backward` and the like

    def __init__(self) -> None:
        self.depth = 0  # its place in `modes.levels`, counted from 1; 0 while it is not active
        self.outer_grad = True  # grad mode as it was before
        self.walking = False  # a backward pass is under way, to be recorded below
        self.born: weakref.WeakSet[Storage] = weakref.WeakSet()  # made while it was topmost
        self._before: list[Any] = []

    def __enter__(self) -> Any:
        self._before.append((modes.levels, modes.grad, self.depth, self.outer_grad))
        self.outer_grad = modes.grad
        modes.levels = (*modes.levels, self)
        self.depth = len(modes.levels)
        _watch_births(1)
        return self

    def __exit__(self, *exception: Any) -> None:
        _watch_births(-1)
        modes.levels, modes.grad, self.depth, self.outer_grad = self._before.pop()

    # What the kinds of levels define

    def apply(self, op: Op, inputs: Sequence[Any], static: tuple[Any, ...], label: Any) -> Any:
        """Run an op whose operands are lifted to this level, which is the topmost one."""
        raise NotImplementedError

    def host(self, lifted: Lifted) -> np.ndarray:
        """The values, for reading."""
        return lifted.tensor._host()

    def reading(self, lifted: Lifted) -> np.ndarray | None:
        """The values below, whatever their shape, for checks of each by itself."""
        return known_values(lifted.tensor)

    def describe(self, lifted: Lifted) -> str:
        """How a lifted tensor is printed."""
        text = "\n".join("    " + line for line in repr(lifted.tensor).splitlines())
        return f"{self.title(lifted)}, value=\n{text}\n)"

    def title(self, lifted: Lifted) -> str:
        """The beginning of what is printed."""
        return f"GradTrackingTensor(lvl={self.depth or -2}"

    def spread(self, tensor: Tensor) -> Any:
        """A fresh tensor as one that values of this level can be written to; None: as it is."""
        return None

    def refuse_write(self, value: Tensor) -> None:
        """Raise: a value of this level was to be written to a tensor that is not of it."""
        label = "copy" if value._node is None else value._node.label.partition("Backward")[0]
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", label).lower() + "_"
        raise RuntimeError(
            CAPTURED_IN_PLACE.format(name=name if name == "copy_" else name + ".Tensor")
        )

    # Services

    def seed(self, gradient: Tensor) -> Tensor:
        """A gradient as one of this level, where a walk at it would forget its history below."""
        return gradient

    def lifted(self, value: Any) -> Lifted | None:
        """What a tensor holds at this level; None where it is not lifted to it."""
        array = contents(value) if isinstance(value, Tensor) else value
        return array if type(array) is Lifted and array.level is self else None

    def below(self) -> below:
        """`with level.below():` leaves this level for what it does underneath."""
        return below(self.depth - 1)

    def make(
        self, tensor: Tensor, shape: tuple[int, ...] | None = None, tangent: Any = None
    ) -> Any:
        """A tensor of this level from one of the level below."""
        shape = tensor._dims() if shape is None else shape
        return wrap(Lifted(self, tensor, shape, tangent), tensor.device)

    def lower(self, value: Any) -> Any:
        """The tensor below a tensor of this level; any other value as it is."""
        found = self.lifted(value) if isinstance(value, Tensor) else None
        return value if found is None else found.tensor

    def physical(self, tensor: Tensor) -> Tensor:
        """What a tensor of this level or a lower one is below, with the axis of the examples."""
        return self.lower(tensor)

    def run(self, program: Program, arrays: Sequence[Any]) -> Any:
        """Run a program on bare values."""
        inputs = [wrap(a) if hasattr(a, "shape") else a for a in arrays]
        out = self.apply(op_of(program), inputs, (), None)
        return tuple(map(contents, out)) if isinstance(out, tuple) else contents(out)


class below:
    """`with below(depth):` leaves all levels but the lowest `depth` for a moment."""

    __slots__ = ("before", "depth")

    def __init__(self, depth: int):
        self.depth = depth

    def __enter__(self) -> None:
        levels = modes.levels
        self.before = levels, modes.grad
        if self.depth < len(levels):
            left = levels[self.depth :]
            recording = modes.grad or any(level.walking for level in left)
            modes.grad = recording and all(level.outer_grad for level in left)
            modes.levels = levels[: self.depth]

    def __exit__(self, *exception: Any) -> None:
        modes.levels, modes.grad = self.before


# What the core calls while a level is active


def apply_lifted(op: Op, inputs: Sequence[Any], static: tuple[Any, ...], label: Any) -> Any:
    """`core.op.apply` where levels are active."""
    from .op import apply

    levels = modes.levels
    given = [wrap(x) if type(x) is Lifted else x for x in inputs]
    depth = max((depth_of(x) for x in given if isinstance(x, Tensor)), default=0)
    if depth == len(levels):
        return levels[-1].apply(op, given, static, label)
    with below(depth):
        result = apply(op, given, static, label)
    for t in result if isinstance(result, tuple) else (result,):
        levels[-1].born.add(t._storage)
    return result


def run_lifted(program: Program, arrays: Sequence[Any]) -> Any:
    """`Program.run` where levels are active."""
    levels = modes.levels
    depth = max((_depth(a) for a in arrays if type(a) is Lifted), default=0)
    if depth and depth == len(levels):
        return levels[-1].run(program, arrays)
    with below(depth):
        return program.run(*arrays)


def replay_lifted(program: Program, arrays: Sequence[Any]) -> Any:
    """Read a view; below, that is recorded, since its value is kept for later."""
    previous, modes.grad = modes.grad, True
    try:
        return run_lifted(program, arrays)
    finally:
        modes.grad = previous


def depth_of(x: Tensor) -> int:
    """The topmost level that a tensor is lifted to, counted from 1; 0 for an ordinary tensor."""
    array = x._array()
    return _depth(array) if type(array) is Lifted else 0


def _depth(array: Lifted) -> int:
    level = array.level
    depth = level.depth
    if not 0 < depth <= len(modes.levels) or modes.levels[depth - 1] is not level:
        raise RuntimeError(ESCAPED)
    return depth


def known_values(x: Tensor) -> np.ndarray | None:
    """The values of a tensor for checks of each by itself, under all levels; None: not known."""
    array = x._array()
    if type(array) is Lifted:
        return array.level.reading(array)
    unknown = x.device.type == "meta" or isinstance(array, jax.core.Tracer)
    return None if unknown else np.asarray(array)


def admit_write(x: Tensor, value: Tensor) -> Any:
    """What to store to write `value` to `x`; raises where it is of a level that `x` is not of."""
    whole = array = contents(value)
    held = x._storage.array
    bound = _depth(held) if type(held) is Lifted else 0
    home = max((level.depth for level in modes.levels if x._storage in level.born), default=0)
    while type(array) is Lifted:
        level = array.level
        if _depth(array) <= bound:
            return whole
        if not level.of_function:
            level.born.add(x._storage)
        elif level.depth > home or not level.admits:
            level.refuse_write(value)
        array = array.tensor._array()
    return whole


def with_history_of(old: Any, new: Any, detached: bool) -> Any:
    """New contents of a storage after a write that is not recorded: gradients flow as before.

    Args:
        detached: it was made through a detached tensor; tangents stay, too.
    """
    if type(old) is not Lifted:
        return new
    level = old.level
    written = new if type(new) is Lifted and new.level is level else None
    tensor = level.physical(wrap(new)) if written is None else written.tensor
    array = with_history_of(contents(old.tensor), contents(tensor), detached)
    lower = wrap(array, tensor.device)
    edge = edge_of(old.tensor)
    if edge is not None:
        lower._node, lower._index = edge
    tangent = old.tangent if detached else None if written is None else written.tangent
    return Lifted(level, lower, old.shape, tangent)


def like(result: Tensor, *examples: Any) -> Tensor:
    """A fresh tensor as one of the examples' levels, so that their values can be written to it."""
    found = [contents(x) for x in examples if isinstance(x, Tensor)]
    found = [a for a in found if type(a) is Lifted]
    if not found:
        return result
    array = max(found, key=_depth)
    level = array.level
    with level.below():
        lower = like(result, *(a.tensor if a.level is level else wrap(a) for a in found))
        spread = level.spread(lower)
    if spread is not None:
        return spread
    return result if lower is result else level.make(lower)


def write_back(level: Level, arguments: Iterable[tuple[Any, Any, Any]]) -> None:
    """What the function wrote to its arguments shows in the tensors below them.

    Args:
        arguments: triples of the tensor of the level, the one below it, and None where the level
            did not lift it.
    """
    from .views import check_writable, overwrite

    written = [
        (level.physical(wrap(inner._storage.array, inner.device)), outer)
        for inner, outer, lifted in arguments
        if lifted is not None and inner._storage.version
    ]
    with level.below():
        for value, outer in written:
            if value._dims() == outer._dims():
                check_writable(outer)
                overwrite(outer, value)


def snapshot(x: Tensor) -> Tensor:
    """The tensor as it is now, with its place on the tape: later writes do not show."""
    result = wrap(contents(x), x.device)
    edge = edge_of(x)
    if edge is not None:
        result._node, result._index = edge
    return result


def contents(x: Tensor) -> Any:
    """The value of a tensor; of one that was detached, without what it depends on below."""
    array = x._array()
    if not x._cut or type(array) is not Lifted:
        return array
    lower = alias(array.tensor)
    lower._cut = True
    return Lifted(array.level, lower, array.shape)


def op_of(program: Program) -> Op:
    """A program as an op."""
    found = program.derivatives.get("op")
    if found is None:
        found = program.derivatives["op"] = Op(
            lambda *arrays: program.call(*arrays), name="Derived"
        )
        found.programs[()] = program
    return found


# Births

# Note [Births]
# A tensor made inside a function that is being transformed may be written to there, a captured one
# may not. While a level is active, `Storage.__init__` is exchanged for one that notes where a
# storage was made, so that ordinary code pays nothing for it.

_plain_init = Storage.__init__
_counting = threading.Lock()
_active = 0


def _noting_init(storage: Storage, *args: Any, **kwargs: Any) -> None:
    _plain_init(storage, *args, **kwargs)
    levels = modes.levels
    if levels:
        levels[-1].born.add(storage)


def _watch_births(change: int) -> None:
    global _active
    with _counting:
        _active += change
        Storage.__init__ = _noting_init if _active else _plain_init  # type: ignore[method-assign]


def settle(level: Level) -> None:
    """Give the tensors of a level that has ended the values that they had below it."""
    for storage in list(level.born):
        array = storage.array
        while type(array) is Lifted and array.level is level:
            array = array.tensor._array()
        if array is not storage.array:
            storage.array = array
            storage.version += 1


# Reverse mode


class GradLevel(Level):
    """A tape of its own: what is recorded at this level depends on the level's leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self._inference: list[bool] = []

    def __enter__(self) -> Any:
        super().__enter__()
        self._inference.append(modes.inference)
        modes.grad, modes.inference = True, False
        return self

    def __exit__(self, *exception: Any) -> None:
        modes.inference = self._inference.pop()
        super().__exit__(*exception)

    def leaf(self, x: Tensor) -> Tensor:
        """A fresh leaf of this level with the value of `x`, a tensor of the level below."""
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        result = self.make(snapshot(x))
        result._requires_grad = True
        return result

    def lift(self, x: Tensor) -> Tensor:
        """A tensor at this level; one from below has no history at it."""
        found = self.lifted(x)
        if found is None:
            return self.make(snapshot(x))
        return wrap(found, x.device) if x._cut else x

    def seed(self, gradient: Tensor) -> Tensor:
        return self.lift(gradient)

    def apply(self, op: Op, inputs: Sequence[Any], static: tuple[Any, ...], label: Any) -> Any:
        from .op import apply, record

        recording = modes.grad and op.differentiable and not modes.inference
        recording = recording and any(
            isinstance(x, Tensor) and self.lifted(x) and x.requires_grad for x in inputs
        )
        given = [self.lift(x) if isinstance(x, Tensor) else x for x in inputs]
        arrays = [contents(x) if isinstance(x, Tensor) else x for x in given]
        lowers = [a.tensor if type(a) is Lifted else a for a in arrays]
        residuals: tuple[Any, ...] = ()
        with self.below():
            if recording and op.forward is not None and any(map(_has_history, lowers)):
                op = without_residuals(op)  # what it keeps would have to be differentiated, too
            if recording and op.forward is not None:
                forward = _forward(op, static)
                out = apply(forward, lowers, static)
                residuals = tuple([Lifted(self, t, t._dims()) for t in out[forward.visible :]])
                out = out[: forward.visible] if forward.visible > 1 else out[0]
            else:
                out = apply(op, lowers, static, label)
        several = isinstance(out, tuple)
        results = tuple([self.make(t) for t in (out if several else (out,))])
        if recording:
            program = op.programs[static]
            record(op, program, static, given, arrays, results, residuals, label or op.label)
        return results if several else results[0]


def _has_history(x: Any) -> bool:
    """Whether what is done to a value may be differentiated at its own level or one below."""
    if not isinstance(x, Tensor):
        return False
    array = contents(x)
    if x.requires_grad or type(array) is not Lifted:
        return x.requires_grad
    return array.level.differentiates or _has_history(array.tensor)


class _ForwardOp(Op):
    """An op that gives its outputs, `visible` in number, and then what its derivative reads."""

    __slots__ = ("visible",)

    def __init__(self, op: Op, static: tuple[Any, ...]):
        forward: Callable[..., Any] = op.forward  # type: ignore[assignment]

        def flat(*arrays: Any, **named: Any) -> Any:
            outputs, kept = forward(*arrays, **named)
            self.visible = len(outputs)
            return (*outputs, *kept)

        super().__init__(op.kernel, name=op.label.removesuffix("Backward0"))
        self.kernel = self.programs.kernel = flat
        self.visible = 0


def _forward(op: Op, static: tuple[Any, ...]) -> _ForwardOp:
    derivatives = op.programs[static].derivatives
    found = derivatives.get("flat forward")
    if found is None:
        found = derivatives["flat forward"] = _ForwardOp(op, static)
    return found


def without_residuals(op: Op) -> Op:
    """The op with a derivative that reads nothing but its operands and results."""
    if op.forward is None:
        return op
    found = _plain_ops.get(op)
    if found is None:
        if len(_plain_ops) >= config.program_cache_size:
            _plain_ops.clear()
        name = op.label.removesuffix("Backward0")
        found = _plain_ops[op] = Op(op.kernel, name=name, pointwise=op.pointwise)
    return found


_plain_ops: dict[Op, Op] = {}
