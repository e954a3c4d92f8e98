"""Python values to arrays: nested lists, numbers, NumPy and JAX arrays, tensors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Any

import jax
import numpy as np

from .. import dtypes
from .tensor import Tensor

_NUMBERS = {bool, int, float, complex}
_LISTS = {list, tuple, range}


def host_array(data: Any, dtype: dtypes.dtype | None = None) -> np.ndarray:
    """A new NumPy array of `data`, of `dtype` or of the type that PyTorch infers.

    Raises:
        ValueError: lists of unequal lengths, integers beyond 64 bits.
        TypeError: values that are no numbers.
        RuntimeError: values whose type cannot be inferred, or that `dtype` cannot hold.
    """
    wanted = None if dtype is None else storable(dtype)
    if isinstance(data, Tensor):
        return np.array(data._host(), dtype=wanted, copy=True, order="C")
    if isinstance(data, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(data)
        dtypes.from_numpy_dtype(array.dtype)
        return np.array(array, dtype=wanted, copy=True, order="C")
    if type(data) in _NUMBERS:
        return _numbers([data], (), wanted)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if hasattr(data, "__array__"):
        return host_array(np.asarray(data), dtype)
    if not _is_sequence(data):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    found = _rectangular(data)
    if found is None:
        found = _leaf_by_leaf(data)
    return _numbers(*found, wanted)


def storable(dtype: dtypes.dtype) -> np.dtype:
    """The NumPy type of the elements; an error where tensors of `dtype` cannot be made."""
    if dtype.numpy is None:
        raise NotImplementedError(f"flambeau: tensors of {dtype} are not built yet")
    return dtype.numpy


def _is_sequence(data: Any) -> bool:
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, dict)


def _rectangular(data: Any) -> tuple[list[Any], tuple[int, ...]] | None:
    """The numbers in evenly nested lists, and the shape; None for anything less plain."""
    shape: list[int] = []
    level: list[Any] = [data]
    while True:
        kinds = set(map(type, level))
        if kinds <= _NUMBERS:
            return level, tuple(shape)
        if not kinds <= _LISTS:
            return None
        lengths = set(map(len, level))
        if len(lengths) != 1:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))


def _leaf_by_leaf(data: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The same for tensors and arrays among the lists, with PyTorch's errors for the rest."""
    if _holds_arrays(data):
        warnings.warn(
            "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider "
            "converting the list to a single numpy.ndarray with numpy.array() before converting "
            "to a tensor.",
            UserWarning,
            stacklevel=4,
        )
    shape: list[int] = []
    probe = data
    while _is_sequence(probe) and not isinstance(probe, Tensor):
        if isinstance(probe, (str, bytes)):
            raise ValueError("too many dimensions 'str'")
        shape.append(len(probe))
        if not shape[-1]:
            break
        probe = probe[0]
    leaves: list[Any] = []
    _collect(data, shape, 0, leaves)
    return leaves, tuple(shape)


def _holds_arrays(data: Any) -> bool:
    return isinstance(data, Sequence) and len(data) > 0 and isinstance(data[0], np.ndarray)


def _collect(data: Any, shape: list[int], depth: int, leaves: list[Any]) -> None:
    if depth < len(shape):
        if not _is_sequence(data):
            raise TypeError("not a sequence")
        if len(data) != shape[depth] and shape[-1]:
            raise ValueError(
                f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
            )
        if shape[-1] or depth + 1 < len(shape):
            for item in data:
                _collect(item, shape, depth + 1, leaves)
        return
    if isinstance(data, Tensor):
        if data.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        leaves.append(data._host().reshape(-1)[0])
    elif isinstance(data, (bool, int, float, complex, np.generic)):
        leaves.append(data)
    elif isinstance(data, (np.ndarray, jax.Array)) and np.ndim(data) == 0:
        leaves.append(np.asarray(data)[()])
    elif isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    elif _is_sequence(data):
        kind = _inferred(leaves).kind if leaves else "i"
        if kind in "ib":
            raise TypeError(f"'{type(data).__name__}' object cannot be interpreted as an integer")
        raise TypeError(f"must be real number, not {type(data).__name__}")
    else:
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _inferred(leaves: list[Any]) -> np.dtype:
    """The element type of numbers: the widest category, and type, among them."""
    result: dtypes.dtype | None = None
    for kind in set(map(type, leaves)):
        if issubclass(kind, np.generic):
            found = dtypes.from_numpy_dtype(np.dtype(kind))
        else:
            found = dtypes.dtype_of_python_scalar(kind)
        result = found if result is None else dtypes.promote_types(result, found)
    return storable(result or dtypes.get_default_dtype())


def _numbers(leaves: list[Any], shape: tuple[int, ...], wanted: np.dtype | None) -> np.ndarray:
    """Numbers as an array of `wanted`, or of the type inferred from them."""
    dtype = wanted or _inferred(leaves)
    if dtype.kind in "iu":
        return _integers(leaves, dtype).reshape(shape)
    try:
        with np.errstate(over="ignore"):
            return np.array(leaves, dtype=dtype).reshape(shape)
    except TypeError:
        if any(isinstance(x, (complex, np.complexfloating)) for x in leaves):
            raise TypeError("must be real number, not complex") from None
        raise
    except OverflowError:
        return np.array([float(x) for x in leaves], dtype=dtype).reshape(shape)


def _integers(leaves: list[Any], dtype: np.dtype) -> np.ndarray:
    """Numbers as integers: floats are truncated, negative ones wrap in unsigned types."""
    if any(isinstance(x, (complex, np.complexfloating)) for x in leaves):
        raise TypeError("must be real number, not complex")
    floats = any(isinstance(x, (float, np.floating)) for x in leaves)
    if not floats:
        try:
            return np.array(leaves, dtype=dtype)
        except OverflowError:
            pass
    limits = np.iinfo(dtype)
    lowest = limits.min if dtype.kind == "i" else -limits.max
    overflow = RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")
    whole = []
    for x in leaves:
        if floats and not np.isfinite(x):
            raise overflow
        value = int(x)
        if not floats and not -(2**63) <= value < 2**63 and dtype != np.uint64:
            raise ValueError("Overflow when unpacking long long")
        if not lowest <= value <= limits.max:
            raise overflow
        whole.append(value % (limits.max + 1) if dtype.kind == "u" else value)
    return np.array(whole, dtype=dtype)
