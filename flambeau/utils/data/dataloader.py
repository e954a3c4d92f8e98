"""DataLoader: a data set in batches."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from ...ops.generator import Generator
from .collate import default_collate, default_convert
from .datapipes.graph import is_pipe, set_shuffle
from .dataset import Dataset, IterableDataset
from .passes import MainProcessPass, WorkersPass
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .worker import get_worker_info

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)

_FIXED = (
    "batch_size",
    "batch_sampler",
    "sampler",
    "drop_last",
    "dataset",
    "persistent_workers",
)
_TOO_MANY_WORKERS = (
    "This DataLoader will create {} worker processes in total. Our suggested max number of worker "
    "in current system is {}, which is smaller than what this DataLoader is going to create. "
    "Please be aware that excessive worker creation might get DataLoader running slow or even "
    "freeze, lower the worker number to avoid potential slowness/freeze if necessary."
)


class _DatasetKind:
    """The two kinds of data sets."""

    Map = 0
    Iterable = 1


class _Endless(Sampler[None]):
    """The sampler of an iterable data set: it says only that there may be one more item."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T_co]):
    """Iterate over a data set in batches, in order or shuffled.

    Args:
        dataset: a map-style data set (`__getitem__`, `__len__`) or an `IterableDataset`.
        batch_size: items in a batch; None hands out single items.
        shuffle: whether each pass has a new random order.
        sampler: an iterable of indices, instead of `shuffle`.
        batch_sampler: an iterable of lists of indices, instead of the four arguments
            `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: how many processes load; 0: this one does.
        collate_fn: makes a batch of a list of items; `default_collate` by default.
        pin_memory: accepted, and changes nothing; without an accelerator it warns.
        drop_last: whether to leave out a last batch that is smaller.
        timeout: how many seconds to wait for a batch of the workers; 0: as long as it takes.
        worker_init_fn: called with the worker's number in each worker, before it loads.
        multiprocessing_context: how workers are started: "forkserver" (the default where there is
            one), "spawn" or "fork", or a context of `multiprocessing`.
        generator: the source of randomness of the shuffle, instead of the default generator.
        prefetch_factor: how many batches a worker loads ahead; 2 by default.
        persistent_workers: whether the workers live on after a pass.
        pin_memory_device: accepted and unused.
        in_order: whether batches come in the order of the sampler, and not as they are ready.

    Raises:
        ValueError: for arguments that exclude one another.
        RuntimeError: while iterating, if a worker process ends or takes longer than `timeout`.
            What a worker raises is raised here, with the worker's traceback as its message.

    Each pass draws one number from the generator, and one more for the order if it shuffles, as
    PyTorch does: the same seed gives the same batches and leaves the generator in the same state.
    Worker `i` seeds `torch`, `random` and `numpy.random` with that number plus `i`, as PyTorch's
    workers do.

    Workers are new processes, so the data set, `collate_fn` and `worker_init_fn` are pickled, and
    a script that iterates at its top level needs `if __name__ == "__main__":`. The memory of the
    data set's arrays and tensors is shared by all workers (a worker that writes has its own copy),
    and batches come back in shared memory. A worker does not import JAX unless the data set uses
    operations on tensors beyond making, indexing and reshaping them; then it does so on the CPU.

    Example::

        >>> from flambeau.utils.data import DataLoader
        >>> for batch in DataLoader(range(5), batch_size=2):
        ...     print(batch)
        tensor([0, 1])
        tensor([2, 3])
        tensor([4])
    """

    dataset: Dataset[T_co]
    batch_size: int | None
    num_workers: int
    pin_memory: bool
    drop_last: bool
    timeout: float
    sampler: Sampler | Iterable
    batch_sampler: Sampler[list] | Iterable[list] | None
    prefetch_factor: int | None
    _initialized = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers and prefetch_factor is None:
            prefetch_factor = 2
        iterable = isinstance(dataset, IterableDataset)
        if is_pipe(dataset):
            set_shuffle(dataset, shuffle)
            shuffle = False if iterable else shuffle
        if iterable:
            _check_iterable(shuffle, sampler, batch_sampler)
        _check_batching(batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        self.persistent_workers = persistent_workers

        if sampler is None:
            if iterable:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)  # pyright: ignore[reportArgumentType]
            else:
                sampler = SequentialSampler(dataset)  # pyright: ignore[reportArgumentType]
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._announced_length: int | None = None
        self._workers: WorkersPass | None = None
        self._initialized = True
        self.check_worker_number_rationality()

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """The way of starting worker processes; None for the default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None and not self.num_workers:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading "
                f"(num_workers > 0), but got num_workers={self.num_workers}"
            )
        if isinstance(context, str):
            known = multiprocessing.get_all_start_methods()
            if context not in known:
                raise ValueError(
                    "multiprocessing_context option should specify a valid start method in "
                    f"{known!r}, but got multiprocessing_context={context!r}"
                )
            context = multiprocessing.get_context(context)
        if context is not None and not isinstance(context, BaseContext):
            raise TypeError(
                "multiprocessing_context option should be a valid context object or a string "
                f"specifying the start method, but got multiprocessing_context={context}"
            )
        self._context = context

    @property
    def _index_sampler(self) -> Any:
        """What a pass goes through: batches of indices, or single ones."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        if not self.num_workers:
            return MainProcessPass(self)
        if not self.persistent_workers:
            return WorkersPass(self)
        if self._workers is None:
            self._workers = WorkersPass(self)
        else:
            self._workers.restart(self)
        return self._workers

    def check_worker_number_rationality(self) -> None:
        """Warn if there are to be more workers than processors."""
        if hasattr(os, "sched_getaffinity"):
            suggested = len(os.sched_getaffinity(0))
        else:
            suggested = os.cpu_count() or 0
        if self.num_workers > suggested:
            warnings.warn(_TOO_MANY_WORKERS.format(self.num_workers, suggested), stacklevel=3)

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        dataset: Any = self.dataset
        length = self._announced_length = len(dataset)
        if self.batch_size is None:
            return length
        whole, rest = divmod(length, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    """An iterable data set decides about its order itself."""
    given = {"sampler": sampler, "batch_sampler": batch_sampler}
    if shuffle not in {False, None}:
        given = {"shuffle": shuffle}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, "
                f"but got {name}={value}"
            )


def _check_batching(
    batch_size: int | None, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                "and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )
