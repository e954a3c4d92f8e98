"""Pipes of several pipes, and several pipes of one."""

from __future__ import annotations

import copy as copy_module
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ..datapipe import IterDataPipe
from ..decorators import functional_datapipe
from .single import check_function, length_of

_NO_INSTANCES = "Expected `num_instances` larger than 0, but {} is found"
_UNLIMITED = "Unlimited buffer size is set for `{}`, please be aware of OOM at random places"


class _OfSeveral(IterDataPipe):
    """The base of pipes that read several."""

    _wrong = "Expected all inputs to be `IterDataPipe`"

    def __init__(self, *datapipes: IterDataPipe) -> None:
        if not datapipes and type(self).__name__.startswith("Concater"):
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError(self._wrong)
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def _lengths(self) -> list[int]:
        return [length_of(pipe, self) for pipe in self.datapipes]


@functional_datapipe("concat")
class ConcaterIterDataPipe(_OfSeveral):
    """The items of one pipe after those of the other."""

    def __iter__(self) -> Iterator[Any]:
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self) -> int:
        return sum(self._lengths())


@functional_datapipe("zip")
class ZipperIterDataPipe(_OfSeveral):
    """Tuples of the items of all pipes, until the shortest one ends."""

    _wrong = "All inputs are required to be `IterDataPipe` for `ZipIterDataPipe`."

    def __iter__(self) -> Iterator[Any]:
        yield from zip(*self.datapipes, strict=False)

    def __len__(self) -> int:
        return min(self._lengths())


@functional_datapipe("mux")
class MultiplexerIterDataPipe(_OfSeveral):
    """One item of each pipe in turn, until the shortest one ends."""

    def __iter__(self) -> Iterator[Any]:
        for items in zip(*self.datapipes, strict=False):
            yield from items

    def __len__(self) -> int:
        return min(self._lengths()) * len(self.datapipes)


class _Source:
    """A pipe that several others read, each at its own pace."""

    def __init__(self, datapipe: IterDataPipe, readers: int, buffer_size: int, name: str):
        self.main_datapipe = datapipe
        self.buffer_size = buffer_size
        self.name = name
        if buffer_size < 0:
            method = {"F": "fork", "D": "demux"}[name[0]]
            warnings.warn(_UNLIMITED.format(method), UserWarning, stacklevel=5)
        self._waiting: list[deque[Any]] = [deque() for _ in range(readers)]
        self._iterator: Iterator[Any] | None = None
        self._done = [True] * readers

    def begin(self, reader: int) -> None:
        """A reader starts over: all do, if this one has begun the present pass already."""
        if self._iterator is None or not self._done[reader]:
            self._iterator = iter(self.main_datapipe)
            for waiting in self._waiting:
                waiting.clear()
            self._done = [True] * len(self._done)
        self._done[reader] = False

    def next(self, reader: int, places: Callable[[Any], list[int]]) -> Any:
        """The next item of a reader; what others are to get waits."""
        waiting = self._waiting[reader]
        while not waiting:
            assert self._iterator is not None
            item = next(self._iterator)
            for place in places(item):
                self._waiting[place].append(item)
            if max(map(len, self._waiting)) > self.buffer_size and self.buffer_size >= 0:
                raise BufferError(
                    f"{self.name} buffer overflow,buffer size {self.buffer_size} is insufficient."
                )
        return waiting.popleft()


class _Reader(IterDataPipe):
    """One of the pipes that read a common source."""

    def __init__(
        self, source: _Source, number: int, places: Callable[[Any], list[int]], copied: Any = None
    ):
        self._source, self._number, self._places, self._copied = source, number, places, copied

    def __iter__(self) -> Iterator[Any]:
        self._source.begin(self._number)
        while True:
            try:
                item = self._source.next(self._number, self._places)
            except StopIteration:
                return
            yield item if self._copied is None else self._copied(item)


class _SizedReader(_Reader):
    """One that reads all items."""

    def __len__(self) -> int:
        return length_of(self._source.main_datapipe, self)


class _Everywhere:
    """Every reader gets every item."""

    def __init__(self, readers: int):
        self._all = list(range(readers))

    def __call__(self, item: Any) -> list[int]:
        return self._all


class _Classified:
    """A function says which reader gets an item."""

    def __init__(self, function: Callable[[Any], int | None], readers: int, drop_none: bool):
        self._function, self._readers, self._drop_none = function, readers, drop_none

    def __call__(self, item: Any) -> list[int]:
        place = self._function(item)
        if place is None and self._drop_none:
            return []
        if place is None or not 0 <= place < self._readers:
            raise ValueError(
                f"Output of the classification fn should be between 0 and {self._readers - 1}. "
                f"{place} is returned."
            )
        return [place]


@functional_datapipe("fork")
class ForkerIterDataPipe(IterDataPipe):
    """Several pipes with the same items: `first, second = pipe.fork(2)`.

    Args:
        datapipe: the source.
        num_instances: how many pipes.
        buffer_size: by how many items one may be ahead; -1 for no limit.
        copy: None, or "shallow" or "deep": each gets a copy of an item.
    """

    def __new__(
        cls, datapipe: IterDataPipe, num_instances: int, buffer_size: int = 1000, copy: Any = None
    ) -> Any:
        if num_instances < 1:
            raise ValueError(
                f"Expected `num_instances` larger than 0, but {num_instances} is found"
            )
        copies = {None: None, "shallow": copy_module.copy, "deep": copy_module.deepcopy}
        if copy not in copies:
            raise ValueError(
                f"Unknown copy method `{copy}` requested, choose one of None, `shallow` or `deep`."
            )
        if num_instances == 1:
            return datapipe
        source = _Source(datapipe, num_instances, buffer_size, "ForkerIterDataPipe")
        places = _Everywhere(num_instances)
        return [_SizedReader(source, n, places, copies[copy]) for n in range(num_instances)]


@functional_datapipe("demux")
class DemultiplexerIterDataPipe(IterDataPipe):
    """Several pipes that share the items out among them.

    Args:
        datapipe: the source.
        num_instances: how many pipes.
        classifier_fn: the number of the pipe that gets an item; None for no one.
        drop_none: whether None is allowed.
        buffer_size: how many items may wait for a pipe; -1 for no limit.
    """

    def __new__(
        cls,
        datapipe: IterDataPipe,
        num_instances: int,
        classifier_fn: Callable[[Any], int | None],
        drop_none: bool = False,
        buffer_size: int = 1000,
    ) -> Any:
        if num_instances < 1:
            raise ValueError(
                f"Expected `num_instances` larger than 0, but {num_instances} is found"
            )
        check_function(classifier_fn)
        source = _Source(datapipe, num_instances, buffer_size, "DemultiplexerIterDataPipe")
        places = _Classified(classifier_fn, num_instances, drop_none)
        return [_Reader(source, n, places) for n in range(num_instances)]
