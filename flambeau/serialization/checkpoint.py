"""`save` and `load`."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import legacy
from .archive import ArchiveReader, ArchiveWriter, CheckpointError, NotReadable
from .atomic import write_atomically
from .decode import Decoder, global_names
from .encode import Encoder, storage_memory
from .functions import HASHABLE
from .legacy import LegacyStorages
from .locations import MapLocation
from .rebuild import Rebuilder


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write an object to a file that `flambeau.load` and PyTorch's `torch.load` read.

    A file appears under its name only when it is complete: it is written beside it, flushed to
    the disk and renamed.

    Args:
        obj: tensors, parameters, plain values, dtypes, devices, and nested containers of them
            (list, tuple, dict, OrderedDict, Counter, set), which `weights_only=True` reads; and
            whatever else pickle takes apart: modules, NumPy's values, instances of your classes.
            Tensors that share memory go on sharing.
        f: a path, or a binary file open for writing.
        pickle_module: the standard `pickle` only.
        pickle_protocol: accepted; the file has protocol 2, which every version reads.
        _use_new_zipfile_serialization: False writes the format of before PyTorch 1.6.

    Raises:
        AttributeError, TypeError: for what cannot be taken apart, as a function without a name.

    Example::

        >>> import io
        >>> buffer = io.BytesIO()
        >>> torch.save({"weight": torch.ones(2), "epoch": 3}, buffer)
        >>> _ = buffer.seek(0)
        >>> torch.load(buffer)
        {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    if pickle_module is not pickle:
        raise NotImplementedError("torch.save(pickle_module=...): only the standard pickle")
    if _use_new_zipfile_serialization:
        write = _archive_of(obj, not _disable_byteorder_record)
    else:
        write = partial(legacy.write, obj)
    if isinstance(f, str | os.PathLike):
        write_atomically(Path(f), write)
    elif not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    else:
        buffer = io.BytesIO()
        write(buffer, "archive")
        f.write(buffer.getbuffer())


def _archive_of(value: object, byteorder: bool) -> Callable[[IO[bytes], str], None]:
    """`write(file, name)`: writes an object as an archive."""
    encoder = Encoder()
    instructions = encoder.encode(value)

    def write(file: IO[bytes], name: str) -> None:
        with ArchiveWriter(file, name) as archive:
            archive.write("data.pkl", instructions)
            archive.write(".format_version", b"1")
            archive.write(".storage_alignment", b"64")
            if byteorder:
                archive.write("byteorder", b"little")
            for number, storage in enumerate(encoder.storages):
                archive.write(f"data/{number}", storage_memory(storage))
            archive.write("version", b"3\n")

    return write


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read a file that `flambeau.save` or `torch.save` wrote.

    The instructions in the file are interpreted by this library alone: a checkpoint cannot run
    code, whatever `weights_only` says.

    Args:
        f: a path, or a seekable binary file.
        map_location: where the tensors go: a device, a dict from saved to wanted locations, or
            `function(storage, location)`, which returns the storage to use, on whatever device, or
            None. None: where they were.
        pickle_module: None or the standard `pickle`.
        weights_only: True, the default: tensors, plain values and containers of them. False: also
            modules (of the library, or of classes that the program has imported; their `__init__`
            is not called), and plain values of NumPy and the standard library. Further classes
            and functions: `torch.serialization.add_safe_globals`.
        mmap: map the file into memory, and read what is used when it is used.
        encoding: of texts that Python 2 wrote.

    Returns:
        The saved object.

    Raises:
        CheckpointError: a subclass of `pickle.UnpicklingError` and RuntimeError, for a file that
            is damaged, or no checkpoint, or holds objects of other types.
    """
    if pickle_module is not None:
        if weights_only:
            raise RuntimeError(
                "Can not safely load weights when explicit pickle_module is specified"
            )
        if pickle_module is not pickle:
            raise NotImplementedError("torch.load(pickle_module=...): only the standard pickle")
    encoding = pickle_load_args.pop("encoding", "utf-8")
    if pickle_load_args:
        raise NotImplementedError(f"torch.load({', '.join(pickle_load_args)}=...)")
    trusting = weights_only is False or (weights_only is None and pickle_module is not None)
    how = _How(map_location, trusting, encoding)
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            mapped = _mapped(file) if mmap else None
            return _read(file, how, mapped)
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    if not hasattr(f, "seek"):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a "
            "file that is seekable. Please pre-load the data into a buffer like io.BytesIO and "
            "try to load from it instead."
        )
    return _read(f, how)


