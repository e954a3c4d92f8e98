"""Custom functions inside functions that are being transformed (Note [Levels]).

At each level the custom function is called again on the tensors below, so that every derivative
is the one that the user wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import (
    FUNCTION_NEEDS_SETUP_CONTEXT,
    FUNCTION_VMAP_AMBIGUOUS,
    FUNCTION_VMAP_MISSING,
    FUNCTION_VMAP_RESULT,
)
from .batching import BatchLevel
from .forward import DualLevel
from .function import Function, FunctionCtx, finished, new_node, run_forward
from .levels import GradLevel, below, depth_of
from .state import modes
from .tensor import Tensor, wrap


class VmapInfo(NamedTuple):
    """What a `vmap` static method is told.

    Attributes:
        batch_size: how many examples there are.
        randomness: as given to `vmap`.
    """

    batch_size: int
    randomness: str


def apply_lifted_function(cls: type[Function], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """`Function.apply` where levels are active."""
    transforming = any(level.of_function for level in modes.levels)
    if transforming and cls.setup_context is Function.setup_context:
        raise RuntimeError(FUNCTION_NEEDS_SETUP_CONTEXT)
    depth = max((depth_of(a) for a in args if isinstance(a, Tensor)), default=0)
    if depth < len(modes.levels) or not depth:
        with below(depth):
            return cls.apply(*args, **kwargs)
    level = modes.levels[-1]
    if isinstance(level, GradLevel):
        return _recorded(level, cls, args, kwargs)
    if isinstance(level, BatchLevel):
        return _mapped(level, cls, args, kwargs)
    assert isinstance(level, DualLevel)
    return _pushed(level, cls, args, kwargs)


def _each(function: Callable[[Tensor], Any], outputs: Any) -> Any:
    """`function` of every tensor of the outputs, which are one value or a tuple."""
    if isinstance(outputs, tuple):
        return tuple([function(t) if isinstance(t, Tensor) else t for t in outputs])
    return function(outputs) if isinstance(outputs, Tensor) else outputs


def _recorded(
    level: GradLevel, cls: type[Function], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    given = [level.lift(a) if isinstance(a, Tensor) else a for a in args]
    node, recording = new_node(cls, given)
    with level.below():
        outputs = cls.apply(*[level.lower(a) for a in given], **kwargs)
    outputs = _each(level.make, outputs)
    previous, modes.grad = modes.grad, False
    try:
        cls.setup_context(node, tuple(given), outputs)
    finally:
        modes.grad = previous
    return finished(node, given, outputs, recording)


# vmap


def _mapped(
    level: BatchLevel, cls: type[Function], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    own_rule = cls.vmap is not Function.vmap
    if own_rule and cls.generate_vmap_rule:
        raise RuntimeError(FUNCTION_VMAP_AMBIGUOUS.format(name=cls.__name__))
    if not own_rule and not cls.generate_vmap_rule:
        raise RuntimeError(FUNCTION_VMAP_MISSING.format(name=cls.__name__))
    lowers = [level.lower(a) for a in args]
    axes = tuple([0 if isinstance(a, Tensor) and level.lifted(a) else None for a in args])
    with level.below():
        if not own_rule:
            mapped = generated(cls, axes, level.size, level.randomness)
            outputs = mapped.apply(*lowers, **kwargs)
            return _each(level.batch, outputs)
        result = cls.vmap(VmapInfo(level.size, level.randomness), axes, *lowers)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise RuntimeError(FUNCTION_VMAP_RESULT.format(kind=type(result)))
        outputs, places = result
        several = isinstance(outputs, tuple)
        if not several:
            outputs, places = (outputs,), (places,)
        elif not isinstance(places, tuple):
            places = (places,) * len(outputs)
        found = [_leading(t, place) for t, place in zip(outputs, places, strict=True)]
    found = tuple([level.batch(t) if lifted else t for t, lifted in found])
    return found if several else found[0]


def _leading(value: Any, place: int | None) -> tuple[Any, bool]:
    """A value with the examples along its leading axis, and whether they differ."""
    if place is None or not isinstance(value, Tensor):
        return value, False
    return value.movedim(place, 0), True  # type: ignore[attr-defined]


class _InnerContext(FunctionCtx):
    """What the mapped function sees as its context."""

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()
    saved_for_forward: tuple[Any, ...] = ()
    to_save: tuple[Any, ...] = ()
    dirty_tensors: tuple[Any, ...] = ()
    non_differentiable: tuple[Any, ...] = ()
    materialize_grads = True


def generated(
    cls: type[Function], axes: tuple[int | None, ...], size: int, randomness: str
) -> type[Function]:
    """The custom function over arguments with a leading axis of examples where `axes` has 0."""
    level = BatchLevel(size, randomness)

    def lifted(values: Sequence[Any], places: Sequence[int | None]) -> list[Any]:
        return [v if p is None else level.batch(v) for v, p in zip(values, places, strict=True)]

    def reduced(gradient: Any, axis: int | None) -> Any:
        """The gradient of an argument; of one that the examples share, the sum."""
        if not isinstance(gradient, Tensor):
            return gradient
        if axis == 0:
            return level.physical(gradient)
        found = level.lifted(gradient)
        return gradient if found is None else found.tensor.sum(0)  # type: ignore[attr-defined]

    class Mapped(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*args: Any, **kwargs: Any) -> Any:
            with level:
                return _each(level.physical, cls.forward(*lifted(args, axes), **kwargs))

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.inner = inner = _InnerContext()
            inner.needs_input_grad = ctx.needs_input_grad
            with level:
                given = lifted(inputs, axes)
                outputs = _each(level.batch, output)
                cls.setup_context(inner, tuple(given), outputs)
                ctx.lifted = [
                    0 if isinstance(t, Tensor) and level.lifted(t) else None for t in inner.to_save
                ]
                saved = [level.lower(t) for t in inner.to_save]
                ctx.forward_lifted = [
                    0 if isinstance(t, Tensor) and level.lifted(t) else None
                    for t in inner.saved_for_forward
                ]
                kept = [level.lower(t) for t in inner.saved_for_forward]
                ours = output if isinstance(output, tuple) else (output,)
                theirs = outputs if isinstance(outputs, tuple) else (outputs,)
                fixed = [id(t) for t in inner.non_differentiable]
                marked = [o for o, t in zip(ours, theirs, strict=True) if id(t) in fixed]
            inner.to_save = inner.saved_for_forward = inner.non_differentiable = ()
            ctx.save_for_backward(*saved)
            ctx.save_for_forward(*kept)
            ctx.mark_non_differentiable(*marked)
            ctx.set_materialize_grads(inner.materialize_grads)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            saved = ctx.saved_tensors
            with level:
                ctx.inner.saved_tensors = tuple(lifted(saved, ctx.lifted))
                given = [None if g is None else level.batch(g) for g in gradients]
                found = cls.backward(ctx.inner, *given)
                found = found if isinstance(found, (tuple, list)) else (found,)
                return tuple([reduced(g, a) for g, a in zip(found, axes, strict=False)])

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            saved = ctx.saved_tensors
            with level:
                ctx.inner.saved_tensors = tuple(lifted(saved, ctx.forward_lifted))
                places = [None if t is None else a for t, a in zip(tangents, axes, strict=True)]
                found = cls.jvp(ctx.inner, *lifted(tangents, places))
                return _each(level.physical, found)

    Mapped.__name__ = Mapped.__qualname__ = cls.__name__
    return Mapped


# Forward mode


class _ForwardContext:
    """The context that `jvp` sees: `saved_tensors` are those of `save_for_forward`."""

    def __init__(self, node: Any):
        self.__dict__.update(node.__dict__)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_forward` kept."""
        return getattr(self, "saved_for_forward", ())


def _pushed(
    level: DualLevel, cls: type[Function], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    pairs = [level.parts(a) if isinstance(a, Tensor) else (a, None) for a in args]
    with level.below():
        primals = [primal for primal, _ in pairs]
        node, outputs = run_forward(cls, primals, kwargs)
        tangents = [
            wrap(_zeros(primal), primal.device)
            if tangent is None and isinstance(primal, Tensor) and node.materialize_grads
            else tangent
            for primal, tangent in pairs
        ]
        found = cls.jvp(_ForwardContext(node), *tangents)
    several = isinstance(outputs, tuple)
    results = outputs if several else (outputs,)
    found = found if isinstance(found, tuple) else (found,)
    duals = tuple(
        [
            level.dual(t, tangent) if isinstance(t, Tensor) and tangent is not None else t
            for t, tangent in zip(results, found, strict=True)
        ]
    )
    return duals if several else duals[0]


def _zeros(x: Tensor) -> Any:
    import numpy as np

    return np.zeros(x._dims(), x._dtype_numpy())
