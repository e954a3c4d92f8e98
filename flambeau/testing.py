"""`torch.testing`: comparing tensors in tests, and making random ones."""

from __future__ import annotations

import cmath
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import dtypes
from .core.tensor import Tensor
from .dtypes import dtype as DType
from .ops.registry import FUNCTIONS

# type: (relative, absolute); every other type has to be equal
TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
    dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}
_OLD_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-3),
    dtypes.float32: (1e-4, 1e-5),
    dtypes.float64: (1e-5, 1e-8),
}

Message = str | Callable[[str], str] | None


@dataclass(frozen=True)
class Rules:
    """How two values are compared."""

    allow_subclasses: bool = True
    rtol: float | None = None
    atol: float | None = None
    equal_nan: bool = False
    check_device: bool = True
    check_dtype: bool = True
    check_layout: bool = True
    check_stride: bool = False

    def tolerances(self, *types: DType) -> tuple[float, float]:
        """(rtol, atol): as given, else the widest of the types' own."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [TOLERANCES.get(t, (0.0, 0.0)) for t in types]
        return max(r for r, _ in found), max(a for _, a in found)


@dataclass(frozen=True)
class Pair:
    """Two values to be compared, and where they are in the containers around them."""

    actual: Any
    expected: Any
    path: tuple[Any, ...] = ()

    def where(self) -> str:
        """The last line of a message: the place of the failure."""
        if not self.path:
            return ""
        return f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in self.path)}"


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol * |expected| everywhere.

    Args:
        actual, expected: tensors, arrays, numbers, or sequences and mappings of these.
        allow_subclasses: a tensor's subclass may be compared with another class.
        rtol, atol: both or neither; by default they depend on the element type.
        equal_nan: NaN equals NaN.
        check_device, check_dtype, check_layout, check_stride: these have to agree, too.
        msg: the error's text, or a function of the text that would be given.

    >>> import flambeau as torch
    >>> torch.testing.assert_close(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    rules = Rules(
        allow_subclasses,
        rtol,
        atol,
        equal_nan,
        check_device,
        check_dtype,
        check_layout,
        check_stride,
    )
    for pair in list(_pairs(Pair(actual, expected), rules, msg)):
        text = _difference(pair, rules)
        if text is not None:
            raise AssertionError(_worded(text + pair.where(), msg))


def _worded(text: str, msg: Message) -> str:
    if msg is None:
        return text
    return msg(text) if callable(msg) else msg


def _pairs(pair: Pair, rules: Rules, msg: Message) -> Iterator[Pair]:
    """The leaves of two nested containers of one structure."""
    actual, expected = pair.actual, pair.expected
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        missing, extra = expected.keys() - actual.keys(), actual.keys() - expected.keys()
        if missing or extra:
            lines = ["The keys of the mappings do not match:"]
            if missing:
                lines.append(f"Missing keys in the actual mapping: {sorted(missing)}")
            if extra:
                lines.append(f"Additional keys in the actual mapping: {sorted(extra)}")
            raise AssertionError(_worded("\n".join(lines) + pair.where(), msg))
        for key in actual:
            yield from _pairs(Pair(actual[key], expected[key], (*pair.path, key)), rules, msg)
    elif _is_list(actual) and _is_list(expected):
        if len(actual) != len(expected):
            text = f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            raise AssertionError(_worded(text + pair.where(), msg))
        for at, items in enumerate(zip(actual, expected, strict=True)):
            yield from _pairs(Pair(*items, (*pair.path, at)), rules, msg)
    elif not _comparable(actual, expected, rules):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(actual)} and "
            f"{type(expected)}.{pair.where()}"
        )
    else:
        yield pair


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number))


def _comparable(actual: Any, expected: Any, rules: Rules) -> bool:
    if actual is None or expected is None:
        return True
    if isinstance(actual, (bool, np.bool_)) and isinstance(expected, (bool, np.bool_)):
        return True
    if _is_number(actual) and _is_number(expected):
        return True
    if isinstance(actual, np.ndarray) and isinstance(expected, np.ndarray):
        return True
    tensors = isinstance(actual, Tensor) and isinstance(expected, Tensor)
    return tensors and (rules.allow_subclasses or type(actual) is type(expected))


def _difference(pair: Pair, rules: Rules) -> str | None:
    """What is wrong with a pair; None where nothing is."""
    actual, expected = pair.actual, pair.expected
    if actual is None or expected is None:
        return None if actual is expected else f"None mismatch: {actual} is not {expected}"
    if isinstance(actual, (bool, np.bool_)) and isinstance(expected, (bool, np.bool_)):
        same = bool(actual) is bool(expected)
        return None if same else f"Booleans mismatch: {actual} is not {expected}"
    if _is_number(actual) and _is_number(expected):
        return _number_difference(actual, expected, rules)
    if isinstance(actual, np.ndarray):
        actual, expected = (FUNCTIONS["from_numpy"](np.asarray(x)) for x in (actual, expected))
    return _tensor_difference(actual.detach(), expected.detach(), rules)  # type: ignore


def _number_difference(actual: Any, expected: Any, rules: Rules) -> str | None:
    actual, expected = (x.item() if isinstance(x, np.number) else x for x in (actual, expected))
    if rules.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    wide = {int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}
    rtol, atol = rules.tolerances(*(wide.get(type(x), dtypes.int64) for x in (actual, expected)))
    return _scalar_difference(actual, expected, rtol, atol, rules.equal_nan)


def _scalar_difference(
    actual: Any, expected: Any, rtol: float, atol: float, equal_nan: bool
) -> str | None:
    if actual == expected or (equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return None
    distance = abs(actual - expected)
    if cmath.isfinite(expected) and distance <= atol + rtol * abs(expected):
        return None
    relative = distance / abs(expected) if expected else math.inf
    exact = rtol == 0 and atol == 0
    lines = [f"Scalars are not {'equal' if exact else 'close'}!", ""]
    lines.append(f"Expected {expected} but got {actual}.")
    for name, value, allowed in (
        ("Absolute", distance, atol),
        ("Relative", relative, rtol),
    ):
        lines.append(f"{name} difference: {value}{'' if exact else f' (up to {allowed} allowed)'}")
    return "\n".join(lines)


def _tensor_difference(actual: Tensor, expected: Tensor, rules: Rules) -> str | None:
    attributes = [("shape", actual.shape, expected.shape, True)]
    attributes += [
        ("stride()", actual.stride(), expected.stride(), rules.check_stride),
        ("device", actual.device, expected.device, rules.check_device),
        ("dtype", actual.dtype, expected.dtype, rules.check_dtype),
    ]
    for name, ours, theirs, checked in attributes:
        if checked and ours != theirs:
            return f"The values for attribute '{name}' do not match: {ours} != {theirs}."
    if "meta" in (actual.device.type, expected.device.type):
        return None
    rtol, atol = rules.tolerances(actual.dtype, expected.dtype)
    common = dtypes.promote_types(actual.dtype, expected.dtype)
    a, b = (x._host().astype(common.numpy) for x in (actual, expected))
    if a.ndim == 0:
        return _scalar_difference(_python(a), _python(b), rtol, atol, rules.equal_nan)
    matches = _close(a, b, rtol, atol, rules.equal_nan)
    if matches.all():
        return None
    return _array_report(a, b, matches, rtol, atol)


def _python(x: np.ndarray) -> Any:
    return float(x) if x.dtype.kind == "V" else x.item()


def _close(a: np.ndarray, b: np.ndarray, rtol: float, atol: float, equal_nan: bool) -> np.ndarray:
    close = a == b
    if equal_nan:
        close = close | ((a != a) & (b != b))
    if rtol == 0 and atol == 0:
        return close
    if a.dtype.kind in "iub":
        a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        distance = np.abs(a - b)
        allowed = np.asarray(atol + np.abs(rtol * b)).astype(distance.dtype)
        return close | (np.isfinite(distance) & (distance <= allowed))


def _array_report(
    a: np.ndarray, b: np.ndarray, matches: np.ndarray, rtol: float, atol: float
) -> str:
    if a.dtype.kind in "iub":
        a, b = a.astype(np.int64), b.astype(np.int64)
    with np.errstate(all="ignore"):
        distance = np.where(matches, 0, np.abs(a - b)).astype(np.abs(a).dtype)
        relative = distance.astype(np.float32 if a.dtype.kind == "i" else distance.dtype)
        relative = np.where(matches, 0, relative / np.abs(b).astype(relative.dtype))
    wrong = int((~matches).sum())
    exact = rtol == 0 and atol == 0
    lines = [f"Tensor-likes are not {'equal' if exact else 'close'}!", ""]
    share = 100 * wrong / matches.size
    lines.append(f"Mismatched elements: {wrong} / {matches.size} ({share:.1f}%)")
    for name, values, allowed in (("absolute", distance, atol), ("relative", relative, rtol)):
        place = np.unravel_index(int(np.argmax(values)), values.shape)
        index = tuple(int(i) for i in place)
        found = _python(np.asarray(values[place]))
        suffix = "" if exact else f" (up to {allowed} allowed)"
        lines.append(f"Greatest {name} difference: {found} at index {index}{suffix}")
    return "\n".join(lines)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """Deprecated: use `assert_close`."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead. You can find detailed "
        "upgrade instructions in https://github.com/pytorch/pytorch/issues/61844.",
        FutureWarning,
        stacklevel=2,
    )
    tensor = FUNCTIONS["tensor"]
    if not isinstance(actual, Tensor):
        actual = tensor(actual)
    if not isinstance(expected, Tensor):
        expected = tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        both = [_OLD_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = max(r for r, _ in both), max(a for _, a in both)
    assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_dtype=False,
        msg=msg or None,
    )


