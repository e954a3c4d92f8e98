"""From an object to pickle instructions (protocol 2) and the storages that they refer to."""

from __future__ import annotations

import copyreg
import struct
from _compat_pickle import REVERSE_IMPORT_MAPPING, REVERSE_NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from ..core.storage import Storage
from ..core.tensor import Tensor
from ..devices import device as Device
from ..dtypes import dtype as DType
from ..nn.parameter import Buffer, Parameter
from ..size import Size
from .names import tag_of
from .tags import REBUILD_FROM_TYPE, TENSOR, TYPED_STORAGES, Global, is_own

_BATCH = 1000  # items between two marks


class Encoder:
    """Writes objects as pickle instructions.

    Args:
        legacy: references to storages are those of the format of before PyTorch 1.6.

    Attributes:
        storages: the storages of the tensors met so far, by their record's number.
        itemsizes: the sizes in bytes of their elements.
    """

    def __init__(self, legacy: bool = False) -> None:
        self._legacy = legacy
        self._out = bytearray(b"\x80\x02")
        self._memo: dict[Any, int] = {}
        self._kept_alive: list[Any] = []
        self._keys: dict[int, tuple[str, str]] = {}
        self.storages: list[Storage] = []
        self.itemsizes: list[int] = []

    def encode(self, value: Any) -> bytes:
        """The instructions that rebuild `value`."""
        self._write(value)
        self._out += b"."
        return bytes(self._out)

    # The memo: an object that occurs twice is written once

    def _remember(self, key: Any, value: Any = None) -> None:
        number = self._memo[key] = len(self._memo)
        self._kept_alive.append(value)
        self._out += b"q%c" % number if number < 256 else b"r" + struct.pack("<I", number)

    def _recall(self, key: Any) -> bool:
        number = self._memo.get(key)
        if number is None:
            return False
        self._out += b"h%c" % number if number < 256 else b"j" + struct.pack("<I", number)
        return True

    # Values

    def _write(self, value: Any) -> None:
        atom = _ATOMS.get(type(value))
        if atom is not None:
            atom(self, value)
            return
        if self._recall(id(value)):
            return
        writer = _WRITERS.get(type(value))
        if writer is None:
            bases = (write for kind, write in _WRITERS_BY_BASE if isinstance(value, kind))
            writer = next(bases, Encoder._object)
        writer(self, value)

    def _none(self, value: None) -> None:
        self._out += b"N"

    def _bool(self, value: bool) -> None:
        self._out += b"\x88" if value else b"\x89"

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self._out += b"K%c" % value
        elif 0 <= value < 65536:
            self._out += b"M" + struct.pack("<H", value)
        elif -(1 << 31) <= value < 1 << 31:
            self._out += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(data) > 255:
                self._out += b"\x8b" + struct.pack("<i", len(data)) + data
            else:
                self._out += b"\x8a%c" % len(data) + data

    def _float(self, value: float) -> None:
        self._out += b"G" + struct.pack(">d", value)

    def _text(self, value: str) -> None:
        if not self._recall(value):
            data = value.encode("utf-8", "surrogatepass")
            self._out += b"X" + struct.pack("<I", len(data)) + data
            self._remember(value)

    def _global(self, tag: Global) -> None:
        if not self._recall(tag):
            self._out += f"c{tag.module}\n{tag.name}\n".encode()
            self._remember(tag)

    def _call(self, tag: Global, *arguments: Any) -> None:
        self._global(tag)
        self._items_as_tuple(arguments)
        self._out += b"R"

    def _bytes(self, value: bytes) -> None:
        self._call(Global("_codecs", "encode"), value.decode("latin1"), "latin1")
        self._remember(id(value), value)

    def _bytearray(self, value: bytearray) -> None:
        self._call(Global("__builtin__", "bytearray"), bytes(value))
        self._remember(id(value), value)

    def _complex(self, value: complex) -> None:
        self._call(Global("__builtin__", "complex"), value.real, value.imag)
        self._remember(id(value), value)

    # Containers

    def _items_as_tuple(self, items: tuple[Any, ...]) -> None:
        if len(items) > 3:
            self._out += b"("
        for item in items:
            self._write(item)
        self._out += {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(items), b"t")

    def _tuple(self, value: tuple[Any, ...]) -> None:
        if not value:
            self._out += b")"
            return
        self._items_as_tuple(value)
        if id(value) in self._memo:  # it contains itself, and was written while it was written
            self._out += b"0"
            self._recall(id(value))
        else:
            self._remember(id(value), value)

    def _list(self, value: list[Any]) -> None:
        self._out += b"]"
        self._remember(id(value), value)
        self._batches([(item,) for item in value], b"e")

    def _pairs(self, value: dict[Any, Any]) -> None:
        self._batches(list(value.items()), b"u")

    def _dict(self, value: dict[Any, Any]) -> None:
        self._out += b"}"
        self._remember(id(value), value)
        self._pairs(value)

    def _ordered_dict(self, value: OrderedDict[Any, Any]) -> None:
        self._call(Global("collections", "OrderedDict"))
        self._remember(id(value), value)
        self._pairs(value)
        if value.__dict__:
            self._dict(value.__dict__)
            self._out += b"b"

    def _counter(self, value: Counter[Any]) -> None:
        self._call(Global("collections", "Counter"), dict(value))
        self._remember(id(value), value)

    def _set(self, value: set[Any]) -> None:
        self._call(Global("__builtin__", "set"), list(value))
        self._remember(id(value), value)

    # Other objects, as pickle takes them apart

    def _named(self, value: Any) -> None:
        """A class or a function, by its name."""
        tag = tag_of(value)
        module, name = REVERSE_NAME_MAPPING.get(tag, tag)
        self._global(Global(REVERSE_IMPORT_MAPPING.get(module, module), name))

    def _object(self, value: Any) -> None:
        reduced = _taken_apart(value)
        if isinstance(reduced, str):
            self._global(Global(value.__module__, reduced))
            return
        parts: list[Any] = [*reduced, None, None, None]
        function, arguments, state, items, pairs = parts[:5]
        if getattr(function, "__name__", "") == "__newobj__":
            kind, *arguments = arguments
            self._named(kind)
            self._items_as_tuple(tuple(arguments))
            self._out += b"\x81"
        else:
            self._named(function)
            self._items_as_tuple(tuple(arguments))
            self._out += b"R"
        if id(value) in self._memo:  # it contains itself
            self._out += b"0"
            self._recall(id(value))
            return
        self._remember(id(value), value)
        if items is not None:
            self._batches([(item,) for item in items], b"e")
        if pairs is not None:
            self._batches(list(pairs), b"u")
        if state is not None:
            self._write(state)
            self._out += b"b"

    def _batches(self, rows: list[tuple[Any, ...]], instruction: bytes) -> None:
        for start in range(0, len(rows), _BATCH):
            self._out += b"("
            for row in rows[start : start + _BATCH]:
                for item in row:
                    self._write(item)
            self._out += instruction

    # The library's own values

    def _size(self, value: Size) -> None:
        self._call(Global("torch", "Size"), tuple(value))
        self._remember(id(value), value)

    def _dtype(self, value: DType) -> None:
        self._global(Global("torch", _name(value)))

    def _device(self, value: Device) -> None:
        index = () if value.index is None else (value.index,)
        self._call(Global("torch", "device"), value.type, *index)
        self._remember(id(value), value)

    def _tensor(self, value: Tensor) -> None:
        attributes = own_attributes(value)
        own_kind = type(value) is not Tensor and type(value) is not Buffer
        typed_call = bool(attributes) or own_kind
        if typed_call:
            self._global(REBUILD_FROM_TYPE)
            self._out += b"("
        typed = TYPED_STORAGES.get(_name(value.dtype))
        rebuild = "_rebuild_tensor_v2" if typed else "_rebuild_tensor_v3"
        self._global(Global("torch._utils", rebuild))
        if own_kind:
            self._named(type(value))
        elif attributes:
            self._global(TENSOR)
        self._tensor_arguments(value, typed)
        if typed_call:
            self._dict(attributes)
            self._out += b"t"
        self._out += b"R"
        self._remember(id(value), value)

    def _tensor_arguments(self, value: Tensor, typed: str | None) -> None:
        if value.device.type == "meta":
            raise NotImplementedError("torch.save of a tensor on the meta device")
        strides, offset = value._strides_offset()
        self._out += b"("
        self._storage(value, typed)
        for item in (offset, tuple(value.shape), tuple(strides), value.requires_grad):
            self._write(item)
        self._call(Global("collections", "OrderedDict"))  # backward hooks are not saved
        if not typed:
            self._dtype(value.dtype)
        self._out += b"t"

    def _parameter(self, value: Parameter) -> None:
        if type(value) is not Parameter:
            raise NotImplementedError(f"torch.save of a {type(value).__qualname__}")
        attributes = own_attributes(value)
        state = "_with_state" if attributes else ""
        self._global(Global("torch._utils", f"_rebuild_parameter{state}"))
        self._out += b"("
        self._tensor(value.detach())
        self._bool(value.requires_grad)
        self._call(Global("collections", "OrderedDict"))
        if attributes:
            self._dict(attributes)
        self._out += b"tR"
        self._remember(id(value), value)

    def _storage(self, tensor: Tensor, typed: str | None) -> None:
        """The reference to a record; tensors that share memory refer to the same one."""
        dtype = _name(tensor.dtype)
        storage = tensor._storage
        known = self._keys.get(id(storage))
        if known is None:
            known = self._keys[id(storage)] = (str(len(self.storages)), dtype)
            self.storages.append(storage)
            self.itemsizes.append(tensor.dtype.itemsize if typed else 1)
        key, first_dtype = known
        if first_dtype != dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                "types"
            )
        size = storage_elements(storage) * storage.array.dtype.itemsize
        self._out += b"("
        self._text("storage")
        self._global(Global("torch", typed) if typed else _UNTYPED)
        self._text(key)
        self._text(str(storage.device))
        self._int(size // tensor.dtype.itemsize if typed else size)
        if self._legacy:
            self._none(None)  # no part of another storage
        self._out += b"tQ"


_UNTYPED = Global("torch.storage", "UntypedStorage")

_ATOMS: dict[type, Callable[[Encoder, Any], None]] = {
    type(None): Encoder._none,
    bool: Encoder._bool,
    int: Encoder._int,
    float: Encoder._float,
    str: Encoder._text,
    DType: Encoder._dtype,
}
_WRITERS: dict[type, Callable[[Encoder, Any], None]] = {
    bytes: Encoder._bytes,
    bytearray: Encoder._bytearray,
    complex: Encoder._complex,
    tuple: Encoder._tuple,
    list: Encoder._list,
    dict: Encoder._dict,
    OrderedDict: Encoder._ordered_dict,
    Counter: Encoder._counter,
    set: Encoder._set,
    Size: Encoder._size,
    Device: Encoder._device,
}
_WRITERS_BY_BASE: tuple[tuple[type, Callable[[Encoder, Any], None]], ...] = (
    (Parameter, Encoder._parameter),
    (Tensor, Encoder._tensor),
    (type, Encoder._named),
    (FunctionType, Encoder._named),
    (BuiltinFunctionType, Encoder._named),
)


def _taken_apart(value: Any) -> Any:
    reduce = copyreg.dispatch_table.get(type(value))
    return reduce(value) if reduce is not None else value.__reduce_ex__(2)


def own_attributes(tensor: Tensor) -> dict[str, Any]:
    """The attributes that a user gave to a tensor."""
    return {name: value for name, value in tensor.__dict__.items() if is_own(name)}


def _name(dtype: DType) -> str:
    """`float32` for `torch.float32`."""
    return str(dtype).rpartition(".")[2]


def storage_elements(storage: Storage) -> int:
    """How many elements the memory of a storage spans."""
    shape, strides = storage.array.shape, storage.strides
    if strides is None or 0 in shape:
        return int(np.prod(shape, dtype=np.int64))
    return 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))


def storage_memory(storage: Storage) -> np.ndarray:
    """The elements of a storage in the order in which they lie in its memory, as bytes."""
    array = storage.host_array()
    if storage.strides is not None:
        memory = np.zeros(storage_elements(storage), array.dtype)
        strides = [stride * array.dtype.itemsize for stride in storage.strides]
        np.lib.stride_tricks.as_strided(memory, array.shape, strides)[...] = array
        array = memory
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
