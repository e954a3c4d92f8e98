"""Writing whole values: `copy_`, `fill_`, `zero_`, `set_`; NumPy, DLPack, pickle and deepcopy."""

from __future__ import annotations

import copy as copy_module
import warnings
from collections import OrderedDict
from typing import Any

import jax
import numpy as np
from jax import lax

from .. import dtypes
from ..core.device import resolve
from ..core.execute import Op
from ..core.layout import propagated_strides
from ..core.op import apply
from ..core.state import modes
from ..core.tensor import Tensor, alias, wrap
from ..core.views import check_writable, overwrite
from ..errors import broadcast_shapes
from ..kernels import views as kernels
from ..kernels.common import cast, expand
from ..kernels.conversion import convert
from .convert import warn_of_lost_part
from .registry import declare
from .transfer import transfer


def _fit(value: Any, *, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """`value` cast to `dtype` and broadcast to `shape`."""
    return expand(convert(value, dtype), shape)


def _fill(x: Any, value: Any) -> Any:
    """An array like `x`, all `value`."""
    return expand(cast(jax.numpy.asarray(value), x.dtype), x.shape)


def _fill_vjp(cts: Any, inputs: Any, outputs: Any, needs: Any) -> Any:
    x, value = inputs
    total = None
    if needs[1]:
        total = cast(lax.reduce_sum(cts[0], tuple(range(cts[0].ndim))), value.dtype)
    return (lax.full_like(x, 0) if needs[0] else None), total


FIT = Op(_fit, name="Copy")
ASSIGN = Op(kernels.assign, name="Copy", vjp=kernels.assign_vjp)
FILL = Op(_fill, name="Fill", vjp=_fill_vjp)


@declare(function=False)
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Store `src`, broadcast and converted, into the tensor."""
    if isinstance(src, (bool, int, float, complex)):
        src = wrap(np.asarray(src, dtypes.dtype_of_python_scalar(type(src)).numpy))
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    if same_elements(self, src):
        check_writable(self, shared=True)
        recorded = modes.grad and (self.requires_grad or src.requires_grad)
        if recorded and (src is not self or self._base is not None):
            return overwrite(self, fitted_value(self, src))
        if self._own_version is not None:
            self._own_version.counted += 1
        self._storage.count_write(self._own_version is None)
        return self
    check_writable(self, (src,))
    return overwrite(self, fitted_value(self, src))


def same_elements(x: Tensor, y: Tensor) -> bool:
    """Whether two tensors see the same elements of one storage in the same order."""
    if x is y:
        return True
    if x._storage is not y._storage or x._dims() != y._dims():
        return False
    return x._dtype_numpy() == y._dtype_numpy() and x._strides_offset() == y._strides_offset()


def fitted_value(x: Tensor, src: Tensor) -> Tensor:
    """`src` in the shape, type and place of `x`, recorded as what overwrites `x`."""
    shape = tuple(x._dims())
    if src._dims() != shape and broadcast_shapes(shape, src._dims()) != shape:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape "
            f"{list(broadcast_shapes(shape, src._dims()))}"
        )
    if src.device != x.device:
        src = transfer(src, x.device)
    if src.dtype.is_complex and not (x.dtype.is_complex or x.dtype is dtypes.bool):
        warn_of_lost_part()
    if modes.grad and x.requires_grad and x._base is None:
        return apply(ASSIGN, (x, src), label="CopyBackwards")
    return apply(FIT, (src,), (shape, x._dtype_numpy()), label="CopyBackwards")


@declare(inplace_function=False, function=False)
def fill_(self: Tensor, value: Any) -> Tensor:
    """Set all elements to `value`, a number or a 0-d tensor."""
    check_writable(self, (value,), shared=not isinstance(value, Tensor))
    if isinstance(value, Tensor):
        if value._dims():
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{len(value._dims())} dimensions."
            )
        if modes.grad and (self.requires_grad or value.requires_grad):
            return overwrite(self, apply(FILL, (self, value)))
        return overwrite(self, apply(FIT, (value,), (tuple(self._dims()), self._dtype_numpy())))
    if modes.grad and self.requires_grad and self._base is None:
        return overwrite(self, apply(FILL, (self, _checked(self, value))))
    return overwrite(self, filled_like(self, value))


def _checked(x: Tensor, value: Any) -> Any:
    if isinstance(value, complex) and not x.dtype.is_complex:
        raise RuntimeError(
            "value cannot be converted to type "
            f"{str(x.dtype).removeprefix('torch.')} without overflow"
        )
    return value


def filled_like(x: Tensor, value: Any) -> Tensor:
    """A fresh tensor like `x`, all `value`, without history."""
    if x.device.type == "meta":
        return wrap(jax.ShapeDtypeStruct(x._dims(), x._dtype_numpy()), x.device)
    value = _checked(x, value)
    kind = x._dtype_numpy()
    if kind.kind in "iu" and isinstance(value, float):
        value = int(value)
    array = np.full(x._dims(), np.asarray(value).astype(kind), kind)
    return wrap(array, x.device)


declare(name="fill_", method=False)(fill_)


@declare()
def zero_(self: Tensor) -> Tensor:
    """Set all elements to zero."""
    check_writable(self, shared=True)
    if modes.grad and self.requires_grad and self._base is None:
        return overwrite(self, apply(FILL, (self, 0), label="ZeroBackward0"))
    return overwrite(self, filled_like(self, 0))


@declare(method=False)
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input`, all `value`."""
    if isinstance(value, Tensor):
        return apply(FILL, (input, value))
    return apply(FILL, (input, _checked(input, value)))


@declare(function=False)
def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """The values as a NumPy array that shares memory with the tensor.

    Args:
        force: copy where sharing is not possible (gradients, another device, conjugates).
    """
    if force:
        return np.array(self.detach().cpu()._host())  # type: ignore[attr-defined]
    if self.requires_grad:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.device.type != "cpu":
        if self.device.type == "meta":
            raise TypeError(
                "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy "
            "the "
            "tensor to host memory first."
        )
    if self.dtype is dtypes.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    storage = self._storage
    array = storage.share()
    strides, offset = self._strides_offset()
    if self._view_dtype is not None and self._view_dtype != array.dtype:
        array = array.reshape(-1).view(self._view_dtype)
    flat = array.reshape(-1)
    if flat.size == 0 or 0 in self._dims():
        nothing = np.zeros(1, self._dtype_numpy())
        return np.lib.stride_tricks.as_strided(nothing, self._dims(), (0,) * self.dim())
    if storage.strides is not None:
        from ..core.layout import host_replay

        seen = host_replay(array, self._steps, self._offsets)
        if seen is None:
            raise NotImplementedError("flambeau.Tensor.numpy of this kind of view")
        return seen
    itemsize = flat.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        flat[offset:], self._dims(), tuple(s * itemsize for s in strides)
    )


