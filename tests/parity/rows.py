"""The notation of the row tables, and the checks that every row goes through.

A table is written as

    table("addcmul", call(S(2, 3), S(2, 3), S(2, 3), value=2.0), call(S(2, 1), S(3), S()))

that is: names, then argument lists. `S`, `P`, `U`, `I`, `B`, `V` stand for seeded tensors.
From a row come the function, the gradient of every floating input, the method, the in-place
twin, its gradient, and `out=`, each wherever PyTorch itself has it. Where PyTorch raises, the
library under test must raise an error of the same class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tests.parity.calls import floating_tensors, gradients
from tests.parity.compare import RELATIVE, Outcome, differences, run
from tests.parity.libraries import ORACLE, Library


@dataclass(frozen=True)
class Input:
    """A tensor to be: the same values on every library."""

    shape: tuple[int, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    dtype: str
    layout: str = "contiguous"

    def t(self) -> Input:
        """The same tensor laid out transposed (last two axes swapped in memory)."""
        return Input(self.shape, self.draw, self.dtype, "transposed")

    def strided(self) -> Input:
        """The same tensor as every second column of a wider one."""
        return Input(self.shape, self.draw, self.dtype, "strided")

    def expanded(self) -> Input:
        """A tensor with stride 0 along its first axis."""
        return Input(self.shape, self.draw, self.dtype, "expanded")

    def build(self, library: Library, seed: int) -> Any:
        generator = np.random.default_rng(seed)
        array = np.asarray(self.draw(generator, self.shape))
        if self.layout == "transposed":
            return library.tensor(np.swapaxes(array, -1, -2), self.dtype).transpose(-1, -2)
        if self.layout == "strided":
            return library.tensor(np.repeat(array, 2, axis=-1), self.dtype)[..., ::2]
        if self.layout == "expanded":
            return library.tensor(array[:1], self.dtype).expand(*self.shape)
        return library.tensor(array, self.dtype)


def S(*shape: int, dtype: str = "float32") -> Input:
    """Standard normal."""
    return Input(shape, lambda g, s: g.standard_normal(s).astype("float32"), dtype)


def P(*shape: int, dtype: str = "float32", low: float = 0.2, high: float = 2.0) -> Input:
    """Positive: uniform in 0.2..2."""
    return Input(shape, lambda g, s: g.uniform(low, high, s).astype("float32"), dtype)


def U(*shape: int, dtype: str = "float32") -> Input:
    """Uniform in -0.9..0.9."""
    return P(*shape, dtype=dtype, low=-0.9, high=0.9)


def I(*shape: int, low: int = -4, high: int = 5, dtype: str = "int64") -> Input:  # noqa: E743
    """Integers in low..high-1."""
    return Input(shape, lambda g, s: g.integers(low, high, s), dtype)


def B(*shape: int) -> Input:
    """Booleans."""
    return Input(shape, lambda g, s: g.random(s) < 0.5, "bool")


def C(*shape: int) -> Input:
    """Complex, both parts standard normal."""

    def draw(g: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        return (g.standard_normal(s) + 1j * g.standard_normal(s)).astype("complex64")

    return Input(shape, draw, "complex64")


def V(values: Any, dtype: str = "float32") -> Input:
    """These values."""
    array = np.array(values)
    return Input(array.shape, lambda g, s: array, dtype)


def PD(n: int, *batch: int) -> Input:
    """Symmetric positive definite n by n matrices, well conditioned."""

    def draw(g: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
        a = g.standard_normal(s)
        return (a @ np.swapaxes(a, -1, -2) / n + np.eye(n)).astype("float32")

    return Input((*batch, n, n), draw, "float32")


@dataclass(frozen=True)
class Dtype:
    """A dtype argument, by name."""

    name: str


@dataclass(frozen=True)
class Call:
    """One argument list."""

    args: tuple
    kwargs: dict[str, Any]


def call(*args: Any, **kwargs: Any) -> Call:
    return Call(args, kwargs)


@dataclass(frozen=True)
class Row:
    """One call of one op and what of it is checked."""

    name: str
    call: Call
    number: int
    relative: float | None = None
    options: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"


NO_GRADIENT = "gradient"
NO_STRIDES = "strides"
NO_IN_PLACE = "in place"
NO_OUT = "out"
NO_METHOD = "method"
NO_FUNCTION = "function"


def table(
    names: str,
    *calls: Call,
    relative: float | None = None,
    without: tuple[str, ...] = (),
    because: str = "",
) -> list[Row]:
    """Rows for every name and call. A wider tolerance or a left-out check gives its reason."""
    assert bool(because) == bool(relative or without), "a departure needs its reason, and only it"
    return [
        Row(name, c, number, relative, frozenset(without))
        for name in names.split()
        for number, c in enumerate(calls)
    ]


# --- From a row to programs ---


class Arguments:
    """A row's arguments built for one library; every tensor gets its own seed."""

    def __init__(self, row: Row, library: Library, *, requires_grad: bool = False) -> None:
        self.library, self.count = library, 0
        self.args = [self.build(a) for a in row.call.args]
        self.kwargs = {k: self.build(a) for k, a in row.call.kwargs.items()}
        self.leaves = floating_tensors(library, [self.args, self.kwargs])
        for leaf in self.leaves:
            leaf.requires_grad_(requires_grad)

    def build(self, value: Any) -> Any:
        if isinstance(value, Input):
            self.count += 1
            return value.build(self.library, self.count)
        if isinstance(value, Dtype):
            return self.library.dtype(value.name)
        if isinstance(value, (list, tuple)):
            return type(value)(self.build(item) for item in value)
        return value

    def tensors(self) -> list[Any]:
        return [a for a in self.args if self.library.is_tensor(a)]


