"""`torch.backends`: the switches of libraries that PyTorch computes with.

XLA takes their place here. The switches keep what they are set to, so that programs run unchanged;
the one that XLA knows, too, is `cuda.matmul.allow_tf32`, the precision of products.
"""

from __future__ import annotations

from . import (
    cpu,
    cuda,
    cudnn,
    cusparselt,
    kleidiai,
    mha,
    miopen,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
)
from .flags import Flags, Precision, switchable
from .flags import set_flags as _set_flags


def set_flags(_fp32_precision: str | None = "none") -> tuple[str, ...]:
    """Set the precision of all float32 computations, and return what it was."""
    import sys

    return _set_flags(sys.modules[__name__], {"fp32_precision": _fp32_precision})


def flags(fp32_precision: str = "none") -> Flags:
    """Context manager: the precision of all float32 computations."""
    return Flags(set_flags, {"_fp32_precision": fp32_precision})


def flags_frozen() -> bool:
    """Whether switches can be set inside `flags()` only: never."""
    return False


switchable(__name__, {"fp32_precision": Precision("none")})
