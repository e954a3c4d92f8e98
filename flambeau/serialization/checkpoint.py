"""`save` and `load`."""

from __future__ import annotations

import io
import os
import pickle
import secrets
import shutil
from pathlib import Path
from typing import IO, Any

from .archive import ArchiveReader, ArchiveWriter, CheckpointError
from .decode import Decoder
from .encode import Encoder, storage_memory
from .rebuild import HASHABLE, MapLocation, Rebuilder


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write an object to a file that `flambeau.load` and `torch.load(weights_only=True)` read.

    A file appears under its name only when it is complete: it is written beside it, flushed to
    the disk and renamed.

    Args:
        obj: tensors, parameters, plain values, dtypes, devices, and nested containers of them
            (list, tuple, dict, OrderedDict, Counter, set). Tensors that share memory go on sharing.
        f: a path, or a binary file open for writing.
        pickle_module: the standard `pickle` only.
        pickle_protocol: accepted; the file has protocol 2, which every version reads.

    Raises:
        NotImplementedError: for an object of another type, and for PyTorch's file format of
            before version 1.6.

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
    if not _use_new_zipfile_serialization:
        raise NotImplementedError("torch.save(_use_new_zipfile_serialization=False)")
    encoder = Encoder()
    instructions = encoder.encode(obj)

    def write(file: IO[bytes], name: str) -> None:
        archive = ArchiveWriter(file, name)
        archive.write("data.pkl", instructions)
        archive.write(".format_version", b"1")
        archive.write(".storage_alignment", b"64")
        if not _disable_byteorder_record:
            archive.write("byteorder", b"little")
        for number, storage in enumerate(encoder.storages):
            archive.write(f"data/{number}", storage_memory(storage))
        archive.write("version", b"3\n")
        archive.close()

    if isinstance(f, str | os.PathLike):
        _write_atomically(Path(f), write)
    elif not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    else:
        buffer = io.BytesIO()
        write(buffer, "archive")
        f.write(buffer.getbuffer())


def _write_atomically(path: Path, write: Any) -> None:
    """`write(file, name)` into a new file beside `path`, which then takes its place."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise RuntimeError(f"Parent directory {path.parent} does not exist.")
    if target.exists() and not target.is_file():
        if target.is_dir():
            raise IsADirectoryError(f"torch.save: {path} is a directory")
        with open(target, "wb") as device:  # a pipe or a device cannot be replaced
            buffer = io.BytesIO()
            write(buffer, "archive")
            device.write(buffer.getbuffer())
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            write(file, target.stem or "archive")
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, draft)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _flush_directory(target.parent)


def _flush_directory(path: Path) -> None:
    """Make a renaming last, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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
            `lambda storage, location: storage` for the CPU. None: where they were.
        pickle_module: None or the standard `pickle`.
        weights_only: accepted; only tensors, plain values and containers are ever rebuilt.
        mmap: mapping the file into memory is not built.

    Returns:
        The saved object.

    Raises:
        CheckpointError: a subclass of `pickle.UnpicklingError` and RuntimeError, for a file that
            is damaged, or no checkpoint, or holds objects of other types.
    """
    if pickle_module is not None and pickle_module is not pickle:
        raise NotImplementedError("torch.load(pickle_module=...): only the standard pickle")
    if mmap:
        raise NotImplementedError("torch.load(mmap=True)")
    if pickle_load_args.keys() - {"encoding"}:
        raise NotImplementedError(f"torch.load({', '.join(pickle_load_args)}=...)")
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            return _read(file, map_location)
    if not hasattr(f, "seek"):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a "
            "file that is seekable. Please pre-load the data into a buffer like io.BytesIO and "
            "try to load from it instead."
        )
    return _read(f, map_location)


def _read(file: IO[bytes], map_location: MapLocation) -> Any:
    archive = ArchiveReader(file)
    if "byteorder" in archive and bytes(archive.read("byteorder")) != b"little":
        raise CheckpointError("the checkpoint was written on a machine of the other byte order")
    rebuilder = Rebuilder(archive, map_location)
    decoder = Decoder(
        archive.read("data.pkl"),
        call=rebuilder.call,
        constant=rebuilder.constant,
        build=rebuilder.build,
        storage=rebuilder.storage,
        hashable=HASHABLE,
    )
    return decoder.decode()
