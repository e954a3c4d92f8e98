"""Functions of shape that copy: repeating, reordering, triangles, diagonals, writing over parts."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .. import dtypes
from ..core.device import resolve, tensor_from_host
from ..core.op import Op, apply
from ..core.tensor import Tensor
from ..core.views import check_writable, overwrite
from ..errors import dimension
from ..kernels import shape as kernels
from .arguments import (
    axes_of,
    follow_layout,
    integer,
    integers,
    invalid_arguments,
    not_implemented_for,
    numpy_names,
)
from .masks import MASKED_FILL, host_values
from .registry import SAME_TYPE, cast, declare
from .views import diagonal as diagonal_view
from .views import reshape_to, sizes_of, slice_axis, stride_of

REPEAT = Op(kernels.repeat)
REPEAT_INTERLEAVE = Op(kernels.repeat_interleave)
FLIP = Op(kernels.flip, vjp=kernels.flip_vjp)
ROLL = Op(kernels.roll)
ROLL_ALL = Op(kernels.roll_all, name="Roll")
ROT90 = Op(kernels.rot90)
TRIL = Op(kernels.tril, vjp=kernels.tril_vjp)
TRIU = Op(kernels.triu, vjp=kernels.triu_vjp)
DIAGONAL_COPY = Op(kernels.diagonal, name="Diagonal")
DIAG_EMBED = Op(kernels.diag_embed)
CONSTANT_PAD = Op(kernels.constant_pad, name="ConstantPadNd")
SELECT_SCATTER = Op(kernels.select_scatter)
SLICE_SCATTER = Op(kernels.slice_scatter)
DIAGONAL_SCATTER = Op(kernels.diagonal_scatter)
AS_STRIDED_SCATTER = Op(kernels.as_strided_scatter)


def _listed(name: str, parameter: str, args: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    """The integers of a method that takes them one by one, as a sequence or by name."""
    if named is None and not args:
        raise TypeError(f'{name}() missing 1 required positional arguments: "{parameter}"')
    return sizes_of(args if named is None else (named,))


# --- repeating ------------------------------------------------------------------------------------


@declare(function=False)
def repeat(self: Tensor, *args: Any, repeats: Any = None) -> Tensor:
    """The tensor laid out `repeats[i]` times along axis i; more repeats add axes in front."""
    counts, shape = _listed("repeat", "repeats", args, repeats), self._dims()
    if len(counts) < len(shape):
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    if any(n < 0 for n in counts):
        wide = (1,) * (len(counts) - len(shape)) + shape
        sizes = [n * r for n, r in zip(wide, counts, strict=True)]
        low = next(s for s in sizes if s < 0)
        raise RuntimeError(f"Trying to create tensor with negative dimension {low}: {sizes}")
    return apply(REPEAT, (self,), (counts,))


@declare(method=False)
def tile(input: Tensor, dims: Any) -> Tensor:
    """`repeat` with missing repeats taken as 1."""
    counts = sizes_of((dims,))
    return repeat(input, (1,) * (input.dim() - len(counts)) + counts)


def _tile_method(self: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """`repeat` with missing repeats taken as 1."""
    return tile(self, _listed("tile", "dims", args, dims))


declare(name="tile", function=False)(_tile_method)


@declare(method=False)
@numpy_names
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along `dim`) repeated on the spot.

    Args:
        repeats: how often, for all or for each; `repeat_interleave(repeats)` alone gives the
            indices 0, 1, ... repeated so.

    >>> import flambeau as torch
    >>> torch.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        return _repeated_places(input, output_size)
    if not isinstance(repeats, (int, Tensor)):
        raise invalid_arguments("repeat_interleave", repeats, dim)
    if dim is None:
        input, dim = reshape_to(input, (input.numel(),)), 0
    shape = input._dims()
    axis = dimension(integer("repeat_interleave", dim), len(shape))
    if not shape:
        input, shape = reshape_to(input, (1,)), (1,)
    if isinstance(repeats, Tensor) and repeats.numel() != 1:
        if repeats.dim() != 1 or repeats.numel() != shape[axis]:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats.numel()} and input.size({axis}) = {shape[axis]}"
            )
        places = _repeated_places(repeats, output_size)
        return input.index_select(axis, places)  # type: ignore[attr-defined]
    count = repeats if isinstance(repeats, int) else int(repeats.item())
    if count < 0:
        raise RuntimeError("Repeats must be non-negative")
    return apply(REPEAT_INTERLEAVE, (input,), (count, axis), "ViewBackward0")


def _repeat_interleave_method(
    self: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along `dim`) repeated on the spot."""
    return repeat_interleave(self, repeats, dim, output_size=output_size)


