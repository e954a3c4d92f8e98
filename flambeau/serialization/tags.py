"""The global names of checkpoints, as inert tags: reading one never imports or calls anything."""

from __future__ import annotations

from typing import NamedTuple


class Global(NamedTuple):
    """A global name in a pickle."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


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
