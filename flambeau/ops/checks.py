"""Checks of arguments that the neural-network functions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.core
import numpy as np

from .. import formats
from ..core.legacy import scalar_type_name
from ..core.levels import known_values
from ..core.state import modes
from ..core.tensor import Tensor
from ..errors import argument


def tensor(function: str, value: Any, name: str = "input", position: int = 1) -> Tensor:
    """`value`, which must be a tensor; TypeError otherwise."""
    if not isinstance(value, Tensor):
        raise argument(function, name, position, "Tensor", value)
    return value


def floating(kernel: str, x: Tensor, *, integers: bool = False) -> None:
    """Raise unless `kernel` takes the element type of `x`: real floats, perhaps integers."""
    kind = x._dtype_numpy().kind
    if kind in "fV" or (integers and kind in "iu"):
        return
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_type_name(x.dtype)}'")


def integers(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """One integer an axis from an integer or a sequence of 1 or `rank` integers."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        values = tuple(int(v) for v in value)
        if len(values) == 1:
            return values * rank
        if len(values) != rank:
            raise RuntimeError(
                f"expected {name} to be a single integer value or a list of {rank} values to "
                f"match the convolution dimensions, but got {name}={list(values)}"
            )
        return values
    return (int(value),) * rank


def sizes(x: Tensor) -> list[int]:
    """The shape as PyTorch's messages print it."""
    return list(x._dims())


def values(x: Tensor) -> np.ndarray | None:
    """The values for a check on the host; None where they cannot be known (meta, tracing).

    Inside a function that is being transformed these are the values of all examples, in another
    shape.
    """
    if modes.levels:
        return known_values(x)
    if x.device.type == "meta" or isinstance(x._storage.array, jax.core.Tracer):
        return None
    return x._host()


def when_known(x: Tensor, check: Callable[[np.ndarray], None]) -> None:
    """Check the values: at once, or before each run of the function that is being compiled."""
    known = values(x)
    if known is not None:
        check(known)
    elif modes.trace is not None:
        modes.trace.check(x, check)


def keep_format(result: Tensor, *inputs: Tensor | None) -> Tensor:
    """`result` with the channels last in memory where one of the inputs has them so."""
    for x in inputs:
        if x is None or x.ndim not in (4, 5) or not (x._steps or x._storage.strides is not None):
            continue
        layout = formats.channels_last if x.ndim == 4 else formats.channels_last_3d
        if x.is_contiguous(memory_format=layout) and not x.is_contiguous():  # type: ignore[attr-defined]
            _lay_channels_last(result)
            break
    return result


def _lay_channels_last(x: Tensor) -> None:
    _, channels, *spatial = x._dims()
    strides, step = [], channels
    for size in reversed(spatial):
        strides.append(step)
        step *= size
    x._storage.strides = (step, 1, *reversed(strides))
