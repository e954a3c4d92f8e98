"""NumPy forms that are written by hand, for ops that come at ever new shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .quiet import hush, unhush


class Form(NamedTuple):
    """An op and its derivative in NumPy.

    Attributes:
        forward: the kernel's arguments and results.
        backward: those of its `NAME_vjp`; what that reads must not depend on shapes.
        accepts: whether the forms are made for arrays of these types.
        cost: (calls, elements) of a forward run, as `lowering` counts them.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    accepts: Callable[[Sequence[Any]], bool]
    cost: Callable[[Sequence[Any]], tuple[int, int]]


class FormProgram:
    """A form at some shapes; takes the place of a `HostProgram`."""

    warm = False  # there is no source that would be faster

    def __init__(self, function: Callable[..., Any], calls: int, cost: int):
        self.function = function
        self.calls = calls
        self.cost = cost

    def run(self, *arrays: Any) -> Any:
        """The results for the arrays."""
        token = hush()
        try:
            return self.function(*arrays)
        finally:
            unhush(token)
