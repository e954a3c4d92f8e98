"""The storages of a checkpoint that is being read, and the tensors that look at them."""

from __future__ import annotations

import math

import jax
import numpy as np

from .. import dtypes
from ..core.modes import no_grad
from ..core.tensor import Tensor, alias, wrap
from ..devices import device as Device
from .archive import CheckpointError, NotReadable

# A tensor whose elements repeat (`expand`) may be larger than its record, but only so far.
REPEATED_BYTES = 1 << 26
MOST_DIMENSIONS = 64
_LARGEST = 1 << 62


class LoadedStorage:
    """The bytes of one record, which several tensors may share.

    Args:
        memory: the bytes.
        dtype: the element type; None for a storage that has none of its own.
    """

    def __init__(self, memory: np.ndarray, dtype: dtypes.dtype | None, device: Device):
        self.memory = memory
        self.dtype = dtype
        self.device = device
        self._whole: Tensor | None = None
        self._tensors: dict[tuple, Tensor] = {}  # by their way of looking at the memory

    def part(self, offset: int, count: int) -> StoragePart:
        """Elements `offset` to `offset + count`, as a storage of its own."""
        return StoragePart(self, offset, count)

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
                self._whole = self._wrapped(elements.reshape(size))
                return self._whole
            self._whole = self._wrapped(elements)
        if self._whole.dtype is not dtype:
            raise CheckpointError(f"one record is used as {self._whole.dtype} and as {dtype}")
        with no_grad():
            return self._whole.as_strided(size, stride, offset)

    def _wrapped(self, elements: np.ndarray) -> Tensor:
        if self.device.type == "meta":
            return wrap(jax.ShapeDtypeStruct(elements.shape, elements.dtype), self.device)
        return wrap(elements, self.device)

    def _elements(self, dtype: dtypes.dtype) -> np.ndarray:
        if dtype.numpy is None:
            raise NotReadable(f"torch.load of a tensor of {dtype} is not built")
        return self.memory.view(dtype.numpy)

    def _check(self, dtype: dtypes.dtype, offset: object, size: tuple, stride: tuple) -> None:
        if len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
            raise CheckpointError(f"a tensor has {len(size)} sizes and {len(stride)} strides")
        if any(type(n) is not int or not 0 <= n < _LARGEST for n in (offset, *size, *stride)):
            raise CheckpointError(
                "a tensor has an offset, a size or a stride that is negative, too large or no "
                "integer"
            )
        assert isinstance(offset, int)
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count and (last + 1) * dtype.itemsize > self.memory.nbytes:
            raise CheckpointError(
                f"a tensor of size {size} and stride {stride} needs {last + 1} elements, but its "
                f"record has {self.memory.nbytes // dtype.itemsize}"
            )
        if count * dtype.itemsize > max(self.memory.nbytes, REPEATED_BYTES):
            raise CheckpointError(
                f"a tensor of size {size} repeats the elements of a record of "
                f"{self.memory.nbytes} bytes; more than {REPEATED_BYTES} bytes are refused"
            )


class StoragePart:
    """A part of a storage, as files of before PyTorch 0.4 have it."""

    def __init__(self, whole: LoadedStorage, offset: int, count: int):
        if offset < 0 or count < 0 or whole.dtype is None:
            raise CheckpointError("a part of a storage lies outside of it")
        if (offset + count) * whole.dtype.itemsize > whole.memory.nbytes:
            raise CheckpointError("a part of a storage lies outside of it")
        self.dtype = whole.dtype
        self._whole, self._offset = whole, offset

    def tensor(self, dtype: dtypes.dtype, offset: int, size: tuple, stride: tuple) -> Tensor:
        """The tensor that looks at this part in the given way."""
        if type(offset) is not int:
            raise CheckpointError("a tensor of the checkpoint is malformed")
        return self._whole.tensor(dtype, self._offset + offset, size, stride)


def _row_major(size: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(size)
    for axis in range(len(size) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(size[axis + 1], 1)
    return tuple(strides)
