"""Tensors and their storages: handing storages out, taking them, resizing, sharing."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import jax
import numpy as np

from .. import dtypes, formats
from ..core.legacy import legacy_constructed, native_name
from ..core.storage import OwnVersion, Storage
from ..core.tensor import Tensor, wrap
from ..core.views import check_writable
from ..kernels.views import row_major
from .arguments import check_tensor, invalid_arguments
from .pieces import split_with_sizes
from .registry import declare
from .sharing import is_shared as storage_is_shared
from .sharing import share
from .storages import (
    LEGACY,
    TypedStorage,
    UntypedStorage,
    cell_of,
    elements_of,
    seen_by,
    whole,
)
from .views import channels_last_strides, sizes_of

# Handing storages out


@declare(function=False)
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory that the tensor and its aliases see, as bytes."""
    return UntypedStorage._of(self._storage)


@declare(function=False)
def storage(self: Tensor) -> TypedStorage:
    """The memory that the tensor and its aliases see, as elements. Deprecated."""
    return TypedStorage(wrap_storage=UntypedStorage._of(self._storage), dtype=self.dtype)


def _typed_storage(self: Tensor) -> TypedStorage:
    untyped = UntypedStorage._of(self._storage)
    return TypedStorage(wrap_storage=untyped, dtype=self.dtype, _internal=True)


Tensor._typed_storage = _typed_storage  # type: ignore[attr-defined]


@declare(function=False)
def storage_type(self: Tensor) -> type:
    """`torch.FloatStorage` for float32, and so on."""
    return LEGACY[_typed_storage(self).pickle_storage_type()]


@declare(method=False)
def is_storage(obj: Any, /) -> bool:
    """Whether `obj` is a storage."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


@declare(method=False)
def to_dlpack(tensor: Tensor, /) -> Any:
    """The tensor as a DLPack capsule, for other libraries."""
    return tensor.__dlpack__()  # type: ignore[attr-defined]


@declare(function=False)
def const_data_ptr(self: Tensor) -> int:
    """`data_ptr`, for reading only."""
    return self.data_ptr()


@declare(function=False)
def share_memory_(self: Tensor) -> Tensor:
    """Move the storage to memory that other processes can share; see `torch.multiprocessing`."""
    share(self._storage)
    return self


@declare(function=False)
def is_shared(self: Tensor) -> bool:
    """Whether the storage is in memory that other processes can share."""
    return storage_is_shared(self._storage)


# Taking storages


@declare(function=False)
def set_(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Let the tensor see another storage: `set_()`, `set_(source)`,
    `set_(source, storage_offset, size, stride=None)`.

    Args:
        source: a tensor or a storage. Without an argument the tensor becomes empty.
        storage_offset: where the first element lies.
        size: the shape; the whole storage, or the source's shape, unless given.
        stride: row-major unless given.

    >>> import flambeau as torch
    >>> torch.tensor([]).set_(torch.arange(6.0).untyped_storage(), 1, (2,), (2,))
    tensor([1., 3.])
    """
    bound = dict(zip(("source", "storage_offset", "size", "stride"), args, strict=False)) | kwargs
    source = bound.get("source")
    if bound and not isinstance(source, (Tensor, UntypedStorage, TypedStorage)):
        raise invalid_arguments("set_", *args)
    check_writable(self)
    version = self._version
    if source is None:
        _adopt(self, wrap(np.zeros(0, self._dtype_numpy()), self.device))
    elif "size" in bound:
        size = sizes_of((bound["size"],))
        stride = bound.get("stride")
        stride = row_major(size) if stride is None else tuple(stride)
        _adopt(self, _strided(self, _cell(source), size, stride, bound["storage_offset"]))
    elif isinstance(source, Tensor):
        if source.dtype is not self.dtype:
            raise RuntimeError(
                f"Could not set tensor of type {native_name(source.dtype)} to a tensor of type "
                f"{native_name(self.dtype)}"
            )
        _adopt(self, source.detach())
    else:
        _adopt(self, whole(cell_of(source), self.dtype))
    self._own_version = OwnVersion(self._storage.device, version + 1)
    return self


def _cell(source: Any) -> Storage:
    return source._storage if isinstance(source, Tensor) else cell_of(source)


