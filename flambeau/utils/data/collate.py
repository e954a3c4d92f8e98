"""From a list of items to a batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...core.tensor import Tensor, wrap
from ...ops.creation import as_tensor, tensor
from ...ops.joining import stack

_NOT_CONVERTED = "SUO"  # NumPy's text and object types


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars in `data` become tensors; containers keep their form.

    Args:
        data: anything; mappings, named tuples and sequences are searched.

    Returns:
        The converted data; what is no array stays as it is. A tuple becomes a list.

    Example::

        >>> import numpy
        >>> from flambeau.utils.data import default_convert
        >>> default_convert({"x": numpy.array([1, 2]), "name": "a"})
        {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, np.ndarray | np.generic):
        return data if data.dtype.kind in _NOT_CONVERTED else as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if _is_named_tuple(data):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _like_sequence(data, [default_convert(value) for value in data])
    return data


def default_collate(batch: Any) -> Any:
    """Stack a list of items into one batch, leaf by leaf.

    Tensors and arrays of one shape are stacked along a new first axis; numbers become a tensor
    (integers int64, floats float64); text is kept as it is; mappings, named tuples and sequences
    are collated field by field, and a tuple of fields becomes a list.

    Args:
        batch: a non-empty list of items of one kind.

    Raises:
        TypeError: for items of another kind.
        RuntimeError: for sequences of different lengths, or tensors of different shapes.

    Example::

        >>> from flambeau.utils.data import default_collate
        >>> default_collate([(1, "a"), (2, "b")])
        [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in _NOT_CONVERTED:
            raise TypeError(_unknown(first.dtype))
        return _stacked([as_tensor(item) for item in batch])
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, np.number | np.bool_):
        return as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, Mapping):
        return _like_mapping(
            first, {k: default_collate([item[k] for item in batch]) for k in first}
        )
    if _is_named_tuple(first):
        return type(first)(*(default_collate(field) for field in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        fields = [default_collate(field) for field in zip(*batch, strict=True)]
        return _like_sequence(first, fields)
    raise TypeError(_unknown(type(first)))


def _stacked(tensors: list[Tensor]) -> Tensor:
    """`stack(tensors)`: by NumPy where all of them are plain values in NumPy arrays."""
    shape, dtype = tensors[0]._dims(), tensors[0]._dtype_numpy()
    for item in tensors:
        plain = type(item) is Tensor and not item.requires_grad
        if not plain or item._dims() != shape or item._dtype_numpy() != dtype:
            return stack(tensors, 0)
    arrays = [item._host() if item._storage.external else item._array() for item in tensors]
    if any(type(array) is not np.ndarray for array in arrays):
        return stack(tensors, 0)
    return wrap(np.stack(arrays))


def _unknown(found: object) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {found}"
    )


def _is_named_tuple(data: object) -> bool:
    return isinstance(data, tuple) and hasattr(data, "_fields")


def _like_mapping(model: Mapping, values: dict) -> Any:
    """`values` in a mapping of the model's type, where such a one can be made."""
    try:
        if hasattr(model, "update"):
            clone: Any = copy.copy(model)
            clone.update(values)
            return clone
        return type(model)(values)  # pyright: ignore[reportCallIssue]
    except TypeError:
        return values


def _like_sequence(model: Sequence, values: list) -> Any:
    """`values` in a sequence of the model's type, where one can be made; a tuple becomes a list."""
    if type(model) is list or isinstance(model, tuple):
        return values
    try:
        if hasattr(model, "__setitem__"):
            clone: Any = copy.copy(model)
            for index, value in enumerate(values):
                clone[index] = value
            return clone
        return type(model)(values)  # pyright: ignore[reportCallIssue]
    except TypeError:
        return values