declare(name="repeat_interleave", function=False)(_repeat_interleave_method)


def _repeated_places(repeats: Tensor, output_size: int | None) -> Tensor:
    """The indices 0, 1, ... each repeated so often."""
    if repeats.dtype not in (dtypes.int64, dtypes.int32):
        raise not_implemented_for("repeat_interleave_cpu", repeats.dtype)
    counts = host_values("repeat_interleave", repeats)
    if counts.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and output_size != counts.sum():
        raise RuntimeError("allocated size does not match required size")
    places = np.repeat(np.arange(counts.size, dtype=counts.dtype), counts)
    return tensor_from_host(places, repeats.device)


# --- reordering -----------------------------------------------------------------------------------


def _flip(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    axes = axes_of("flip", dims, x.dim()) if dims else ()
    return follow_layout(apply(FLIP, (x,), (axes,)), x)


@declare(method=False)
def flip(input: Tensor, dims: Any) -> Tensor:
    """`input` in reverse order along `dims`."""
    if isinstance(dims, int):
        raise TypeError("flip(): argument 'dims' (position 2) must be tuple of ints, not int")
    return _flip(input, integers("flip", dims))


def _flip_method(self: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """The tensor in reverse order along `dims`."""
    return _flip(self, _listed("flip", "dims", args, dims))


declare(name="flip", function=False)(_flip_method)


@declare()
def fliplr(input: Tensor) -> Tensor:
    """`input` in reverse order along the second axis."""
    if input.dim() < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return _flip(input, (1,))


@declare()
def flipud(input: Tensor) -> Tensor:
    """`input` in reverse order along the first axis."""
    if input.dim() < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return _flip(input, (0,))


@declare()
@numpy_names
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """`input` shifted along `dims`, what leaves at one end entering at the other; without `dims`
    the flattened tensor.

    >>> import flambeau as torch
    >>> torch.tensor([1, 2, 3]).roll(1)
    tensor([3, 1, 2])
    """
    amounts = integers("roll", shifts)
    axes = () if dims is None else integers("roll", dims)
    if not amounts:
        raise RuntimeError("`shifts` required")
    if not axes and len(amounts) == 1:
        return apply(ROLL_ALL, (input,), (amounts[0],))
    if len(amounts) != len(axes):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(amounts)}, dims:{len(axes)}"
        )
    ndim = input.dim()
    return apply(
        ROLL, (input,), (amounts, tuple(dimension(d, ndim, scalar_ok=False) for d in axes))
    )


@declare()
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """`input` turned `k` quarter turns in the plane of two axes, from the first to the second."""
    axes, ndim = integers("rot90", dims), input.dim()
    if len(axes) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(axes)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {axes[0]} and dim1 = {axes[1]}"
        )
    plane = (dimension(axes[0], ndim), dimension(axes[1], ndim))
    turned = apply(ROT90, (input,), (int(k) % 4, plane))
    if k % 2:  # a transposed view of the flipped tensor, in PyTorch
        strides = list(follow_layout(input.new_empty(input._dims()), input).stride())
        strides[plane[0]], strides[plane[1]] = strides[plane[1]], strides[plane[0]]
        turned._storage.strides = tuple(strides)
    return turned


# --- splitting, as views --------------------------------------------------------------------------


