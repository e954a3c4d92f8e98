"""Python values to arrays: nested lists, numbers, NumPy and JAX arrays, tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .. import dtypes
from .tensor import Tensor


def host_array(data: Any, dtype: dtypes.dtype | None = None) -> np.ndarray:
    """A new NumPy array of `data`, of `dtype` or of the type that PyTorch infers.

    Raises:
        ValueError: lists of unequal lengths.
        TypeError: values that are no numbers.
    """
    wanted = None if dtype is None else _holder(dtype)
    if isinstance(data, Tensor):
        return np.array(data._host(), dtype=wanted, copy=True)
    if isinstance(data, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(data)
        if array.dtype not in dtypes.BY_NUMPY and wanted is None:
            raise TypeError(
                f"can't convert np.ndarray of type {array.dtype.type.__module__}."
                f"{array.dtype.type.__name__}. The only supported types are: float64, float32, "
                "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, "
                "uint16, uint8, and bool."
            )
        return np.array(array, dtype=wanted, copy=True, order="C")
    if isinstance(data, (bool, int, float, complex)):
        return np.array(data, dtype=wanted or dtypes.dtype_of_python_scalar(type(data)).numpy)
    if (
        isinstance(data, str)
        or not isinstance(data, (Sequence, range))
        and not hasattr(data, "__len__")
    ):
        if hasattr(data, "__array__"):
            return host_array(np.asarray(data), dtype)
        raise (
            TypeError(f"new(): invalid data type '{type(data).__name__}'")
            if isinstance(data, str)
            else RuntimeError(f"Could not infer dtype of {type(data).__name__}")
        )
    return _from_sequence(data, wanted)


def _holder(dtype: dtypes.dtype) -> np.dtype:
    if dtype.numpy is None:
        raise NotImplementedError(f"flambeau: tensors of {dtype} are not built yet")
    return dtype.numpy


def _from_sequence(data: Any, wanted: np.dtype | None) -> np.ndarray:
    shape: list[int] = []
    probe = data
    while isinstance(probe, (Sequence, np.ndarray)) and not isinstance(probe, str):
        shape.append(len(probe))
        if not len(probe):
            break
        probe = probe[0]
    if isinstance(probe, Tensor):
        shape.extend(probe._dims())
    leaves: list[Any] = []
    _flatten(data, shape, 0, leaves)
    kind = wanted or _inferred(leaves)
    try:
        array = np.array(leaves, dtype=kind)
    except OverflowError:
        raise RuntimeError("Overflow when unpacking long long") from None
    return array.reshape(shape)


def _flatten(data: Any, shape: list[int], depth: int, leaves: list[Any]) -> None:
    if depth == len(shape):
        if isinstance(data, Tensor):
            leaves.append(data.item())
        elif (
            isinstance(data, (Sequence, np.ndarray)) and not isinstance(data, str) and np.ndim(data)
        ):
            raise ValueError(f"expected sequence of length {0} at dim {depth} (got {len(data)})")
        elif isinstance(data, (bool, int, float, complex, np.generic)):
            leaves.append(data)
        elif hasattr(data, "__array__") and np.ndim(data) == 0:
            leaves.append(np.asarray(data)[()])
        else:
            kind = type(data).__name__
            if isinstance(data, str):
                raise (
                    ValueError("too many dimensions 'str'")
                    if depth
                    else TypeError(f"new(): invalid data type '{kind}'")
                )
            raise RuntimeError(f"Could not infer dtype of {kind}")
        return
    if isinstance(data, Tensor):
        if tuple(data._dims()) != tuple(shape[depth:]):
            raise ValueError(
                f"expected sequence of length {shape[depth]} at dim {depth} "
                f"(got {data._dims()[0] if data._dims() else 0})"
            )
        leaves.extend(data._host().reshape(-1).tolist())
        return
    if not isinstance(data, (Sequence, np.ndarray)) or isinstance(data, str):
        raise TypeError(f"expected a sequence at dim {depth}, got {type(data).__name__}")
    if len(data) != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
        )
    for item in data:
        _flatten(item, shape, depth + 1, leaves)


def _inferred(leaves: list[Any]) -> np.dtype:
    """The element type of Python numbers: the widest category among them."""
    result: dtypes.dtype | None = None
    for kind in {type(x) for x in leaves}:
        if issubclass(kind, np.generic):
            found = dtypes.BY_NUMPY[np.dtype(kind)]
        else:
            found = dtypes.dtype_of_python_scalar(kind)
        result = found if result is None else dtypes.promote_types(result, found)
    return (result or dtypes.get_default_dtype()).numpy  # type: ignore[return-value]
