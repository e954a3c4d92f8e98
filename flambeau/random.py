"""`torch.random`: seeds and states of the default generator, and `fork_rng`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from .core.device import resolve
from .devices import as_device
from .devices import device as Device
from .ops.generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[int | str | Device] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """Give the default generator back its state on leaving the `with` block.

    Args:
        devices: accelerators whose generators to fork. All devices draw from the one default
            generator here, which is always forked, so that these are only checked.
        enabled: False makes this do nothing.
        device_type: what kind of devices `devices` are.

    Example::

        >>> import flambeau as torch
        >>> state = torch.get_rng_state()
        >>> with torch.random.fork_rng():
        ...     _ = torch.manual_seed(0)
        >>> bool((torch.get_rng_state() == state).all())
        True
    """
    if not enabled:
        yield
        return
    kind = as_device("cuda" if device_type is None else device_type).type
    for index in devices or ():
        resolve(Device(kind, index) if isinstance(index, int) else index)
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def thread_safe_generator() -> Generator | None:
    """The generator of the running DataLoader thread; None elsewhere (the default generator)."""
    return None


__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]
