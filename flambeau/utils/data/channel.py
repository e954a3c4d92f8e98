"""How batches travel between a loader and its worker processes: arrays in shared memory.

A small message is one pickle in a pipe. A larger one is written to a file that has no name and
lives in memory; only its descriptor goes through the pipe, and the receiver maps it, so that no
array is copied a second time and nothing is left behind when a process is killed.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import socket
import struct
import sys
import tempfile
from multiprocessing import reduction
from typing import Any

import numpy as np

from ...core.storage import Storage
from ...core.tensor import CPU, Tensor
from ...ops.sharing import attach, is_shared, share

SMALL = 2048  # bytes; a socket holds at least fifty messages of this size
MAPPED = 1 << 20  # bytes; a mapped file keeps a descriptor open, so smaller ones are read instead
ALIGNMENT = 64
_LENGTHS = struct.Struct("<Q")
_INLINE, _IN_FILE = b"i", b"f"
_VIEW_FIELDS = ("_steps", "_offsets", "_view_shape", "_view_dtype")
SHARES_FILES = sys.platform != "win32"


class Pickler(reduction.ForkingPickler):
    """Pickles with the memory of arrays and tensors left out, in `self.buffers`."""

    def __init__(self, file: Any):
        self.buffers: list[pickle.PickleBuffer] = []
        super().__init__(file, 5, True, self.buffers.append)

    def reducer_override(self, obj: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """How arrays, tensors and their storages are taken apart."""
        if isinstance(obj, Tensor):
            return _take_apart(obj)
        if isinstance(obj, Storage):
            if is_shared(obj):
                about = (obj.array.shape, obj.array.dtype, obj.strides)
                return _shared_storage, (reduction.DupFd(share(obj)), *about)
            array = np.asarray(obj.read())
            return _new_storage, (array, str(obj.device), obj.strides)
        if type(obj) is np.ndarray and not obj.dtype.hasobject:
            if obj.nbytes <= SMALL:
                memory: Any = bytearray(obj.tobytes())
            else:
                whole: Any = np.ascontiguousarray(obj).reshape(-1).view(np.uint8)
                memory = pickle.PickleBuffer(whole)
            return _new_array, (memory, obj.dtype, obj.shape)
        return NotImplemented


def _take_apart(tensor: Tensor) -> Any:
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the data, "
            "call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    storage = tensor._storage
    fields = {name: tensor.__dict__[name] for name in _VIEW_FIELDS if name in tensor.__dict__}
    if fields and 2 * tensor.numel() < storage.array.size and not is_shared(storage):
        # A row of a large tensor: the row travels, not all that it is a row of.
        storage, fields = Storage(np.array(tensor._host(), order="C"), tensor.device), {}
    own = {k: v for k, v in tensor.__dict__.items() if not hasattr(Tensor, k) and k != "_storage"}
    return _new_tensor, (type(tensor), storage, fields, tensor._requires_grad, own)


def _new_array(memory: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(memory, np.uint8).view(dtype).reshape(shape)


def _new_storage(array: np.ndarray, device: str, strides: Any) -> Storage:
    cell = Storage(array, CPU, strides)
    if device != "cpu":
        raise RuntimeError(f"a tensor on {device} cannot go to or come from a worker process")
    return cell


def _shared_storage(descriptor: Any, shape: Any, dtype: np.dtype, strides: Any) -> Storage:
    return attach(descriptor.detach(), shape, dtype, strides)


def _new_tensor(
    cls: type, storage: Storage, fields: dict[str, Any], requires_grad: bool, own: dict[str, Any]
) -> Tensor:
    tensor = object.__new__(cls)
    tensor._storage = storage
    tensor.__dict__.update(fields, **own)
    tensor._requires_grad = requires_grad
    return tensor


def pack(value: Any) -> tuple[bytes, list[memoryview]]:
    """An object as a pickle and the memory of its arrays."""
    out = io.BytesIO()
    pickler = Pickler(out)
    pickler.dump(value)
    return out.getvalue(), [buffer.raw() for buffer in pickler.buffers]


def memory_file(pieces: list[Any]) -> tuple[int, list[int]]:
    """A new file in memory that holds `pieces` one behind the other; its descriptor, the ends.

    Each piece begins at a multiple of 64 bytes.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("flambeau-batch")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        ends, place = [], 0
        for piece in pieces:
            gap = -place % ALIGNMENT
            os.lseek(descriptor, gap, os.SEEK_CUR)
            place += gap
            view = memoryview(piece).cast("B")
            written = 0
            while written < len(view):
                written += os.write(descriptor, view[written:])
            place += len(view)
            ends.append(place)
        if place:
            os.ftruncate(descriptor, place)
        return descriptor, ends
    except BaseException:
        os.close(descriptor)
        raise


