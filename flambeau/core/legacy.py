"""The old constructors (`FloatTensor`, `Tensor(2, 3)`) and type names (`torch.FloatTensor`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..size import Size
from .data import host_array
from .device import tensor_from_host
from .tensor import Tensor, alias


def scalar_type_name(dtype: Any) -> str:
    """`Float` for float32, and so on: how error messages name element types."""
    found = dtype if isinstance(dtype, dtypes.dtype) else dtypes.BY_NUMPY[np.dtype(dtype)]
    return found._scalar_name


_NATIVE_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
    "uint8": "unsigned char",
    "bool": "bool",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def native_name(dtype: Any) -> str:
    """`long int` for int64, and so on: how other error messages name element types."""
    return _NATIVE_NAMES[str(dtype).removeprefix("torch.")]


def type_name(dtype: Any, device: Any) -> str:
    """`torch.FloatTensor`, or `torch.cuda.FloatTensor`."""
    place = "" if device.type == "cpu" else f"{device.type}."
    return f"torch.{place}{scalar_type_name(dtype)}Tensor"


def legacy_tensor(cls: type, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """`Tensor(2, 3)` (uninitialised), `Tensor([[1, 2]])`, `Tensor()`: of the default dtype."""
    if kwargs:
        raise TypeError(f"new() received an invalid combination of arguments: {list(kwargs)}")
    made = legacy_constructed(dtypes.get_default_dtype(), args, device)
    return made if cls is Tensor else alias(made, cls)


def legacy_constructed(dtype: dtypes.dtype, args: tuple[Any, ...], device: Any) -> Tensor:
    """A tensor from sizes, values, or another tensor, as the old constructors take them."""
    first = args[0] if len(args) == 1 else None
    if isinstance(first, Tensor):
        if first.dtype is not dtype:
            raise TypeError(
                f"expected {scalar_type_name(dtype)} (got {scalar_type_name(first.dtype)})"
            )
        return alias(first)
    if isinstance(first, (list, tuple, np.ndarray)) and not isinstance(first, Size):
        return tensor_from_host(host_array(first, dtype), device)
    sizes = first if isinstance(first, Size) else args if args else (0,)
    return tensor_from_host(np.zeros([s.__index__() for s in sizes], dtype.numpy), device)


class _TypedMeta(type):
    """`isinstance(x, torch.FloatTensor)` looks at the element type and the device."""

    dtype: dtypes.dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and instance.device.type == "cpu"
        )


def _typed(name: str, dtype: dtypes.dtype) -> type:
    def construct(cls: type, *args: Any, device: Any = None) -> Tensor:
        return legacy_constructed(dtype, args, device)

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

__all__ = ["legacy_constructed", "legacy_tensor", "native_name", "scalar_type_name", "type_name"]
