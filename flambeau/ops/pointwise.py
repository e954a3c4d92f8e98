"""Arithmetic and comparison. One row per function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from .. import dtypes
from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..dtypes import BY_NUMPY, RESULT
from ..kernels import pointwise as kernels
from .arguments import invalid_arguments
from .registry import ComplexHalf, declare, store_out
from .sparse import SparseTensor

NUMBERS = (bool, int, float, complex)
ARITHMETIC = {"pointwise": True, "numbers": True}  # their shortcut: Note [Shortcuts]
_BOOL = np.dtype(bool)


def promoted(a: Any, b: Any) -> tuple[Any, Any, dtypes.dtype]:
    """The operands of a binary function and their result type.

    Tensors and Python numbers pass through (numbers as the category of the result, so that `x + 1`
    and `x + 1.0` are one program); NumPy values become tensors.
    """
    a, key_a = _operand(a)
    b, key_b = _operand(b)
    result = RESULT[(key_a, key_b)]
    if result is dtypes.complex32:
        raise ComplexHalf("flambeau: tensors of torch.complex32 are not built yet")
    if result.is_floating_point:
        if type(a) in (int, bool):
            a = float(a)
        elif type(b) in (int, bool):
            b = float(b)
    return a, b, result


def _operand(x: Any) -> tuple[Any, Any]:
    """An operand, and how it enters type promotion."""
    if isinstance(x, Tensor):
        dtype = BY_NUMPY[x._view_dtype or x._storage.array.dtype]
        return x, dtype if x._dims() else dtype.zero_dim
    if type(x) in NUMBERS:
        return x, type(x)
    if isinstance(x, np.generic):
        return x.item(), type(x.item())
    if isinstance(x, np.ndarray):
        x = wrap(x.copy())
        return x, x.dtype if x._dims() else x.dtype.zero_dim
    raise TypeError(type(x).__name__)


def same_type(a: Any, b: Any) -> bool:
    """Whether both operands are tensors of one element type (the common case)."""
    return (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and (a._view_dtype or a._storage.array.dtype) is (b._view_dtype or b._storage.array.dtype)
    )


def binary_call(op: Op, name: str, a: Any, b: Any) -> Tensor:
    """Apply a binary op whose result has the promoted type."""
    if same_type(a, b):
        return apply(op, (a, b), (None,))
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        raise invalid_arguments(name, a, b)
    try:
        a, b, result = promoted(a, b)
    except TypeError as error:
        position = 2 if isinstance(a, Tensor) else 1
        raise TypeError(
            f"{name}(): argument '{'other' if position == 2 else 'input'}' (position {position}) "
            f"must be Tensor, not {error}"
        ) from None
    return apply(op, (a, b), (result.numpy,))


def define_binary(
    name: str,
    function: Callable[..., Any],
    doc: str,
    *,
    aliases: tuple[str, ...] = (),
    vjp: Callable[..., Any] | None = None,
    differentiable: bool = True,
    label: str | None = None,
    inplace: bool = True,
    left_number: bool = True,
) -> Callable[..., Tensor]:
    """Declare `name(input, other, *, out=None)`, the method, `name_` and the aliases.

    Args:
        left_number: `input` may be a number.

    The operands are promoted to their result type; `function` gets them at one shape and type
    (comparisons return bools).
    """
    op = Op(
        kernels.binary(function, name),
        name=label,
        vjp=vjp,
        pointwise=True,
        differentiable=differentiable,
    )

    def call(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if out is not None:
            return store_out(out, call, name, (input, other), {})
        if not left_number and not isinstance(input, Tensor):
            raise invalid_arguments(name, input, other)
        return binary_call(op, name, input, other)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    declare(name=name, inplace=inplace, out=True, aliases=aliases, short=ARITHMETIC)(call)
    return call


# Arithmetic

ADD = Op(kernels.binary(kernels.plus, "add"), pointwise=True)
ADD_SCALED = Op(kernels.add_scaled, name="Add", pointwise=True)
SUB = Op(kernels.binary(lax.sub, "sub"), pointwise=True)
SUB_SCALED = Op(kernels.sub_scaled, name="Sub", pointwise=True)
DIV = Op(kernels.binary(lax.div, "div"), pointwise=True)


def _scaled(op: Op, input: Any, other: Any, alpha: Any, label: str | None = None) -> Tensor:
    a, b, result = promoted(input, other)
    if result is dtypes.bool and type(alpha) is not bool:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and not (result.is_floating_point or result.is_complex):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    return apply(op, (a, b, alpha), (result.numpy,), label)


def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other"""
    if out is not None:
        return store_out(out, add, "add", (input, other), {"alpha": alpha})
    if type(other) is SparseTensor:
        other = other.to_dense()
    if alpha != 1:
        return _scaled(ADD_SCALED, input, other, alpha)
    return binary_call(ADD, "add", input, other)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other"""
    if out is not None:
        return store_out(out, sub, "sub", (input, other), {"alpha": alpha})
    if type(other) is SparseTensor:
        other = other.to_dense()
    if _is_bool(input) or _is_bool(other):
        _refuse_bool_subtraction(input, other)
    if alpha != 1:
        return _scaled(SUB_SCALED, input, other, alpha)
    return binary_call(SUB, "sub", input, other)


def _is_bool(x: Any) -> bool:
    return type(x) is bool or (isinstance(x, Tensor) and x._dtype_numpy() == _BOOL)


def _refuse_bool_subtraction(input: Any, other: Any) -> None:
    if _is_bool(input) and _is_bool(other):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    raise RuntimeError(
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
        "invert a mask, use the `~` or `logical_not()` operator instead."
    )


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input"""
    if not isinstance(input, Tensor):
        raise invalid_arguments("rsub", input, other)
    if _is_bool(input) or _is_bool(other):
        _refuse_bool_subtraction(other, input)
    label = "RsubBackward0" if isinstance(other, Tensor) else "RsubBackward1"
    if alpha != 1:
        return _scaled(SUB_SCALED, other, input, alpha, label)
    a, b, result = promoted(other, input)
    return apply(SUB, (a, b), (result.numpy,), label)