def make_tensor(
    *shape: Any,
    dtype: DType,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random values, uniform in [low, high).

    Args:
        low, high: by default -9 and 9 (floats), -9 and 10 (integers), 0 and 10 (uint8).
        noncontiguous: with gaps in memory.
        exclude_zero: zeros are replaced by the smallest positive value.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    gaps = noncontiguous and math.prod(sizes) > 1
    drawn = (*sizes[:-1], 2 * sizes[-1]) if gaps else sizes
    floating = dtype.is_floating_point or dtype.is_complex
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous!r} and memory_format={memory_format!r}"
        )
    bottom, top = _bounds(dtype, low, high)
    empty = FUNCTIONS["empty"]
    if dtype.is_complex:
        real = dtype.to_real()
        parts = empty((*drawn, 2), device=device, dtype=real).uniform_(bottom, top)
        result = FUNCTIONS["view_as_complex"](parts)
    elif floating:
        result = empty(drawn, device=device, dtype=dtype).uniform_(bottom, top)
    else:
        result = empty(drawn, device=device, dtype=dtype).random_(int(bottom), int(top))
    if gaps:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        smallest = dtypes.finfo(dtype).tiny if floating else 1
        result[result == 0] = smallest
    if floating:
        result.requires_grad = requires_grad
    return result


def _bounds(dtype: DType, low: float | None, high: float | None) -> tuple[float, float]:
    """The range of `make_tensor`, inside that of the type."""
    floating = dtype.is_floating_point or dtype.is_complex
    if dtype is dtypes.bool:
        usual, widest = (0, 2), (0, 2)
    elif floating:
        limits = dtypes.finfo(dtype)
        usual, widest = (-9, 9), (limits.min, limits.max)
    else:
        whole = dtypes.iinfo(dtype)
        usual = (0, 10) if dtype is dtypes.uint8 else (-9, 10)
        widest = (whole.min, whole.max + (dtype is not dtypes.int64))
    bottom = usual[0] if low is None else low
    top = usual[1] if high is None else high
    if math.isnan(bottom) or math.isnan(top):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low!r} and high={high!r}")
    if bottom == top and floating:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif bottom >= top:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    return min(max(bottom, widest[0]), widest[1]), min(max(top, widest[0]), widest[1])


__all__ = ["assert_allclose", "assert_close", "make_tensor"]
