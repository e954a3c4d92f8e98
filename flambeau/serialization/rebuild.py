"""What the global names of a checkpoint stand for: tensors, their storages and small values."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import dtypes
from ..core.modes import no_grad
from ..core.tensor import Tensor, alias, wrap
from ..devices import device as Device
from ..nn.parameter import Parameter
from ..size import Size
from .archive import ArchiveReader, CheckpointError
from .tags import REBUILD_FROM_TYPE, STORAGE_DTYPES, TENSOR, Global, is_own

# A tensor whose elements repeat (`expand`) may be larger than its record, but only so far.
_REPEATED_BYTES = 1 << 26

MapLocation = Callable[[Any, str], Any] | Device | str | Mapping[str, str] | None


class LoadedStorage:
    """The bytes of one record, which several tensors may share."""

    def __init__(self, memory: np.ndarray, dtype: dtypes.dtype | None, device: Device):
        self.memory = memory  # uint8
        self.dtype = dtype  # None: untyped
        self.device = device
        self._whole: Tensor | None = None
        self._tensors: dict[tuple, Tensor] = {}  # by their way of looking at the memory

    def tensor(self, dtype: dtypes.dtype, offset: int, size: tuple, stride: tuple) -> Tensor:
        """The tensor that looks at this memory in the given way."""
        self._check(dtype, offset, size, stride)
        way = (dtype, offset, size, stride)
        if way not in self._tensors:
            self._tensors[way] = self._new(*way)
        return alias(self._tensors[way])

    def _new(self, dtype: dtypes.dtype, offset: int, size: tuple, stride: tuple) -> Tensor:
        if self._whole is None:
            elements = self._elements(dtype)
            if offset == 0 and math.prod(size) == elements.size and stride == _row_major(size):
                self._whole = wrap(elements.reshape(size), self.device)
                return self._whole
            self._whole = wrap(elements, self.device)
        if self._whole.dtype is not dtype:
            raise CheckpointError(f"one record is used as {self._whole.dtype} and as {dtype}")
        with no_grad():
            return self._whole.as_strided(size, stride, offset)

    def _elements(self, dtype: dtypes.dtype) -> np.ndarray:
        if dtype.numpy is None:
            raise NotImplementedError(f"torch.load of a tensor of {dtype}")
        return self.memory.view(dtype.numpy)

    def _check(self, dtype: dtypes.dtype, offset: Any, size: Any, stride: Any) -> None:
        numbers = (offset, *size, *stride)
        if any(type(n) is not int or n < 0 for n in numbers) or len(size) != len(stride):
            raise CheckpointError(
                f"a tensor has offset {offset}, size {size} and stride {stride}; expected "
                "integers, none of them negative, and as many strides as sizes"
            )
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count and (last + 1) * dtype.itemsize > self.memory.nbytes:
            raise CheckpointError(
                f"a tensor of size {size} and stride {stride} needs {last + 1} elements, but its "
                f"record has {self.memory.nbytes // dtype.itemsize}"
            )
        if count * dtype.itemsize > max(self.memory.nbytes, _REPEATED_BYTES):
            raise CheckpointError(
                f"a tensor of size {size} repeats the elements of a record of "
                f"{self.memory.nbytes} bytes; more than {_REPEATED_BYTES} bytes are refused"
            )


def _row_major(size: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(size)
    for axis in range(len(size) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(size[axis + 1], 1)
    return tuple(strides)


class Rebuilder:
    """Builds the objects of one checkpoint.

    Args:
        archive: the checkpoint's records.
        map_location: as for `flambeau.load`.
    """

    def __init__(self, archive: ArchiveReader, map_location: MapLocation):
        self._archive = archive
        self._map_location = map_location
        self._storages: dict[str, LoadedStorage] = {}

    def constant(self, tag: Global) -> Any:
        """The object of a name that is no function; None for a function."""
        if tag.module == "torch" and tag.name in dtypes.BY_NAME:
            return dtypes.BY_NAME[tag.name]
        known = tag in _FUNCTIONS or tag in (_UNTYPED, TENSOR)
        if known or (tag.module == "torch" and tag.name in STORAGE_DTYPES):
            return None
        raise CheckpointError(
            f"the checkpoint names {tag}, which is not among the types that flambeau.load "
            "rebuilds: tensors, parameters, plain values and containers of them"
        )

    def call(self, tag: Global, arguments: tuple[Any, ...]) -> Any:
        """The object that a function's name and arguments stand for."""
        function = _FUNCTIONS.get(tag)
        if function is None:
            raise CheckpointError(f"the pickle calls {tag}, which is no function")
        try:
            return function(*arguments)
        except (CheckpointError, NotImplementedError):
            raise
        except (TypeError, ValueError, RuntimeError, OverflowError, LookupError) as error:
            raise CheckpointError(f"{tag} got arguments that do not fit: {error}") from error

    def build(self, target: Any, state: Any) -> None:
        """Attributes of an ordered dictionary, as `state_dict()` gives it its `_metadata`."""
        if type(target) is not OrderedDict or type(state) is not dict:
            raise CheckpointError(f"a {type(target).__name__} in the checkpoint has a state")
        if any(type(name) is not str or name.startswith("__") for name in state):
            raise CheckpointError(f"an OrderedDict has attributes {list(state)}")
        target.__dict__.update(state)

    def storage(self, reference: Any) -> LoadedStorage:
        """The storage that `("storage", type, record, location, elements)` names."""
        if type(reference) is not tuple or len(reference) != 5 or reference[0] != "storage":
            raise CheckpointError(f"expected the description of a storage, got {reference!r}")
        _, tag, key, location, count = reference
        if not isinstance(tag, Global) or type(key) is not str or type(location) is not str:
            raise CheckpointError(f"expected the description of a storage, got {reference!r}")
        if tag != _UNTYPED and tag.name not in STORAGE_DTYPES:
            raise CheckpointError(f"{tag} is no type of storage")
        dtype = None if tag == _UNTYPED else dtypes.BY_NAME[STORAGE_DTYPES[tag.name]]
        itemsize = 1 if dtype is None else dtype.itemsize
        record = f"data/{key}"
        size = self._archive.size(record)
        if type(count) is not int or count * itemsize != size:
            raise CheckpointError(
                f"record {record!r} has {size} bytes, expected {count} elements of {itemsize}"
            )
        known = self._storages.get(key)
        if known is None:
            memory = np.frombuffer(self._archive.read(record), np.uint8)
            device = self._device(memory, location)
            known = self._storages[key] = LoadedStorage(memory, dtype, device)
        if known.dtype is not dtype:
            raise CheckpointError(f"record {record!r} is used as {known.dtype} and as {dtype}")
        return known

    def _device(self, memory: np.ndarray, location: str) -> Device:
        """Where a storage goes that was saved at `location`."""
        wanted = self._map_location
        if isinstance(wanted, Mapping):
            wanted = wanted.get(location, location)
        elif callable(wanted) and not isinstance(wanted, Device):
            moved = wanted(memory, location)
            if moved is None:
                wanted = location
            elif moved is memory:
                wanted = "cpu"
            else:
                raise NotImplementedError(
                    "torch.load(map_location=...) with a function that moves the storage; give "
                    "the device instead"
                )
        elif wanted is None:
            wanted = location
        try:
            device = Device(wanted)
        except (RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"don't know how to restore data location of a storage (tagged with {wanted})"
            ) from error
        if device.type != "cpu":
            raise NotImplementedError(
                f"torch.load(map_location={str(device)!r}): load with map_location='cpu' and "
                "move what was loaded"
            )
        return device


