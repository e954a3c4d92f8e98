"""Modules on other devices and of other types."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

from ... import dtypes
from ...core.modes import no_grad
from ...core.tensor import Tensor
from ..parameter import is_lazy


class Convertible:
    """The part of `Module` that moves and converts parameters and buffers."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    children: Callable[[], Iterator[Any]]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the value of every parameter, gradient and buffer by `fn` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            with no_grad():
                converted = fn(parameter.data if is_lazy(parameter) else parameter)
            parameter.data = converted
            if gradient is not None:
                with no_grad():
                    new = fn(gradient)
                gradient.data = new
                parameter._grad = gradient
        for name, buffer in self._buffers.items():
            if is_lazy(buffer):
                buffer.data = fn(buffer.data)
            elif buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def apply(self, fn: Callable[[Any], Any]) -> Self:
        """Call `fn` with every submodule and with this module; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move parameters and buffers to a device, a floating type or a memory format, in place.

        Integer buffers keep their type.
        """
        options = _parse_to(args, kwargs)
        dtype = options["dtype"]
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may "
                "change, and some modules might not work as expected when using complex tensors as "
                "parameters or buffers. Please file an issue at https://github.com/pytorch/pytorch/"
                "issues/new?template=bug-report.yml if a complex module does not work as expected.",
                stacklevel=2,
            )

        def convert(tensor: Tensor) -> Tensor:
            floating = tensor.dtype.is_floating_point or tensor.dtype.is_complex
            arguments: dict[str, Any] = {}
            if options["device"] is not None:
                arguments["device"] = options["device"]
            if dtype is not None and floating:
                arguments["dtype"] = dtype
            if options["memory_format"] is not None and tensor.ndim in (4, 5):
                arguments["memory_format"] = options["memory_format"]
            return tensor.to(**arguments) if arguments else tensor  # type: ignore[attr-defined]

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move parameters and buffers to a device without their values."""
        from ...ops.filling import empty_like

        return self._apply(lambda t: empty_like(t, device=device), recurse=recurse)

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to a type."""
        return self._apply(lambda t: t.type(dst_type))  # type: ignore[attr-defined]

    def _cast(self, dtype: Any) -> Self:
        return self._apply(
            lambda t: t.to(dtype) if t.dtype.is_floating_point else t  # type: ignore[attr-defined]
        )

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self._cast(dtypes.float32)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self._cast(dtypes.float64)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self._cast(dtypes.float16)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self._cast(dtypes.bfloat16)

    def cpu(self) -> Self:
        """Move parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())  # type: ignore[attr-defined]

    def cuda(self, device: Any = None) -> Self:
        """Move parameters and buffers to a GPU."""
        return self._apply(lambda t: t.cuda(device))  # type: ignore[attr-defined]

    def xpu(self, device: Any = None) -> Self:
        """Move parameters and buffers to an Intel GPU."""
        return self._apply(lambda t: t.xpu(device))  # type: ignore[attr-defined]

    def ipu(self, device: Any = None) -> Self:
        """Move parameters and buffers to a Graphcore processor."""
        return self._apply(lambda t: t.ipu(device))  # type: ignore[attr-defined]

    def mtia(self, device: Any = None) -> Self:
        """Move parameters and buffers to an MTIA processor."""
        return self._apply(lambda t: t.mtia(device))  # type: ignore[attr-defined]

    def share_memory(self) -> Self:
        """Move parameters and buffers to memory that processes share."""
        return self._apply(lambda tensor: tensor.share_memory_())


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Device, type and memory format from the arguments of `to`."""
    from ...ops.convert import _parse_to as parse

    device, dtype, _, memory_format = parse(args, dict(kwargs))
    if device is not None:
        from ...core.device import resolve

        resolve(device)
    return {"device": device, "dtype": dtype, "memory_format": memory_format}
