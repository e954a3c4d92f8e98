"""Declaring elementwise functions: which element types they take, and what their results are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.op import apply
from ..core.state import modes
from ..core.tape import Described, Node, edge_of
from ..core.tensor import Tensor
from ..dtypes import dtype as DType
from ..kernels.promotion import promoting, promoting_vjp
from .arguments import check_tensor, invalid_arguments, known, not_implemented_for
from .pointwise import promoted, same_type
from .registry import declare, store_out

Refusals = dict[str, Exception]


def kind_of(dtype: DType) -> str:
    """The category of an element type: b(ool), i(nteger), f(loat), c(omplex)."""
    if dtype.is_floating_point:
        return "f"
    if dtype.is_complex:
        return "c"
    return "b" if dtype is dtypes.bool else "i"


def refuse(name: str, dtype: DType, refusals: Refusals) -> None:
    """Raise where a function does not exist for an element type.

    Args:
        name: of the function, or of the kernel that PyTorch's text names (it ends in `_cpu`).
        refusals: what to raise by category; the category alone stands for PyTorch's usual text.
    """
    kind = kind_of(dtype)
    if kind not in refusals:
        return
    error = refusals[kind]
    if error is UNSUPPORTED:
        raise not_implemented_for(name, dtype)
    raise type(error)(*error.args)


UNSUPPORTED = NotImplementedError()


def unsupported(kinds: str) -> Refusals:
    """Refuse these categories in PyTorch's usual words."""
    return dict.fromkeys(kinds, UNSUPPORTED)


def make_op(
    kernel: Callable[..., Any], label: str | None = None, differentiable: bool = True
) -> Op:
    """The op of a kernel that takes operands of one type; its `NAME_vjp` is found beside it."""
    vjp = getattr(inspect.getmodule(kernel), f"{kernel.__name__}_vjp", None)
    return Op(
        promoting(kernel),
        name=label,
        vjp=None if vjp is None else promoting_vjp(vjp),
        differentiable=differentiable,
        pointwise=True,
    )


def complex_type(dtype: DType) -> np.dtype | None:
    """The static `dtype` for operands that have it already: their type if it is complex, else None.

    The derivative may read other values of complex numbers than of real ones, so that the two
    must not share a program.
    """
    return dtype.numpy if dtype.is_complex else None


# Unary functions


