"""Tensors of one value: zeros, ones, full, empty, eye, and those like another tensor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, formats
from ..core.layout import propagated_strides
from ..core.levels import like
from ..core.state import modes
from ..core.tensor import Tensor
from .creation import (
    Fill,
    dtype_argument,
    filled,
    from_data,
    is_size,
    make,
    number_argument,
    out_dtype,
    size_argument,
)
from .registry import cast, declare
from .views import channels_last_strides


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.zeros(shape, dtype)


def _ones(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.ones(shape, dtype)


@declare(method=False)
def zeros(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **keyword: Any,
) -> Tensor:
    """A tensor of zeros.

    >>> import flambeau as torch
    >>> torch.zeros(2)
    tensor([0., 0.])
    """
    return _constant(
        "zeros", _zeros, size, keyword, out, dtype, layout, device, pin_memory, requires_grad
    )


@declare(method=False)
def ones(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **keyword: Any,
) -> Tensor:
    """A tensor of ones."""
    return _constant(
        "ones", _ones, size, keyword, out, dtype, layout, device, pin_memory, requires_grad
    )


def _constant(
    function: str,
    fill: Fill,
    size: tuple[Any, ...],
    keyword: dict[str, Any],
    out: Tensor | None,
    dtype: Any,
    layout: Any,
    device: Any,
    pin_memory: bool,
    requires_grad: bool,
    strides: tuple[int, ...] | None = None,
) -> Tensor:
    shape = size_argument(function, size, keyword.pop("size", None))
    _no_more(function, keyword)
    wanted = out_dtype(out, dtype_argument(function, dtype), dtypes.get_default_dtype())
    return make(
        function,
        shape,
        wanted,
        fill,
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
        strides=strides,
    )


def _no_more(function: str, keyword: dict[str, Any]) -> None:
    if keyword:
        raise TypeError(f"{function}() got an unexpected keyword argument '{next(iter(keyword))}'")


@declare(method=False)
def empty(
    *size: Any,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
    **keyword: Any,
) -> Tensor:
    """A tensor whose values are not set (they are zeros, but nobody should rely on it)."""
    shape = size_argument("empty", size, keyword.get("size"))
    strides = _format_strides(shape, memory_format)
    return _constant(
        "empty",
        _zeros,
        size,
        keyword,
        out,
        dtype,
        layout,
        device,
        pin_memory,
        requires_grad,
        strides,
    )


def _format_strides(shape: tuple[int, ...], memory_format: Any) -> tuple[int, ...] | None:
    if memory_format is None or memory_format is formats.contiguous_format:
        return None
    if memory_format is formats.preserve_format:
        raise RuntimeError("unsupported memory format Preserve")
    strides = channels_last_strides(shape, memory_format)
    if strides is None:
        rank, suffix = (4, "") if memory_format is formats.channels_last else (5, "_3d")
        raise RuntimeError(f"required rank {rank} tensor to use channels_last{suffix} format")
    return strides


@declare(method=False)
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor in which every element is `fill_value`, of the type that the value brings."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    shape = size_argument("full", (size,), None)
    value = number_argument("full", "fill_value", 2, fill_value)
    natural = dtypes.dtype_of_python_scalar(type(value))
    wanted = out_dtype(out, dtype_argument("full", dtype), natural)
    return make(
        "full",
        shape,
        wanted,
        filled(value, wanted),
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


@declare(method=False)
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A matrix with ones on the diagonal and zeros elsewhere."""
    rows = _integer("eye", "n", 1, n)
    columns = rows if m is None else _integer("eye", "m", 2, m)
    for name, count in (("n", rows), ("m", columns)):
        if count < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {count}")
    wanted = out_dtype(out, dtype_argument("eye", dtype), dtypes.get_default_dtype())
    return make(
        "eye",
        (rows, columns),
        wanted,
        lambda shape, holder: np.eye(*shape, dtype=holder),
        out=out,
        layout=layout,
        device=device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
    )


def _integer(function: str, name: str, position: int, value: Any) -> int:
    if not is_size(value):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be int, not "
            f"{type(value).__name__}"
        )
    return value.__index__()