def _strided(
    x: Tensor, cell: Storage, size: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> Tensor:
    if len(size) != len(stride):
        raise RuntimeError(f"unequal size length ({len(size)}) and stride length ({len(stride)})")
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    return whole(cell, x.dtype).as_strided(size, stride, offset).detach()


def _adopt(x: Tensor, source: Tensor) -> None:
    """Let `x` see what `source` sees; it is a leaf of its own family then."""
    x.data = source
    x._base = None


# Resizing


@declare(function=False)
def resize_(self: Tensor, *sizes: Any, memory_format: Any = formats.contiguous_format) -> Tensor:
    """Give the tensor another shape in place, over its own storage.

    Elements that the storage has no room for are added, with unspecified values. A storage that
    other tensors see cannot grow.

    >>> import flambeau as torch
    >>> torch.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if not sizes:
        raise TypeError('resize_() missing 1 required positional arguments: "size"')
    if not isinstance(sizes[0], (int, tuple, list)):
        raise TypeError(
            "resize_(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(sizes[0]).__name__}"
        )
    return _resized(self, sizes_of(sizes), memory_format)


def _resized(x: Tensor, shape: tuple[int, ...], memory_format: Any) -> Tensor:
    if x.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if shape == x._dims() and memory_format is formats.contiguous_format:
        return x
    if any(size < 0 for size in shape):
        raise RuntimeError("numel: integer multiplication overflow")
    strides = row_major(shape)
    if memory_format not in (formats.contiguous_format, formats.preserve_format):
        found = channels_last_strides(shape, memory_format)
        if found is None:
            rank, suffix = (4, "") if memory_format is formats.channels_last else (5, "_3d")
            raise RuntimeError(f"required rank {rank} tensor to use channels_last{suffix} format")
        strides = found
    offset = x._strides_offset()[1]
    elements = offset + math.prod(shape)
    cell = x._storage
    if elements > elements_of(cell):
        if seen_by(cell, cell) > 1 + _has_own_base(x):
            raise NotImplementedError("flambeau.Tensor.resize_ of a storage that others see")
        _grow(cell, elements)
        x._base = None
    x.data = whole(cell, x.dtype).as_strided(shape, strides, offset).detach()
    cell.count_write()
    return x


def _has_own_base(x: Tensor) -> bool:
    """Whether `x` is a view of a tensor that nobody else knows."""
    base = x._base
    # The attribute, the name `base`, and the argument of `getrefcount`.
    return base is not None and sys.getrefcount(base) <= 3


def _grow(cell: Storage, elements: int) -> None:
    """Make room for so many elements; the first ones are kept."""
    if cell.device.type == "meta":
        cell.write(jax.ShapeDtypeStruct((elements,), cell.array.dtype))
    else:
        old = np.asarray(cell.array).reshape(-1)
        flat = np.zeros(elements, old.dtype)
        flat[: old.size] = old
        cell.write(flat)
    cell.strides = None


@declare()
def resize_as_(
    input: Tensor, the_template: Tensor, *, memory_format: Any = formats.contiguous_format
) -> Tensor:
    """Give the tensor the shape of `the_template` in place."""
    if not isinstance(the_template, Tensor):
        raise TypeError(
            "resize_as_(): argument 'the_template' (position 1) must be Tensor, not "
            f"{type(the_template).__name__}"
        )
    return _resized(input, the_template._dims(), memory_format)


@declare(function=False)
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """Deprecated: the elements in another shape; `reshape` does that."""
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=2)
    return _same_elements(self, sizes_of(sizes))


@declare(function=False)
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """Deprecated: the elements in the shape of another tensor; `reshape_as` does that."""
    warnings.warn("non-inplace resize_as is deprecated", UserWarning, stacklevel=2)
    return _same_elements(self, tensor._dims())


def _same_elements(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    if math.prod(shape) != x.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({math.prod(shape)} elements in "
            f"total), but the given tensor has a size of {'x'.join(map(str, x._dims()))} "
            f"({x.numel()} elements). autograd's resize can only change the shape of a given "
            "tensor, while preserving the number of elements. "
        )
    return x.reshape(shape)


# New tensors, and modules' parameters


@declare(function=False)
def new(self: Tensor, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """A tensor of this one's type: of sizes, of values, of a storage. Legacy."""
    if kwargs:
        given = [type(a).__name__ for a in args] + [f"{k}={_kind(v)}" for k, v in kwargs.items()]
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({', '.join(given)})"
        )
    if len(args) == 1 and isinstance(args[0], str):
        raise TypeError("new(): invalid data type 'str'")
    device = self.device if device is None else device
    if len(args) == 1 and isinstance(args[0], (UntypedStorage, TypedStorage)):
        return whole(cell_of(args[0]), self.dtype)
    return legacy_constructed(self.dtype, args, device)


def _kind(value: Any) -> str:
    cls = type(value)
    return f"torch.{cls.__name__}" if cls in (dtypes.dtype, Tensor) else cls.__name__


@declare(function=False)
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `Module.load_state_dict` puts in the place of `self`, a parameter or a buffer.

    Args:
        other: the loaded tensor.
        assign: take `other` itself instead of copying its values.
    """
    check_tensor("module_load", other)
    return other.detach() if assign else self.copy_(other).detach()


@declare()
def slice_inverse(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """The tensor of the shape of `src` of which `input` is a slice: a view of its storage."""
    return input.as_strided(src._dims(), src.stride(), src.storage_offset())


@declare()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes`, whose pieces autograd takes for tensors of their own."""
    return tuple(piece.clone() for piece in split_with_sizes(input, split_sizes, dim))


def _grad_dtype(self: Tensor) -> dtypes.dtype:
    return self.dtype


def _set_grad_dtype(self: Tensor, value: Any) -> None:
    if value is not None and not isinstance(value, dtypes.dtype):
        raise RuntimeError(
            f"grad_dtype must be a torch.dtype or None, but got {type(value).__name__}"
        )
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be set on leaf tensors.")
    if value is not self.dtype:
        raise NotImplementedError(f"flambeau.Tensor.grad_dtype = {value}")


Tensor.grad_dtype = property(  # type: ignore[attr-defined]
    _grad_dtype, _set_grad_dtype, doc="The type of the gradient: that of the tensor."
)
