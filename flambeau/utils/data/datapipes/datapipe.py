"""The bases of data pipes, and the rule that one has one valid iterator at a time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar

from ..dataset import Dataset, IterableDataset

__all__ = ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_INVALID = (
    "This iterator has been invalidated because another iterator has been created from the same "
    "IterDataPipe: {}\nThis may be caused by multiple references to the same IterDataPipe. We "
    "recommend using `.fork()` if that is necessary.\nFor feedback regarding this single iterator "
    "per IterDataPipe constraint, feel free to comment on this issue: "
    "https://github.com/pytorch/data/issues/45."
)


class DataChunk(list[T]):
    """A batch of a data pipe: a list that prints as one."""

    def __init__(self, items: Iterable[T]) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        """The items in brackets, after `indent`."""
        return indent + "[" + ", ".join(map(str, iter(self))) + "]"

    def __iter__(self) -> Iterator[T]:
        yield from super().__iter__()

    def raw_iterator(self) -> Iterator[T]:
        """The items."""
        yield from self.items


class _Functions:
    """Pipes that others can be chained to by a method: `pipe.map(function)`."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        if name in type(self).functions:
            return functools.partial(type(self).functions[name], self)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}")

    @classmethod
    def register_function(cls, function_name: str, function: Callable[..., Any]) -> None:
        """Let `pipe.function_name(...)` mean `function(pipe, ...)`."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: Any, enable_df_api_tracing: bool = False
    ) -> None:
        """Let `pipe.function_name(...)` mean `cls_to_register(pipe, ...)`."""
        if function_name in cls.functions:
            raise Exception(
                f"Unable to add DataPipe function name {function_name} as it is already taken"
            )
        cls.functions[function_name] = functools.wraps(cls_to_register, updated=())(
            lambda pipe, *args, **kwargs: cls_to_register(pipe, *args, **kwargs)
        )

    def __repr__(self) -> str:
        return type(self).__qualname__

    __str__ = __repr__


class IterDataPipe(_Functions, IterableDataset[T_co]):
    """A stream of items, made of another stream: a subclass defines `__iter__()`.

    Each new iterator makes the earlier ones invalid, and calls `reset()`.

    Example::

        >>> from flambeau.utils.data.datapipes.iter import IterableWrapper
        >>> list(IterableWrapper(range(5)).map(abs).batch(2))
        [[0, 1], [2, 3], [4]]
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    _latest: int = 0

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        own = cls.__dict__.get("__iter__")
        if own is not None:
            cls.__iter__ = _guarded(own)  # type: ignore[method-assign]

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError

    def reset(self) -> None:
        """Called when a new iterator is made; a subclass clears its buffers here."""


def _guarded(method: Callable[[Any], Any]) -> Callable[[Any], Iterator[Any]]:
    """An `__iter__` whose iterators know that they are out of date."""

    @functools.wraps(method)
    def __iter__(self: Any) -> Iterator[Any]:
        self._latest += 1
        self.reset()
        return _Guarded(self, method(self))

    return __iter__


class _Guarded:
    """An iterator of a data pipe."""

    def __init__(self, pipe: Any, iterator: Any):
        self._pipe, self._iterator, self._number = pipe, iterator, pipe._latest

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._number != self._pipe._latest:
            raise RuntimeError(_INVALID.format(described(self._pipe)))
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:
            _name_the_pipe(error, self._pipe)
            raise


def _name_the_pipe(error: Exception, pipe: Any) -> None:
    """Add to an error which pipe it comes from, once."""
    if type(pipe).__name__.startswith("_"):
        return
    sentence = "This exception is thrown by __iter__ of "
    if error.args and isinstance(error.args[0], str) and sentence not in error.args[0]:
        error.args = (f"{error.args[0]}\n{sentence}{described(pipe)}", *error.args[1:])


def described(pipe: Any) -> str:
    """A pipe with the arguments of its constructor: `Batcher(datapipe=Mapper, batch_size=2)`."""
    parameters = list(inspect.signature(type(pipe).__init__).parameters)[1:]
    shown = [
        f"{name}={_shown(pipe.__dict__[name])}"
        for name in sorted(parameters)
        if name in pipe.__dict__
    ]
    return f"{type(pipe).__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    return value.__name__ if inspect.isfunction(value) else repr(value)


class DFIterDataPipe(IterDataPipe):
    """A stream of rows of a table."""

    def _is_dfpipe(self) -> bool:
        return True


class MapDataPipe(_Functions, Dataset[T_co]):
    """Items by index, made of others: a subclass defines `__getitem__` and `__len__`."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
