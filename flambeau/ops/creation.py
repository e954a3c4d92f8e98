"""Making tensors: from data, filled, and as ranges."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .. import dtypes, formats
from ..core.data import host_array, storable
from ..core.device import resolve
from ..core.layout import propagated_strides
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..core.views import overwrite
from ..dtypes import dtype as DType
from .convert import python_type
from .copying import check_strides, from_numpy
from .registry import declare, resize_storage

Fill = Callable[[tuple[int, ...], np.dtype], np.ndarray]

_NO_PINNED_MEMORY = (
    "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is "
    "available on this system."
)


# Arguments


def dtype_argument(function: str, given: Any) -> DType | None:
    """The dtype that an argument `dtype=` means: also `float`, `int`, `bool` and `complex`."""
    found = python_type(given)
    if found is None or isinstance(found, DType):
        return found
    raise TypeError(
        f"{function}(): argument 'dtype' must be torch.dtype, not {type(given).__name__}"
    )


def size_argument(function: str, sizes: tuple[Any, ...], keyword: Any) -> tuple[int, ...]:
    """`f(2, 3)`, `f((2, 3))` and `f(size=(2, 3))` as a tuple of sizes."""
    if keyword is not None:
        sizes = (keyword,)
    if not sizes:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    first = sizes[0]
    if isinstance(first, (tuple, list)):
        if len(sizes) > 1:
            raise TypeError(f"{function}() takes 1 positional argument but {len(sizes)} were given")
        sizes = tuple(first)
    elif not is_size(first):
        raise TypeError(
            f"{function}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(first).__name__}"
        )
    for position, size in enumerate(sizes, 1):
        if not is_size(size):
            raise TypeError(
                f"{function}(): argument 'size' failed to unpack the object at pos {position} with "
                f'error "type must be tuple of ints,but got {type(size).__name__}"'
            )
    result = tuple([int(s) for s in sizes])
    if any(s < 0 for s in result):
        if function in ("zeros", "ones", "full"):
            raise RuntimeError(f"{function}: Dimension size must be non-negative.")
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(result)}: {list(result)}"
        )
    return result


def is_size(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_))


def number_argument(function: str, name: str, position: int, value: Any) -> Any:
    """A Python number from a number or a one-element 0-d tensor."""
    if type(value) in (bool, int, float, complex):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item()
    if isinstance(value, Tensor) and not value._dims() and not value.requires_grad:
        return value.item()
    if isinstance(value, (int, float, complex)):
        return value
    raise TypeError(
        f"{function}(): argument '{name}' (position {position}) must be Number, not "
        f"{type(value).__name__}"
    )


# Making


def make(
    function: str,
    shape: tuple[int, ...],
    dtype: DType,
    fill: Fill,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool | None = False,
    requires_grad: bool = False,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    """A tensor whose elements `fill(shape, numpy_dtype)` gives; on the meta device none are made.

    Args:
        strides: the order of the elements in memory; None for row-major.
    """
    if layout is not None and layout is not formats.strided:
        raise NotImplementedError(f"flambeau.{function}(layout={layout})")
    if pin_memory:
        raise RuntimeError(_NO_PINNED_MEMORY)
    if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    holder = storable(dtype)
    place = resolve(device)
    if place.type == "meta":
        result = wrap(jax.ShapeDtypeStruct(shape, holder), place, strides)
    else:
        result = wrap(fill(shape, holder), place, strides)
    if out is not None:
        if out._dims() != shape:
            resize_storage(out, shape)
        previous, modes.grad = modes.grad, False
        try:
            return overwrite(out, result)
        finally:
            modes.grad = previous
    result._requires_grad = requires_grad
    return result


def out_dtype(out: Tensor | None, dtype: DType | None, default: DType) -> DType:
    """The type to make: that of `out=`, with which `dtype=` has to agree."""
    if out is None:
        return dtype or default
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(
            f"dtype {dtype._scalar_name} does not match dtype of out parameter "
            f"({out.dtype._scalar_name})"
        )
    return out.dtype


def filled(value: Any, dtype: DType) -> Fill:
    """Fill with one number, which must fit the type."""
    check_fits(value, dtype)
    if dtype is dtypes.bool:
        value = bool(value)
    elif dtype.numpy is not None and dtype.numpy.kind in "iu":
        value = int(value)
        if dtype.numpy.kind == "u":
            value %= 1 << (8 * dtype.itemsize)
    return lambda shape, holder: np.full(shape, np.asarray(value).astype(holder), holder)


_C_NAMES = {
    "uint8": "uint8_t",
    "int32": "int",
    "float32": "float",
    "float64": "double",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "complex64": "c10::complex<float>",
}


def check_fits(value: Any, dtype: DType) -> None:
    name = str(dtype).removeprefix("torch.")
    overflow = RuntimeError(
        f"value cannot be converted to type {_C_NAMES.get(name, name + '_t')} without overflow"
    )
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise OverflowError("int too big to convert")
    if isinstance(value, complex):
        if dtype.is_complex or dtype is dtypes.bool:
            return
        if value.imag:
            raise overflow
        value = value.real
    if dtype.is_floating_point:
        if math.isfinite(value) and abs(value) > dtypes.finfo(dtype).max:
            raise overflow
    elif not dtype.is_complex and dtype is not dtypes.bool:
        limits = dtypes.iinfo(dtype)
        lowest = limits.min if dtype.is_signed else -limits.max
        if not math.isfinite(value) or not lowest <= int(value) <= limits.max:
            raise overflow


# From data


@declare(method=False)
def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, an array or a tensor.

    Args:
        dtype: inferred from `data` by default: Python floats become the default dtype, ints int64.
        device: the default device by default.
        requires_grad: record operations on it for `backward`.

    >>> import flambeau as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            "rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return from_data("tensor", data, dtype, device, requires_grad, pin_memory)


def from_data(
    function: str,
    data: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    if isinstance(data, Tensor):
        device = data.device if device is None else device
        wanted = dtype_argument(function, dtype)
        if data.device.type == "meta":
            holder = wanted or data.dtype
            return make(
                function, data._dims(), holder, np.zeros, device=device, requires_grad=requires_grad
            )
    array = host_array(data, dtype_argument(function, dtype))
    strides = None
    if isinstance(data, np.ndarray) and not data.flags.c_contiguous and data.size:
        check_strides(data)
        own = tuple(s // data.itemsize for s in data.strides)
        strides = propagated_strides([(data.shape, own)], data.shape)
    return make(
        function,
        array.shape,
        dtypes.BY_NUMPY[array.dtype],
        lambda shape, holder: array,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
        strides=strides,
    )


@declare(method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor: itself if it is one already, sharing memory with a NumPy array."""
    wanted = dtype_argument("as_tensor", dtype)
    if isinstance(data, np.ndarray) and resolve(device).type == "cpu":
        data = from_numpy(data)
    if not isinstance(data, Tensor):
        return from_data("as_tensor", data, wanted, device)
    return data.to(
        device=data.device if device is None else device,
        dtype=data.dtype if wanted is None else wanted,
    )


