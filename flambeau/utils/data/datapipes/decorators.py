"""Decorators of data pipes: their names as methods, checks, and determinism."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from .datapipe import IterDataPipe, MapDataPipe

__all__ = [
    "argument_validation",
    "functional_datapipe",
    "guaranteed_datapipes_determinism",
    "non_deterministic",
    "runtime_validation",
    "runtime_validation_disabled",
]


class functional_datapipe:
    """A class decorator: `@functional_datapipe("name")` makes `pipe.name(...)` build the class.

    Example::

        >>> from flambeau.utils.data import IterDataPipe, functional_datapipe
        >>> from flambeau.utils.data.datapipes.iter import IterableWrapper
        >>> @functional_datapipe("doubled")
        ... class Doubled(IterDataPipe):
        ...     def __init__(self, datapipe):
        ...         self.datapipe = datapipe
        ...     def __iter__(self):
        ...         for item in self.datapipe:
        ...             yield 2 * item
        >>> list(IterableWrapper([1, 2]).doubled())
        [2, 4]
    """

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name = name
        self.enable_df_api_tracing = enable_df_api_tracing

    def __call__(self, cls: Any) -> Any:
        if isinstance(cls, type) and issubclass(cls, MapDataPipe):
            MapDataPipe.register_datapipe_as_function(self.name, cls)
        else:
            IterDataPipe.register_datapipe_as_function(self.name, cls)
        return cls


_deterministic = False


class guaranteed_datapipes_determinism:
    """In its block, pipes that are marked `non_deterministic` cannot be made."""

    def __init__(self) -> None:
        global _deterministic
        self.prev = _deterministic
        _deterministic = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _deterministic
        _deterministic = self.prev


class non_deterministic:
    """A class decorator for pipes whose order may differ from run to run.

    Args:
        arg: the class; or a function of the constructor's arguments that says whether it is so.
    """

    def __init__(self, arg: Any) -> None:
        is_class = isinstance(arg, type)
        if is_class and not issubclass(arg, IterDataPipe):
            raise TypeError(
                "Only `IterDataPipe` can be decorated with `non_deterministic`, but "
                f"{arg.__name__} is found"
            )
        if not is_class and not callable(arg):
            raise TypeError(f"{arg} can not be decorated by non_deterministic")
        self.cls: Any = arg if is_class else None
        self.deterministic_fn = (lambda *args, **kwargs: True) if is_class else arg

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.cls is not None:
            self._check(self.cls, args, kwargs)
            return self.cls(*args, **kwargs)
        (decorated,) = args
        if not (isinstance(decorated, type) and issubclass(decorated, IterDataPipe)):
            raise TypeError(
                f"Only `IterDataPipe` can be decorated, but {decorated.__name__} is found"
            )

        @functools.wraps(decorated, updated=())
        def construct(*inner: Any, **named: Any) -> Any:
            self._check(decorated, inner, named)
            return decorated(*inner, **named)

        return construct

    def _check(self, cls: type, args: Any, kwargs: Any) -> None:
        unsure = self.deterministic_fn(*args, **kwargs)
        if not isinstance(unsure, bool):
            raise TypeError(
                "deterministic_fn of `non_deterministic` decorator is required to return a "
                f"boolean value, but {type(unsure)} is found"
            )
        given = "" if self.cls is not None else " with the inputs"
        if unsure and _deterministic:
            raise TypeError(
                f"{cls.__name__} is non-deterministic{given}, but you set "
                "'guaranteed_datapipes_determinism'. You can turn off determinism for this "
                "DataPipe if that is acceptable for your application"
            )


def argument_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: arguments that are annotated as data pipes must be data pipes."""
    signature = inspect.signature(f)

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        hints = typing.get_type_hints(f)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            hint = hints.get(name)
            wanted = isinstance(hint, type) and issubclass(hint, IterDataPipe)
            if wanted and not isinstance(value, IterDataPipe):
                raise TypeError(
                    f"Expected argument '{name}' as a IterDataPipe, but found {type(value)}"
                )
        return f(*args, **kwargs)

    return wrapper


_validating = True


def runtime_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Not built: a decorator of `__iter__` that checks the types of the items.

    The method works in the block of `runtime_validation_disabled()`.
    """

    @functools.wraps(f)
    def wrapper(self: Any) -> Any:
        if _validating:
            raise NotImplementedError("torch.utils.data.runtime_validation")
        return f(self)

    return wrapper


class runtime_validation_disabled:
    """In its block, the types of items are not checked."""

    def __init__(self) -> None:
        global _validating
        self.prev = _validating
        _validating = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _validating
        _validating = self.prev
