"""`torch.xpu`: Intel's GPUs, of which there is no build here."""

from __future__ import annotations

from typing import Any

_RAISING = """
    current_device synchronize get_device_name get_device_properties get_device_capability
    current_stream set_device init mem_get_info get_rng_state initial_seed
    """.split()  # noqa: SIM905


def is_available() -> bool:
    """Whether tensors can be on an Intel GPU: no."""
    return False


def device_count() -> int:
    """How many Intel GPUs there are: none."""
    return 0


def is_initialized() -> bool:
    """Whether Intel GPUs are in use: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether there is an Intel GPU that computes in bfloat16: no."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the generators of the Intel GPUs: there are none."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of the Intel GPUs: there are none."""


def empty_cache() -> None:
    """Give unused memory back: there is none."""


def memory_allocated(device: Any = None) -> int:
    """Bytes in use by arrays: none."""
    return 0


def _absent(*args: Any, **kwargs: Any) -> None:
    """Raises: there is no build for Intel's GPUs."""
    raise AssertionError("Torch not compiled with XPU enabled")


globals().update(dict.fromkeys(_RAISING, _absent))
