"""Pooling: checks and defaults over the pooling kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import pool as kernels
from . import checks
from .registry import declare


def _named(kernel: Callable[..., Any], name: str) -> Op:
    vjp = getattr(kernels, kernel.__name__ + "_vjp", None)
    forward = getattr(kernels, kernel.__name__ + "_forward", None)
    return Op(kernel, name=name, vjp=vjp, forward=forward)


def _by_rank(kernel: Callable[..., Any], name: str) -> dict[int, Op]:
    return {rank: _named(kernel, name.format(rank)) for rank in (1, 2, 3)}


MAX_POOL = _by_rank(kernels.max_pool, "MaxPool{}DWithIndices")
MAX_POOL_INDICES = _by_rank(kernels.max_pool_with_indices, "MaxPool{}DWithIndices")
AVG_POOL = _by_rank(kernels.avg_pool, "AvgPool{}D")
ADAPTIVE_AVG_POOL = _by_rank(kernels.adaptive_avg_pool, "AdaptiveAvgPool{}D")
ADAPTIVE_MAX_POOL = _by_rank(kernels.adaptive_max_pool, "AdaptiveMaxPool{}D")
MAX_UNPOOL = _by_rank(kernels.max_unpool, "MaxUnpool{}D")
UNFOLD = Op(kernels.unfold, name="Im2Col")
FOLD = Op(kernels.fold, name="Col2Im")
WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def _windows(name: str, argument: str, value: Any, rank: int) -> tuple[int, ...]:
    if isinstance(value, Sequence):
        given = tuple(int(v) for v in value)
        if len(given) in (1, rank):
            return given * rank if len(given) == 1 else given
        if rank == 1:
            raise RuntimeError(
                f"{name}() argument '{argument}' should contain one int (got {len(given)})"
            )
        single = "either be a single int, or a tuple of"
        raise RuntimeError(f"{name}: {argument} must {single} {WORDS[rank]}")
    return (int(value),) * rank


def _check_rank(name: str, x: Tensor, rank: int) -> None:
    if x.ndim in (rank + 1, rank + 2) and 0 not in x._dims()[-rank - 1 :]:
        return
    if rank == 1:
        if name == "max_pool1d":
            raise RuntimeError(
                "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size "
                f"for input, but got:{checks.sizes(x)}"
            )
        if x.ndim in (2, 3):
            return
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {x.ndim}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    raise RuntimeError(
        f"non-empty {rank + 1}D or {rank + 2}D (batch mode) tensor expected for input"
    )


def _check_windows(
    name: str,
    x: Tensor,
    rank: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> None:
    if min(stride) <= 0:
        if rank == 1 and name == "max_pool1d":
            raise RuntimeError(
                f"max_pool1d() stride must be greater than zero, but got {stride[0]}"
            )
        raise RuntimeError("stride should not be zero")
    if min(kernel) <= 0:
        raise RuntimeError("kernel size should be greater than zero, but got " + _axes("k", kernel))
    if min(dilation) <= 0:
        raise RuntimeError(
            "dilation should be greater than zero, but got " + _axes("dilation", dilation)
        )
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            if name == "max_pool1d":
                raise RuntimeError(
                    "max_pool1d() padding should be at most half of kernel size, but got "
                    f"padding={p} and kernel_size={k}"
                )
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )
    lead = x.ndim - rank
    rows = zip(x._dims()[lead:], kernel, stride, padding, dilation, strict=True)
    counts = [kernels.window_count(*row, ceil_mode) for row in rows]
    if min(counts) < 1:
        if name == "max_pool1d":
            raise RuntimeError("max_pool1d() Invalid computed output size: " + str(counts[0]))
        _too_small(x, rank, counts)


def _axes(word: str, values: tuple[int, ...]) -> str:
    letters = "TWH"[3 - len(values) :] if len(values) == 1 else "THW"[3 - len(values) :]
    return " ".join(f"{word}{a}: {v}" for a, v in zip(letters, values, strict=True))


def _too_small(x: Tensor, rank: int, counts: list[int]) -> None:
    channels, sizes = x._dims()[-rank - 1], x._dims()[-rank:]
    if rank == 1:
        sizes, counts = (1, *sizes), [1, *counts]
    given = "x".join(map(str, (channels, *sizes)))
    made = "x".join(map(str, (channels, *counts)))
    raise RuntimeError(
        f"Given input size: ({given}). Calculated output size: ({made}). Output size is too small"
    )


def max_pool(
    rank: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """Max pooling over the last `rank` axes, with the indices of the maxima if asked for."""
    name = f"max_pool{rank}d"
    x = checks.tensor(name, input)
    kernel = _windows(name, "kernel_size", kernel_size, rank)
    unset = stride is None or (isinstance(stride, Sequence) and not stride)
    steps = kernel if unset else _windows(name, "stride", stride, rank)
    pads = _windows(name, "padding", padding, rank)
    dilations = _windows(name, "dilation", dilation, rank)
    _check_rank(name, x, rank)
    _check_windows(name, x, rank, kernel, steps, pads, dilations, ceil_mode)
    checks.floating(name, x, integers=True)
    static = (kernel, steps, pads, dilations, bool(ceil_mode))
    if not return_indices:
        return checks.keep_format(apply(MAX_POOL[rank], (x,), static), x)
    values, indices = apply(MAX_POOL_INDICES[rank], (x,), static)
    return checks.keep_format(values, x), checks.keep_format(indices, x)


def avg_pool(
    rank: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Mean pooling over the last `rank` axes."""
    name = f"avg_pool{rank}d"
    x = checks.tensor(name, input)
    kernel = _windows(name, "kernel_size", kernel_size, rank)
    unset = stride is None or (isinstance(stride, Sequence) and not stride)
    steps = kernel if unset else _windows(name, "stride", stride, rank)
    pads = _windows(name, "padding", padding, rank)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    _check_rank(name, x, rank)
    _check_windows(name, x, rank, kernel, steps, pads, (1,) * rank, ceil_mode)
    if x._dtype_numpy().kind not in "fVi" or x._dtype_numpy().itemsize < 8:
        checks.floating(f"avg_pool{max(rank, 2)}d", x)
    static = (kernel, steps, pads, bool(ceil_mode), bool(count_include_pad), divisor_override)
    return checks.keep_format(apply(AVG_POOL[rank], (x,), static), x)


