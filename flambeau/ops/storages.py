"""Storages as objects: `UntypedStorage` (bytes) and the old typed ones (elements).

A storage here is an array of one element type; these objects read and write its memory, in the
order that the virtual strides give it.
"""

from __future__ import annotations

import operator
import sys
import warnings
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..core.device import resolve, tensor_from_host
from ..core.legacy import scalar_type_name
from ..core.storage import Storage
from ..core.tensor import Tensor, wrap
from ..devices import device as Device

# Memory


def elements_of(cell: Storage) -> int:
    """How many elements the memory of a storage spans."""
    shape, strides = cell.array.shape, cell.strides
    if strides is None or 0 in shape:
        return int(np.prod(shape, dtype=np.int64))
    return 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))


def memory_of(cell: Storage) -> np.ndarray:
    """A copy of a storage's elements in the order in which they lie in memory."""
    if cell.device.type == "meta":
        raise NotImplementedError("Not available for 'meta' device type")
    array = np.asarray(cell.array)
    if cell.strides is None:
        return np.array(array).reshape(-1)
    memory = np.zeros(elements_of(cell), array.dtype)
    _seen(memory, cell)[...] = array
    return memory


def write_memory(cell: Storage, memory: np.ndarray) -> None:
    """Replace a storage's elements. The tape does not know of such writes, as in PyTorch."""
    memory = memory.view(cell.array.dtype)
    if cell.strides is None:
        value = memory.reshape(cell.array.shape)
    else:
        value = np.array(_seen(memory, cell))
    cell.write(value, counted=False)


def _seen(memory: np.ndarray, cell: Storage) -> np.ndarray:
    assert cell.strides is not None
    strides = [stride * memory.itemsize for stride in cell.strides]
    return np.lib.stride_tricks.as_strided(memory, cell.array.shape, strides)


# Bytes


_objects: weakref.WeakValueDictionary[int, UntypedStorage] = weakref.WeakValueDictionary()


