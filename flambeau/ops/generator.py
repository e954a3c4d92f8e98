"""`Generator`, and the functions of the default generator: seeds and states."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .. import dtypes
from ..core import random as core
from ..core.device import resolve
from ..core.tensor import Tensor, wrap
from ..devices import device as Device
from .registry import FUNCTIONS, declare

_NO_CUDA = (
    "Cannot get CUDA generator without ATen_cuda library. There is no GPU here; a generator of the "
    "CPU serves all devices."
)


class Generator(core.Generator):
    """A source of random numbers; the same seed gives PyTorch's numbers.

    Args:
        device: where the numbers are for. The stream is the CPU's on every device.

    Raises:
        RuntimeError: there is no such device.

    Example::

        >>> import flambeau as torch
        >>> g = torch.Generator().manual_seed(0)
        >>> torch.rand(2, generator=g)
        tensor([0.4963, 0.7682])
    """

    def __init__(self, device: Any = "cpu"):
        super().__init__()
        self._device = _device_of(device)

    @property
    def device(self) -> Device:
        """The device that the generator is for."""
        return self._device

    def get_state(self) -> Tensor:  # type: ignore[override]
        """The state as a tensor of 5056 bytes, as PyTorch writes it."""
        return wrap(super().get_state())

    def set_state(self, new_state: Tensor) -> Generator:  # type: ignore[override]
        """Continue from a state that `get_state`, here or in PyTorch, gave.

        Raises:
            TypeError: the state is no tensor of bytes.
            RuntimeError: the bytes are no state of this generator.
        """
        super().set_state(_state_bytes(new_state))
        return self

    def clone_state(self) -> Self:
        """A new generator that continues from this one's state on its own."""
        clone = super().clone_state()
        clone._device = self._device
        return clone

    def __reduce__(self) -> Any:
        return type(self), (str(self._device),), self.engine.dump()

    @classmethod
    def _sharing(cls, other: core.Generator) -> Generator:
        """A generator on the engine of another one."""
        made = cls()
        made.engine = other.engine
        return made


def _device_of(device: Any) -> Device:
    try:
        found = resolve(device)
    except AssertionError:
        raise RuntimeError(_NO_CUDA) from None
    if found.type == "meta":
        raise RuntimeError("META device type not an accelerator.")
    return found


def _state_bytes(state: Any) -> np.ndarray:
    if not isinstance(state, Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
    if state.dtype is not dtypes.uint8 or state.device.type != "cpu":
        raise TypeError("RNG state must be a torch.ByteTensor")
    return state._host().reshape(-1)


default_generator = Generator._sharing(core.default_generator)


def generator_for(function: str, generator: Any) -> core.Generator:
    """The generator that an argument `generator=` means.

    Raises:
        TypeError: it is something else.
    """
    if generator is None:
        return default_generator
    if not isinstance(generator, core.Generator):
        raise TypeError(
            f"{function}(): argument 'generator' must be torch.Generator, not "
            f"{type(generator).__name__}"
        )
    return generator


@declare(method=False)
def manual_seed(seed: Any) -> Generator:
    """Start the default generator's stream of `seed`; a negative one stands for 2**64 + seed.

    Raises:
        ValueError: the seed does not fit in 64 bits.
    """
    default_generator.manual_seed(int(seed))
    return default_generator


@declare(method=False)
def seed() -> int:
    """Seed the default generator from the system's entropy, and return that seed."""
    return default_generator.seed()


@declare(method=False)
def initial_seed() -> int:
    """The seed that the default generator's stream began from."""
    return default_generator.initial_seed()


@declare(method=False)
def get_rng_state() -> Tensor:
    """The state of the default generator, as a tensor of bytes."""
    return default_generator.get_state()


@declare(method=False)
def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator continue from a state that `get_rng_state` gave."""
    default_generator.set_state(new_state)


FUNCTIONS["Generator"] = Generator
FUNCTIONS["default_generator"] = default_generator
