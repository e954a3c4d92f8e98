"""Conversions between element types and devices: `to`, `float`, `long`, `type`, `cpu`, ..."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
from jax import lax

from .. import dtypes, formats
from ..core.device import resolve
from ..core.execute import Op
from ..core.legacy import type_name
from ..core.op import apply
from ..core.tensor import Tensor, wrap
from ..devices import device as Device
from ..kernels.conversion import convert
from .registry import declare
from .transfer import transfer


def _convert(x: Any, *, dtype: np.dtype) -> Any:
    """`x` as `dtype`."""
    return convert(x, dtype)


def _convert_vjp(cts: Any, inputs: Any, outputs: Any, needs: Any, *, dtype: np.dtype) -> Any:
    (ct,) = cts
    target = inputs[0].dtype
    if ct.dtype.kind == "c" and target.kind != "c":
        ct = lax.real(ct)
    return (lax.convert_element_type(ct, target),)


TO = Op(_convert, name="ToCopy", vjp=_convert_vjp, pointwise=True)


def _as_dtype(x: Tensor, dtype: dtypes.dtype, copy: bool = False) -> Tensor:
    if x.dtype is dtype and not copy:
        return x
    if dtype.numpy is None:
        raise NotImplementedError(f"flambeau.Tensor.to: tensors of {dtype} are not built yet")
    if x.dtype.is_complex and not dtype.is_complex and dtype is not dtypes.bool:
        warn_of_lost_part()
    if x.dtype is dtype:
        return x.clone()  # type: ignore[attr-defined]
    return apply(TO, (x,), (dtype.numpy,))


def warn_of_lost_part() -> None:
    """Complex numbers are stored as real ones."""
    warnings.warn(
        "Casting complex values to real discards the imaginary part", UserWarning, stacklevel=4
    )


def _transfer(x: Tensor, device: Device) -> Tensor:
    """A copy on another device, recorded on the tape."""
    if device.type == "meta":
        return wrap(jax.ShapeDtypeStruct(x._dims(), x._dtype_numpy()), device)
    if x.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    return transfer(x, device)


@declare(function=False)
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor with another element type, on another device, or as another tensor is.

    `to(dtype)`, `to(device, dtype)`, `to(other)`; `non_blocking`, `copy` and `memory_format` as
    keywords. Returns the tensor itself where nothing changes and `copy` is False.

    >>> import flambeau as torch
    >>> torch.ones(2).to(torch.int64)
    tensor([1, 1])
    """
    device, dtype, copy, memory_format = _parse_to(args, dict(kwargs))
    result = self
    if device is not None:
        found = resolve(device)
        if found != self.device:
            result = _transfer(result, found)
    if dtype is not None and dtype is not result.dtype:
        result = _as_dtype(result, dtype)
    if memory_format is not None and memory_format is not formats.preserve_format:
        if result is self and copy:
            return result.clone(memory_format=memory_format)  # type: ignore[attr-defined]
        return result.contiguous(memory_format=memory_format)  # type: ignore[attr-defined]
    if copy and result is self:
        result = result.clone()  # type: ignore[attr-defined]
    return result


def python_type(value: Any) -> Any:
    """The dtype that `float`, `int`, `bool` or `complex` stands for; anything else as it is."""
    return _PYTHON_TYPES.get(value, value) if isinstance(value, type) else value


_PYTHON_TYPES = {
    float: dtypes.float64,
    int: dtypes.int64,
    bool: dtypes.bool,
    complex: dtypes.complex128,
}


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool, Any]:
    device, dtype = kwargs.pop("device", None), python_type(kwargs.pop("dtype", None))
    args = tuple([python_type(a) for a in args])
    copy = kwargs.pop("copy", False)
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
    elif rest and isinstance(rest[0], (str, Device, int)) and not isinstance(rest[0], bool):
        device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], dtypes.dtype)):
            dtype = rest.pop(0)
    elif rest and isinstance(rest[0], dtypes.dtype):
        dtype = rest.pop(0)
    elif rest and rest[0] is None:
        rest.pop(0)
        if rest and isinstance(rest[0], dtypes.dtype):
            dtype = rest.pop(0)
    if rest and isinstance(rest[0], bool):
        rest.pop(0)
    if rest and isinstance(rest[0], bool):
        copy = rest.pop(0)
    if rest:
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({type(rest[0]).__name__})"
        )
    if other is not None:
        device, dtype = other.device, other.dtype
    return device, dtype, copy, memory_format


def _shorthand(name: str, dtype: dtypes.dtype) -> None:
    def method(self: Tensor, memory_format: Any = formats.preserve_format) -> Tensor:
        if memory_format is not formats.preserve_format:
            return to(self, dtype, memory_format=memory_format)
        return _as_dtype(self, dtype)

    method.__name__ = name
    method.__doc__ = f"The tensor as `{dtype}`; itself if it is that already."
    declare(function=False)(method)


for _name, _dtype in {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "long": dtypes.int64,
    "int": dtypes.int32,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool,
    "cfloat": dtypes.complex64,
    "cdouble": dtypes.complex128,
    "chalf": dtypes.complex32,
}.items():
    _shorthand(_name, _dtype)


@declare(function=False)
def cpu(self: Tensor, memory_format: Any = formats.preserve_format) -> Tensor:
    """The tensor on the CPU; itself if it is there already."""
    return self if self.device.type == "cpu" else _transfer(self, resolve("cpu"))


@declare(function=False)
def cuda(
    self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    """The tensor on a GPU; itself if it is there already."""
    found = resolve("cuda" if device is None else device)
    return self if self.device == found else _transfer(self, found)


@declare(function=False, name="type")
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
    """The type's name (`torch.FloatTensor`), or the tensor converted to `dtype`."""
    if dtype is None:
        return type_name(self.dtype, self.device)
    if isinstance(dtype, dtypes.dtype):
        return _as_dtype(self, dtype)
    if isinstance(dtype, str):
        from ..core import legacy

        found = getattr(legacy, dtype.rpartition(".")[2], None)
        if found is None or not dtype.startswith("torch."):
            raise ValueError(f"invalid type: '{dtype}'")
        return _as_dtype(self, found.dtype)
    if hasattr(dtype, "dtype"):
        return _as_dtype(self, dtype.dtype)
    raise TypeError(f"type(): argument 'dtype' must be dtype or str, not {type(dtype).__name__}")


@declare(function=False)
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor with `other`'s element type and device."""
    return self.to(other)  # type: ignore[attr-defined]
