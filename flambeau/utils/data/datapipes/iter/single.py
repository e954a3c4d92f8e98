"""Pipes that work on one item at a time."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from ...collate import default_collate
from ..datapipe import IterDataPipe
from ..decorators import functional_datapipe

_NOT_PICKLED = (
    "{} function is not supported by pickle, please use regular python function or "
    "functools.partial instead."
)


def check_function(function: Any) -> None:
    """Raise unless this can be called; warn if it cannot be sent to a worker."""
    if not callable(function):
        raise TypeError(f"A callable function is expected, but {type(function)} is provided.")
    if "<locals>" in getattr(function, "__qualname__", ""):
        warnings.warn(_NOT_PICKLED.format("Local"), UserWarning, stacklevel=4)
    elif getattr(function, "__name__", "") == "<lambda>":
        warnings.warn(_NOT_PICKLED.format("Lambda"), UserWarning, stacklevel=4)


def length_of(pipe: Any, owner: Any) -> int:
    """The length of a pipe's source; TypeError if it has none."""
    if isinstance(pipe, Sized):
        return len(pipe)
    raise TypeError(f"{type(owner).__name__} instance doesn't have valid length")


class IterableWrapperIterDataPipe(IterDataPipe):
    """The items of an iterable.

    Args:
        iterable: where they come from.
        deepcopy: whether each pass goes over a copy.
    """

    def __init__(self, iterable: Iterable, deepcopy: bool = True) -> None:
        self.iterable = iterable
        self.deepcopy = deepcopy

    def __iter__(self) -> Iterator[Any]:
        source = self.iterable
        if self.deepcopy:
            try:
                source = copy.deepcopy(self.iterable)
            except (TypeError, pickle.PicklingError):
                warnings.warn(
                    "The input iterable can not be deepcopied, please be aware of in-place "
                    "modification would affect source data.",
                    stacklevel=2,
                )
        yield from source

    def __len__(self) -> int:
        return length_of(self.iterable, self)


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe):
    """`fn` of each item, or of some of its fields.

    Args:
        datapipe: the source.
        fn: the function.
        input_col: the index, the key or a list of them that `fn` is called with.
        output_col: where its result goes; `input_col` by default, -1 for a new field at the end.
    """

    def __init__(
        self,
        datapipe: IterDataPipe,
        fn: Callable[..., Any],
        input_col: Any = None,
        output_col: Any = None,
    ) -> None:
        check_function(fn)
        self.datapipe = datapipe
        self.fn = fn
        self.input_col = input_col
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, list | tuple):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = next(iter(output_col), None)
        self.output_col = output_col

    def _apply(self, data: Any) -> Any:
        columns = self.input_col
        if columns is None:
            return self.fn(data)
        several = isinstance(columns, list | tuple)
        result = self.fn(*(data[c] for c in columns)) if several else self.fn(data[columns])
        target = self.output_col
        if target is None:
            target = columns[0] if several else columns
        changed: Any = list(data) if isinstance(data, tuple) else data
        if target == -1 and not isinstance(changed, dict):
            changed.append(result)
        else:
            changed[target] = result
        if several and self.output_col is None and not isinstance(changed, dict):
            for column in sorted(columns[1:], reverse=True):
                del changed[column]
        return tuple(changed) if isinstance(data, tuple) else changed

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            yield self._apply(data)

    def __len__(self) -> int:
        return length_of(self.datapipe, self)


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """Batches as tensors: `default_collate`, or `collate_fn`, of each item.

    Args:
        datapipe: the source.
        conversion: a function; by default `default_collate`.
        collate_fn: the same by its other name.
    """

    def __init__(
        self,
        datapipe: IterDataPipe,
        conversion: Any = default_collate,
        collate_fn: Callable[..., Any] | None = None,
    ) -> None:
        if isinstance(conversion, dict):
            raise NotImplementedError("torch.utils.data.datapipes.iter.Collator(conversion={...})")
        super().__init__(datapipe, fn=conversion if collate_fn is None else collate_fn)


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe):
    """The items for which `filter_fn` is True.

    Args:
        datapipe: the source.
        filter_fn: a function that returns a bool.
        input_col: the index, the key or a list of them that it is called with.
    """

    def __init__(
        self, datapipe: IterDataPipe, filter_fn: Callable[..., Any], input_col: Any = None
    ) -> None:
        check_function(filter_fn)
        self.datapipe = datapipe
        self.filter_fn = filter_fn
        self.input_col = input_col

    def _wanted(self, data: Any) -> bool:
        columns = self.input_col
        if columns is None:
            wanted = self.filter_fn(data)
        elif isinstance(columns, list | tuple):
            wanted = self.filter_fn(*(data[c] for c in columns))
        else:
            wanted = self.filter_fn(data[columns])
        if not isinstance(wanted, bool):
            raise ValueError(
                "Boolean output is required for `filter_fn` of FilterIterDataPipe, got",
                type(wanted),
            )
        return wanted

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            if self._wanted(data):
                yield data
