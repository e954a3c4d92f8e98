"""Which devices there are, and moving arrays onto them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ..devices import CPU, as_device, get_default_device
from ..devices import device as Device
from .storage import jax_device
from .tensor import Tensor, wrap


def default_device() -> Device:
    """The device of tensors that are made without naming one."""
    return get_default_device()


def accelerator_count() -> int:
    """How many GPUs JAX has."""
    try:
        return len(jax.local_devices(backend="gpu"))
    except RuntimeError:
        return 0


def resolve(device: Any = None) -> Device:
    """The device that an argument `device=` means; an error where it does not exist here."""
    if device is None:
        return get_default_device()
    found = device if type(device) is Device else as_device(device)
    if found.type == "cpu":
        return CPU
    if found.type == "cuda":
        if accelerator_count() == 0:
            raise AssertionError("Torch not compiled with CUDA enabled")
        if found.index is None:
            return Device("cuda", 0)
        if found.index >= accelerator_count():
            raise RuntimeError(
                "CUDA error: invalid device ordinal: "
                f"{found} was asked for, there are {accelerator_count()} devices"
            )
    elif found.type != "meta":
        raise NotImplementedError(f"flambeau.device('{found}'): no such device in this build")
    return found


def tensor_from_host(array: np.ndarray, device: Any = None) -> Tensor:
    """A tensor that owns `array`; nobody else may write to it any more."""
    found = resolve(device)
    if found.type == "meta":
        return wrap(jax.ShapeDtypeStruct(array.shape, array.dtype), found)
    return wrap(array, found)


def move(array: Any, device: Device) -> Any:
    """A JAX or NumPy array on another device."""
    return jax.device_put(array, jax_device(device))


__all__ = ["CPU", "accelerator_count", "default_device", "move", "resolve", "tensor_from_host"]
