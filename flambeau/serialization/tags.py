"""The global names of checkpoints, as inert tags: reading one never imports or calls anything."""

from __future__ import annotations

from typing import NamedTuple

from ..core.tensor import Tensor


class Global(NamedTuple):
    """A global name in a pickle."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


TENSOR = Global("torch", "Tensor")
REBUILD_FROM_TYPE = Global("torch._tensor", "_rebuild_from_type_v2")


def is_own(name: str) -> bool:
    """Whether an attribute of a tensor of this name is a user's, and not the library's."""
    return name != "_storage" and not name.startswith("__") and not hasattr(Tensor, name)


# Of dtypes that have a storage class of their own; all others are saved as untyped bytes.
TYPED_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
    "complex128": "ComplexDoubleStorage",
}
STORAGE_DTYPES = {storage: dtype for dtype, storage in TYPED_STORAGES.items()}
