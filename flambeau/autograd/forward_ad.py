"""`torch.autograd.forward_ad`: dual numbers, a tensor with its tangent.

>>> import flambeau as torch
>>> import flambeau.autograd.forward_ad as fwAD
>>> with fwAD.dual_level():
...     x = fwAD.make_dual(torch.tensor(2.0), torch.tensor(1.0))
...     fwAD.unpack_dual(x * x).tangent
tensor(4.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.forward import DualLevel
from ..core.state import modes
from ..core.tensor import Tensor

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A tensor's value and its tangent, None where there is none."""

    primal: Tensor
    tangent: Tensor | None


class _OpenLevel(DualLevel):
    """The level between `enter_dual_level` and `exit_dual_level`."""

    of_function = False


def _current() -> _OpenLevel | None:
    return next((level for level in modes.levels if isinstance(level, _OpenLevel)), None)


def enter_dual_level() -> int:
    """Open the level in which dual numbers can be made; returns its number, 0.

    Raises:
        RuntimeError: it is open already.
    """
    if _current() is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _OpenLevel().__enter__()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: all dual numbers lose their tangents.

    Raises:
        RuntimeError: it is not open, or `level` is another one.
    """
    current = _current()
    if current is None and level is None:
        raise RuntimeError("Dual level must be a positive number.")
    if current is None or level not in (None, 0) or modes.levels[-1] is not current:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This "
            "is not supported."
        )
    current.close()
    current.__exit__()


class dual_level:
    """`with dual_level():` opens the level in which dual numbers can be made."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exception: Any) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A dual number: the value of `tensor` with a tangent.

    Args:
        level: the number of the level; there is one, 0.

    Raises:
        RuntimeError: no level is open; the shapes differ; `tensor` has a tangent already.
        ValueError: the types are not floating or complex ones.
    """
    current = _current()
    if current is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    if level not in (None, 0):
        raise RuntimeError("Invalid level given to _make_dual")
    for what, x in (("primal", tensor), ("tangent", tangent)):
        if not (x.dtype.is_floating_point or x.dtype.is_complex):
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {x.dtype}")
    if current.lifted(tensor) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            "same level 0 is not supported."
        )
    return current.checked_dual(tensor, tangent)


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor; None where it has no tangent.

    Args:
        level: the number of the level; there is one, 0.
    """
    current = _current()
    if current is None:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*current.parts(tensor))
