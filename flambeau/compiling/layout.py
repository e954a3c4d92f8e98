"""Axes in the order in which they lie best: transposes that are carried along, not carried out.

# Note [Lazy order]
# PyTorch's images are (N, C, H, W); on a CPU convolutions run channels-last, so every convolution
# begins and ends with a transpose, and XLA cancels only those that meet. Here the program is gone
# through once before XLA sees it, with values of which the axes may lie in another order: a
# transpose changes that order alone, elementwise functions, reductions, padding and slicing work in
# the order that their operand has, broadcasts wait until it is known. A transpose is carried out
# only where an operation needs the axes in place. Nothing is computed differently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.extend.core as jex
from jax import lax

_ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type
    copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt imag integer_pow
    is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or pow real rem round
    rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905
)
_REDUCTIONS = frozenset(
    ["reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"]
)


class Ordered(NamedTuple):
    """An array whose axis i is the axis `order[i]` of the value that it stands for."""

    array: Any
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[self.order.index(a)] for a in range(len(self.order)))

    def lying(self, order: Sequence[int]) -> Any:
        """The array with its axes in `order`."""
        if tuple(order) == self.order:
            return self.array
        return lax.transpose(self.array, [self.order.index(a) for a in order])


class Spread(NamedTuple):
    """A broadcast that waits for the order in which it is wanted."""

    operand: Any
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    def lying(self, order: Sequence[int]) -> Any:
        """The broadcast array with its axes in `order`."""
        place = [list(order).index(a) for a in self.axes]
        sequence = sorted(range(len(place)), key=place.__getitem__)
        operand = self.operand
        if sequence != list(range(len(place))):
            operand = lax.transpose(operand, sequence)
        shape = tuple(self.shape[a] for a in order)
        return lax.broadcast_in_dim(operand, shape, [place[i] for i in sequence])


def relaid(jaxpr: Any, constants: Sequence[Any]) -> Callable[..., list[Any]]:
    """The jaxpr as a function that carries transposes along (Note [Lazy order])."""

    def function(*arrays: Any) -> list[Any]:
        return [_logical(r) for r in _walk(jaxpr, constants, [_plain(a) for a in arrays])]

    return function


def _plain(array: Any) -> Any:
    return Ordered(array, tuple(range(len(getattr(array, "shape", ())))))


def _logical(value: Any) -> Any:
    """The array with its axes in place."""
    rank = len(value.order if isinstance(value, Ordered) else value.shape)
    return value.lying(range(rank))


def _walk(jaxpr: Any, constants: Sequence[Any], inputs: list[Any]) -> list[Any]:
    known: dict[Any, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
    known.update(zip(jaxpr.constvars, map(_plain, constants), strict=True))

    def read(atom: Any) -> Any:
        return _plain(atom.val) if isinstance(atom, jex.Literal) else known[atom]

    for eqn in jaxpr.eqns:
        values = [read(a) for a in eqn.invars]
        results = _apply(eqn, values, jaxpr)
        for variable, result in zip(eqn.outvars, results, strict=True):
            known[variable] = result
    return [read(a) for a in jaxpr.outvars]


def _apply(eqn: Any, values: list[Any], jaxpr: Any) -> list[Any]:
    name, parameters = eqn.primitive.name, eqn.params
    if name in ("jit", "pjit"):
        inner = parameters["jaxpr"]
        return _walk(inner.jaxpr, inner.consts, values)
    if name == "broadcast_in_dim" and len(values) == 1:
        axes = tuple(parameters["broadcast_dimensions"])
        return [Spread(_logical(values[0]), tuple(parameters["shape"]), axes)]
    if name in _ELEMENTWISE:
        return [_elementwise(eqn, values)]
    rule = _RULES.get("reduce" if name in _REDUCTIONS else name)
    if rule is not None and isinstance(values[0], Ordered):
        return [rule(eqn.primitive, values, dict(parameters))]
    arrays = [_logical(v) for v in values]
    if any(isinstance(p, (jex.Jaxpr, jex.ClosedJaxpr)) or callable(p) for p in parameters.values()):
        return [_plain(r) for r in _as_it_stands(eqn, arrays, jaxpr)]
    results = eqn.primitive.bind(*arrays, **parameters)
    return [_plain(r) for r in (results if eqn.primitive.multiple_results else [results])]


def _as_it_stands(eqn: Any, arrays: list[Any], jaxpr: Any) -> list[Any]:
    """One equation that holds functions (a loop, a custom derivative), as JAX itself runs it."""
    given = {
        a: x for a, x in zip(eqn.invars, arrays, strict=True) if not isinstance(a, jex.Literal)
    }
    lone = jaxpr.replace(
        constvars=[], invars=list(given), outvars=list(eqn.outvars), eqns=[eqn], effects=eqn.effects
    )
    return jex.jaxpr_as_fun(jex.ClosedJaxpr(lone, []))(*given.values())


def _elementwise(eqn: Any, values: list[Any]) -> Any:
    shape = eqn.outvars[0].aval.shape
    orders = Counter(
        v.order for v in values if isinstance(v, Ordered) and len(v.order) == len(shape)
    )
    order = tuple(range(len(shape)))
    if orders:
        most = max(orders.values())
        order = next((o for o in orders if orders[o] == most and o != order), order)
    arrays = [v.lying(order) if len(v.shape) == len(shape) else _logical(v) for v in values]
    return Ordered(eqn.primitive.bind(*arrays, **eqn.params), order)


def _transpose(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    (x,) = values
    moved = list(parameters["permutation"])
    return Ordered(x.array, tuple(moved.index(a) for a in x.order))


def _reduce(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    (x,) = values
    gone = set(parameters.pop("axes"))
    axes = tuple(i for i, a in enumerate(x.order) if a in gone)
    kept = [a for a in x.order if a not in gone]
    rank = sorted(kept)
    return Ordered(
        primitive.bind(x.array, axes=axes, **parameters), tuple(rank.index(a) for a in kept)
    )


def _pad(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    x, filler = values
    config = parameters["padding_config"]
    padded = primitive.bind(
        x.array, _logical(filler), padding_config=tuple(config[a] for a in x.order)
    )
    return Ordered(padded, x.order)


def _slice(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    (x,) = values
    turned = {
        name: given if given is None else tuple(given[a] for a in x.order)
        for name, given in parameters.items()
    }
    return Ordered(primitive.bind(x.array, **turned), x.order)


def _reverse(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    (x,) = values
    axes = tuple(x.order.index(a) for a in parameters["dimensions"])
    return Ordered(primitive.bind(x.array, dimensions=axes), x.order)


def _concatenate(primitive: Any, values: list[Any], parameters: dict[str, Any]) -> Ordered:
    order = values[0].order
    axis = order.index(parameters["dimension"])
    return Ordered(primitive.bind(*(v.lying(order) for v in values), dimension=axis), order)


_RULES: dict[str, Callable[..., Ordered]] = {
    "transpose": _transpose,
    "reduce": _reduce,
    "pad": _pad,
    "slice": _slice,
    "rev": _reverse,
    "concatenate": _concatenate,
}
