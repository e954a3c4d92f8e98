"""The operands of a call: their arrays, where their gradients go, and what a call depends on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from .tape import edge_of
from .tensor import CPU, Tensor

PLAIN = {Tensor}  # the classes of tensors whose results are of class Tensor
ABSENT_OR_NUMBER = frozenset((type(None), float, int, bool, complex))


def survey(
    inputs: Sequence[Any],
    facts: list[Any],
    grad: bool,
    pointwise: bool,
    values: frozenset[type] | None = None,
) -> tuple[list[Any], list[Any]] | None:
    """The arrays of the operands, and where their gradients go.

    Args:
        facts: gets what a call depends on: shapes, types, needs, ...
        grad: whether anything is recorded.
        pointwise: the memory order of the operands matters.
        values: types of which the values matter, too.

    Returns:
        None where an operand is out of the ordinary.
    """
    arrays = []
    edges = []
    for x in inputs:
        kind = type(x)
        if kind in PLAIN:
            storage = x._storage
            if storage.device is not CPU or storage.external:
                return None
            edge = None
            if x._steps or x._base is not None:
                array = x._replay() if x._steps else storage.array
                if grad and x.requires_grad:
                    edge = edge_of(x)
                    if edge is None:  # a view from no_grad mode: recorded, but leads nowhere
                        return None
                if pointwise:
                    facts.append(x._strides_offset()[0])
            else:
                array = storage.array
                if grad:
                    node = x._node
                    if node is not None:
                        edge = (node, x._index)
                    elif x._requires_grad:
                        node = x._accumulator and x._accumulator()
                        edge = edge_of(x) if node is None else (node, 0)
                if storage.strides is not None:
                    facts.append(storage.strides)
            facts += (array.shape, array.dtype, edge is not None)
            arrays.append(array)
            edges.append(edge)
        else:
            if values is None:
                if kind not in ABSENT_OR_NUMBER:
                    return None
                facts.append(kind)
            elif kind in values:
                if kind is float and not x:  # 0.0 and -0.0 are equal
                    return None
                facts += (kind, x)
            elif kind is tuple and set(map(type, x)) <= {int}:
                facts.append(x)
            else:
                return None
            arrays.append(x)
            edges.append(None)
    return arrays, edges


captures: list[list[Any]] = []


@contextlib.contextmanager
def captured() -> Iterator[list[Any]]:
    """Which calls are made inside: (call, inputs, result), or (None, ...) for an unknown one."""
    calls: list[Any] = []
    captures.append(calls)
    try:
        yield calls
    finally:
        captures[:] = [other for other in captures if other is not calls]
        if captures:
            captures[-1] += calls