class UntypedStorage:
    """The memory of one or several tensors, as bytes.

    Args:
        args: a number of bytes, or a sequence of bytes.
        device: where the memory is.

    >>> import flambeau as torch
    >>> x = torch.arange(6.0).view(2, 3)
    >>> x.untyped_storage().nbytes(), x[1].untyped_storage().data_ptr() == x.data_ptr()
    (24, True)
    """

    _cell: Storage
    filename: str | None = None
    is_sparse = is_sparse_csr = is_hpu = False

    def __new__(cls, *args: Any, device: Any = None) -> UntypedStorage:
        made = object.__new__(cls)
        made._cell = tensor_from_host(_bytes_from(args), device)._storage
        _objects[id(made._cell)] = made
        return made

    @classmethod
    def _of(cls, cell: Storage) -> UntypedStorage:
        """The object for a storage: the same one while it is in use."""
        found = _objects.get(id(cell))
        if found is None:
            found = object.__new__(cls)
            found._cell = cell
            _objects[id(cell)] = found
        return found

    @classmethod
    def from_buffer(
        cls,
        buffer: Any,
        byte_order: str | None = None,
        count: int = -1,
        offset: int = 0,
        *,
        dtype: dtypes.dtype,
    ) -> UntypedStorage:
        """A copy of the bytes of a buffer that holds `dtype` elements in `byte_order`."""
        assert dtype.numpy is not None
        array = np.frombuffer(buffer, dtype.numpy, count, offset).copy()
        if byte_order == "big":
            array = array.byteswap()
        return cls._of(tensor_from_host(array.view(np.uint8))._storage)

    @property
    def device(self) -> Device:
        """Where the memory is."""
        return self._cell.device

    @property
    def is_cuda(self) -> bool:
        """Whether the memory is a GPU's."""
        return self.device.type == "cuda"

    def nbytes(self) -> int:
        """The number of bytes."""
        return elements_of(self._cell) * self._cell.array.dtype.itemsize

    def size(self) -> int:
        """The number of bytes."""
        return self.nbytes()

    def __len__(self) -> int:
        return self.nbytes()

    def element_size(self) -> int:
        """One byte."""
        return 1

    def data_ptr(self) -> int:
        """A number that stands for the address: that of the tensor that sees the whole memory."""
        return self._cell.address if self.nbytes() else 0

    def get_device(self) -> int | None:
        """The index of the device, None for the CPU."""
        return self.device.index

    def resizable(self) -> bool:
        """Whether the memory can be resized: yes."""
        return True

    def is_shared(self) -> bool:
        """Whether the memory is shared with other processes."""
        from .sharing import is_shared

        return is_shared(self._cell)

    def share_memory_(self) -> UntypedStorage:
        """Move the contents to memory that other processes can share."""
        from .sharing import share

        share(self._cell)
        return self

    def is_pinned(self, device: Any = "cuda") -> bool:
        """Whether the memory is pinned: never."""
        return False

    def type(self, dtype: Any = None, non_blocking: bool = False) -> str:
        """The name of the type."""
        if dtype is not None:
            raise NotImplementedError("flambeau.UntypedStorage.type(dtype)")
        return "torch.storage.UntypedStorage"

    def _bytes(self) -> np.ndarray:
        return memory_of(self._cell).view(np.uint8)

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return self._bytes().tolist()

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part = self._bytes()[index].copy()
            return UntypedStorage._of(tensor_from_host(part, self.device)._storage)
        return int(self._bytes()[self._position(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        data = self._bytes()
        data[index if isinstance(index, slice) else self._position(index)] = value
        write_memory(self._cell, data)

    def _position(self, index: Any) -> int:
        if not isinstance(index, int):
            raise TypeError(f"can't index a torch.UntypedStorage with {type(index).__name__}")
        size = self.nbytes()
        if not -size <= index < size:
            raise IndexError(f"index {index} out of range for storage of size {size}")
        return index

    def fill_(self, value: int) -> UntypedStorage:
        """Set every byte."""
        self[:] = value
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> UntypedStorage:
        """Take over the bytes of a storage of the same size."""
        if source.nbytes() != self.nbytes():
            raise RuntimeError(
                f"size does not match, self was {self.nbytes()} bytes but src was "
                f"{source.nbytes()} bytes"
            )
        write_memory(self._cell, source._bytes())
        return self

    def clone(self) -> UntypedStorage:
        """A copy."""
        return UntypedStorage._of(tensor_from_host(self._bytes(), self.device)._storage)

    def new(self) -> UntypedStorage:
        """An empty storage on the same device."""
        return UntypedStorage(device=self.device)

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """The storage on a device; a copy where it is another one."""
        found = resolve(device)
        if found == self.device:
            return self
        return UntypedStorage._of(tensor_from_host(self._bytes(), found)._storage)

    def cpu(self) -> UntypedStorage:
        """The storage on the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False) -> UntypedStorage:
        """The storage on a GPU."""
        return self.to(device="cuda" if device is None else device)

    def resize_(self, size: int) -> UntypedStorage:
        """Change the number of bytes; nothing may see the memory then.

        Raises:
            NotImplementedError: a tensor sees it.
        """
        if size == self.nbytes():
            return self
        if seen_by(self._cell):
            raise NotImplementedError(
                "flambeau.UntypedStorage.resize_: tensors see the storage, and their shapes hang "
                "on its size"
            )
        memory = np.zeros(size, np.uint8)
        old = self._bytes()[:size]
        memory[: old.size] = old
        self._cell.strides = None
        self._cell.write(memory, counted=False)
        return self

    def byteswap(self, dtype: dtypes.dtype) -> None:
        """Reverse the bytes of every `dtype` element."""
        assert dtype.numpy is not None
        swapped = self._bytes().reshape(-1, dtype.numpy.itemsize)[:, ::-1]
        write_memory(self._cell, np.ascontiguousarray(swapped).reshape(-1))

    def __deepcopy__(self, memo: dict[int, Any]) -> UntypedStorage:
        key = ("storage", id(self._cell))
        if key not in memo:
            memo[key] = self.clone()._cell  # type: ignore[index]
        return UntypedStorage._of(memo[key])  # type: ignore[index]

    def __copy__(self) -> UntypedStorage:
        return self.clone()

    def __repr__(self) -> str:
        about = f"[torch.storage.UntypedStorage(device={self.device}) of size {self.nbytes()}]"
        if self.device.type == "meta":
            return f"...\n{about}"
        return " " + "\n ".join(map(str, self.tolist())) + f"\n{about}"

    __str__ = __repr__


def _bytes_from(args: tuple[Any, ...]) -> np.ndarray:
    if not args:
        return np.zeros(0, np.uint8)
    (given,) = args
    if isinstance(given, int):
        return np.zeros(given, np.uint8)
    for item in given:
        try:
            operator.index(item)
        except TypeError:
            raise RuntimeError(
                "torch.UntypedStorage(): tried to construct a storage from a sequence "
                f"({type(given).__name__}), but one of the items was of type "
                f"{type(item).__name__} instead of int"
            ) from None
    return np.array(list(given)).astype(np.uint8)


def seen_by(cell: Storage, *names: Storage) -> int:
    """How many objects hold a storage, less the `UntypedStorage` for it.

    Args:
        names: the storage once more, for every name that the caller has for it.
    """
    # `cell`, `names` and the argument of `getrefcount` are references, too.
    return sys.getrefcount(cell) - 2 - 2 * len(names) - (id(cell) in _objects)


# Elements


_warned = False


def _warn_once() -> None:
    """PyTorch's warning about typed storages, once in a process."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be "
        "the only storage class. This should only matter to you if you are using storages "
        "directly.  To access UntypedStorage directly, use tensor.untyped_storage() instead of "
        "tensor.storage()",
        UserWarning,
        stacklevel=3,
    )


class TypedStorage:
    """The memory of one or several tensors, as elements of one type. Deprecated.

    Args:
        args: a number of elements, or a sequence of them.
        wrap_storage: the bytes that it stands for, instead.
        dtype: the elements' type; the default dtype unless given.
        device: where the memory is.
    """

    dtype: dtypes.dtype
    is_sparse = False
    is_hpu = False

    def __init__(
        self,
        *args: Any,
        wrap_storage: UntypedStorage | None = None,
        dtype: dtypes.dtype | None = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        if not _internal:
            _warn_once()
        self.dtype = dtypes.get_default_dtype() if dtype is None else dtype
        if wrap_storage is None:
            array = _elements_from(args, self.dtype)
            wrap_storage = UntypedStorage._of(tensor_from_host(array, device)._storage)
        self._untyped_storage = wrap_storage

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return self._untyped_storage

    @property
    def device(self) -> Device:
        """Where the memory is."""
        return self._untyped_storage.device

    @property
    def is_cuda(self) -> bool:
        """Whether the memory is a GPU's."""
        return self._untyped_storage.is_cuda

    @property
    def filename(self) -> str | None:
        """The file that the memory is mapped from: None."""
        return None

    def _elements(self) -> np.ndarray:
        return self._untyped_storage._bytes().view(self.dtype.numpy)  # type: ignore[arg-type]

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        """The number of bytes of an element."""
        return self.dtype.itemsize

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self.element_size()

    def __len__(self) -> int:
        return self.size()

    def data_ptr(self) -> int:
        """A number that stands for the address of the first element."""
        return self._untyped_storage.data_ptr()

    def get_device(self) -> int | None:
        """The index of the device, None for the CPU."""
        return self.device.index

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        array = self._elements()
        return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self.tolist()[self._position(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        array = self._elements()
        if not isinstance(index, slice):
            index = self._position(index)
        array[index] = value._elements() if isinstance(value, TypedStorage) else value
        write_memory(self._untyped_storage._cell, array.view(np.uint8))

    def _position(self, index: Any) -> int:
        if not isinstance(index, int):
            raise TypeError(f"can't index a {type(self)} with {type(index)}")
        if not -self.size() <= index < self.size():
            raise IndexError(f"index {index} out of range for storage of size {self.size()}")
        return index

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element."""
        self[:] = value
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool | None = None) -> TypedStorage:
        """Take over the bytes of a storage of the same size."""
        self._untyped_storage.copy_(source._untyped_storage)
        return self

    def clone(self) -> TypedStorage:
        """A copy."""
        return self._with(self._untyped_storage.clone(), self.dtype)

    def _with(self, storage: UntypedStorage, dtype: dtypes.dtype) -> TypedStorage:
        return TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)

    def _as(self, dtype: dtypes.dtype) -> TypedStorage:
        if dtype is self.dtype:
            return self
        array = self._elements().astype(dtype.numpy)
        storage = UntypedStorage._of(tensor_from_host(array, self.device)._storage)
        return self._with(storage, dtype)

    def to(self, *, device: Any, non_blocking: bool = False) -> TypedStorage:
        """The storage on a device; a copy where it is another one."""
        found = self._untyped_storage.to(device=device)
        return self if found is self._untyped_storage else self._with(found, self.dtype)

    def cpu(self) -> TypedStorage:
        """The storage on the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        """The storage on a GPU."""
        return self.to(device="cuda" if device is None else device)

    def resize_(self, size: int) -> None:
        """Change the number of elements; nothing may see the memory then."""
        self._untyped_storage.resize_(size * self.element_size())

    def resizable(self) -> bool:
        """Whether the memory can be resized: yes."""
        return True

    def is_shared(self) -> bool:
        """Whether the memory is shared with other processes."""
        return self._untyped_storage.is_shared()

    def share_memory_(self) -> TypedStorage:
        """Move the contents to memory that other processes can share."""
        self._untyped_storage.share_memory_()
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned: never."""
        return False

    def pickle_storage_type(self) -> str:
        """`FloatStorage` for float32, and so on."""
        return _storage_name(self.dtype)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> str:
        """`torch.FloatStorage` for float32, and so on."""
        if dtype is not None:
            raise NotImplementedError("flambeau.TypedStorage.type(dtype)")
        place = "" if self.device.type == "cpu" else f"{self.device.type}."
        return f"torch.{place}{_storage_name(self.dtype)}"

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        about = (
            f"[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size "
            f"{self.size()}]"
        )
        if self.device.type == "meta":
            return f"...\n{about}"
        return " " + "\n ".join(map(str, self.tolist())) + f"\n{about}"

    __str__ = __repr__


def _elements_from(args: tuple[Any, ...], dtype: dtypes.dtype) -> np.ndarray:
    if not args:
        return np.zeros(0, dtype.numpy)
    (given,) = args
    if isinstance(given, int):
        return np.zeros(given, dtype.numpy)
    if not isinstance(given, (Sequence, np.ndarray)):
        raise TypeError(
            "Argument type not recognized: expected a size or a sequence, but got "
            f"{type(given).__name__}"
        )
    return np.array(given).astype(dtype.numpy)


def _storage_name(dtype: dtypes.dtype) -> str:
    return scalar_type_name(dtype) + "Storage"


_CONVERSIONS = {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "byte": dtypes.uint8,
    "char": dtypes.int8,
    "short": dtypes.int16,
    "int": dtypes.int32,
    "long": dtypes.int64,
    "bool": dtypes.bool,
    "complex_float": dtypes.complex64,
    "complex_double": dtypes.complex128,
}


def _define_conversion(name: str, dtype: dtypes.dtype) -> None:
    def typed(self: TypedStorage) -> TypedStorage:
        return self._as(dtype)

    def untyped(self: UntypedStorage) -> TypedStorage:
        return TypedStorage(wrap_storage=self, dtype=dtypes.uint8)._as(dtype)

    typed.__doc__ = untyped.__doc__ = f"The elements as {dtype}."
    setattr(TypedStorage, name, typed)
    setattr(UntypedStorage, name, untyped)


for _name, _dtype in _CONVERSIONS.items():
    _define_conversion(_name, _dtype)


class _LegacyMeta(type):
    dtype: dtypes.dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype


def _legacy(dtype: dtypes.dtype) -> type:
    def construct(cls: Any, *args: Any, wrap_storage: Any = None) -> TypedStorage:
        return TypedStorage(*args, wrap_storage=wrap_storage, dtype=cls.dtype)

    body = {"__new__": construct, "dtype": dtype, "__module__": "torch"}
    body["__doc__"] = f"A storage of {dtype} elements. Deprecated."
    return _LegacyMeta(_storage_name(dtype), (), body)


LEGACY: dict[str, type] = {_storage_name(d): _legacy(d) for d in _CONVERSIONS.values()}
UntypedStorage.__module__ = TypedStorage.__module__ = "torch.storage"


def cell_of(source: UntypedStorage | TypedStorage) -> Storage:
    """The library's own storage behind a storage object."""
    untyped = source if isinstance(source, UntypedStorage) else source._untyped_storage
    return untyped._cell


def whole(cell: Storage, dtype: dtypes.dtype) -> Tensor:
    """A tensor that sees all memory of a storage as a row of `dtype` elements."""
    tensor = wrap(cell.array, cell.device)
    tensor._storage = cell
    if cell.strides is not None or len(cell.array.shape) != 1:
        if elements_of(cell) != int(np.prod(cell.array.shape, dtype=np.int64)):
            raise NotImplementedError("flambeau: a row of a storage with gaps")
        strides = cell.strides or (0,) * len(cell.array.shape)
        order = sorted(range(len(strides)), key=lambda i: -strides[i])
        tensor = tensor.permute(order).reshape(-1).detach()
    if dtype is not tensor.dtype:
        count = elements_of(cell) * cell.array.dtype.itemsize
        used = count // dtype.itemsize * dtype.itemsize // cell.array.dtype.itemsize
        tensor = tensor[:used].view(dtype).detach()
    return tensor


__all__ = ["LEGACY", "TypedStorage", "UntypedStorage"]
