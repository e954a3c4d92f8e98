"""Where the storages of a checkpoint go: `map_location`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.device import accelerator_count
from ..core.tensor import wrap
from ..devices import device as Device
from ..ops.storages import UntypedStorage
from .archive import CheckpointError

MapLocation = Callable[[Any, str], Any] | Device | str | os.PathLike[str] | Mapping[Any, Any] | None


def place(memory: np.ndarray, location: str, wanted: MapLocation) -> tuple[np.ndarray, Device]:
    """The bytes of a storage that was saved at `location`, and the device that they go to."""
    if isinstance(wanted, Mapping):
        return memory, _device(wanted.get(location, location))
    if isinstance(wanted, str | bytes | Device):
        return memory, _device(wanted)
    if wanted is None:
        return memory, _device(location)
    function: Any = wanted
    given = UntypedStorage._of(wrap(memory)._storage)
    moved = function(given, location)
    if moved is None:
        return memory, _device(location)
    if moved is given:
        return memory, Device("cpu")
    if hasattr(moved, "untyped"):
        moved = moved.untyped()
    if not isinstance(moved, UntypedStorage):
        raise TypeError(
            "torch.load: map_location must return an UntypedStorage or None, but got "
            f"{type(moved).__name__}"
        )
    if moved.nbytes() != memory.nbytes:
        raise CheckpointError(
            f"map_location returned a storage of {moved.nbytes()} bytes for one of {memory.nbytes}"
        )
    return moved.cpu()._bytes(), moved.device


def _device(location: Any) -> Device:
    try:
        device = Device(location)
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            "don't know how to restore data location of torch.storage.UntypedStorage (tagged with "
            f"{location})"
        ) from error
    if device.type in ("cpu", "meta"):
        return Device(device.type)
    if device.type != "cuda":
        raise CheckpointError(
            "don't know how to restore data location of torch.storage.UntypedStorage (tagged with "
            f"{location})"
        )
    count = accelerator_count()
    if not count:
        raise CheckpointError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is "
            "False. If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    if (device.index or 0) >= count:
        raise CheckpointError(
            f"Attempting to deserialize object on CUDA device {device.index} but "
            f"torch.cuda.device_count() is {count}. Please use torch.load with map_location to map "
            "your storages to an existing device."
        )
    return Device("cuda", device.index or 0)