def unary(
    name: str,
    kernel: Callable[..., Any],
    doc: str,
    *,
    result: str = "same",
    refusals: Refusals | None = None,
    kernel_name: str | None = None,
    label: str | None = None,
    differentiable: bool = True,
    aliases: Sequence[str] = (),
    inplace: bool = True,
    inplace_function: bool = True,
    out: bool = True,
) -> Callable[..., Tensor]:
    """Declare `name(input, *, out=None)`, its method, in-place twin and aliases.

    Args:
        result: the type of the result: "same" as the input's, "float" (integers become the default
            dtype first), or "bool".
        refusals: see `refuse`.
        kernel_name: the name in PyTorch's text for element types that are not supported.
        label: the tape node's name without `Backward0`.
        inplace, inplace_function: `Tensor.name_` and `torch.name_` exist.
        out: `out=` is accepted.
    """
    op = make_op(kernel, label, differentiable)
    named = kernel_name or f"{name}_cpu"
    ready: dict[np.dtype, tuple[np.dtype | None]] = {}  # float types seen: what to pass as static

    def call(input: Tensor) -> Tensor:
        if not isinstance(input, Tensor):
            check_tensor(name, input)
        static = ready.get(input._view_dtype or input._storage.array.dtype)
        return apply(op, (input,), prepared(input.dtype) if static is None else static)

    def prepared(dtype: DType) -> tuple[np.dtype | None]:
        refuse(named, dtype, refusals or {})
        if result == "float" and not (dtype.is_floating_point or dtype.is_complex):
            return (dtypes.get_default_dtype().numpy,)
        return ready.setdefault(dtype.numpy, (complex_type(dtype),))  # type: ignore[arg-type]

    def with_out(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return call(input)
        check_tensor(name, input)
        if result == "bool" and out.dtype is not dtypes.bool and name != "logical_not":
            raise RuntimeError(f"{name} does not support non-boolean outputs.")
        if result == "same" and out.dtype is not input.dtype and not input.dtype.is_complex:
            raise RuntimeError(
                f"Found dtype {out.dtype._scalar_name} but expected {input.dtype._scalar_name}"
            )
        return store_out(out, call, name, (input,), {})

    public = with_out if out else call
    public.__name__ = public.__qualname__ = name
    public.__doc__ = doc
    declare(
        name=name,
        inplace=inplace,
        inplace_function=inplace and inplace_function,
        out=out,
        aliases=aliases,
        short={"pointwise": True},
    )(public)
    return public


# Binary functions


def binary(
    name: str,
    kernel: Callable[..., Any],
    doc: str,
    *,
    result: str = "same",
    numbers: str = "",
    refusals: Refusals | None = None,
    kernel_name: str | None = None,
    label: str | None = None,
    number_label: str | None = None,
    differentiable: bool = True,
    check: Callable[[Any, Any, DType], None] | None = None,
    aliases: Sequence[str] = (),
    inplace: bool = True,
    inplace_function: bool = False,
    second: str = "other",
) -> Callable[..., Tensor]:
    """Declare `name(input, other, *, out=None)`, its method, in-place twin and aliases.

    The operands are promoted to a common type first.

    Args:
        result: the type of the result: "same" as the promoted one, or "float" (integers become the
            default dtype first).
        numbers: which operands may be Python numbers: "", "other", or "both" (one at a time).
        refusals: see `refuse`; looked up by the promoted type.
        label, number_label: the tape node's whole name, and that for a number as second operand.
        check: `check(input, other, promoted_type)`, called before anything is computed.
        second: the name of the second parameter.
    """
    op = make_op(kernel, differentiable=differentiable)
    named = kernel_name or f"{name}_cpu"
    refused = refusals or {}

    def call(input: Any, other: Any) -> Tensor:
        if same_type(input, other):
            common = input.dtype
            target = complex_type(common)
        else:
            _check_operands(name, second, numbers, input, other)
            input, other, common = promoted(input, other)
            target = common.numpy
        if refused:
            refuse(named, common, refused)
        if check is not None:
            check(input, other, common)
        if result == "float" and not (common.is_floating_point or common.is_complex):
            target = dtypes.get_default_dtype().numpy
        chosen = label if number_label is None or isinstance(other, Tensor) else number_label
        return apply(op, (input, other), (target,), chosen)

    def with_out(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return call(input, other)
        return store_out(out, call, name, (input, other), {})

    with_out.__name__ = with_out.__qualname__ = name
    with_out.__doc__ = doc
    if second != "other":
        with_out = _renamed(with_out, second)
    declare(
        name=name, inplace=inplace, inplace_function=inplace_function, out=True, aliases=aliases
    )(with_out)
    return with_out


def _renamed(function: Callable[..., Any], second: str) -> Callable[..., Any]:
    """`function(input, other, ...)` whose second parameter is called otherwise."""

    def call(input: Any, *args: Any, out: Tensor | None = None, **keyword: Any) -> Any:
        if second in keyword:
            args = (keyword.pop(second),)
        if keyword or len(args) != 1:
            raise TypeError(f"{function.__name__}() takes input, {second} and out")
        return function(input, *args, out=out)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def _check_operands(name: str, second: str, numbers: str, a: Any, b: Any) -> None:
    allowed = (Tensor, bool, int, float, complex, np.generic, np.ndarray)
    if numbers and isinstance(a, Tensor) and isinstance(b, allowed):
        return
    if numbers == "both" and isinstance(b, Tensor) and isinstance(a, allowed):
        return
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return
    if numbers:
        raise invalid_arguments(name, a, b)
    check_tensor(name, a)
    check_tensor(name, b, second, 2)


# Checks and functions without a derivative


def check_divisor(a: Any, b: Any, dtype: DType) -> None:
    """Integers have no infinity: a divisor of 0 raises, as PyTorch does (not inside a trace)."""
    if dtype.is_floating_point or dtype.is_complex:
        return
    if isinstance(b, Tensor):
        values = known(b)
        zero = values is not None and not values.all()
    else:
        zero = not b
    if zero:
        raise RuntimeError("ZeroDivisionError")


class NoDerivative(Node):
    """The node of a function without a derivative: the backward pass raises when it gets there."""

    function: str

    def pull(self, gradients: list[Any], create_graph: bool) -> Sequence[Any]:
        raise NotImplementedError(f"derivative for aten::{self.function} is not implemented")


def without_derivative(result: Tensor, inputs: Sequence[Any], function: str) -> Tensor:
    """Record a result whose gradient cannot be computed."""
    edges = [edge_of(x) if isinstance(x, Tensor) else None for x in inputs]
    if modes.grad and any(edge is not None for edge in edges):
        described = Described(result._dims(), result._dtype_numpy())
        node = NoDerivative("NotImplemented", edges, (described,), result.device)
        node.function = function
        result._node = node
    return result
