"""`vmap`'s level: tensors with an axis of examples that the function does not see.

An op on batched tensors becomes one op on the tensors below, whose kernel and derivative are those
of the op, mapped over the leading axis (Note [Levels]).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from ..errors import (
    BATCHED_IN_PLACE,
    ESCAPED,
    RANDOM_IN_ERROR_MODE,
    SAME_FOR_BATCHED,
    UNBATCHED_RANDOM,
)
from .derivative import SavedOutputs
from .execute import Op
from .levels import Level, Lifted
from .state import modes
from .tensor import Tensor, wrap

Axes = tuple[int | None, ...]


class BatchLevel(Level):
    """The level of one `vmap`: the examples lie along the leading axis of the tensors below.

    Args:
        size: how many examples there are.
        randomness: "error", "different" or "same".
    """

    differentiates = False
    admits = False

    def __init__(self, size: int, randomness: str = "error"):
        super().__init__()
        self.size = size
        self.randomness = randomness

    def batch(self, tensor: Tensor) -> Tensor:
        """One tensor of this level for the examples along the leading axis of `tensor`."""
        return self.make(tensor, tensor._dims()[1:])

    def apply(self, op: Op, inputs: Sequence[Any], static: tuple[Any, ...], label: Any) -> Any:
        from .op import apply

        lowers, axes = [], []
        for x in inputs:
            found = self.lifted(x) if isinstance(x, Tensor) else None
            lowers.append(x if found is None else found.tensor)
            axes.append(None if found is None else 0)
        mapped = mapped_op(op, static, tuple(axes))
        with self.below():
            out = apply(mapped, lowers, (), label)
        return tuple(map(self.batch, out)) if isinstance(out, tuple) else self.batch(out)

    def physical(self, tensor: Tensor) -> Tensor:
        """The tensor below with the examples along its leading axis."""
        found = self.lifted(tensor)
        if found is not None:
            return found.tensor
        with self.below():
            return _expanded(tensor, self.size)

    def host(self, lifted: Lifted) -> np.ndarray:
        if not self.depth:
            raise RuntimeError(ESCAPED)
        raise NotImplementedError(
            "flambeau: vmap over a function that reads the values of its operand on the host"
        )

    def title(self, lifted: Lifted) -> str:
        return f"BatchedTensor(lvl={self.depth}, bdim=0"

    def spread(self, tensor: Tensor) -> Tensor:
        array = tensor._array()
        shape = (self.size, *tensor._dims())
        if isinstance(array, np.ndarray):
            return self.batch(wrap(np.array(np.broadcast_to(array, shape)), tensor.device))
        return self.batch(_expanded(tensor.detach(), self.size))

    def refuse_write(self, value: Tensor) -> None:
        raise RuntimeError(BATCHED_IN_PLACE)


def _expanded(tensor: Tensor, size: int) -> Tensor:
    """The same values for all examples along a new leading axis."""
    from .views import view

    shape = tensor._dims()
    axis = view(tensor, "UnsqueezeBackward0", (("unsqueeze", (1, *shape), 0),))
    return view(axis, "ExpandBackward0", (("expand", (size, *shape)),))


# An op, mapped


def mapped_op(op: Op, static: tuple[Any, ...], axes: Axes) -> Op:
    """An op over arrays with a leading axis of examples where `axes` has 0."""
    program = op.programs[static]
    key = ("mapped", axes, op.vjp is not None)
    found = program.derivatives.get(key)
    if found is None:
        bound = dict(zip(op.programs.names, static, strict=True))
        vjp = forward = None
        if op.vjp is not None:
            vjp = _mapped_vjp(op.vjp, bound, axes)
        if op.forward is not None:
            forward = _mapped(_bind(op.forward, bound), axes)
        found = program.derivatives[key] = Op(
            _mapped(program.call, axes),
            name=op.label.removesuffix("Backward0"),
            vjp=vjp,
            forward=forward,
            differentiable=op.differentiable,
        )
    return found


def _bind(function: Callable[..., Any], static: dict[str, Any]) -> Callable[..., Any]:
    return lambda *arrays: function(*arrays, **static)


def _mapped(function: Callable[..., Any], axes: Axes) -> Callable[..., Any]:
    def mapped(*arrays: Any) -> Any:
        return jax.vmap(function, in_axes=axes)(*arrays)

    return mapped


def _mapped_vjp(vjp: Callable[..., Any], static: dict[str, Any], axes: Axes) -> Callable[..., Any]:
    """An op's formula, mapped; what all examples share gets the sum of their gradients."""

    def mapped(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
        saved, absent = dict(enumerate(outputs)), {}
        if isinstance(outputs, SavedOutputs):
            saved = outputs.saved
            absent = {i: (shape[1:], dtype) for i, (shape, dtype) in outputs.absent.items()}

        def one(cts: Any, inputs: Any, saved: Any) -> Any:
            found = vjp(cts, inputs, SavedOutputs(saved, absent), needs, **static)
            return tuple([g if needed else None for g, needed in zip(found, needs, strict=True)])

        found = jax.vmap(one, in_axes=(0, tuple(axes), 0))(tuple(cts), tuple(inputs), saved)
        return tuple(
            [
                g if g is None or axis == 0 else _total(g)
                for g, axis in zip(found, axes, strict=True)
            ]
        )

    return mapped


def _total(gradients: Any) -> Any:
    """The sum over the examples, accumulated in float32 where the type is narrower."""
    dtype = gradients.dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype
    total = lax.reduce(gradients.astype(wide), np.zeros((), wide), lax.add, (0,))
    return total.astype(dtype)


# Randomness


def draw_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which random values are drawn: with the axes of all levels, outermost first."""
    for level in reversed(modes.levels):
        if isinstance(level, BatchLevel):
            if level.randomness == "error":
                raise RuntimeError(RANDOM_IN_ERROR_MODE)
            if level.randomness == "different":
                shape = (level.size, *shape)
    return shape


def lift_drawn(array: Any) -> Any:
    """What was drawn in `draw_shape`, as the contents of a tensor of the topmost level."""
    for i, level in enumerate(modes.levels):
        if isinstance(level, BatchLevel) and level.randomness == "different":
            tensor = wrap(array)
            array = Lifted(modes.levels[i], tensor, tensor._dims()[1:])
    return array


def check_in_place_draw(x: Tensor) -> None:
    """Raise where different values are wanted in a tensor that all examples share."""
    held: Any = x._storage.array
    for level in reversed(modes.levels):
        if not isinstance(level, BatchLevel):
            continue
        if level.randomness == "error":
            raise RuntimeError(RANDOM_IN_ERROR_MODE)
        mine = type(held) is Lifted and held.level is level
        if level.randomness == "different" and not mine:
            raise RuntimeError(UNBATCHED_RANDOM)
        held = held.tensor._array() if mine else held


def check_same_draw(p: Tensor) -> None:
    """Raise where the same values are wanted for probabilities that differ by example."""
    array = p._array()
    while type(array) is Lifted:
        level = array.level
        if isinstance(level, BatchLevel) and level.randomness == "same":
            raise RuntimeError(SAME_FOR_BATCHED)
        array = array.tensor._array()


def is_batched(x: Tensor) -> bool:
    """Whether the values of a tensor differ by example."""
    array = x._array()
    while type(array) is Lifted:
        if isinstance(array.level, BatchLevel):
            return True
        array = array.tensor._array()
    return False


def refuse_dynamic(x: Tensor, message: str) -> None:
    """Raise where the shape of a result, or what Python does, would differ by example."""
    if is_batched(x):
        raise RuntimeError(message)


# Mapping over an axis


def over_leading_axis(
    function: Callable[..., Any], size: int, tensors: Sequence[Tensor | None]
) -> Any:
    """`function`, which gives a sequence of tensors or None, for each entry along an axis.

    Args:
        tensors: what it takes, with a leading axis of `size`.
    """
    with BatchLevel(size, "different") as level:
        given = [None if t is None else level.batch(t) for t in tensors]
        found = function(*given)
        return [None if t is None else level.physical(t) for t in found]


def unit_vectors(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """For each tensor the unit vectors of all of them together, its own part of each.

    Shape: (the number of elements of all, *shape of the tensor).
    """
    counts = [t.numel() for t in tensors]
    total = sum(counts)
    found, start = [], 0
    for t, count in zip(tensors, counts, strict=True):
        part = np.zeros((total, count), t._dtype_numpy())
        part[np.arange(start, start + count), np.arange(count)] = 1
        found.append(wrap(part.reshape(total, *t._dims()), t.device))
        start += count
    return tuple(found)
