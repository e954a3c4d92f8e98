"""One declaration per function: from it come `torch.f`, `Tensor.f`, `Tensor.f_` and `out=`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.layout import is_contiguous, is_dense
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.shortcut import shortcut
from ..core.state import modes
from ..core.tensor import Tensor
from ..core.views import before_write, check_overlap, check_writable, overwrite
from .arguments import c_name
from .autocast import autocast


@dataclass(frozen=True)
class Row:
    """What is provided for one function."""

    name: str
    function: Callable[..., Any]
    method: bool
    inplace: bool
    out: bool
    short: dict[str, bool] | None = None


# What a comparison stores in place does not depend on its operands, as far as gradients go: they
# get zeros. (Out of place, and for the logical functions, there is no derivative at all.)
COMPARISONS = frozenset(
    "eq ne lt le gt ge not_equal less less_equal greater greater_equal".split()  # noqa: SIM905
)


def _flat(value: Any, *operands: Any) -> Any:
    return value


FLAT = Op(_flat, name="Comparison")
ROWS: dict[str, Row] = {}
FUNCTIONS: dict[str, Any] = {}


def declare(
    *,
    name: str | None = None,
    function: bool = True,
    method: bool = True,
    inplace: bool = False,
    inplace_function: bool = False,
    out: bool | str = False,
    aliases: Sequence[str] = (),
    short: dict[str, bool] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a tensor function.

    Args:
        name: its public name; the function's own by default.
        function: `torch.name` exists.
        method: `Tensor.name` exists (the first parameter is the tensor).
        inplace: `Tensor.name_` exists: the result is stored into the first argument.
        inplace_function: `torch.name_` exists, too.
        out: accepts `out=` (a tensor, or a tuple of them for several results). A function that
            handles `out` itself (it has a parameter of that name) is left alone. A text, such
            as `SAME_TYPE`: the error where `out` has another element type than the result.
            `AS_OUT`: the type of `out` is the default of the argument `dtype`.
        aliases: further names that mean the same.
        short: it may go straight to what it did the last time: the arguments of `core.shortcut`.
    """

    def register(plain: Callable[..., Any]) -> Callable[..., Any]:
        public = name or plain.__name__
        takes_out = "out" in plain.__code__.co_varnames[: _parameter_count(plain)]
        converting = autocast(public, *aliases)
        bare = converting(plain)
        full = converting(with_out(plain, public, out)) if out and not takes_out else bare
        if short is not None:
            same = full is bare
            bare = shortcut(bare, **short)
            full = bare if same else shortcut(full, **short)
        for n in (public, *aliases):
            ROWS[n] = Row(n, full, method, inplace, bool(out), short)
            if function:
                FUNCTIONS[n] = full
            if method:
                setattr(Tensor, n, bare if out and not takes_out else full)
            if inplace:
                twin = in_place_twin(plain, n + "_")
                setattr(Tensor, n + "_", twin)
                if inplace_function:
                    FUNCTIONS[n + "_"] = twin
        return full

    return register


def _parameter_count(function: Callable[..., Any]) -> int:
    code = function.__code__
    return code.co_argcount + code.co_kwonlyargcount


AS_OUT = "as out"
SAME_TYPE = "Expected out tensor to have dtype {expected}, but got {given} instead"


def with_out(plain: Callable[..., Any], name: str, rule: bool | str = True) -> Callable[..., Any]:
    """`plain` with a keyword `out=`."""

    @functools.wraps(plain)
    def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return plain(*args, **kwargs)
        if rule is AS_OUT and kwargs.get("dtype") is None:
            kwargs["dtype"] = out.dtype
        return store_out(out, plain, name, args, kwargs, rule)

    return function


class ComplexHalf(NotImplementedError):
    """A result would be complex numbers of two float16, which are not built."""


def in_place_twin(plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method that stores `plain`'s result into its first argument."""

    flat = name[:-1] in COMPARISONS

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, args)
        old = before_write(self)
        try:
            value = plain(old, *args, **kwargs)
        except ComplexHalf:
            check_castable(dtypes.complex32, self.dtype)
            raise
        if flat and modes.grad:
            operands = [a for a in args if isinstance(a, Tensor)]
            value = apply(FLAT, (cast(value, self.dtype), old, *operands))
        return store(self, value)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of `{name[:-1]}`."
    return method


