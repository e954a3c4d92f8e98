"""`torch.types`: names for what functions take, for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, Any

from . import devices, dtypes, formats
from .core.tensor import Tensor
from .errors import NotBuilt
from .size import Size

_device = devices.device
_dtype = dtypes.dtype
_layout = type(formats.strided)
_int = builtins.int
_float = builtins.float
_bool = builtins.bool
_complex = builtins.complex
_size = Size | list[builtins.int] | tuple[builtins.int, ...]
_TensorOrTensors = Tensor | Sequence[Tensor]
Number = int | float | bool
Device = _device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]
BoolLikeType, IntLikeType, FloatLikeType = bool, int, float
py_sym_types = ()


def __getattr__(name: str) -> Any:
    if name == "Storage":
        from .ops.storages import TypedStorage, UntypedStorage

        return UntypedStorage | TypedStorage
    if name in ("SymInt", "SymFloat", "SymBool", "PySymType", "DispatchKey", "_qscheme"):
        raise NotBuilt(f"flambeau.types.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = ["Device", "FileLike", "Number"]
