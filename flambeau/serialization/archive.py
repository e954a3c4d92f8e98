"""The container of a checkpoint: a zip file whose records are stored as they are, and aligned."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np

ALIGNMENT = 64  # of every record in the file, so that it can be mapped into memory
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_PADDING = b"FB"  # the identifier of the extra field that PyTorch pads with
_DATE = (1980, 1, 1, 0, 0, 0)


class CheckpointError(pickle.UnpicklingError, RuntimeError):
    """A file that is no checkpoint, is damaged, or holds what `flambeau.load` does not read."""


class NotReadable(CheckpointError, NotImplementedError):
    """A sound file that holds what is not built here."""


class ArchiveWriter:
    """Writes records into a new zip file, uncompressed and aligned.

    Args:
        file: a seekable binary file.
        name: the folder inside the archive that holds all records.
    """

    def __init__(self, file: IO[bytes], name: str):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._file = file
        self._name = name

    def write(self, record: str, data: Any) -> None:
        """Add one record: bytes, or a contiguous array."""
        entry = zipfile.ZipInfo(f"{self._name}/{record}", _DATE)
        view = memoryview(data).cast("B")
        header = _LOCAL_HEADER.size + len(entry.filename.encode()) + 4
        if view.nbytes >= zipfile.ZIP64_LIMIT:
            header += 20  # the sizes move to an extra field of their own
        gap = -(self._file.tell() + header) % ALIGNMENT
        entry.extra = struct.pack("<2sH", _PADDING, gap) + b"Z" * gap
        with self._zip.open(entry, "w", force_zip64=view.nbytes >= zipfile.ZIP64_LIMIT) as out:
            out.write(view)

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Write the directory of the archive; after an error, as far as the file takes it."""
        if kind is None:
            self._zip.close()
            return
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()


_ZIP_ERRORS = (
    zipfile.BadZipFile,
    ValueError,
    OSError,
    OverflowError,
    LookupError,
    EOFError,
    struct.error,
    NotImplementedError,
)


class ArchiveReader:
    """Reads records of a checkpoint; whatever is unusual about the container is refused.

    Args:
        file: a seekable binary file.
        mapped: the whole file, mapped into memory; records are then parts of it and not copied.

    Raises:
        CheckpointError: unless the file is a zip archive of uncompressed, unencrypted records of
            one folder, each of them inside the file, none twice and none overlapping another.
    """

    def __init__(self, file: IO[bytes], mapped: np.ndarray | None = None):
        self._file = file
        self._mapped = mapped
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except _ZIP_ERRORS as error:
            raise CheckpointError(
                f"the zip archive of the checkpoint is damaged: {error}"
            ) from error
        folder = next((e.filename[:-9] for e in entries if e.filename.endswith("/data.pkl")), None)
        if folder is None or "/" in folder:
            raise CheckpointError("expected a zip archive with a record data.pkl, found none")
        size = file.seek(0, os.SEEK_END)
        self._records: dict[str, tuple[int, int, int]] = {}
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            record = self._record_name(entry, folder)
            start = self._data_offset(entry, size)
            if entry.header_offset < end or start + entry.file_size > size:
                raise CheckpointError(f"record {record!r} overlaps another or runs past the end")
            end = start + entry.file_size
            self._records[record] = (start, entry.file_size, entry.CRC)

    def _record_name(self, entry: zipfile.ZipInfo, folder: str) -> str:
        name = entry.filename
        if not name.startswith(f"{folder}/") or ".." in name.split("/") or entry.is_dir():
            raise CheckpointError(f"record {name!r} lies outside the folder {folder!r}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise CheckpointError(f"record {name!r} is compressed; records must be stored as is")
        if entry.flag_bits & 0x1:
            raise CheckpointError(f"record {name!r} is encrypted")
        record = name[len(folder) + 1 :]
        if record in self._records:
            raise CheckpointError(f"record {name!r} occurs twice")
        return record

    def _data_offset(self, entry: zipfile.ZipInfo, size: int) -> int:
        if not 0 <= entry.header_offset <= size - _LOCAL_HEADER.size:
            raise CheckpointError(f"record {entry.filename!r} begins outside the file")
        self._file.seek(entry.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
            raise CheckpointError(f"record {entry.filename!r} has no header where one should be")
        name_length, extra_length = _LOCAL_HEADER.unpack(header)[-2:]
        return entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length

    def __contains__(self, record: str) -> bool:
        return record in self._records

    def size(self, record: str) -> int:
        """The length of a record in bytes."""
        return self._find(record)[1]

    def read(self, record: str) -> bytearray:
        """The contents of a record, checked against their checksum."""
        start, size, checksum = self._find(record)
        data = bytearray(size)
        self._file.seek(start)
        if self._file.readinto(data) != size:  # pyright: ignore[reportAttributeAccessIssue]
            raise CheckpointError("the file is cut short")
        if checksum and zlib.crc32(data) != checksum:  # PyTorch can be told to write 0 instead
            raise CheckpointError(f"record {record!r} is damaged: its checksum does not fit")
        return data

    def memory(self, key: str, nbytes: int) -> np.ndarray:
        """The bytes of a storage."""
        record = f"data/{key}"
        start, size, _ = self._find(record)
        if size != nbytes:
            raise CheckpointError(f"record {record!r} has {size} bytes, expected {nbytes}")
        if self._mapped is None:
            return np.frombuffer(self.read(record), np.uint8)
        return self._mapped[start : start + size]

    def _find(self, record: str) -> tuple[int, int, int]:
        if record not in self._records:
            raise CheckpointError(f"record {record!r} is missing")
        return self._records[record]