def store(x: Tensor, value: Tensor) -> Tensor:
    """Store the result of an out-of-place function into `x`, after PyTorch's checks."""
    shape, target = value._dims(), x._dims()
    if shape != target:
        raise RuntimeError(
            f"output with shape {list(target)} doesn't match the broadcast shape {list(shape)}"
        )
    if value.dtype is not x.dtype:
        check_castable(value.dtype, x.dtype)
        value = cast(value, x.dtype)
    return overwrite(x, value)


def check_castable(source: dtypes.dtype, target: dtypes.dtype) -> None:
    """A result may not be stored in a type of a lower category."""
    if not dtypes.can_cast(source, target):
        raise RuntimeError(
            f"result type {scalar_type_name(source)} can't be cast to the desired output type "
            f"{scalar_type_name(target)}"
        )


def cast(x: Tensor, dtype: dtypes.dtype) -> Tensor:
    """`x` as `dtype`, recorded on the tape."""
    from .convert import TO

    return x if x.dtype is dtype else apply(TO, (x,), (dtype.numpy,))


def _mismatch(rule: str, name: str, wanted: dtypes.dtype, given: dtypes.dtype) -> str:
    return rule.format(
        name=name,
        expected=c_name(wanted),
        given=c_name(given),
        expected_type=scalar_type_name(wanted),
        given_type=scalar_type_name(given),
    )


def store_out(
    out: Any,
    plain: Callable[..., Any],
    name: str,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    rule: bool | str = True,
) -> Any:
    """Run `plain` and store its result (or results) into `out`; `rule`: see `declare`'s `out`."""
    several = not isinstance(out, Tensor)
    targets = tuple(out) if several else (out,)
    for t in targets:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(t).__name__}")
    inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
    if modes.grad and any(t.requires_grad for t in (*inputs, *targets)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    previous, modes.grad = modes.grad, False
    try:
        result = plain(*args, **kwargs)
        values = tuple(result) if several else (result,)
        for target, value in zip(targets, values, strict=True):
            if rule is not True and rule is not AS_OUT and value.dtype is not target.dtype:
                raise RuntimeError(_mismatch(str(rule), name, value.dtype, target.dtype))
            check_castable(value.dtype, target.dtype)
            if target._dims() == value._dims():
                check_writable(target)
        for target in targets:
            for x in inputs:
                if x._storage is target._storage and x is not target:
                    check_overlap(target, x)
        for target, value in zip(targets, values, strict=True):
            if target._dims() != value._dims():
                fit(target, value._dims())
                kept = not value._steps or any(value is x for x in inputs)
                target._storage.strides = memory_order(value) if kept else None
            overwrite(target, cast(value, target.dtype))
    finally:
        modes.grad = previous
    if not several:
        return out
    return type(result)(targets) if type(result) is not tuple else targets


def memory_order(value: Tensor) -> tuple[int, ...] | None:
    """The strides of a tensor that fills its memory in another order than row by row, or None."""
    if value._is_plain():
        return None
    shape, strides = tuple(value._dims()), value._strides_offset()[0]
    return strides if is_dense(shape, strides) and not is_contiguous(shape, strides) else None


def fit(target: Tensor, shape: tuple[int, ...]) -> None:
    """Give an `out=` tensor the result's shape, with PyTorch's warning unless it was empty."""
    if target._dims() == shape:
        return
    if target.numel():
        warnings.warn(
            "An output with one or more elements was resized since it had shape "
            f"{list(target._dims())}, which does not match the required output shape "
            f"{list(shape)}. This behavior is deprecated, and in a future PyTorch release outputs "
            "will not be resized unless they have zero elements. You can explicitly reuse an out "
            "tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            UserWarning,
            stacklevel=5,
        )
    resize_storage(target, shape)


def resize_storage(target: Tensor, shape: tuple[int, ...]) -> None:
    """Make `target` a plain tensor of `shape`; as many of its elements as fit are kept."""
    import numpy as np

    flat = np.zeros(int(np.prod(shape, dtype=np.int64)), target._dtype_numpy())
    old = target._host().reshape(-1)
    count = min(old.size, flat.size)
    flat[:count] = old[:count]
    for field in ("_steps", "_offsets", "_view_shape", "_view_dtype", "_layout", "_base"):
        target.__dict__.pop(field, None)
    target._storage.strides = None
    target._storage.write(flat.reshape(shape))
