"""Fetchers: from what a sampler yields to a batch, in the main process or in a worker."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any


class MapFetcher:
    """Batches of a map-style data set.

    Args:
        dataset: what has items by index.
        batched: whether a sampler yields lists of indices.
        collate: makes a batch of what was fetched.
    """

    def __init__(self, dataset: Any, batched: bool, collate: Callable[[Any], Any]):
        self._dataset, self._batched, self._collate = dataset, batched, collate

    def fetch(self, index: Any) -> Any:
        """The batch at a list of indices, or the item at one index."""
        if not self._batched:
            data = self._dataset[index]
        elif getattr(self._dataset, "__getitems__", None):
            data = self._dataset.__getitems__(index)
        else:
            data = [self._dataset[i] for i in index]
        return self._collate(data)


class StreamFetcher:
    """Batches of an iterable data set; `fetch` raises StopIteration at its end.

    Args:
        dataset: the stream; its iterator is made here.
        batched: whether a sampler yields lists, whose lengths are those of the batches.
        collate: makes a batch of what was fetched.
        drop_last: whether to leave out a last batch that is smaller.
    """

    def __init__(self, dataset: Any, batched: bool, collate: Callable[[Any], Any], drop_last: bool):
        self._items = iter(dataset)
        self._batched, self._collate, self._drop_last = batched, collate, drop_last
        self._ended = False

    def fetch(self, index: Any) -> Any:
        """The next batch of `len(index)` items, or the next item."""
        if not self._batched:
            return self._collate(next(self._items))
        if self._ended:
            raise StopIteration
        items = list(itertools.islice(self._items, len(index)))
        self._ended = len(items) < len(index)
        if not items or (self._drop_last and self._ended):
            raise StopIteration
        return self._collate(items)


def new_fetcher(
    dataset: Any, streaming: bool, batched: bool, collate: Callable[[Any], Any], drop_last: bool
) -> MapFetcher | StreamFetcher:
    """The fetcher of a data set's kind."""
    if streaming:
        return StreamFetcher(dataset, batched, collate, drop_last)
    return MapFetcher(dataset, batched, collate)
