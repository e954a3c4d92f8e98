"""Arguments that are one value or one value an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def _ntuple(count: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    def parse(value: Any) -> tuple[Any, ...]:
        if isinstance(value, Iterable):
            return tuple(value)
        return (value,) * count

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(values: tuple[Any, ...], times: int) -> tuple[Any, ...]:
    """The values from the last to the first, each `times` times."""
    return tuple(v for v in reversed(values) for _ in range(times))


def empty(shape: tuple[int, ...], device: Any, dtype: Any) -> Any:
    """An uninitialised tensor for a parameter."""
    from ...ops.registry import FUNCTIONS

    return FUNCTIONS["empty"](shape, device=device, dtype=dtype)
