"""`autocast`, and its counterparts for functions with a hand-written derivative."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..core.device import accelerator_count
from ..core.state import modes
from ..core.tensor import Tensor
from ..devices import device as Device
from ..ops.autocast import cache
from ..ops.autocast_state import is_autocast_available
from ..ops.registry import FUNCTIONS

SUPPORTED = (dtypes.bfloat16, dtypes.float16)
_UNKNOWN_BACKEND = (
    "Tried to use AMP with the `privateuseone` backend, but the backend has not registered a "
    "module or  the module miss some necessary funcs. The backend should register a module by "
    "`torch._register_device_module`, and the module must have these funcs: \n"
    "`get_amp_supported_dtype() -> List[torch.dtype]`. \n"
)


def _check_kind(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


class autocast:
    """Context manager and decorator: compute in 16 bits where that is safe.

    Matrix products, convolutions and attention convert their arguments to `dtype`; losses and other
    functions that need range or precision, to float32; parameters keep their type, and so do their
    gradients.

    Args:
        device_type: 'cpu' or 'cuda': the functions of tensors there are meant.
        dtype: bfloat16 (the default on the CPU) or float16 (the default on CUDA).
        enabled: False switches autocast off inside.
        cache_enabled: convert each weight once, and not at every use.

    Example::

        >>> model = nn.Linear(2, 2)
        >>> with torch.autocast("cpu"):
        ...     y = model(torch.ones(1, 2))
        >>> y.dtype, model.weight.dtype
        (torch.bfloat16, torch.float32)
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        _check_kind(device_type)
        if dtype is None:
            dtype = FUNCTIONS["get_autocast_dtype"](device_type)
        self.fast_dtype = dtype
        self.device = device_type
        self.custom_backend_name = "privateuseone"
        if not is_autocast_available(device_type):
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{self.device}'"
            )
        self._cache_enabled = modes.autocast_cache if cache_enabled is None else cache_enabled
        self._enabled = False if enabled and not self._can_run() else enabled

    def _can_run(self) -> bool:
        """Whether autocast can be switched on; warns where it cannot."""
        kind = Device(self.device).type
        if kind == "privateuseone":
            raise AssertionError(_UNKNOWN_BACKEND)
        text = None
        if kind == "cuda" and not accelerator_count():
            text = "CUDA is not available or torch_xla is imported. Disabling autocast."
        elif self.fast_dtype not in SUPPORTED:
            word = kind.upper()
            text = (
                f"In {word} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{word} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently."
            )
        if text is not None:
            warnings.warn(text, UserWarning, stacklevel=3)
        return text is None

    def __enter__(self) -> autocast:
        self.prev_cache_enabled = modes.autocast_cache
        self.prev = FUNCTIONS["is_autocast_enabled"](self.device)
        self.prev_fastdtype = FUNCTIONS["get_autocast_dtype"](self.device)
        FUNCTIONS["set_autocast_enabled"](self.device, self._enabled)
        FUNCTIONS["set_autocast_dtype"](self.device, self.fast_dtype)
        FUNCTIONS["autocast_increment_nesting"]()
        self._traced = cache.open()
        FUNCTIONS["set_autocast_cache_enabled"](self._cache_enabled)
        return self

    def __exit__(self, *exception: Any) -> bool:
        cache.close(self._traced)
        if FUNCTIONS["autocast_decrement_nesting"]() == 0:
            FUNCTIONS["clear_autocast_cache"]()
        FUNCTIONS["set_autocast_enabled"](self.device, self.prev)
        FUNCTIONS["set_autocast_dtype"](self.device, self.prev_fastdtype)
        FUNCTIONS["set_autocast_cache_enabled"](self.prev_cache_enabled)
        return False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return decorated


def _cast(value: Any, device_type: str, dtype: dtypes.dtype) -> Any:
    """The floating-point tensors in nested containers as `dtype`."""
    if isinstance(value, Tensor):
        eligible = value.dtype.is_floating_point and value.dtype is not dtypes.float64
        return value.to(dtype) if eligible and value.device.type == device_type else value  # type: ignore[attr-defined]
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, dict):
        return {
            _cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        parts = [_cast(part, device_type, dtype) for part in value]
        return type(value)(parts) if type(value) in (list, tuple) else parts
    return value


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: dtypes.dtype | None = None,
) -> Callable[..., Any]:
    """Decorator for `forward` of an `autograd.Function` that may run under autocast.

    Args:
        device_type: 'cpu' or 'cuda'.
        cast_inputs: under autocast, convert the floating-point arguments on that device to this
            type and run `forward` with autocast off. None: run with autocast as it is.
    """
    _check_kind(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        context._dtype = FUNCTIONS["get_autocast_dtype"](device_type)
        enabled = FUNCTIONS["is_autocast_enabled"](device_type)
        if cast_inputs is None:
            context._fwd_used_autocast = enabled
            return fwd(*args, **kwargs)
        context._fwd_used_autocast = False
        if not enabled:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(
                *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs)
            )

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """Decorator for `backward`: autocast is as it was in `forward`, decorated by `custom_fwd`."""
    _check_kind(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        with autocast(device_type, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(*args, **kwargs)

    return decorated


__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