@declare(method=False)
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with the given strides, whose values are not set."""
    shape, strides = tuple(size), tuple(stride)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)})"
        )
    if any(s < 0 for s in strides):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and "
            f"strides={list(strides)}"
        )
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    elements = 0 if 0 in shape else reach
    wanted = dtype_argument("empty_strided", dtype) or dtypes.get_default_dtype()
    flat = make(
        "empty_strided", (elements,), wanted, _zeros, device=device, layout=layout,
        pin_memory=pin_memory,
    )  # fmt: skip
    result = flat.as_strided(shape, strides).detach()
    return result.requires_grad_() if requires_grad else result


@declare(method=False)
def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Tensor:
    """A dense tensor whose values are not set, with its axes in a given order in memory.

    Args:
        size: the sizes.
        physical_layout: the axes from the outermost in memory to the innermost.
    """
    shape, order = tuple(size), tuple(physical_layout)
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    wanted = dtype_argument("empty_permuted", options.pop("dtype", None))
    return make(
        "empty_permuted",
        shape,
        wanted or dtypes.get_default_dtype(),
        _zeros,
        strides=tuple(strides),
        **options,
    )


# Like another tensor


def _like(
    function: str,
    fill: Fill,
    input: Tensor,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    memory_format: Any,
    pin_memory: bool | None = False,
) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{function}(): argument 'input' (position 1) must be Tensor, not "
            f"{type(input).__name__}"
        )
    wanted = dtype_argument(function, dtype) or input.dtype
    shape = tuple(input._dims())
    if memory_format in (None, formats.preserve_format):
        plain = input._is_plain() or not shape
        own = None if plain else input._strides_offset()[0]
        strides = None if own is None else propagated_strides([(shape, own)], shape)
    else:
        strides = _format_strides(shape, memory_format)
    result = make(
        function,
        shape,
        wanted,
        fill,
        layout=layout,
        device=input.device if device is None else device,
        pin_memory=pin_memory,
        requires_grad=requires_grad,
        strides=strides,
    )
    return like(result, input) if modes.levels else result


def _declare_like(function: str, fill: Fill, what: str) -> Callable[..., Tensor]:
    def filled_like(
        input: Tensor,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        return _like(
            function, fill, input, dtype, layout, device, requires_grad, memory_format, pin_memory
        )

    filled_like.__name__ = filled_like.__qualname__ = function
    filled_like.__doc__ = f"A tensor {what}, with the shape, type and device of `input`."
    return declare(method=False)(filled_like)


zeros_like = _declare_like("zeros_like", _zeros, "of zeros")
ones_like = _declare_like("ones_like", _ones, "of ones")
empty_like = _declare_like("empty_like", _zeros, "whose values are not set")


@declare(method=False)
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor in which every element is `fill_value`, with the shape and type of `input`."""
    value = number_argument("full_like", "fill_value", 2, fill_value)
    wanted = dtype_argument("full_like", dtype) or input.dtype
    fill = filled(value, wanted)
    return _like(
        "full_like", fill, input, wanted, layout, device, requires_grad, memory_format, pin_memory
    )


def _declare_new(function: str, fill: Fill, what: str) -> None:
    def new(
        self: Tensor,
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
        **keyword: Any,
    ) -> Tensor:
        device = self.device if device is None else device
        dtype = self.dtype if dtype is None else dtype
        result = _constant(
            function, fill, size, keyword, None, dtype, layout, device, pin_memory, requires_grad
        )
        return like(result, self) if modes.levels else result

    new.__name__ = new.__qualname__ = function
    new.__doc__ = f"A tensor {what}, with the type and device of this one."
    declare(function=False)(new)


_declare_new("new_zeros", _zeros, "of zeros")
_declare_new("new_ones", _ones, "of ones")
_declare_new("new_empty", _zeros, "whose values are not set")


@declare(function=False)
def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor in which every element is `fill_value`, with the type and device of this one."""
    result = full(
        size,
        fill_value,
        dtype=self.dtype if dtype is None else dtype,
        device=self.device if device is None else device,
        requires_grad=requires_grad,
        layout=layout,
        pin_memory=pin_memory,
    )
    return like(result, self) if modes.levels else result


@declare(function=False)
def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with a copy of `data`, with the type and device of this one."""
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            "rather than tensor.new_tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    dtype = self.dtype if dtype is None else dtype
    device = self.device if device is None else device
    return from_data("new_tensor", data, dtype, device, requires_grad, pin_memory)


@declare(function=False)
def new_empty_strided(self: Tensor, size: Any, stride: Any, **options: Any) -> Tensor:
    """A tensor with the given strides, whose values are not set."""
    defaults = {"dtype": self.dtype, "device": self.device}
    return empty_strided(size, stride, **(defaults | options))


@declare(function=False)
def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """A tensor of this one's type, of the given sizes or with the given values."""
    if len(args) == 1 and isinstance(args[0], (list, np.ndarray, Tensor)):
        return cast(self.new_tensor(args[0], device=device), self.dtype)
    return self.new_empty(*(args or ((0,),)), device=device)