@declare()
@numpy_names
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts along `dim`: so many of nearly equal size, or cut at the listed indices."""
    if input.dim() == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = dimension(integer("tensor_split", dim), input.dim())
    n = input._dims()[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        sections = indices_or_sections
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        small, more = divmod(n, sections)
        cuts = [i * small + min(i, more) for i in range(1, sections)]
    else:
        cuts = list(integers("tensor_split", indices_or_sections))
    bounds = [0, *(slice(c, None).indices(n)[0] for c in cuts), n]
    return tuple(
        slice_axis(input, axis, start, max(0, stop - start))
        for start, stop in itertools.pairwise(bounds)
    )


def _split_along(name: str, x: Tensor, indices_or_sections: Any, axis: int, least: int) -> Any:
    if x.dim() < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
            f"with {x.dim()} dimensions!"
        )
    size = x._dims()[axis]
    if isinstance(indices_or_sections, int) and (
        indices_or_sections == 0 or size % indices_or_sections
    ):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the "
            f"dimension {size} is not divisible by the split_size {indices_or_sections}!"
        )
    return tensor_split(x, indices_or_sections, axis)


@declare()
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the second axis (of a vector: the first)."""
    axis = 0 if input.dim() == 1 else 1
    return _split_along("hsplit", input, indices_or_sections, axis, 1)


@declare()
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the first axis."""
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


@declare()
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the third axis."""
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


def _own(part: Tensor) -> Tensor:
    """A copy of a view with the strides of the view."""
    copied = part.clone()  # type: ignore[attr-defined]
    copied._storage.strides = stride_of(part)
    return copied


@declare()
@numpy_names
def unsafe_split(tensor: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """As `split`, in tensors of their own that may be written to."""
    return tuple(_own(p) for p in tensor.split(split_size, dim))  # type: ignore[attr-defined]


@declare()
@numpy_names
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As `chunk`, in tensors of their own that may be written to."""
    return tuple(_own(p) for p in input.chunk(chunks, dim))  # type: ignore[attr-defined]


# --- triangles and diagonals ----------------------------------------------------------------------


def _triangle(op: Op, name: str, x: Tensor, diagonal: int) -> Tensor:
    if x.dim() < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    return apply(op, (x,), (int(diagonal),))


@declare(inplace=True, out=SAME_TYPE)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes, zeros above `diagonal`.

    >>> import flambeau as torch
    >>> torch.ones(2, 2).tril()
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle(TRIL, "tril", input, diagonal)


@declare(inplace=True, out=SAME_TYPE)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes, zeros below `diagonal`."""
    return _triangle(TRIU, "triu", input, diagonal)


def _triangle_indices(name: str, find: Any, row: int, col: int, offset: int, **made: Any) -> Tensor:
    for label, size in (("row", row), ("col", col)):
        if size < 0:
            raise RuntimeError(f"{label} must be non-negative, got{size}")
    dtype = made["dtype"] or dtypes.int64
    if dtype not in (dtypes.int64, dtypes.int32):
        raise not_implemented_for(name, dtype)
    places = np.stack(find(row, offset, col)).astype(dtype.numpy)
    return tensor_from_host(places, resolve(made["device"]))


@declare(method=False)
def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtypes.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The indices (2, N) of the lower triangle of a `row` by `col` matrix."""
    return _triangle_indices(
        "tril_indices", np.tril_indices, row, col, offset, dtype=dtype, device=device
    )


@declare(method=False)
def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtypes.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The indices (2, N) of the upper triangle of a `row` by `col` matrix."""
    return _triangle_indices(
        "triu_indices", np.triu_indices, row, col, offset, dtype=dtype, device=device
    )


@declare()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last axis of `input` on a diagonal and zeros elsewhere."""
    ndim = input.dim() + 1
    first, second = dimension(dim1, ndim), dimension(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return apply(DIAG_EMBED, (input,), (int(offset), first, second))


@declare(out=SAME_TYPE)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or a copy of the diagonal of a matrix."""
    if input.dim() == 1:
        return diag_embed(input, diagonal)
    if input.dim() != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.dim()}D")
    diagonal_view(input, diagonal)
    return apply(DIAGONAL_COPY, (input,), (int(diagonal), 0, 1))