def pieces_of(descriptor: int, lengths: list[int], private: bool = False) -> list[memoryview]:
    """The pieces of a file that `memory_file` made; closes the descriptor.

    Args:
        lengths: the pieces' lengths.
        private: the file goes to several processes; writes stay in this one.
    """
    try:
        total = sum(-(-length // ALIGNMENT) * ALIGNMENT for length in lengths[:-1]) + lengths[-1]
        if total < MAPPED and not private:
            view = memoryview(bytearray(total))
            os.lseek(descriptor, 0, os.SEEK_SET)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                read = 0
                while read < total:
                    read += file.readinto(view[read:])
        elif total:
            kind = mmap.MAP_PRIVATE if private else mmap.MAP_SHARED
            view = memoryview(mmap.mmap(descriptor, total, kind))
        else:
            view = memoryview(bytearray())
    finally:
        os.close(descriptor)
    pieces, place = [], 0
    for length in lengths:
        place += -place % ALIGNMENT
        pieces.append(view[place : place + length])
        place += length
    return pieces


class Channel:
    """One end of a pipe that carries objects.

    Args:
        connection: an end of a duplex `multiprocessing.Pipe`.
    """

    def __init__(self, connection: Any):
        self.connection = connection

    def send(self, value: Any) -> None:
        """Send an object; what it consists of may change afterwards."""
        data, buffers = pack(value)
        lengths = [len(data), *(buffer.nbytes for buffer in buffers)]
        header = b"".join(map(_LENGTHS.pack, lengths))
        if not SHARES_FILES or (len(data) <= SMALL and not buffers):
            self.connection.send_bytes(_INLINE + header)
            for piece in (data, *buffers):
                self.connection.send_bytes(piece)
            return
        descriptor, _ = memory_file([data, *buffers])
        try:
            self.connection.send_bytes(_IN_FILE + header)
            with socket.fromfd(
                self.connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM
            ) as pipe:
                reduction.sendfds(pipe, [descriptor])
        finally:
            os.close(descriptor)

    def receive(self) -> Any:
        """The next object; EOFError or OSError when the other end is gone."""
        header = self.connection.recv_bytes()
        lengths = [length for (length,) in _LENGTHS.iter_unpack(header[1:])]
        if header[:1] == _INLINE:
            pieces: list[Any] = [bytearray(self.connection.recv_bytes()) for _ in lengths]
        else:
            with socket.fromfd(
                self.connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM
            ) as pipe:
                (descriptor,) = reduction.recvfds(pipe, 1)
            pieces = list(pieces_of(descriptor, lengths))
        return pickle.loads(pieces[0], buffers=pieces[1:])

    def close(self) -> None:
        """Close this end."""
        self.connection.close()


class Shipment:
    """An object on its way to several new processes, in whose arguments it is.

    The memory of its arrays is written once, and mapped by every process; a process that writes to
    it changes nothing for the others. The object is pickled anew for each process, because locks
    and pipes differ from process to process, and unpickled by `open`, in the process's own time.
    """

    def __init__(self, value: Any):
        self._value = value
        self._buffers: list[tuple[int, int]] = []
        self._descriptor: int | None = None

    def __reduce__(self) -> Any:
        data, buffers = pack(self._value)
        lengths = [buffer.nbytes for buffer in buffers]
        if not SHARES_FILES:
            return Parcel, (data, [bytes(buffer) for buffer in buffers], lengths)
        if not buffers:
            return Parcel, (data, None, [])
        where = [(np.frombuffer(buffer, np.uint8).ctypes.data, buffer.nbytes) for buffer in buffers]
        if self._descriptor is None or where != self._buffers:
            self.close()
            self._descriptor, _ = memory_file(list(buffers))
            self._buffers = where
        return Parcel, (data, reduction.DupFd(self._descriptor), lengths)

    def open(self) -> Any:
        """The object itself: the process was forked, and nothing was pickled."""
        return self._value

    def close(self) -> None:
        """Let go of the memory, when all processes have started."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Parcel:
    """A `Shipment` that has arrived."""

    def __init__(self, data: bytes, memory: Any, lengths: list[int]):
        self._data, self._memory, self._lengths = data, memory, lengths

    def open(self) -> Any:
        """Unpickle the object."""
        if self._memory is None:
            return pickle.loads(self._data)
        if isinstance(self._memory, list):
            return pickle.loads(self._data, buffers=map(bytearray, self._memory))
        pieces = pieces_of(self._memory.detach(), self._lengths, private=True)
        return pickle.loads(self._data, buffers=pieces)
