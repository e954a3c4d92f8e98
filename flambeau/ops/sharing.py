"""Memory that several processes see: `share_memory_`, and tensors in queues.

A shared storage keeps a NumPy array on mapped memory, as one that `Tensor.numpy()` shares does, and
is written in place. What other processes map is the file descriptor behind it.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import weakref
from typing import Any

import numpy as np

from ..core.storage import Storage
from ..devices import device as Device

_descriptors: weakref.WeakKeyDictionary[Storage, int] = weakref.WeakKeyDictionary()


def is_shared(cell: Storage) -> bool:
    """Whether a storage lies in memory that other processes can map."""
    return cell in _descriptors


def share(cell: Storage) -> int:
    """Move a storage's contents to shared memory, once; returns the file descriptor."""
    found = _descriptors.get(cell)
    if found is not None:
        return found
    if cell.device.type != "cpu":
        raise RuntimeError(f"cannot share the memory of a {cell.device.type} tensor")
    if cell.external:
        raise NotImplementedError("flambeau: memory of a NumPy array cannot move to shared memory")
    array = np.asarray(cell.array)
    descriptor = _new_file(array.nbytes)
    _attach(cell, descriptor, array.shape, array.dtype)
    if array.size:
        np.copyto(cell.array, array)
    return descriptor


def attach(descriptor: int, shape: tuple[int, ...], dtype: np.dtype, strides: Any) -> Storage:
    """A storage on shared memory that another process has made."""
    cell = Storage(np.zeros(0, dtype), Device("cpu"), strides)
    _attach(cell, descriptor, shape, dtype)
    return cell


def _attach(cell: Storage, descriptor: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
    length = math.prod(shape) * dtype.itemsize
    if length:
        memory = mmap.mmap(descriptor, length)
        cell.array = np.frombuffer(memory, np.uint8).view(dtype).reshape(shape)
    else:
        cell.array = np.zeros(0, dtype).reshape(shape)
    cell.external = True
    cell.version += 1
    _descriptors[cell] = descriptor
    weakref.finalize(cell, os.close, descriptor)


def _new_file(length: int) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("flambeau-storage")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, max(length, 1))
    return descriptor
