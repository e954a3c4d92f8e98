"""`torch.backends.cuda`: precision of products, and which kinds of attention may be chosen."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from ..config import config
from ..errors import NotBuilt
from .flags import PRECISIONS


class cuBLASModule:
    """How float32 and 16-bit matrix products may be computed."""

    _KEPT = {
        "allow_fp16_reduced_precision_reduction": True,
        "allow_bf16_reduced_precision_reduction": True,
        "allow_fp16_accumulation": False,
    }
    _SETTERS = {
        "allow_tf32": "set_allow_tf32_cublas",
        "allow_fp16_accumulation": "set_allow_fp16_accumulation_cublas",
    }
    _kept: dict[str, Any]

    def __init__(self) -> None:
        object.__setattr__(self, "_kept", dict(self._KEPT))

    def __getattr__(self, name: str) -> Any:
        if name == "allow_tf32":
            return config.matmul_precision != "highest"
        if name == "fp32_precision":
            return "ieee" if config.matmul_precision == "highest" else "tf32"
        if name not in self._kept:
            raise AttributeError(f"Unknown attribute {name}")
        return self._kept[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "fp32_precision":
            if value not in PRECISIONS:
                raise RuntimeError(f"Unknown precision: {value}")
            if value == "bf16":
                raise RuntimeError("backend 'cuda' does not support precision 'bf16'")
            config.matmul_precision = "high" if value == "tf32" else "highest"
            return
        if name != "allow_tf32" and name not in self._kept:
            raise AttributeError(f"Unknown attribute {name}")
        if not isinstance(value, bool) and name in self._SETTERS:
            raise RuntimeError(
                f"{self._SETTERS[name]} expects a bool, but got {type(value).__name__}"
            )
        if name == "allow_tf32":
            config.matmul_precision = "high" if value else "highest"
        else:
            self._kept[name] = value


matmul = cuBLASModule()
_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}
_reduced_precision_math = False


def is_built() -> bool:
    """Whether this is a build for CUDA; GPUs are JAX's affair."""
    return False


def _enable(kind: str, enabled: bool) -> None:
    if not isinstance(enabled, bool):
        raise RuntimeError(f"set_sdp_use_math expects a bool, but got {type(enabled).__name__}")
    _attention[kind] = enabled


def enable_flash_sdp(enabled: bool) -> None:
    """Allow flash attention to be chosen. XLA's attention is the same whatever is allowed."""
    _enable("flash", enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Allow memory-efficient attention to be chosen."""
    _enable("mem_efficient", enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Allow the plain form of attention to be chosen."""
    _enable("math", enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Allow cuDNN's attention to be chosen."""
    _enable("cudnn", enabled)


def flash_sdp_enabled() -> bool:
    """Whether flash attention may be chosen."""
    return _attention["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """Whether memory-efficient attention may be chosen."""
    return _attention["mem_efficient"]


def math_sdp_enabled() -> bool:
    """Whether the plain form of attention may be chosen."""
    return _attention["math"]


def cudnn_sdp_enabled() -> bool:
    """Whether cuDNN's attention may be chosen."""
    return _attention["cudnn"]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Accepted: attention in 16 bits sums in float32."""
    global _reduced_precision_math
    _reduced_precision_math = enabled


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """What `allow_fp16_bf16_reduction_math_sdp` was called with last."""
    return _reduced_precision_math


def is_flash_attention_available() -> bool:
    """Whether PyTorch's flash attention is built in: no."""
    return False


def is_ck_sdpa_available() -> bool:
    """Whether AMD's composable kernels are built in: no."""
    return False


@contextlib.contextmanager
def _sdp_kernel(allowed: dict[str, bool]) -> Iterator[dict[str, Any]]:
    before = dict(_attention)
    _attention.update(allowed)
    try:
        yield {}
    finally:
        _attention.update(before)


def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> contextlib.AbstractContextManager[dict[str, Any]]:
    """Deprecated context manager: which kinds of attention may be chosen inside."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager "
        "will be removed. Please see `torch.nn.attention.sdpa_kernel()` for the new context "
        "manager, with updated signature.",
        FutureWarning,
        stacklevel=2,
    )
    return _sdp_kernel(
        {
            "flash": enable_flash,
            "math": enable_math,
            "mem_efficient": enable_mem_efficient,
            "cudnn": enable_cudnn,
        }
    )


_NOT_BUILT = frozenset(
    """
    SDPAParams cuFFTPlanCache cuFFTPlanCacheAttrContextProp cuFFTPlanCacheManager
    cufft_plan_cache blas_workspace_size cublas_workspace_size cublaslt_workspace_size
    preferred_blas_library preferred_linalg_library preferred_rocm_fa_library
    can_use_cudnn_attention can_use_efficient_attention can_use_flash_attention
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"flambeau.backends.cuda.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
