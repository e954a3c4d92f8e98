"""Shape buckets: functions that are called with many lengths run as few programs.

# Note [Buckets]
# `compile(f, buckets=[64, 128, 256])` pads axis 1 of every tensor argument with zeros up to the
# next of these sizes, and cuts the results back. That is right where the values at a position do
# not depend on what comes after it (a causal language model, anything that works position by
# position), or where the function is given a mask; only the author of the function can know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from ..core.state import modes
from ..core.tensor import Tensor
from ..nn.functional import pad

AXIS = 1


class Buckets:
    """The sizes that lengths are padded to.

    Args:
        sizes: positive integers.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sorted(int(size) for size in sizes)
        if not self.sizes or self.sizes[0] < 1:
            raise ValueError(f"buckets must be positive sizes, but got {list(sizes)}")

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """`function` on the padded arguments, its results cut back."""
        lengths = {a._dims()[AXIS] for a in args if isinstance(a, Tensor) and a.ndim > AXIS}
        if modes.grad and any(isinstance(a, Tensor) and a.requires_grad for a in args):
            raise RuntimeError("buckets are for inference: call the function under no_grad")
        if len(lengths) != 1:
            raise ValueError(
                f"buckets need arguments of one length along axis {AXIS}, but got {sorted(lengths)}"
            )
        (length,) = lengths
        place = bisect_left(self.sizes, length)
        if place == len(self.sizes):
            raise ValueError(f"length {length} is beyond the largest bucket, {self.sizes[-1]}")
        size = self.sizes[place]
        padded = [_padded(a, size - length) if isinstance(a, Tensor) else a for a in args]
        return _cut(function(*padded), size, length)


def _padded(x: Tensor, missing: int) -> Tensor:
    if x.ndim <= AXIS or not missing:
        return x
    return pad(x, (0, 0) * (x.ndim - AXIS - 1) + (0, missing))


def _cut(result: Any, size: int, length: int) -> Any:
    if isinstance(result, Tensor):
        if result.ndim > AXIS and result._dims()[AXIS] == size:
            return result.narrow(AXIS, 0, length)  # type: ignore[attr-defined]
        return result
    if isinstance(result, (tuple, list)):
        return type(result)(_cut(r, size, length) for r in result)
    if isinstance(result, dict):
        return {key: _cut(value, size, length) for key, value in result.items()}
    return result