# The functions


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
    if not isinstance(storage, LoadedStorage) or type(requires_grad) is not bool or metadata:
        raise CheckpointError("a tensor of the checkpoint is malformed")
    dtype = dtype or storage.dtype
    if dtype is None:
        raise CheckpointError("a tensor of the checkpoint has no dtype")
    return storage.tensor(dtype, offset, tuple(size), tuple(stride)).requires_grad_(requires_grad)


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
    if not isinstance(dtype, dtypes.dtype) or not isinstance(storage, LoadedStorage):
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
    if function not in _TENSOR_FUNCTIONS or kind != TENSOR or type(arguments) is not tuple:
        raise CheckpointError(f"a tensor of the checkpoint is of type {kind}, made by {function}")
    return _with_attributes(_TENSOR_FUNCTIONS[function](*arguments), state)


def _with_attributes(tensor: Any, state: Any) -> Any:
    if type(state) is not dict or not all(type(n) is str and is_own(n) for n in state):
        raise CheckpointError(f"a tensor of the checkpoint has attributes {state}")
    tensor.__dict__.update(state)
    return tensor


def _ordered_dict(*items: Any) -> OrderedDict[Any, Any]:
    if items:
        raise CheckpointError("an OrderedDict of the checkpoint is malformed")
    return OrderedDict()


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise CheckpointError("a Counter of the checkpoint is malformed")
    return Counter(counts)


def _set(items: Any = ()) -> set[Any]:
    if type(items) is not list or not all(isinstance(item, _SET_ITEMS) for item in items):
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
    if type(sizes) is not tuple or not all(type(n) is int for n in sizes):
        raise CheckpointError("a torch.Size of the checkpoint is malformed")
    return Size(sizes)


def _device(kind: Any, index: Any = None) -> Device:
    return Device(kind) if index is None else Device(kind, index)


_SET_ITEMS = (str, bytes, int, float, type(None))
_UNTYPED = Global("torch.storage", "UntypedStorage")
HASHABLE = (dtypes.dtype, Device, Size)

_TENSOR_FUNCTIONS: dict[Any, Callable[..., Tensor]] = {
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    Global("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
}
_FUNCTIONS: dict[Global, Callable[..., Any]] = {
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
    _FUNCTIONS[Global(_module, "set")] = _set
    _FUNCTIONS[Global(_module, "bytes")] = _empty_bytes
    _FUNCTIONS[Global(_module, "bytearray")] = _bytearray
    _FUNCTIONS[Global(_module, "complex")] = _complex
