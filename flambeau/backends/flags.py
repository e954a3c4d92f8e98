"""Objects whose attributes are switches with a checked type."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

PRECISIONS = ("none", "ieee", "tf32", "bf16")


class Flag:
    """A switch of a fixed type, kept where it is declared.

    Args:
        value: what it is at first.
        kind: the type that it takes; None for any.
        setter: how PyTorch's message names the function that sets it.
    """

    def __init__(self, value: Any, kind: type | None = None, setter: str = "") -> None:
        self.value, self.kind, self.setter = value, kind, setter

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self.value

    def __set__(self, instance: Any, value: Any) -> None:
        if self.kind is not None and type(value) is not self.kind:
            raise RuntimeError(
                f"{self.setter} expects a {self.kind.__name__}, but got {type(value).__name__}"
            )
        self.value = value


class Precision(Flag):
    """A switch for the precision of float32 computations, "none" where nothing was asked for."""

    def __set__(self, instance: Any, value: Any) -> None:
        if value not in PRECISIONS:
            raise RuntimeError(f"Unknown precision: {value}")
        self.value = value


class Fp32Precision:
    """The precision of one kind of computation: `fp32_precision`."""

    _value: str

    def __init__(self, value: str = "none") -> None:
        object.__setattr__(self, "_value", value)

    @property
    def fp32_precision(self) -> str:
        """The precision that was asked for."""
        return self._value

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "fp32_precision":
            raise AttributeError(f"Unknown attribute {name}")
        if value not in PRECISIONS:
            raise RuntimeError(f"Unknown precision: {value}")
        object.__setattr__(self, "_value", value)


class Switches(types.ModuleType):
    """A module whose attributes of type `Flag` are switches."""


def switchable(name: str, flags: dict[str, Any]) -> None:
    """Make the attributes of a module switches: assigning to them goes through their `Flag`."""
    import sys

    sys.modules[name].__class__ = type(name.rpartition(".")[2], (Switches,), flags)


def set_flags(module: Any, names: dict[str, Any]) -> tuple[Any, ...]:
    """Set the switches that are not None, and return what all of them were."""
    before = tuple(getattr(module, name) for name in names)
    for name, value in names.items():
        if value is not None:
            setattr(module, name, value)
    return before


class Flags:
    """Context manager: switches are set inside, and put back on leaving."""

    def __init__(self, setter: Callable[..., tuple[Any, ...]], values: dict[str, Any]) -> None:
        self.setter, self.values = setter, values
        self.before: tuple[Any, ...] = ()

    def __enter__(self) -> None:
        self.before = self.setter(**self.values)

    def __exit__(self, *exception: Any) -> None:
        self.setter(*self.before)
