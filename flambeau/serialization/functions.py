"""The functions that checkpoints call, by name: each checks its arguments and builds an object."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import re
import types
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..core.tensor import Tensor, alias
from ..devices import device as Device
from ..nn.parameter import Parameter
from ..size import Size
from .archive import CheckpointError
from .stored import LoadedStorage, StoragePart
from .tags import REBUILD_FROM_TYPE, TENSOR, Global, is_own


def _tensor_v2(
    storage: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    backward_hooks: Any,
    metadata: Any = None,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    known = isinstance(storage, LoadedStorage | StoragePart)
    if not known or type(requires_grad) is not bool or metadata:
        raise CheckpointError("a tensor of the checkpoint is malformed")
    dtype = dtype or storage.dtype
    if dtype is None:
        raise CheckpointError("a tensor of the checkpoint has no dtype")
    if not isinstance(size, tuple | list) or not isinstance(stride, tuple | list):
        raise CheckpointError("a tensor of the checkpoint is malformed")
    return storage.tensor(dtype, offset, tuple(size), tuple(stride)).requires_grad_(requires_grad)


def _tensor_v1(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    return _tensor_v2(storage, offset, size, stride, False, None)


def _tensor_v3(
    storage: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if not isinstance(dtype, dtypes.dtype) or not isinstance(storage, LoadedStorage | StoragePart):
        raise CheckpointError("a tensor of the checkpoint is malformed")
    if storage.dtype is not None:
        raise CheckpointError("a tensor with a dtype of its own has a storage with another")
    return _tensor_v2(
        storage, offset, size, stride, requires_grad, backward_hooks, metadata, dtype=dtype
    )


def _parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Parameter:
    if not isinstance(data, Tensor) or type(requires_grad) is not bool:
        raise CheckpointError("a parameter of the checkpoint is malformed")
    return Parameter(data, requires_grad)


def _parameter_with_state(
    data: Any, requires_grad: Any, backward_hooks: Any, state: Any
) -> Parameter:
    return _with_attributes(_parameter(data, requires_grad, backward_hooks), state)


def _from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
    known = isinstance(function, Global) and function in _TENSOR_FUNCTIONS
    allowed = isinstance(kind, type) and issubclass(kind, Tensor)  # a class that the user trusts
    if not known or not (kind == TENSOR or allowed) or type(arguments) is not tuple:
        raise CheckpointError("a tensor of the checkpoint is of a type that is not rebuilt")
    tensor = _TENSOR_FUNCTIONS[function](*arguments)
    return _with_attributes(alias(tensor, kind) if allowed else tensor, state)


def _with_attributes(tensor: Any, state: Any) -> Any:
    if type(state) is not dict or not all(type(n) is str and is_own(n) for n in state):
        raise CheckpointError("a tensor of the checkpoint has attributes that are the library's")
    tensor.__dict__.update(state)
    return tensor


def _ordered_dict(*items: Any) -> OrderedDict[Any, Any]:
    if items:
        raise CheckpointError("an OrderedDict of the checkpoint is malformed")
    return OrderedDict()


def _counter(counts: Any = None) -> Counter[Any]:
    whole = type(counts) is dict and all(type(count) is int for count in counts.values())
    if counts is not None and not whole:
        raise CheckpointError("a Counter of the checkpoint is malformed")
    return Counter(counts)


def _set(items: Any = ()) -> set[Any]:
    if type(items) is not list or not all(is_plain_key(item) for item in items):
        raise CheckpointError("a set of the checkpoint has items that are no plain values")
    return set(items)


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise CheckpointError("bytes of the checkpoint are malformed")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _bytearray(data: Any = b"", encoding: Any = None) -> bytearray:
    if type(data) is str and encoding == "latin-1":
        data = data.encode("latin1")
    if type(data) is not bytes:
        raise CheckpointError("a bytearray of the checkpoint is malformed")
    return bytearray(data)


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise CheckpointError("a complex number of the checkpoint is malformed")
    return complex(real, imaginary)


def _size(sizes: Any) -> Size:
    if type(sizes) is not tuple or not all(type(n) is int and abs(n) < 1 << 63 for n in sizes):
        raise CheckpointError("a torch.Size of the checkpoint is malformed")
    return Size(sizes)


def _device(kind: Any, index: Any = None) -> Device:
    if type(kind) is not str or len(kind) > 100:
        raise CheckpointError("a torch.device of the checkpoint is malformed")
    return Device(kind) if index is None else Device(kind, index)


UNTYPED = Global("torch.storage", "UntypedStorage")
HASHABLE = (dtypes.dtype, Device)

_TENSOR_FUNCTIONS: dict[Any, Callable[..., Tensor]] = {
    Global("torch._utils", "_rebuild_tensor"): _tensor_v1,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    Global("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
}
FUNCTIONS: dict[Global, Callable[..., Any]] = {
    **_TENSOR_FUNCTIONS,
    REBUILD_FROM_TYPE: _from_type,
    Global("torch._utils", "_rebuild_parameter_with_state"): _parameter_with_state,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("collections", "Counter"): _counter,
    Global("_codecs", "encode"): _encode,
    Global("torch", "Size"): _size,
    Global("torch", "device"): _device,
}
for _module in ("__builtin__", "builtins"):
    FUNCTIONS[Global(_module, "set")] = _set
    FUNCTIONS[Global(_module, "bytes")] = _empty_bytes
    FUNCTIONS[Global(_module, "bytearray")] = _bytearray
    FUNCTIONS[Global(_module, "complex")] = _complex


# Note [Keys that collide]
# Python's hash of an integer is its value modulo 2**61 - 1, and tuples and complex numbers have
# hashes that one can aim at, too: a file could make a dictionary of a million keys with one hash,
# which takes hours to fill. So keys are texts, whose hashes are secret, and numbers of 64 bits;
# tuples may be keys, but not many.


def is_plain_key(value: Any) -> bool:
    """Whether a value may be a key of a dictionary without limits (Note [Keys that collide])."""
    kind = type(value)
    if kind is int:
        return -(1 << 63) <= value < 1 << 64
    return kind in (str, bytes, float, bool, type(None))


# What `weights_only=False` adds: plain values of NumPy and of the standard library

_DTYPE = re.compile(r"\|?[biufcSUV?]\d{0,9}|[mM]8")


def _numpy_dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype:
    if type(code) is not str or not _DTYPE.fullmatch(code):
        raise CheckpointError("an element type of NumPy in the checkpoint is not rebuilt")
    return np.dtype(code)


def _numpy_scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, np.dtype) or type(data) is not bytes or len(data) != dtype.itemsize:
        raise CheckpointError("a number of NumPy in the checkpoint is malformed")
    return np.frombuffer(data, dtype)[0]


def _numpy_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    if kind != _NDARRAY or shape != (0,):
        raise CheckpointError("an array of the checkpoint is malformed")
    return np.zeros(0, np.int8)


def set_numpy_state(target: Any, state: Any) -> None:
    """Give an element type or an array of NumPy the state that the checkpoint has for it."""
    if isinstance(target, np.dtype):
        known = type(state) is tuple and len(state) >= 2 and state[1] in ("<", "|", "=")
        if not known or state[2:5] != (None, None, None):
            raise CheckpointError("an element type of NumPy in the checkpoint is not rebuilt")
        return
    if type(state) is not tuple or len(state) != 5:
        raise CheckpointError("an array of the checkpoint is malformed")
    version, shape, dtype, fortran, data = state
    sizes = type(shape) is tuple and all(type(n) is int and 0 <= n < 1 << 40 for n in shape)
    if not sizes or len(shape) > 64 or not isinstance(dtype, np.dtype) or type(data) is not bytes:
        raise CheckpointError("an array of the checkpoint is malformed")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(data) or not dtype.itemsize:
        raise CheckpointError("an array of the checkpoint is malformed")
    target.__setstate__((1, shape, dtype, bool(fortran), data))


def _default_dict(factory: Any = None) -> collections.defaultdict[Any, Any]:
    if factory not in (None, *_FACTORIES):
        raise CheckpointError("a defaultdict of the checkpoint has a factory that is not known")
    return collections.defaultdict(_FACTORIES.get(factory))


def _frozen_set(items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(items))


_NDARRAY = Global("numpy", "ndarray")
FROZEN_SET = Global("builtins", "frozenset")
_FACTORIES: dict[Any, Any] = {
    Global(module, kind.__name__): kind
    for module in ("__builtin__", "builtins")
    for kind in (list, dict, int, float, set, str)
}
_PLAIN_CLASSES = [
    argparse.Namespace,
    types.SimpleNamespace,
    collections.deque,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.WindowsPath,
]
PLAIN_CLASSES: dict[Global, Any] = {
    Global(kind.__module__, kind.__qualname__): kind for kind in _PLAIN_CLASSES
}
for _module in ("__builtin__", "builtins"):
    PLAIN_CLASSES[Global(_module, "slice")] = slice
    PLAIN_CLASSES[Global(_module, "range")] = PLAIN_CLASSES[Global(_module, "xrange")] = range
MORE_FUNCTIONS: dict[Global, Callable[..., Any]] = {
    Global("numpy", "dtype"): _numpy_dtype,
    Global("collections", "defaultdict"): _default_dict,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    MORE_FUNCTIONS[Global(_module, "scalar")] = _numpy_scalar
    MORE_FUNCTIONS[Global(_module, "_reconstruct")] = _numpy_array
for _module in ("__builtin__", "builtins"):
    MORE_FUNCTIONS[Global(_module, "frozenset")] = _frozen_set
MORE_CONSTANTS = {_NDARRAY, *_FACTORIES}
