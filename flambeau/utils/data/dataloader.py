"""DataLoader: a data set in batches."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ...ops.generator import Generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed

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


def get_worker_info() -> None:
    """What a data set may know about the worker process that it runs in.

    Returns:
        None: this is the main process.
    """
    return None


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
        num_workers: 0: items are loaded in this process.
        collate_fn: makes a batch of a list of items; `default_collate` by default.
        pin_memory: accepted; without an accelerator it warns and does nothing.
        drop_last: whether to leave out a last batch that is smaller.
        timeout: for worker processes; 0 here.
        worker_init_fn: for worker processes.
        multiprocessing_context: for worker processes.
        generator: the source of randomness of the shuffle, instead of the default generator.
        prefetch_factor: for worker processes.
        persistent_workers: for worker processes.
        pin_memory_device: accepted and unused.
        in_order: for worker processes.

    Raises:
        ValueError: for arguments that exclude one another.
        NotImplementedError: for `num_workers` above 0.

    Each pass draws one number from the generator, and one more for the order if it shuffles, as
    PyTorch does: the same seed gives the same batches and leaves the generator in the same state.

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
        iterable = isinstance(dataset, IterableDataset)
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
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """The way of starting worker processes; None here."""
        return None

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading "
                f"(num_workers > 0), but got num_workers={self.num_workers}"
            )

    @property
    def _index_sampler(self) -> Any:
        """What a pass goes through: batches of indices, or single ones."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        return _Pass(self)

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        dataset: Any = self.dataset
        length = self._announced_length = len(dataset)
        if self.batch_size is None:
            return length
        whole, rest = divmod(length, self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


class _Pass:
    """One pass over the data set of a loader, in this process."""

    def __init__(self, loader: DataLoader) -> None:
        if loader.num_workers:
            raise NotImplementedError(_no_workers(loader.num_workers))
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=3,
            )
        self._loader = loader
        self._dataset: Any = loader.dataset
        self._indices = iter(loader._index_sampler)
        # The seed that worker processes would start from: drawn without them, too, as in PyTorch.
        self._base_seed = draw_seed(loader.generator)
        if loader.timeout:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._items = iter(self._dataset) if isinstance(self._dataset, IterableDataset) else None
        self._announced_length = loader._announced_length
        self._yielded = 0
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __next__(self) -> Any:
        index = next(self._indices)
        batched = self._loader.batch_sampler is not None
        load = self._fetch if self._items is None else self._take
        data = load(index, batched)
        self._yielded += 1
        announced = self._announced_length
        if self._items is not None and announced is not None and self._yielded > announced:
            warnings.warn(
                f"Length of IterableDataset {self._dataset} was reported to be {announced}"
                f"(when accessing len(dataloader)), but {self._yielded} samples have been "
                "fetched. ",
                stacklevel=2,
            )
        return self._loader.collate_fn(data)

    def _fetch(self, index: Any, batched: bool) -> Any:
        """The items at a batch of indices, or at one index."""
        if not batched:
            return self._dataset[index]
        if getattr(self._dataset, "__getitems__", None):
            return self._dataset.__getitems__(index)
        return [self._dataset[i] for i in index]

    def _take(self, index: Any, batched: bool) -> Any:
        """The next items of an iterable data set, or the next one."""
        assert self._items is not None
        if not batched:
            return next(self._items)
        if self._ended:
            raise StopIteration
        items = list(itertools.islice(self._items, len(index)))
        self._ended = len(items) < len(index)
        if not items or (self._loader.drop_last and self._ended):
            raise StopIteration
        return items


def _no_workers(num_workers: int) -> str:
    return (
        f"torch.utils.data.DataLoader(num_workers={num_workers}): loading in worker processes; "
        "use num_workers=0"
    )


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
    if num_workers:
        raise NotImplementedError(_no_workers(num_workers))


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