def apply_function(row: Row, library: Library) -> Any:
    built = Arguments(row, library)
    result = library.resolve(row.name)(*built.args, **built.kwargs)
    return {"result": result, "arguments afterwards": built.tensors()}


def through_method(row: Row, built: Arguments) -> Any:
    """Call the method on the first argument, or read the attribute."""
    found = getattr(built.args[0], row.name)
    is_method = callable(getattr(torch.Tensor, row.name))
    return found(*built.args[1:], **built.kwargs) if is_method else found


def apply_method(row: Row, library: Library) -> Any:
    built = Arguments(row, library)
    result = through_method(row, built)
    return {"result": result, "arguments afterwards": built.tensors()}


def apply_gradient(row: Row, library: Library) -> Any:
    built = Arguments(row, library, requires_grad=True)
    if is_function(row.name) and NO_FUNCTION not in row.options:
        result = library.resolve(row.name)(*built.args, **built.kwargs)
    else:
        result = through_method(row, built)
    return {"result": result, **gradients(library, result, built.leaves)}


def in_place_name(name: str) -> str:
    return name if name.endswith("_") else f"{name}_"


def apply_in_place(row: Row, library: Library) -> Any:
    built = Arguments(row, library)
    target = built.args[0]
    result = getattr(target, in_place_name(row.name))(*built.args[1:], **built.kwargs)
    return {"target": target, "is target": result is target, "version": target._version}


def apply_in_place_function(row: Row, library: Library) -> Any:
    built = Arguments(row, library)
    result = library.resolve(in_place_name(row.name))(*built.args, **built.kwargs)
    return {"target": built.args[0], "is target": result is built.args[0]}


def apply_in_place_gradient(row: Row, library: Library) -> Any:
    built = Arguments(row, library, requires_grad=True)
    target = built.args[0].clone()
    getattr(target, in_place_name(row.name))(*built.args[1:], **built.kwargs)
    return {"target": target, **gradients(library, target, built.leaves)}