def _adaptive_size(name: str, x: Tensor, size: Any, rank: int) -> tuple[int, ...]:
    if not isinstance(size, Sequence):
        size = (size,) * rank
    if len(size) != rank and not (rank == 1 and len(size) == 1):
        raise RuntimeError(f"{name}: output_size must be {rank}")
    given = zip(size, x._dims()[x.ndim - rank :], strict=True)
    sizes = tuple(n if s is None else int(s) for s, n in given)
    if min(sizes) < 0:
        _negative_size(name, x, (1, *sizes) if rank == 1 else sizes, rank)
    return sizes


def _negative_size(name: str, x: Tensor, sizes: tuple[int, ...], rank: int) -> None:
    if "max" in name:
        lead = x._dims()[: x.ndim - rank]
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(sizes)}: {[*lead, *sizes]}"
        )
    raise RuntimeError(
        f"{name.replace('1d', '2d')}: elements of output_size must be greater than or equal to 0 "
        f"but received {{{', '.join(map(str, sizes))}}}"
    )


def _check_adaptive(name: str, x: Tensor, rank: int, colon: str) -> None:
    if x.ndim not in (rank + 1, rank + 2):
        if rank == 1:
            raise RuntimeError(
                f"Expected 2 to 3 dimensions, but got {x.ndim}-dimensional tensor for argument #1 "
                f"'self' (while checking arguments for {name})"
            )
        raise RuntimeError(
            f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got{colon} "
            f"{checks.sizes(x)}"
        )
    for axis in range(x.ndim - rank, x.ndim):
        if x._dims()[axis] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {checks.sizes(x)} with dimension {axis} being empty"
            )


