"""The old typed constructors (`FloatTensor`, `Tensor(2, 3)`) and type names (`torch.FloatTensor`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from .device import tensor_from_host
from .state import modes
from .tensor import Tensor, alias

_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "float8_e4m3fn": "Float8_e4m3fn",
    "float8_e5m2": "Float8_e5m2",
    "float8_e4m3fnuz": "Float8_e4m3fnuz",
    "float8_e5m2fnuz": "Float8_e5m2fnuz",
    "float8_e8m0fnu": "Float8_e8m0fnu",
}


def scalar_type_name(dtype: Any) -> str:
    """`Float` for float32, and so on: how error messages name element types."""
    found = dtype if isinstance(dtype, dtypes.dtype) else dtypes.BY_NUMPY[np.dtype(dtype)]
    return _NAMES[str(found).removeprefix("torch.")]


def type_name(dtype: Any, device: Any) -> str:
    """`torch.FloatTensor`, or `torch.cuda.FloatTensor`."""
    place = "" if device.type == "cpu" else f"{device.type}."
    return f"torch.{place}{scalar_type_name(dtype)}Tensor"


def legacy_tensor(cls: type, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """`Tensor(2, 3)` (uninitialised), `Tensor([[1, 2]])`, `Tensor()`: of the default dtype."""
    if kwargs:
        raise TypeError(f"new() received an invalid combination of arguments: {list(kwargs)}")
    dtype = dtypes.get_default_dtype().numpy
    if len(args) == 1 and isinstance(args[0], Tensor):
        source = args[0]
        if cls is Tensor and source._dtype_numpy() != dtype:
            raise TypeError(
                f"expected {scalar_type_name(dtype)} (got {scalar_type_name(source.dtype)})"
            )
        return alias(source, cls)
    if (
        len(args) == 1
        and isinstance(args[0], (Sequence, np.ndarray))
        and not isinstance(args[0], (str, tuple(()) and tuple))
        and not type(args[0]).__name__ == "Size"
    ):
        from .data import host_array

        values = host_array(args[0], dtypes.get_default_dtype())
    else:
        sizes = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
        values = np.zeros(tuple(int(s) for s in sizes) if args else (0,), dtype)
    made = tensor_from_host(values, device)
    return made if cls is Tensor else alias(made, cls)


class _TypedMeta(type):
    """`isinstance(x, torch.FloatTensor)` looks at the element type and the device."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and (instance.device.type == "cpu")
        )


def _typed(name: str, dtype: dtypes.dtype) -> type:
    def construct(cls: type, *args: Any, device: Any = None) -> Tensor:
        with_default = dtypes.get_default_dtype()
        del with_default
        if len(args) == 1 and isinstance(args[0], (list, np.ndarray)):
            from .data import host_array

            return tensor_from_host(host_array(args[0], dtype), device)
        if len(args) == 1 and isinstance(args[0], Tensor):
            return alias(args[0])
        sizes = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        return tensor_from_host(np.zeros(tuple(sizes) if args else (0,), dtype.numpy), device)

    return _TypedMeta(name, (), {"__new__": construct, "dtype": dtype, "__module__": "torch"})


FloatTensor = _typed("FloatTensor", dtypes.float32)
DoubleTensor = _typed("DoubleTensor", dtypes.float64)
HalfTensor = _typed("HalfTensor", dtypes.float16)
BFloat16Tensor = _typed("BFloat16Tensor", dtypes.bfloat16)
ByteTensor = _typed("ByteTensor", dtypes.uint8)
CharTensor = _typed("CharTensor", dtypes.int8)
ShortTensor = _typed("ShortTensor", dtypes.int16)
IntTensor = _typed("IntTensor", dtypes.int32)
LongTensor = _typed("LongTensor", dtypes.int64)
BoolTensor = _typed("BoolTensor", dtypes.bool)

__all__ = ["legacy_tensor", "modes", "scalar_type_name", "type_name"]
