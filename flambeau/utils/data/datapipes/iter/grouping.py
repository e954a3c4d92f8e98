"""Pipes that put items together, and take them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..datapipe import DataChunk, IterDataPipe
from ..decorators import functional_datapipe
from .single import check_function, length_of


@functional_datapipe("batch")
class BatcherIterDataPipe(IterDataPipe):
    """Items in lists of `batch_size`.

    Args:
        datapipe: the source.
        batch_size: the length of a list.
        drop_last: whether to leave out a last list that is shorter.
        wrapper_class: the lists' class.
    """

    def __init__(
        self,
        datapipe: IterDataPipe,
        batch_size: int,
        drop_last: bool = False,
        wrapper_class: type[DataChunk] = DataChunk,
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe = datapipe
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.wrapper_class = wrapper_class

    def __iter__(self) -> Iterator[DataChunk]:
        batch: list[Any] = []
        for item in self.datapipe:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)

    def __len__(self) -> int:
        whole, rest = divmod(length_of(self.datapipe, self), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


@functional_datapipe("unbatch")
class UnBatcherIterDataPipe(IterDataPipe):
    """The items of lists, down to a level; -1: of all lists."""

    def __init__(self, datapipe: IterDataPipe, unbatch_level: int = 1) -> None:
        self.datapipe = datapipe
        self.unbatch_level = unbatch_level

    def __iter__(self) -> Iterator[Any]:
        for item in self.datapipe:
            yield from self._dive(item, self.unbatch_level)

    def _dive(self, item: Any, level: int) -> Iterator[Any]:
        if level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        is_list = isinstance(item, list | DataChunk)
        if level == 0 or (level == -1 and not is_list):
            yield item
        elif is_list:
            for inner in item:
                yield from self._dive(inner, level if level == -1 else level - 1)
        else:
            raise IndexError(
                f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe"
            )


@functional_datapipe("groupby")
class GrouperIterDataPipe(IterDataPipe):
    """Items with the same key in lists.

    Args:
        datapipe: the source.
        group_key_fn: the key of an item.
        keep_key: whether to yield pairs of a key and a list.
        buffer_size: how many items wait at most; then the largest group is yielded.
        group_size: the length of a full group, which is yielded at once.
        guaranteed_group_size: the length that a group has at least when the buffer is full.
        drop_remaining: whether groups that are not long enough are dropped.
    """

    def __init__(
        self,
        datapipe: IterDataPipe,
        group_key_fn: Callable[..., Any],
        *,
        keep_key: bool = False,
        buffer_size: int = 10000,
        group_size: int | None = None,
        guaranteed_group_size: int | None = None,
        drop_remaining: bool = False,
    ) -> None:
        check_function(group_key_fn)
        self.datapipe = datapipe
        self.group_key_fn = group_key_fn
        self.keep_key = keep_key
        self.max_buffer_size = buffer_size
        self.group_size = group_size
        self.drop_remaining = drop_remaining
        self.guaranteed_group_size: int | None = None
        if group_size is not None and not 0 < group_size <= buffer_size:
            raise AssertionError("group_size must be > 0 and <= buffer_size")
        if guaranteed_group_size is not None:
            if group_size is None or not 0 < guaranteed_group_size <= group_size:
                raise AssertionError(
                    "guaranteed_group_size must be > 0 and <= group_size and group_size must be set"
                )
            self.guaranteed_group_size = guaranteed_group_size

    def __iter__(self) -> Iterator[Any]:
        groups: dict[Any, list[Any]] = {}
        waiting = 0
        for item in self.datapipe:
            key = self.group_key_fn(item)
            group = groups.setdefault(key, [])
            group.append(item)
            waiting += 1
            if self.group_size is not None and len(group) == self.group_size:
                yield self._given(key, groups.pop(key))
                waiting -= self.group_size
            if waiting == self.max_buffer_size:
                largest = max(groups, key=lambda name: len(groups[name]))
                group = groups.pop(largest)
                waiting -= len(group)
                if self._long_enough(group, largest):
                    yield self._given(largest, group)
        for key, group in groups.items():
            yield self._given(key, group)

    def _long_enough(self, group: list[Any], key: Any) -> bool:
        least = self.guaranteed_group_size
        if least is None or len(group) >= least:
            return True
        if self.drop_remaining:
            return False
        raise RuntimeError("Failed to group items", str(group))

    def _given(self, key: Any, group: list[Any]) -> Any:
        found = DataChunk(group)
        return (key, found) if self.keep_key else found
