"""`torch._foreach_*`: a function of each tensor of a list, as programs' own optimisers use them.

A second operand is one number or tensor for all of them, or a list with one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .core.tensor import Tensor
from .ops import FUNCTIONS

Tensors = Sequence[Tensor]

UNARY = """
    abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg
    reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
""".split()  # noqa: SIM905
BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "clamp_min", "clamp_max")
BOUNDS = {"maximum": "min", "clamp_min": "min", "minimum": "max", "clamp_max": "max"}


def _list(name: str, tensors: Any) -> Tensors:
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'self' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return tensors


def _for_each(tensors: Tensors, operand: Any) -> Sequence[Any]:
    """One operand for each tensor."""
    if not isinstance(operand, (list, tuple)):
        return [operand] * len(tensors)
    if len(operand) != len(tensors):
        if operand and isinstance(operand[0], Tensor):
            raise RuntimeError(
                "Tensor lists must have the same number of tensors, got "
                f"{len(tensors)} and {len(operand)}"
            )
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    return operand


def _binary(name: str, x: Tensor, other: Any, alpha: Any) -> Tensor:
    if name in BOUNDS:
        if isinstance(other, Tensor):
            return FUNCTIONS["maximum" if BOUNDS[name] == "min" else "minimum"](x, other)
        return FUNCTIONS["clamp"](x, **{BOUNDS[name]: other})
    if name in ("add", "sub") and alpha != 1:
        return FUNCTIONS[name](x, other, alpha=alpha)
    return FUNCTIONS[name](x, other)


def _scalars(value: Any, count: int) -> Any:
    """The numbers of a 1-d tensor as a list."""
    return value.tolist() if isinstance(value, Tensor) and value.dim() == 1 else value


def _unary_of(name: str) -> Callable[..., Any]:
    def function(self: Tensors) -> tuple[Tensor, ...]:
        return tuple(FUNCTIONS[name](x) for x in _list(f"_foreach_{name}", self))

    return function


def _binary_of(name: str) -> Callable[..., Any]:
    def function(self: Any, other: Any, *, alpha: Any = 1) -> tuple[Tensor, ...]:
        if name == "pow" and not isinstance(self, (list, tuple)):
            return tuple(FUNCTIONS["pow"](self, x) for x in _list("_foreach_pow", other))
        tensors = _list(f"_foreach_{name}", self)
        pairs = zip(tensors, _for_each(tensors, other), strict=True)
        return tuple(_binary(name, x, y, alpha) for x, y in pairs)

    return function


def _product_of(name: str) -> Callable[..., Any]:
    def function(
        self: Tensors, tensor1: Tensors, tensor2: Tensors, scalars: Any = None, *, value: Any = 1
    ) -> tuple[Tensor, ...]:
        tensors = _list(f"_foreach_{name}", self)
        given = value if scalars is None else _scalars(scalars, len(tensors))
        columns = [_for_each(tensors, operand) for operand in (tensor1, tensor2, given)]
        rows = zip(tensors, *columns, strict=True)
        return tuple(FUNCTIONS[name](x, a, b, value=v) for x, a, b, v in rows)

    return function


def _foreach_lerp(self: Tensors, tensors1: Tensors, weight: Any) -> tuple[Tensor, ...]:
    tensors = _list("_foreach_lerp", self)
    columns = _for_each(tensors, tensors1), _for_each(tensors, weight)
    rows = zip(tensors, *columns, strict=True)
    return tuple(FUNCTIONS["lerp"](x, end, w) for x, end, w in rows)


def _foreach_norm(self: Tensors, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    vector_norm = FUNCTIONS["norm"]
    return tuple(vector_norm(x, ord, dtype=dtype) for x in _list("_foreach_norm", self))


def _foreach_max(self: Tensors) -> tuple[Tensor, ...]:
    return tuple(x.max() for x in _list("_foreach_max", self))  # type: ignore[attr-defined]


def _foreach_clone(self: Tensors) -> tuple[Tensor, ...]:
    return tuple(x.clone() for x in _list("_foreach_clone", self))  # type: ignore[attr-defined]


def _foreach_zero_(self: Tensors) -> list[Tensor]:
    return [x.zero_() for x in _list("_foreach_zero_", self)]  # type: ignore[attr-defined]


def _foreach_copy_(self: Tensors, src: Tensors, non_blocking: bool = False) -> list[Tensor]:
    tensors = _list("_foreach_copy_", self)
    return [x.copy_(y) for x, y in zip(tensors, _for_each(tensors, src), strict=True)]  # type: ignore[attr-defined]


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, the results stored in the tensors."""

    def stored(self: Tensors, *args: Any, **kwargs: Any) -> list[Tensor]:
        for x, result in zip(self, function(self, *args, **kwargs), strict=True):
            x.copy_(result)  # type: ignore[attr-defined]
        return list(self)

    return stored


def _make() -> None:
    makers = [*((name, _unary_of) for name in UNARY), *((name, _binary_of) for name in BINARY)]
    makers += [("addcmul", _product_of), ("addcdiv", _product_of)]
    made = {f"_foreach_{name}": maker(name) for name, maker in makers}
    made["_foreach_lerp"] = _foreach_lerp
    made |= {f"{name}_": _in_place(function) for name, function in made.items()}
    for name, function in made.items():
        function.__name__ = function.__qualname__ = name
        of = name.removeprefix("_foreach_")
        function.__doc__ = f"`{of}` of each tensor of a list."
    globals().update(made)


_make()