@dataclass
class _How:
    """How a checkpoint is to be read."""

    map_location: MapLocation
    trusting: bool
    encoding: str


def _mapped(file: IO[bytes]) -> np.ndarray:
    """A file as an array in memory; what is written to it stays in this process."""
    if not os.fstat(file.fileno()).st_size:
        return np.zeros(0, np.uint8)
    array = np.memmap(file, np.uint8, "c")
    file.seek(0)
    return array


def _read(file: IO[bytes], how: _How, mapped: np.ndarray | None = None) -> Any:
    begin = file.tell()
    start = file.read(16)
    file.seek(begin)
    if legacy.is_legacy(start):
        if mapped is not None:
            raise RuntimeError(
                "mmap can only be used with files saved with "
                "`torch.save(_use_new_zipfile_serialization=True), please torch.save your "
                "checkpoint with this option in order to use mmap."
            )
        value, length = _read_legacy(file.read(), how)
        file.seek(begin + length)
        return value
    if start[:4] != b"PK\x03\x04" and _is_tar(file):
        raise NotReadable("torch.load of a tar file of before PyTorch 0.1.10 is not built")
    if start[:4] != b"PK\x03\x04":
        raise CheckpointError(
            f"expected a checkpoint in PyTorch's format, got another file, that begins with {start}"
        )
    if begin:
        file = io.BytesIO(file.read())
    archive = ArchiveReader(file, mapped)
    if "constants.pkl" in archive:
        raise NotReadable("torch.load of a TorchScript archive is not built")
    if "byteorder" in archive and bytes(archive.read("byteorder")) != b"little":
        raise CheckpointError("the checkpoint was written on a machine of the other byte order")
    rebuilder = Rebuilder(archive, how.map_location, how.trusting)
    return _decoder(archive.read("data.pkl"), rebuilder, how).decode()


def _is_tar(file: IO[bytes]) -> bool:
    """Whether a tar file is here; the position stays as it is."""
    begin = file.tell()
    header = file.read(265)
    file.seek(begin)
    return header[257:262] == b"ustar"


def _read_legacy(data: bytes, how: _How) -> tuple[Any, int]:
    """The object, and how much of the file belongs to it."""
    storages = legacy.LegacyStorages(data)
    rebuilder = Rebuilder(storages, how.map_location, how.trusting)
    decoder = _decoder(data, rebuilder, how)
    if decoder.decode() != legacy.MAGIC:
        raise CheckpointError("Invalid magic number; corrupt file?")
    version = decoder.decode()
    if version != legacy.VERSION:
        raise CheckpointError("Invalid protocol version of the checkpoint")
    machine = decoder.decode()
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise CheckpointError("the checkpoint was written on a machine of the other byte order")
    value = decoder.decode()
    keys = decoder.decode()
    return value, storages.fill(keys, decoder.position, rebuilder.itemsize)


def _decoder(instructions: bytes | bytearray, rebuilder: Rebuilder, how: _How) -> Decoder:
    return Decoder(
        instructions,
        call=rebuilder.call,
        new=rebuilder.new,
        constant=rebuilder.constant,
        build=rebuilder.build,
        storage=rebuilder.storage,
        hashable=HASHABLE,
        encoding=how.encoding,
    )


def get_unsafe_globals_in_checkpoint(f: str | os.PathLike[str] | IO[bytes]) -> list[str]:
    """The names in a file that `load` refuses as long as `add_safe_globals` does not allow them.

    Args:
        f: a path, or a seekable binary file.

    Example::

        >>> import io
        >>> buffer = io.BytesIO()
        >>> torch.save(torch.nn.ReLU(), buffer)
        >>> torch.serialization.get_unsafe_globals_in_checkpoint(buffer)
        ['torch.nn.modules.activation.ReLU']
    """
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    f.seek(0)
    found = global_names(bytes(ArchiveReader(f).read("data.pkl")))
    rebuilder = Rebuilder(LegacyStorages(b""), None)
    unsafe = []
    for tag in found:
        try:
            rebuilder.constant(tag)
        except CheckpointError:
            unsafe.append(str(tag))
    return unsafe