def adaptive_avg_pool(rank: int, input: Tensor, output_size: Any) -> Tensor:
    """Mean pooling to a given size."""
    name = f"adaptive_avg_pool{rank}d"
    x = checks.tensor(name, input)
    _check_adaptive(name, x, rank, "")
    size = _adaptive_size(name, x, output_size, rank)
    checks.floating(name.replace("1", "2"), x)
    whole = rank > 1 and set(size) == {1}
    label = "MeanBackward1" if whole else None
    return checks.keep_format(apply(ADAPTIVE_AVG_POOL[rank], (x,), (size,), label), x)


def adaptive_max_pool(rank: int, input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Max pooling to a given size: the maxima and their indices."""
    name = f"adaptive_max_pool{rank}d"
    x = checks.tensor(name, input)
    _check_adaptive(name, x, rank, ":")
    size = _adaptive_size(name, x, output_size, rank)
    checks.floating(name.replace("1", "2"), x)
    return apply(ADAPTIVE_MAX_POOL[rank], (x,), (size,))


def _check_unpool(rank: int, input: Tensor, indices: Tensor) -> None:
    """RuntimeError for other indices than int64 and other inputs than (N, C, *) or (C, *)."""
    shape = [*input._dims(), 1] if rank == 1 else [*input._dims()]
    axes = max(rank, 2)
    if indices.dtype is not dtypes.int64:
        given = "" if rank == 3 else f" but got: {scalar_type_name(indices.dtype)}"
        raise RuntimeError("elements in indices should be type int64" + given)
    if len(shape) not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"Input to max_unpooling{axes}d should be a {axes + 1}d or {axes + 2}d Tensor, but got "
            f"a tensor with {len(shape)} dimensions."
        )
    for axis, size in enumerate(shape):
        if axis and not size:
            raise RuntimeError(
                f"max_unpooling{axes}d_forward_out_cpu(): Expected input to have non-zero size for "
                f"non-batch dimensions, but got {shape} with dimension {axis} being empty."
            )


def max_unpool(rank: int, input: Tensor, indices: Tensor, size: tuple[int, ...]) -> Tensor:
    """The maxima put back at their indices; zeros elsewhere."""
    _check_unpool(rank, input, indices)
    if indices._dims() != input._dims():
        shapes = [[*t._dims(), 1] if rank == 1 else [*t._dims()] for t in (input, indices)]
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({shapes[0]}) but "
            f"got indices tensor with shape: {shapes[1]}"
        )
    places = checks.values(indices)
    count = 1
    for n in size:
        count *= n
    if places is not None and places.size:
        for wrong in (places.max(), places.min()):
            if not 0 <= wrong < count:
                raise RuntimeError(
                    f"Found an invalid max index: {wrong} (output volumes are of size "
                    f"{'x'.join(map(str, (*size, 1) if rank == 1 else size))})"
                )
    result = apply(MAX_UNPOOL[rank], (input, indices), (size,))
    return checks.keep_format(result, input) if rank == 2 else result


def _define(rank: int) -> None:
    def max_pool_function(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Tensor:
        return max_pool(rank, input, kernel_size, stride, padding, dilation, ceil_mode, False)

    max_pool_function.__doc__ = f"The largest element of each window of the last {rank} axes."
    max_pool_function.__name__ = max_pool_function.__qualname__ = f"max_pool{rank}d"
    declare(method=False)(max_pool_function)


for _rank in (1, 2, 3):
    _define(_rank)


@declare(method=False)
def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of the last axis."""
    return avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@declare(method=False)
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of `output_size` windows of the last axis."""
    return adaptive_avg_pool(1, input, output_size)


@declare(method=False)
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """The maxima of `output_size` windows of the last axis, and their indices."""
    return adaptive_max_pool(1, input, output_size)