def check_strides(ndarray: np.ndarray) -> None:
    """Raise where an array is read backwards."""
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )


@declare(method=False)
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares memory with a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        kind = type(ndarray)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        raise TypeError(f"expected np.ndarray (got {module}{kind.__name__})")
    if ndarray.dtype not in dtypes.BY_NUMPY:
        from ..core.data import host_array

        host_array(ndarray)
    check_strides(ndarray)
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You "
            "may want to copy the array to protect its data or make it writable before converting "
            "it to a tensor. This type of warning will be suppressed for the rest of this program.",
            UserWarning,
            stacklevel=2,
        )
    tensor = wrap(ndarray, resolve("cpu"))
    storage = tensor._storage
    storage.external = True
    if not ndarray.flags.c_contiguous and ndarray.size:
        itemsize = ndarray.dtype.itemsize
        strides = tuple(s // itemsize for s in ndarray.strides)
        if strides != kernels.row_major(ndarray.shape):
            storage.strides = strides
    return tensor


def _array_protocol(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


Tensor.__array__ = _array_protocol  # type: ignore[attr-defined]


@declare(function=False)
def jax_(self: Tensor) -> Any:
    """The value as a `jax.Array` (immutable: later writes to the tensor do not show)."""
    array = self._array()
    return array if isinstance(array, jax.Array) else jax.numpy.asarray(array)


Tensor.jax = jax_  # type: ignore[attr-defined]
del Tensor.jax_  # type: ignore[attr-defined]


def _dlpack(self: Tensor, **kwargs: Any) -> Any:
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.device.type == "cpu" and self.dtype is not dtypes.bfloat16:
        return numpy(self).__dlpack__(**kwargs)
    return jax_(self).__dlpack__(**kwargs)


def _dlpack_device(self: Tensor) -> Any:
    return (1, 0) if self.device.type == "cpu" else jax_(self).__dlpack_device__()


Tensor.__dlpack__ = _dlpack  # type: ignore[attr-defined]
Tensor.__dlpack_device__ = _dlpack_device  # type: ignore[attr-defined]


def _reduce(self: Tensor, protocol: int) -> Any:
    extra = {k: v for k, v in self.__dict__.items() if k not in _INTERNAL}
    array = np.array(self.detach().cpu()._host(), order="C")  # type: ignore[attr-defined]
    shape = tuple(self._dims())
    own = self._strides_offset()[0]
    strides = propagated_strides([(shape, own)], shape) if shape else None
    hooks = self._backward_hooks or OrderedDict()
    state = (array, strides, str(self.device), self.requires_grad, hooks)
    return _rebuild, (type(self), state, extra)


def _rebuild(cls: type, state: tuple[Any, ...], extra: dict[str, Any]) -> Tensor:
    array, strides, device, requires_grad, hooks = state
    tensor = alias(wrap(array, resolve(device), strides), cls)
    tensor._requires_grad = requires_grad
    if hooks:
        tensor._backward_hooks = hooks
    tensor.__dict__.update(extra)
    return tensor


def _shallow_copy(self: Tensor) -> Tensor:
    """`copy.copy`: another leaf on the same storage."""
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment."
        )
    result = alias(self, type(self))
    result._requires_grad = self._requires_grad
    result.__dict__.update({k: v for k, v in self.__dict__.items() if k not in _INTERNAL})
    return result


Tensor.__copy__ = _shallow_copy  # type: ignore[attr-defined]


_INTERNAL = frozenset(
    name for name, value in vars(Tensor).items() if name.startswith("_") and not callable(value)
) | {"_storage"}


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    result = alias(self, type(self))
    key = ("storage", id(self._storage))
    if key not in memo:  # type: ignore[comparison-overlap]
        fresh = object.__new__(type(self._storage))
        fresh.__init__(self._storage.array, self._storage.device, self._storage.strides)
        if self._storage.external:
            fresh.array = np.array(self._storage.array)
        memo[key] = fresh  # type: ignore[index]
    result._storage = memo[key]  # type: ignore[index]
    memo[id(self)] = result
    result._requires_grad = self._requires_grad
    if self._grad is not None:
        result._grad = copy_module.deepcopy(self._grad, memo)
    for name, value in self.__dict__.items():
        if name not in _INTERNAL:
            result.__dict__[name] = copy_module.deepcopy(value, memo)
    return result


Tensor.__reduce_ex__ = _reduce  # type: ignore[assignment]
Tensor.__deepcopy__ = _deepcopy  # type: ignore[attr-defined]
