"""Seeds and states of a GPU's generator: one generator serves all devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.tensor import Tensor
from ..ops import generator
from .device import device_count, is_available, require_cuda


def manual_seed(seed: int) -> None:
    """Seed the generator where there is a GPU."""
    seed = int(seed)
    if is_available():
        generator.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generator where there is a GPU."""
    manual_seed(seed)


def seed() -> None:
    """Seed the generator from the system's entropy where there is a GPU."""
    if is_available():
        generator.seed()


def seed_all() -> None:
    """Seed the generator from the system's entropy where there is a GPU."""
    seed()


def initial_seed() -> int:
    """The seed that the generator started from."""
    require_cuda()
    return generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The generator's state."""
    require_cuda()
    return generator.get_rng_state()


def get_rng_state_all() -> list[Tensor]:
    """The generator's state, once for every GPU."""
    return [generator.get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Continue from a state where there is a GPU."""
    new_state = new_state.clone()
    if is_available():
        generator.set_rng_state(new_state)


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Continue from the last of several states where there is a GPU."""
    for state in new_states:
        set_rng_state(state)
