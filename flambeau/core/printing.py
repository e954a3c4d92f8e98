"""The text of tensors: number formats, summarising, line breaks and the suffixes of `repr`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..devices import CPU
from ..devices import device as Device
from ..dtypes import bool as bool_dtype
from ..dtypes import dtype as DType
from ..dtypes import get_default_dtype, int64
from .state import modes

# --- options ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrintOptions:
    """What `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed. What is not given stays, but for `sci_mode`.

    Args:
        precision: digits after the decimal point.
        threshold: the number of elements above which a tensor is summarised.
        edgeitems: how many elements a summary shows at each end of a dimension.
        linewidth: characters in a line.
        profile: "default", "short" or "full": values for all of the above.
        sci_mode: scientific notation always (True), never (False), or where it is needed (None).

    >>> set_printoptions(precision=2)
    >>> print(tensor_text(np.array([1.5])))
    [1.50]
    >>> set_printoptions(profile="default")
    """
    global _options
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    start = PROFILES.get(profile, _options) if profile is not None else _options
    changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    _options = replace(start, **changes, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options in force, by name."""
    return dict(vars(_options))


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """`set_printoptions(**options)` for the duration of a `with` block."""
    global _options
    before = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = before


# --- the format of one element ------------------------------------------------------------------


def _float_format(values: np.ndarray) -> tuple[Callable[[float], str], int]:
    """How the float64 `values` are written, and the width to which they are padded."""
    digits = _options.precision
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0)])
    integral = bool(np.all(magnitudes == np.ceil(magnitudes)))
    scientific = False
    if magnitudes.size:
        smallest, largest = float(magnitudes.min()), float(magnitudes.max())
        scientific = largest > 1000 * smallest or largest > 1e8
        scientific = scientific or (not integral and smallest < 1e-4)
        if _options.sci_mode is not None:
            scientific = bool(_options.sci_mode)

    def write(value: float) -> str:
        if scientific:
            return f"{value:.{digits}e}"
        if not integral:
            return f"{value:.{digits}f}"
        return f"{value:.0f}." if math.isfinite(value) else str(value)

    shown = values[np.isfinite(values) & (values != 0)].tolist()
    return write, max((len(write(value)) for value in shown), default=1)


def _element_format(values: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """The text of one element, given as a Python number, and the width of an element."""
    if values.dtype.kind == "c":
        write_real, real_width = _float_format(np.real(values).astype(np.float64))
        write_imaginary, imaginary_width = _float_format(np.imag(values).astype(np.float64))

        def write(value: complex) -> str:
            imaginary = write_imaginary(value.imag)
            sign = "" if imaginary.startswith("-") else "+"
            return f"{write_real(value.real).rjust(real_width)}{sign}{imaginary}j"

        return write, real_width + imaginary_width + 1
    if values.dtype.kind in "iub":
        width = max((len(str(value)) for value in values.tolist()), default=1)
        return lambda value: str(value).rjust(width), width
    write_float, width = _float_format(values)
    return lambda value: write_float(value).rjust(width), width


# --- nested lists -------------------------------------------------------------------------------


def tensor_text(array: np.ndarray, indent: int = 0) -> str:
    """The elements of `array` as nested lists, as they stand inside `tensor(...)`.

    Args:
        array: the elements.
        indent: the column at which the text begins.

    >>> print(tensor_text(np.arange(4).reshape(2, 2)))
    [[0, 1],
     [2, 3]]
    """
    if array.dtype.kind not in "iubc":
        array = array.astype(np.float64)
    summarise = array.size > _options.threshold
    shown = _edges(array) if summarise else array
    write, width = _element_format(shown.reshape(-1))
    return _nested(array, indent, summarise, write, width)


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    edge = _options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * edge:
            kept = [*range(edge), *range(size - edge, size)]
            array = np.take(array, kept, axis)
    return array


def _nested(
    array: np.ndarray, indent: int, summarise: bool, write: Callable[[Any], str], width: int
) -> str:
    if array.ndim == 0:
        return write(array.item())
    edge = _options.edgeitems
    skip = summarise and array.shape[0] > 2 * edge
    head, tail = (array[:edge], array[len(array) - edge :]) if skip else (array, array[:0])
    if array.ndim == 1:
        items = [write(value) for value in head.tolist()]
        if skip:
            items += [" ...", *(write(value) for value in tail.tolist())]
        per_line = max(1, math.floor((_options.linewidth - indent) / (width + 2)))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    blocks = [_nested(part, indent + 1, summarise, write, width) for part in head]
    if skip:
        blocks.append("...")
        blocks += [_nested(part, indent + 1, summarise, write, width) for part in tail]
    separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(blocks) + "]"


# --- the whole text -----------------------------------------------------------------------------


def tensor_repr(tensor: Any, *, tensor_contents: str | None = None) -> str:
    """`repr` of a tensor; `tensor_contents` replaces the text of its elements.

    A subclass is printed under its own name, or under its `_repr_name` where it has one.
    """
    if modes.trace is not None:
        return modes.trace.describe(tensor, "")
    tangent = None
    if modes.levels:
        from .levels import Lifted

        array = tensor._array()
        if type(array) is Lifted:
            if array.level.of_function:
                return repr(array)
            tangent = array.tangent
    kind = type(tensor)
    name = kind.__dict__.get("_repr_name", kind.__name__)
    grad_fn = tensor.grad_fn
    return assembled_repr(
        None if tensor.device.type == "meta" else tensor._host(),
        dtype=tensor.dtype,
        shape=tuple(tensor.shape),
        device=tensor.device,
        grad_fn=None if grad_fn is None else grad_fn.name(),
        requires_grad=tensor.requires_grad,
        prefix=f"{'tensor' if name == 'Tensor' else name}(",
        contents=tensor_contents,
        tangent=tangent,
    )


def assembled_repr(
    array: np.ndarray | None,
    *,
    dtype: DType,
    shape: tuple[int, ...],
    device: Device = CPU,
    grad_fn: str | None = None,
    requires_grad: bool = False,
    prefix: str = "tensor(",
    contents: str | None = None,
    tangent: Any = None,
) -> str:
    """The text of a tensor from its parts.

    Args:
        array: its elements; None on the meta device, where there are none.
        dtype, shape, device: its own.
        grad_fn: the name of the operation that made it, if its history is recorded.
        requires_grad: whether to say so (a leaf's).
        prefix: how the text begins.
        contents: stands for the elements' text.
        tangent: of a dual number.
    """
    suffixes = []
    if device.type != "cpu":
        suffixes.append(f"device='{device}'")
    empty = array is not None and array.size == 0
    if array is None or (empty and len(shape) != 1):
        suffixes.append(f"size={tuple(shape)}")
    if array is None or empty:
        usual = (get_default_dtype(),)
    elif dtype.is_complex:
        usual = (get_default_dtype().to_complex(),)
    else:
        usual = (get_default_dtype(), int64, bool_dtype)
    if contents is None:
        contents = "..." if array is None else "[]" if empty else tensor_text(array, len(prefix))
    if dtype not in usual:
        suffixes.append(f"dtype={dtype}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    return with_suffixes(prefix + contents, suffixes, len(prefix))


def with_suffixes(text: str, suffixes: list[str], indent: int, ahead: int = 2) -> str:
    """`text, suffix, ...)`; a suffix that would leave less than two columns begins a new line.

    The text counts as `ahead` columns longer than it is.
    """
    column = len(text) - (text.rfind("\n") + 1) + ahead
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"
