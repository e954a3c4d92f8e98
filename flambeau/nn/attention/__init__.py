"""Choosing how `scaled_dot_product_attention` is computed.

There is one way here, the mathematical one, fused by XLA; the choices are accepted, and refuse what
PyTorch's implementation of that name would refuse on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ...ops.attention import SDPBackend, choice
from . import bias
from .registry import (
    activate_flash_attention_impl,
    current_flash_attention_impl,
    list_flash_attention_impls,
    register_flash_attention_impl,
    restore_flash_attention_impl,
)

WARN_FOR_UNFUSED_KERNELS = False
__all__ = [
    "WARN_FOR_UNFUSED_KERNELS",
    "SDPBackend",
    "activate_flash_attention_impl",
    "bias",
    "current_flash_attention_impl",
    "list_flash_attention_impls",
    "register_flash_attention_impl",
    "restore_flash_attention_impl",
    "sdpa_kernel",
]


def _cur_sdpa_kernel_backends(with_priority: bool = False) -> list[SDPBackend]:
    """The implementations that may be used."""
    return list(choice.enabled)


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | Iterable[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Within the context, attention may use only these implementations.

    Args:
        backends: one of `SDPBackend`, or several.
        set_priority: they are in the order of preference.

    Raises:
        AssertionError: something else than a `SDPBackend` is given.

    Example::

        >>> from flambeau.nn.attention import SDPBackend, sdpa_kernel
        >>> q = torch.ones(1, 1, 2, 2)
        >>> with sdpa_kernel(SDPBackend.MATH):
        ...     F.scaled_dot_product_attention(q, q, q).shape
        torch.Size([1, 1, 2, 2])
    """
    if isinstance(backends, SDPBackend):
        chosen = [backends]
    elif isinstance(backends, list):
        chosen = list(backends)
    else:
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    previous, choice.enabled = choice.enabled, tuple(chosen)
    try:
        yield
    finally:
        choice.enabled = previous
