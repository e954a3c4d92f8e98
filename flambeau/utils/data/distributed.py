"""DistributedSampler: each of several processes sees its own part of a data set."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sized
from typing import Any

from ...ops.generator import Generator
from ...ops.random import randperm
from .dataset import Dataset
from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index of an order that all processes share, starting at `rank`.

    Args:
        dataset: what to draw from; only its length is used.
        num_replicas: the number of processes; that of the default process group if left out.
        rank: the number of this process, from 0; that in the process group if left out.
        shuffle: whether the shared order is random, from `seed` and the epoch.
        seed: the same for all processes.
        drop_last: whether to drop the tail that does not divide evenly, instead of filling up
            from the front.

    Call `set_epoch(epoch)` before each epoch to have another order.

    Example::

        >>> from flambeau.utils.data.distributed import DistributedSampler
        >>> list(DistributedSampler(range(10), num_replicas=3, rank=1, shuffle=False))
        [1, 4, 7, 0]
    """

    def __init__(
        self,
        dataset: Dataset,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        num_replicas = _from_group("get_world_size") if num_replicas is None else num_replicas
        rank = _from_group("get_rank") if rank is None else rank
        if rank >= num_replicas or rank < 0:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.seed = seed
        length = self._length()
        even = length // num_replicas if drop_last else math.ceil(length / num_replicas)
        self.num_samples = even
        self.total_size = even * num_replicas

    def _length(self) -> int:
        dataset: Any = self.dataset
        sized: Sized = dataset
        return len(sized)

    def __iter__(self) -> Iterator[int]:
        length = self._length()
        if self.shuffle:
            generator = Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = randperm(length, generator=generator).tolist()
        else:
            order = list(range(length))
        if not self.drop_last:
            order = (order * math.ceil(self.total_size / max(length, 1)))[: self.total_size]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of `epoch`."""
        self.epoch = epoch


def _from_group(function: str) -> int:
    """What a function of `torch.distributed` says of the default process group."""
    distributed: Any = sys.modules.get(f"{__name__.partition('.')[0]}.distributed")
    if distributed is None or not distributed.is_initialized():
        raise ValueError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )
    return getattr(distributed, function)()
