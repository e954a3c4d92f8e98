"""What a program did, as plain data, and the first difference between two such records."""

from __future__ import annotations

import numbers
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.parity.libraries import Library, dtype_name

# Relative tolerance by dtype. The absolute one is a tenth of it, times the largest expected
# magnitude: entries that cancel to nearly nothing carry the rounding errors of their neighbours.
RELATIVE = {
    "float32": 1e-5,
    "complex64": 1e-5,
    "float64": 1e-9,
    "complex128": 1e-9,
    "bfloat16": 1.6e-2,
    "float16": 2e-3,
    "complex32": 2e-3,
}


@dataclass(frozen=True)
class TensorRecord:
    """A tensor as data."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool
    array: np.ndarray


@dataclass(frozen=True)
class ErrorRecord:
    """An exception as data."""

    kind: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What a program returned, or the error it ended with, and the categories of its warnings."""

    value: Any
    error: ErrorRecord | None
    warned: frozenset[str]


def record(library: Library, value: Any) -> Any:
    """`value` with every object that belongs to `library` turned into plain data."""
    if library.is_tensor(value):
        shape = tuple(int(n) for n in value.shape)
        stride = tuple(int(n) for n in value.stride())
        dtype, array = dtype_name(value.dtype), library.array(value)
        return TensorRecord(dtype, shape, stride, bool(value.requires_grad), array)
    if isinstance(value, library.module.Size):
        return ("Size", *value)
    if isinstance(value, dict):
        return {key: record(library, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        fields = getattr(type(value), "__match_args__", ())
        if fields:
            return dict(zip(fields, (record(library, item) for item in value), strict=True))
        return type(value)(record(library, item) for item in value)
    if isinstance(value, library.module.dtype):
        return f"dtype {dtype_name(value)}"
    if isinstance(value, library.module.device):
        return f"device {value}"
    return value


def run(library: Library, program: Callable[[Library], Any]) -> Outcome:
    """Run `program` on `library` and write down what happened."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with library.restored():
                value, error = record(library, program(library)), None
        except Exception as exception:
            value, error = None, ErrorRecord(class_name(exception), stable_text(exception))
    return Outcome(value, error, frozenset(w.category.__name__ for w in caught))


def differences(
    expected: Outcome,
    actual: Outcome,
    *,
    relative: float | None = None,
    strides: bool = True,
    texts: bool = False,
) -> list[str]:
    """The ways in which `actual` departs from `expected`; empty where they agree."""
    if expected.error and actual.error:
        if expected.error.kind != actual.error.kind:
            return [f"raised {describe(actual.error)}, expected {describe(expected.error)}"]
        if texts and expected.error.text != actual.error.text:
            return [f"error text {actual.error.text!r}, expected {expected.error.text!r}"]
        return []
    if actual.error:
        return [f"raised {describe(actual.error)}"]
    if expected.error:
        return [f"did not raise {describe(expected.error)}"]
    found = compare(expected.value, actual.value, "", relative, strides)
    surplus = actual.warned - expected.warned
    return found + ([f"warned {sorted(surplus)}"] if surplus else [])


def class_name(error: Exception) -> str:
    """The class of `error`; where PyTorch's is made in C++, without the mark of privacy."""
    return type(error).__name__.removeprefix("_")


def stable_text(error: Exception) -> str:
    """The text of `error`, less what differs by nature.

    For a saved tensor that was written to, PyTorch names the operation that made its present
    value, a tape that keeps values rather than handles the one that made the saved value.
    """
    return re.sub(r", which is output \d+ of \w+,", "", str(error))


def describe(error: ErrorRecord) -> str:
    first_line = error.text.strip().split("\n")[0]
    return f"{error.kind}: {first_line[:200]}"


def compare(
    expected: Any, actual: Any, where: str, relative: float | None, strides: bool
) -> list[str]:
    """Differences of two records, each with the path that leads to it."""
    if isinstance(expected, TensorRecord) and isinstance(actual, TensorRecord):
        return compare_tensors(expected, actual, where, relative, strides)
    if isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            return [f"{where} keys {list(actual)}, expected {list(expected)}"]
        pairs = [(f"{where}.{key}", expected[key], actual[key]) for key in expected]
        return [d for w, e, a in pairs for d in compare(e, a, w, relative, strides)]
    if isinstance(expected, (tuple, list)) and isinstance(actual, (tuple, list)):
        if type(expected) is not type(actual) or len(expected) != len(actual):
            return [
                f"{where} {type(actual).__name__} of {len(actual)}, "
                f"expected {type(expected).__name__} of {len(expected)}"
            ]
        triples = zip(expected, actual, range(len(expected)), strict=True)
        return [d for e, a, i in triples for d in compare(e, a, f"{where}[{i}]", relative, strides)]
    return compare_plain(expected, actual, where, relative)


def compare_plain(expected: Any, actual: Any, where: str, relative: float | None) -> list[str]:
    if type(expected) is not type(actual):
        return [f"{where} is {type(actual).__name__} {actual!r:.80}, expected {expected!r:.80}"]
    if isinstance(expected, np.ndarray):
        same = expected.dtype == actual.dtype and expected.shape == actual.shape
        same = same and compare_arrays(expected, actual, str(expected.dtype), relative) is None
    elif isinstance(expected, numbers.Complex) and not isinstance(expected, (bool, int)):
        same = np.isclose(actual, expected, rtol=relative or 1e-5, atol=1e-12, equal_nan=True)
    else:
        same = expected == actual
    return [] if same else [f"{where} is {actual!r:.120}, expected {expected!r:.120}"]


def compare_tensors(
    expected: TensorRecord, actual: TensorRecord, where: str, relative: float | None, strides: bool
) -> list[str]:
    for name in ("dtype", "shape", "requires_grad"):
        wanted, got = getattr(expected, name), getattr(actual, name)
        if wanted != got:
            return [f"{where} {name} {got}, expected {wanted}"]
    found = []
    if strides and expected.array.size and expected.stride != actual.stride:
        found.append(f"{where} stride {actual.stride}, expected {expected.stride}")
    mismatch = compare_arrays(expected.array, actual.array, expected.dtype, relative)
    return found + ([f"{where} {mismatch}"] if mismatch else [])


def compare_arrays(
    expected: np.ndarray, actual: np.ndarray, dtype: str, relative: float | None
) -> str | None:
    """The worst mismatch of two arrays of one shape, in words; None where they agree."""
    if expected.dtype.kind not in "fc":
        same = expected == actual
    else:
        relative = RELATIVE[dtype] if relative is None else relative
        finite = np.abs(expected[np.isfinite(expected)])
        absolute = 0.1 * relative * (finite.max() if finite.size else 0.0)
        with np.errstate(all="ignore"):
            same = np.isclose(actual, expected, rtol=relative, atol=absolute, equal_nan=True)
    if np.all(same):
        return None
    wrong = np.argwhere(~np.asarray(same))
    at = tuple(int(i) for i in wrong[0])
    return (
        f"value at {list(at)} is {actual[at]!r}, expected {expected[at]!r} "
        f"({len(wrong)} of {expected.size} differ)"
    )
