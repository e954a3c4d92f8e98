"""`torch._C`: the few functions of PyTorch's inside that programs call and that do nothing here."""

from __future__ import annotations


def _log_api_usage_once(event: str, /) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """The state of TorchScript's tracer: there is none."""


def _jit_set_profiling_executor(profiling_flag: bool, /) -> bool:
    """There is no such executor; returns what PyTorch's was set to at first."""
    return True


def _jit_set_profiling_mode(profiling_flag: bool, /) -> bool:
    """There is no such executor; returns what PyTorch's was set to at first."""
    return True