declare(inplace=True, out=True, short=ARITHMETIC)(add)
declare(inplace=True, out=True, aliases=("subtract",), short=ARITHMETIC)(sub)
declare(method=False, short=ARITHMETIC)(rsub)
mul = define_binary(
    "mul", kernels.multiply, "input * other", aliases=("multiply",), vjp=kernels.multiply_vjp
)


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """input / other; rounded towards zero ("trunc") or down ("floor") by `rounding_mode`."""
    if out is not None:
        return store_out(out, div, "div", (input, other), {"rounding_mode": rounding_mode})
    if rounding_mode is None:
        return _true_divide(input, other)
    from .rounding import rounded_division

    return rounded_division(input, other, rounding_mode)


def _true_divide(input: Any, other: Any) -> Tensor:
    if same_type(input, other) and input._dtype_numpy().kind in "fcV":
        return apply(DIV, (input, other), (None,))
    a, b, result = promoted(input, other)
    if not (result.is_floating_point or result.is_complex):
        result = dtypes.get_default_dtype()
        a = float(a) if type(a) in (int, bool) else a
        b = float(b) if type(b) in (int, bool) else b
    return apply(DIV, (a, b), (result.numpy,))


declare(inplace=True, out=True, aliases=("divide",), short=ARITHMETIC)(div)


@declare(inplace=True, out=True)
def true_divide(input: Any, other: Any) -> Tensor:
    """input / other"""
    return _true_divide(input, other)


# Comparison

COMPARISONS = {
    "eq": (lax.eq, "input == other", ()),
    "ne": (lax.ne, "input != other", ("not_equal",)),
    "lt": (lax.lt, "input < other", ("less",)),
    "le": (lax.le, "input <= other", ("less_equal",)),
    "gt": (lax.gt, "input > other", ("greater",)),
    "ge": (lax.ge, "input >= other", ("greater_equal",)),
}
for _name, (_function, _doc, _aliases) in COMPARISONS.items():
    globals()[_name] = define_binary(
        _name,
        _function,
        f"{_doc}, elementwise, as bools",
        aliases=_aliases,
        differentiable=False,
        left_number=False,
    )
