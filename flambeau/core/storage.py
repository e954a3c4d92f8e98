"""The one mutable cell of the library: an array, a version, and the only door for writing."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import jax
import jax.core
import numpy as np

from ..devices import device as Device

_addresses = itertools.count(1 << 20, 1 << 24)

# Note [External memory]
# `from_numpy(a)` and `tensor.numpy()` share memory with a NumPy array, as in PyTorch: a write on
# one side shows on the other. JAX arrays are immutable, so such a storage keeps the NumPy array
# itself, reads it anew for every operation and is written in place. As soon as nobody else holds
# the array (its reference count says so), the storage becomes an ordinary one again.


class OwnVersion:
    """The version of `x.data` and its views: the writes made through them, and no others."""

    __slots__ = ("counted", "device")

    def __init__(self, device: Device, counted: int = 0):
        self.counted = counted
        self.device = device

    @property
    def version(self) -> int:
        """The same number: a value saved through such a tensor is kept as it was."""
        return self.counted


class Storage:
    """A mutable cell: `array` (JAX or NumPy), and how often it was written to.

    `version` counts all writes, `counted` those that the tape is to know of, which leaves out the
    ones through `Tensor.data`. `strides` are the virtual strides of the array's elements, None for
    row-major order.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "array",
        "counted",
        "device",
        "external",
        "strides",
        "version",
    )

    def __init__(self, array: Any, device: Device, strides: tuple[int, ...] | None = None):
        self.array = array
        self.device = device
        self.strides = strides
        self.version = 0
        self.counted = 0
        self.external = False
        self._address = 0

    def write(self, array: Any, counted: bool = True) -> None:
        """Replace the contents. Every mutation of a tensor goes through here."""
        if self.external and not self._reclaim() and array.shape == self.array.shape:
            np.copyto(self.array, np.asarray(array))
        else:
            self.array = array
            self.external = False
        self.version += 1
        self.counted += counted

    def write_part(self, part: np.ndarray, value: Any, counted: bool = True) -> None:
        """Replace the elements of `part`, a view of external memory, and touch no others."""
        np.copyto(part, np.asarray(value))
        self.count_write(counted)

    def count_write(self, counted: bool = True) -> None:
        """Count a write of which nothing shows here."""
        self.version += 1
        self.counted += counted

    def read(self) -> Any:
        """The contents, JAX or NumPy; a copy where the user's own code may write to them."""
        if self.external and not self._reclaim():
            return np.array(self.array)
        return self.array

    def device_array(self) -> Any:
        """The contents as a JAX array. NumPy contents move to the device for good."""
        array = self.read()
        if type(array) is not np.ndarray:
            return array
        array = jax.device_put(array, jax_device(self.device))
        if not self.external and not isinstance(array, jax.core.Tracer):  # inside a JAX trace
            self.array = array
        return array

    def host_array(self) -> np.ndarray:
        """The contents as a NumPy array; not to be written to."""
        return np.asarray(self.array)

    def share(self) -> np.ndarray:
        """The contents as a NumPy array that shares memory from now on (Note [External memory])."""
        if not self.external:
            self.array = np.array(self.array, order="C", copy=True)
            self.external = True
        return self.array

    def _reclaim(self) -> bool:
        """True when no one else holds the external array any more."""
        if self.array.base is not None or sys.getrefcount(self.array) > 2:
            return False
        self.external = False
        return True

    @property
    def address(self) -> int:
        """A number that stands for the memory address: equal for aliases, stable over writes."""
        if not self._address:
            self._address = next(_addresses)
        return self._address


def jax_device(device: Device) -> Any:
    """The JAX device that stands behind a device of ours."""
    platform = {"cpu": "cpu", "cuda": "gpu"}.get(device.type, device.type)
    return jax.local_devices(backend=platform)[device.index or 0]