@declare(method=False)
def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a tensor, by sharing memory where that is possible.

    Args:
        obj: a tensor, a NumPy array, a buffer, a number or nested lists.
        copy: True: always copy; False: raise where a copy would be needed.
    """
    wanted = dtype_argument("asarray", dtype)
    source = _aliasing(obj, wanted)
    if source is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return from_data("asarray", obj, wanted, device, requires_grad)
    wrong_type = wanted is not None and wanted is not source.dtype
    if copy is False and wanted is not None and wrong_type:
        raise ValueError(
            f"can't alias tensor with dtype '{source.dtype._scalar_name}' into dtype "
            f"'{wanted._scalar_name}'."
        )
    result = source.to(
        device=source.device if device is None else device,
        dtype=wanted or source.dtype,
        copy=bool(copy),
    )
    if requires_grad and result is not obj:
        result = result.detach().requires_grad_()
    elif requires_grad:
        result.requires_grad_()
    elif result.requires_grad:
        result = result.detach()
    return result


def _aliasing(obj: Any, dtype: DType | None) -> Tensor | None:
    """A tensor that shares `obj`'s memory; None for numbers and lists."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return frombuffer(obj, dtype=dtype or dtypes.get_default_dtype())
    if hasattr(obj, "__dlpack__"):
        return from_dlpack(obj)
    return None


@declare(method=False)
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of an object of another library that speaks DLPack."""
    if isinstance(ext_tensor, Tensor):
        result = ext_tensor.detach()
    elif isinstance(ext_tensor, jax.Array):
        result = wrap(ext_tensor)
    else:
        array = np.from_dlpack(ext_tensor)
        result = from_numpy(array if array.flags.writeable else array.copy())
    return result.to(device=result.device if device is None else device, copy=bool(copy))


@declare(method=False)
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-d tensor that shares memory with a Python buffer.

    Args:
        buffer: an object with Python's buffer protocol.
        dtype: the type of the elements.
        count: how many elements to take; -1 for all.
        offset: how many bytes to skip.
    """
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    holder = storable(dtype)
    size, item = view.nbytes, holder.itemsize
    if view.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. "
            "This means you can write to the underlying (supposedly non-writable) buffer using "
            "the tensor. You may want to copy the buffer to protect its data or make it writable "
            "before converting it to a tensor. This type of warning will be suppressed for the "
            "rest of this program.",
            UserWarning,
            stacklevel=2,
        )
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({size} bytes) minus 1"
        )
    if count < 0:
        if (size - offset) % item:
            raise ValueError(
                f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a "
                f"multiple of element size ({item})"
            )
        count = (size - offset) // item
    elif offset + count * item > size:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must "
            f"not be greater than actual buffer length ({size} bytes)"
        )
    result = from_numpy(np.frombuffer(view, holder, count, offset))
    return result.requires_grad_() if requires_grad else result


@declare(method=False)
def scalar_tensor(
    s: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A 0-d tensor with the value `s`, of the default dtype."""
    value = number_argument("scalar_tensor", "s", 1, s)
    wanted = dtype_argument("scalar_tensor", dtype) or dtypes.get_default_dtype()
    return make(
        "scalar_tensor",
        (),
        wanted,
        filled(value, wanted),
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


__all__ = ["dtype_argument", "make", "number_argument"]
