"""Fractional max pooling: checks and random samples over the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.execute import Op
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import fractional_pool as kernels
from . import checks
from .registry import FUNCTIONS

FRACTIONAL_MAX_POOL = {
    rank: Op(
        kernels.fractional_max_pool,
        name=f"FractionalMaxPool{rank}D",
        vjp=kernels.fractional_max_pool_vjp,
    )
    for rank in (2, 3)
}


def random_samples(input: Tensor, rank: int) -> Tensor:
    """The shifts of the windows: (batch, channels, rank) uniform values."""
    batch = 1 if input.ndim == rank + 1 else input.size(0)
    shape = (batch, input.size(-rank - 1), rank)
    return FUNCTIONS["rand"](*shape, dtype=input.dtype, device=input.device)


def _integers(name: str, argument: str, value: Any, rank: int) -> tuple[int, ...]:
    if not isinstance(value, Sequence):
        return (int(value),) * rank
    if len(value) != rank:
        words = "Ints" if rank == 2 else "three Ints"
        raise RuntimeError(f"{name}: {argument} must either be a single Int or tuple of {words}")
    return tuple(int(v) for v in value)


def _check(name: str, x: Tensor, samples: Tensor, kernel: Any, size: Any, rank: int) -> None:
    full = name if rank == 2 else name + "_out"
    if x.ndim not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{full}(): Expected {rank + 1}D or {rank + 2}D tensor, but got: {checks.sizes(x)}"
        )
    for axis in range(x.ndim - rank - 1, x.ndim):
        if x._dims()[axis] == 0:
            raise RuntimeError(
                f"{full}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"got{checks.sizes(x)} with dimension {axis} being empty."
            )
    words = ("time", "height", "width")[3 - rank :]
    for word, k, wanted, n in zip(words, kernel, size, x._dims()[-rank:], strict=True):
        if wanted + k - 1 > n - (rank == 3):
            raise RuntimeError(f"{full}(): pool {word} {k} too large relative to input {word} {n}")
    batch = 1 if x.ndim == rank + 1 else x._dims()[0]
    if samples.dtype is not x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    given = samples._dims()
    if len(given) != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {len(given)}")
    if given[0] < batch:
        raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
    if given[1] != x._dims()[-rank - 1]:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if given[2] != rank:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {rank}; got {given[2]}.")


def fractional_max_pool(
    rank: int, input: Tensor, kernel_size: Any, output_size: Any, samples: Tensor
) -> tuple[Tensor, Tensor]:
    """The maxima of windows of the last `rank` axes at random places, and their indices."""
    name = f"fractional_max_pool{rank}d"
    kernel = _integers(name, "kernel_size", kernel_size, rank)
    size = _integers(name, "output_size", output_size, rank)
    x = checks.tensor(name, input)
    if min(kernel) < 1:
        raise RuntimeError(f"{name}(): kernel size must be positive, but got {list(kernel)}")
    _check(name, x, samples, kernel, size, rank)
    if min(size) < 0:
        shape = [*x._dims()[:-rank], *size]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(size)}: {shape}")
    checks.floating(name, x)
    batched: Any = x if x.ndim == rank + 2 else x.unsqueeze(0)  # type: ignore[attr-defined]
    shifts: Any = samples[: batched._dims()[0]]  # type: ignore[index]
    values, indices = apply(FRACTIONAL_MAX_POOL[rank], (batched, shifts), (kernel, size))
    if batched is x:
        return values, indices
    return values.squeeze(0), indices.squeeze(0)  # type: ignore[attr-defined]
