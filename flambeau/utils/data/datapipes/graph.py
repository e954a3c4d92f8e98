"""The pipes that a data pipe is made of: shuffling, seeds and shares of all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ....ops.generator import Generator
from ..sampler import draw_seed
from .datapipe import IterDataPipe, MapDataPipe

_NO_SHUFFLER = (
    "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at the "
    "end. Be aware that the default buffer size might not be sufficient for your task."
)


def is_pipe(dataset: Any) -> bool:
    """Whether this is a data pipe."""
    return isinstance(dataset, IterDataPipe | MapDataPipe)


def pipes_of(dataset: Any) -> list[Any]:
    """A data pipe and those that it reads, the sources last."""
    found: dict[int, Any] = {}
    waiting = [dataset]
    while waiting:
        value = waiting.pop(0)
        if is_pipe(value):
            if id(value) not in found:
                found[id(value)] = value
                waiting.extend(vars(value).values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif hasattr(value, "main_datapipe"):
            waiting.append(value.main_datapipe)
    return list(found.values())


def _shufflers(dataset: Any) -> Iterator[Any]:
    return (pipe for pipe in pipes_of(dataset) if hasattr(type(pipe), "set_shuffle"))


def set_shuffle(dataset: Any, shuffle: bool | None) -> None:
    """Turn the shuffling pipes on or off; warn where there is none and one is wanted.

    PyTorch 2.13 warns that it adds one, and does not; so there is none here, either.
    """
    if shuffle is None:
        return
    shufflers = list(_shufflers(dataset))
    if not shufflers and shuffle:
        warnings.warn(_NO_SHUFFLER, stacklevel=4)
    for pipe in shufflers:
        pipe.set_shuffle(shuffle)


def seed_all(dataset: Any, seed: int) -> None:
    """Give each shuffling pipe a seed, drawn from one seed."""
    generator = Generator()
    generator.manual_seed(seed)
    for pipe in _shufflers(dataset):
        pipe.set_seed(draw_seed(generator))


def share_out(dataset: Any, workers: int, number: int) -> None:
    """Tell the sharding pipes which share is that of worker `number`."""
    for pipe in pipes_of(dataset):
        if hasattr(type(pipe), "apply_sharding"):
            pipe.apply_sharding(workers, number)
