"""The format of before PyTorch 1.6: pickles one after the other, then the storages' bytes.

pickle(magic number)  pickle(1001)  pickle(facts about the machine)
pickle(the object)    pickle(the storages' keys)
for each storage: the number of elements (int64), the elements
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from .archive import CheckpointError
from .encode import Encoder, storage_memory

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_COUNT = struct.Struct("<q")
_START = b"\x80\x02\x8a\n" + MAGIC.to_bytes(10, "little") + b"."


def is_legacy(start: bytes) -> bool:
    """Whether a file that begins so is in this format."""
    return start[:1] == b"\x80" and MAGIC.to_bytes(10, "little") in start[:16]


def write(value: Any, file: IO[bytes], name: str = "") -> None:
    """Write an object in this format, which has no place for a name."""
    encoder = Encoder(legacy=True)
    instructions = encoder.encode(value)
    keys = [str(number) for number in range(len(encoder.storages))]
    machine = {
        "protocol_version": VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    file.write(_START)
    file.write(Encoder().encode(VERSION))
    file.write(Encoder().encode(machine))
    file.write(instructions)
    file.write(Encoder().encode(keys))
    for storage, itemsize in zip(encoder.storages, encoder.itemsizes, strict=True):
        memory = storage_memory(storage)
        file.write(_COUNT.pack(memory.nbytes // itemsize))
        file.write(memory.data)


class LegacyStorages:
    """The storages of a file in this format: made when the object names them, filled afterwards.

    Args:
        data: the whole file.
    """

    def __init__(self, data: bytes):
        self._data = data
        self._left = len(data)
        self._memory: dict[str, np.ndarray] = {}

    def memory(self, key: str, nbytes: int) -> np.ndarray:
        """The bytes of a storage, which are zero until `fill` is called."""
        self._left -= nbytes
        if nbytes < 0 or self._left < 0:
            raise CheckpointError("the storages of the checkpoint are larger than the file")
        self._memory[key] = np.zeros(nbytes, np.uint8)
        return self._memory[key]

    def fill(self, keys: Any, position: int, itemsize: Callable[[str], int]) -> int:
        """Read the storages, which begin at `position`, in the order of `keys`; gives the end."""
        if type(keys) is not list or set(map(type, keys)) - {str} or len(set(keys)) < len(keys):
            raise CheckpointError("the list of storages of the checkpoint is malformed")
        if set(keys) != set(self._memory):
            raise CheckpointError("the checkpoint does not have the storages that it refers to")
        for key in keys:
            memory = self._memory[key]
            header = self._data[position : position + _COUNT.size]
            start, position = position + len(header), position + len(header) + memory.nbytes
            if len(header) < _COUNT.size or position > len(self._data):
                raise CheckpointError("the file is cut short")
            if _COUNT.unpack(header)[0] * itemsize(key) != memory.nbytes:
                raise CheckpointError("a storage of the checkpoint has another size than announced")
            memory[:] = np.frombuffer(self._data, np.uint8, memory.nbytes, start)
        return position
