"""Switches of the whole library: determinism, precision of products, threads, default types."""

from __future__ import annotations

import os
import warnings
from typing import Any

from .. import dtypes
from ..config import config
from ..core.legacy import type_name
from ..core.state import modes
from ..core.tensor import Tensor
from ..dtypes import RESULT
from ..errors import argument
from .arguments import invalid_arguments
from .registry import declare

# Determinism. XLA's programs are deterministic on the CPU, so that nothing else has to change.


@declare(method=False)
def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for operations that give the same result every time.

    Args:
        mode: whether to ask for them.
        warn_only: warn instead of raising where there is no such form of an operation.
    """
    if not isinstance(mode, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not "
            f"{type(mode).__name__}"
        )
    config.deterministic_algorithms = mode
    config.deterministic_warn_only = warn_only


@declare(method=False)
def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` is on."""
    return config.deterministic_algorithms


@declare(method=False)
def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` only warns."""
    return config.deterministic_warn_only


@declare(method=False)
def get_deterministic_debug_mode() -> int:
    """0: determinism is not asked for; 1: warn where there is none; 2: raise."""
    if not config.deterministic_algorithms:
        return 0
    return 1 if config.deterministic_warn_only else 2


@declare(method=False)
def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by number or name: "default", "warn" or "error"."""
    names = ("default", "warn", "error")
    if isinstance(debug_mode, str):
        if debug_mode not in names:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = names.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


# Anomalies


@declare(method=False)
def is_anomaly_enabled() -> bool:
    """Whether backward passes look for the origin of errors and NaN."""
    return modes.anomaly


@declare(method=False)
def is_anomaly_check_nan_enabled() -> bool:
    """Whether backward passes that look for anomalies stop at NaN."""
    return modes.anomaly_check_nan


@declare(method=False)
def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Let backward passes look for the origin of errors and, with `check_nan`, of NaN."""
    if not isinstance(enabled, bool):
        raise argument("set_anomaly_enabled", "enabled", 1, "bool", enabled)
    if not isinstance(check_nan, bool):
        raise argument("set_anomaly_enabled", "check_nan", 2, "bool", check_nan)
    modes.anomaly = enabled
    modes.anomaly_check_nan = check_nan


# Precision and threads


@declare(method=False)
def get_float32_matmul_precision() -> str:
    """The precision of float32 matrix products: "highest", "high" or "medium"."""
    return config.matmul_precision


@declare(method=False)
def set_float32_matmul_precision(precision: str) -> None:
    """Allow float32 matrix products in fewer bits where the device has such a mode.

    Args:
        precision: "highest" (float32), "high" (TensorFloat32) or "medium" (bfloat16).
    """
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            UserWarning,
            stacklevel=2,
        )
        return
    config.matmul_precision = precision


_threads = {"num_threads": os.cpu_count() or 1, "num_interop_threads": os.cpu_count() or 1}


def _declare_threads(name: str) -> None:
    def get() -> int:
        return _threads[name]

    def put(count: int, /) -> None:
        if not isinstance(count, int) or count < 1:
            raise RuntimeError(f"set_{name} expects a positive integer")
        _threads[name] = count

    get.__doc__ = "The number that was set last; at first that of the machine's cores."
    put.__doc__ = "Remember a number of threads. XLA fixed its own when it started."
    declare(name=f"get_{name}", method=False)(get)
    declare(name=f"set_{name}", method=False)(put)


_declare_threads("num_threads")
_declare_threads("num_interop_threads")


@declare(method=False)
def set_flush_denormal(mode: bool) -> bool:
    """Whether denormal numbers can be flushed to zero as asked: they are always kept."""
    return not mode


_warn_always = False


@declare(method=False)
def set_warn_always(b: bool, /) -> None:
    """Accepted: Python's own filters decide how often a warning is shown."""
    global _warn_always
    _warn_always = b


@declare(method=False)
def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was called with last."""
    return _warn_always


# Types


@declare(method=False)
def set_default_tensor_type(t: Any, /) -> None:
    """Deprecated: make the element type of a tensor type, such as `torch.DoubleTensor`, the
    default dtype."""
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
        "torch.set_default_dtype() and torch.set_default_device() as alternatives.",
        UserWarning,
        stacklevel=2,
    )
    if isinstance(t, str):
        from ..core import legacy

        t = getattr(legacy, t.removeprefix("torch."), None)
    if not hasattr(t, "dtype"):
        raise TypeError(
            "invalid type object: only floating-point types are supported as the default type"
        )
    dtypes.set_default_dtype(t.dtype)


@declare(method=False)
def typename(obj: Any, /) -> str:
    """The name of an object's type, with its module; of a tensor, `torch.FloatTensor`."""
    if isinstance(obj, Tensor):
        return type_name(obj.dtype, obj.device)
    kind = obj if isinstance(obj, type) else type(obj)
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return prefix + kind.__qualname__


@declare(method=False)
def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The type to which two operands, tensors or numbers, are promoted.

    >>> import flambeau as torch
    >>> torch.result_type(torch.tensor([1, 2]), 1.0)
    torch.float32
    """
    keys = []
    for operand in (tensor1, tensor2):
        if isinstance(operand, Tensor):
            keys.append(operand.dtype if operand._dims() else operand.dtype.zero_dim)
        elif isinstance(operand, (bool, int, float, complex)):
            keys.append(type(operand))
        else:
            raise invalid_arguments("result_type", tensor1, tensor2)
    return RESULT[tuple(keys)]
