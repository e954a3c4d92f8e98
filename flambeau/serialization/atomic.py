"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_atomically(path: Path, write: Callable[[IO[bytes], str], Any]) -> None:
    """`write(file, name)` into a new file beside `path`, which then takes its place.

    A link is followed, and the mode of a file that is replaced is kept. After a kill or a loss of
    power the file is the old one or the new one; `.NAME.PID.XXXX.tmp` may be left beside it.
    """
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