@declare()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The flattened `input` as the diagonal of a matrix."""
    return diag_embed(reshape_to(input, (input.numel(),)), offset)


@declare(function=False)
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the main diagonal to a number; `wrap`: a tall matrix begins anew after each block."""
    shape = self._dims()
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    check_writable(self)
    step = sum(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    count = math.prod(shape)
    end = min(shape) * step if len(shape) == 2 else count
    _fill_places(self, range(0, min(end, count), step), fill_value)
    if wrap and len(shape) == 2 and shape[0] > shape[1] + 1:
        _fill_places(self, range(end, count, step), fill_value)
    return self


def _fill_places(x: Tensor, places: range, value: Any) -> None:
    """Store a number at places of the flattened tensor."""
    mask = np.zeros(x.numel(), bool)
    mask[places] = True
    chosen = tensor_from_host(mask.reshape(x._dims()), x.device)
    overwrite(x, apply(MASKED_FILL, (x, chosen, value), (), "FillDiagonalBackward0"))


# --- padding and writing over a part --------------------------------------------------------------


@declare(method=False)
def constant_pad_nd(input: Tensor, pad: Any, value: Any = 0) -> Tensor:
    """`input` with `value` around it: `pad` lists (before, after) from the last axis backwards."""
    amounts, shape = integers("constant_pad_nd", pad), input._dims()
    if len(amounts) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(amounts)}")
    if len(amounts) > 2 * len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(amounts)}while the input has {len(shape)}dimensions."
        )
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pads = tuple([(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1])
    for axis, (low, high) in enumerate(pads):
        if shape[axis] + min(low, 0) + min(high, 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if shape[axis] + low + high < 0:
            raise RuntimeError(
                f"The input size {shape[axis]}, plus negative padding {low} and {high} resulted "
                "in a negative output size, which is invalid. Check dimension "
                f"{axis} of your input."
            )
    return apply(CONSTANT_PAD, (input, value), (pads,))


def _part(x: Tensor, source: Tensor, part: tuple[int, ...]) -> Tensor:
    """`source` in the type of `x`, after checking that it has the shape of the `part`."""
    if source._dims() != part:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(source._dims())}, slice size = {list(part)}"
        )
    return cast(source, x.dtype)


@declare()
@numpy_names
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`input` with `src` in place of `input.select(dim, index)`."""
    shape = input._dims()
    axis = dimension(integer("select_scatter", dim), len(shape), scalar_ok=False)
    place = integer("select_scatter", index, "index", 3)
    if not -shape[axis] <= place < shape[axis]:
        raise IndexError(
            f"select(): index {place} out of range for tensor of size {list(shape)} at dimension "
            f"{axis}"
        )
    source = _part(input, src, shape[:axis] + shape[axis + 1 :])
    return apply(SELECT_SCATTER, (input, source), (axis, place % shape[axis]))


@declare(out=SAME_TYPE)
@numpy_names
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """`input` with `src` in place of `input[start:end:step]` along `dim`."""
    shape = input._dims()
    axis = dimension(integer("slice_scatter", dim), len(shape), scalar_ok=False)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    places = range(*slice(start, end, step).indices(shape[axis]))
    source = _part(input, src, (*shape[:axis], len(places), *shape[axis + 1 :]))
    return apply(SLICE_SCATTER, (input, source), (axis, places.start, int(step)))


@declare()
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """`input` with `src` in place of `input.diagonal(offset, dim1, dim2)`."""
    part = diagonal_view(input, offset, dim1, dim2)._dims()
    source = _part(input, src, part)
    ndim = input.dim()
    static = (int(offset), dimension(dim1, ndim), dimension(dim2, ndim))
    return apply(DIAGONAL_SCATTER, (input, source), static)


@declare()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Tensor:
    """`input` with `src` in place of the same `as_strided` of its elements in a row.

    The gradient of `input` is zero at the places that were replaced (PyTorch 2.13 has it the other
    way round).
    """
    sizes, strides = integers("as_strided", size), integers("as_strided", stride)
    whole = input.contiguous()  # type: ignore[attr-defined]
    start = 0 if storage_offset is None else int(storage_offset)
    part = whole.as_strided(sizes, strides, start)._dims()
    return apply(AS_STRIDED_SCATTER, (whole, _part(input, src, part)), (sizes, strides, start))