def apply_out(row: Row, library: Library, dtypes: list[str], single: bool) -> Any:
    built = Arguments(row, library)
    empty = library.module.empty
    outs = tuple(empty(0, dtype=library.dtype(name)) for name in dtypes)
    out = outs[0] if single else outs
    result = library.resolve(row.name)(*built.args, **built.kwargs, out=out)
    same = [result is out] if single else [a is b for a, b in zip(result, outs, strict=True)]
    return {"outs": outs, "is out": same}


def is_function(name: str) -> bool:
    """Whether PyTorch has `name` as a function, not only as a method."""
    found = ORACLE.resolve(name) if "." in name else getattr(torch, name, None)
    return callable(found) and not isinstance(found, type)


def programs(row: Row) -> Iterator[tuple[str, Callable[[Library], Any]]]:
    """Every form of the row that PyTorch has."""
    first = row.call.args[0] if row.call.args else None
    has_target = isinstance(first, Input)
    twin = in_place_name(row.name)
    function = is_function(row.name) and not row.name.endswith("_")
    method = has_target and hasattr(torch.Tensor, row.name) and not row.name.endswith("_")
    assert function or method or hasattr(torch.Tensor, twin), f"PyTorch has no {row.name}"
    if function and NO_FUNCTION not in row.options:
        yield "function", lambda library: apply_function(row, library)
    if method and NO_METHOD not in row.options:
        yield "method", lambda library: apply_method(row, library)
    if (function or method) and NO_GRADIENT not in row.options:
        yield "gradient", lambda library: apply_gradient(row, library)
    if has_target and hasattr(torch.Tensor, twin) and NO_IN_PLACE not in row.options:
        yield "in place", lambda library: apply_in_place(row, library)
        if hasattr(torch, twin):
            yield "in-place function", lambda library: apply_in_place_function(row, library)
        if NO_GRADIENT not in row.options:
            yield "in-place gradient", lambda library: apply_in_place_gradient(row, library)


def out_program(row: Row, plain: Outcome) -> Callable[[Library], Any] | None:
    """The `out=` form, where PyTorch takes one; `plain` is what the function returned."""
    if plain.error or NO_OUT in row.options or "out" in row.call.kwargs:
        return None
    result = plain.value["result"]
    records = [result] if hasattr(result, "dtype") else list(getattr(result, "values", list)())
    if not records or not all(hasattr(r, "dtype") for r in records):
        return None
    dtypes, single = [r.dtype for r in records], hasattr(result, "dtype")

    def program(library: Library) -> Any:
        return apply_out(row, library, dtypes, single)

    error = run(ORACLE, program).error
    return None if error and error.kind in ("TypeError", "AttributeError") else program


def pointless(form: str, outcome: Outcome) -> bool:
    """Whether a gradient form has nothing to say: no floating input, or not differentiable.

    Where the oracle lacks a derivative ("inplace version of asinh") nothing is asked either.
    """
    if "gradient" not in form:
        return False
    if outcome.error:
        return outcome.error.kind in ("RuntimeError", "NotImplementedError")
    return not outcome.value["differentiable"]


def mixes_precisions(row: Row) -> bool:
    """Whether float32 and float64 meet: where it is rounded then is no matter of contract."""
    return {"float32", "float64"} <= {a.dtype for a in row.call.args if isinstance(a, Input)}


def problems(row: Row, library: Library) -> list[str]:
    """Where `library` departs from the oracle on this row, one line each."""
    found = []
    relative = row.relative or (RELATIVE["float32"] if mixes_precisions(row) else None)

    def judge(form: str, program: Callable, expected: Outcome) -> None:
        strides = NO_STRIDES not in row.options and "gradient" not in form
        actual = run(library, program)
        found.extend(
            f"{form}: {message}"
            for message in differences(expected, actual, relative=relative, strides=strides)
        )

    for form, program in programs(row):
        expected = run(ORACLE, program)
        if pointless(form, expected):
            continue
        judge(form, program, expected)
        if form == "function" and (out := out_program(row, expected)):
            judge("out", out, run(ORACLE, out))
    return found
