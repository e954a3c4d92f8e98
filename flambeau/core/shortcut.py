"""A public function that goes straight to what it did the last time.

# Note [Shortcuts]
# Most tensor functions check their arguments, work out axes and types, and make one call of
# `apply`; all of that depends on the operands' shapes and types alone. `shortcut` remembers, for
# operands of given shapes and types and other arguments of given values, which known call came of
# it, and repeats that call the next time. It is for functions that do nothing else: that warn of
# nothing, look at no values, and change nothing. What does not come out as one known call on the
# arguments themselves (views on the way, several calls, unknown ones) is run in full each time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import dtypes
from .calls import MOST_CALLS, Call
from .op import repeat
from .operands import captured, captures, survey
from .state import modes
from .tensor import Tensor

SIMPLE = frozenset((int, bool, float, str, type(None)))


class Recipe:
    """The known call that a function makes of its arguments.

    Attributes:
        positions: the argument that each input of the call is, or None; None for all of them where
            the inputs are the arguments in their order.
        constants: the inputs that are no arguments.
    """

    __slots__ = ("call", "constants", "positions")

    def __init__(self, call: Call, inputs: Any, given: list[Any], numbers: bool):
        self.call = call
        self.constants = list(inputs)
        self.positions: list[int | None] | None = []
        for at, x in enumerate(inputs):
            position = None
            if isinstance(x, Tensor):
                places = [i for i, g in enumerate(given) if g is x]
                position = at if at in places else places[0]
                self.constants[at] = None
            elif numbers and x is not None:
                position = next(i for i, g in enumerate(given) if not isinstance(g, Tensor))
            self.positions.append(position)
        if self.positions == list(range(len(given))) and not any(map(_is_number, inputs)):
            self.positions = None

    def run(self, given: list[Any], arrays: list[Any], edges: list[Any]) -> Any:
        """Make the call."""
        assert self.positions is not None
        inputs, values, sources = [], [], []
        for at, position in enumerate(self.positions):
            if position is None:
                inputs.append(None)
                values.append(self.constants[at])
                sources.append(None)
                continue
            constant = self.constants[at]
            value = arrays[position]
            inputs.append(given[position])
            # A number enters as the type that it was promoted to.
            values.append(value if constant is None else type(constant)(value))
            sources.append(edges[position])
        return repeat(self.call, inputs, values, sources)


def shortcut(
    function: Callable[..., Any], pointwise: bool = False, numbers: bool = False
) -> Callable[..., Any]:
    """Decorator (Note [Shortcuts]).

    Args:
        pointwise: the memory order of the operands matters.
        numbers: a number among the arguments goes into the call; whatever its value, the function
            does the same.
    """
    recipes: dict[Any, Recipe | None] = {}
    values = None if numbers else SIMPLE

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if modes.special or modes.autocast or (numbers and kwargs):
            return function(*args, **kwargs)
        given: Any = [*args, *kwargs.values()] if kwargs else args
        grad = modes.grad
        facts: list[Any] = [grad, dtypes._default_dtype]
        found = survey(given, facts, grad, pointwise, values)
        if found is None:
            return function(*args, **kwargs)
        if kwargs:
            facts += (len(args), *kwargs)
        elif len(args) == 2 and args[0] is args[1]:
            facts.append("same")
        key = tuple(facts)
        recipe = recipes.get(key)
        if recipe is not None and not captures:
            if recipe.positions is None:
                return repeat(recipe.call, given, *found)
            return recipe.run(given, *found)
        if key in recipes:
            return function(*args, **kwargs)
        return _learn(recipes, key, function, args, kwargs, numbers)

    return call


def _learn(
    recipes: dict[Any, Recipe | None],
    key: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    numbers: bool,
) -> Any:
    """Run the function, and see what it did."""
    given = [*args, *kwargs.values()]
    with captured() as calls:
        result = function(*args, **kwargs)
    if len(calls) != 1 or calls[0][0] is None:
        return result  # not known yet, or several
    call, inputs, made = calls[0]
    tensors = [g for g in given if isinstance(g, Tensor)]
    if len(given) > 2 and len({id(t) for t in tensors}) != len(tensors):
        return result  # which of them the inputs are cannot be told
    if len(recipes) >= MOST_CALLS:
        recipes.clear()
    own = made is result
    for x in inputs:
        own = own and (not isinstance(x, Tensor) or any(x is t for t in tensors))
    if numbers and own:
        own = all(isinstance(g, Tensor) or _is_number(g) for g in given)
        own = own and sum(map(_is_number, given)) == sum(map(_is_number, inputs)) <= 1
    recipes[key] = Recipe(call, inputs, given, numbers) if own else None
    return result


def _is_number(x: Any) -> bool:
    return type(x) in (int, float, complex, bool)
