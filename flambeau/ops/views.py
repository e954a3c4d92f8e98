"""Views: functions whose result shares its input's storage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes, formats
from ..core.execute import Op
from ..core.layout import expanded_shape, inferred_shape, is_contiguous, is_dense, reshaped_strides
from ..core.op import apply
from ..core.state import modes
from ..core.tape import edge_of
from ..core.tensor import Tensor
from ..core.views import check_writable, view
from ..errors import dimension
from ..kernels import views as kernels
from ..kernels.views import row_major
from .registry import declare


def _clone(x: Any) -> Any:
    """The array itself: arrays are immutable, so a copy costs nothing until a write."""
    return x


CLONE = Op(_clone, name="Clone")


def sizes_of(
    sizes: tuple[Any, ...], function: str = "view", argument: str = "size"
) -> tuple[int, ...]:
    """`f(2, 3)`, `f((2, 3))` and `f(Size)` alike, as a tuple of ints."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple([s if type(s) is int else s.__index__() for s in sizes])
    except AttributeError:
        raise TypeError(
            f"{function}(): argument '{argument}' (position 1) must be tuple of ints, not "
            f"{type(sizes[0]).__name__}"
        ) from None


def stride_of(x: Tensor) -> tuple[int, ...]:
    """Virtual strides in elements."""
    return x._strides_offset()[0]


@declare(function=False)
def stride(self: Tensor, dim: int | None = None) -> Any:
    """How far apart, in elements, neighbours along each axis (or along `dim`) lie."""
    strides = stride_of(self)
    return strides if dim is None else strides[dimension(dim, len(strides), scalar_ok=False)]


@declare(function=False)
def storage_offset(self: Tensor) -> int:
    """Where in its storage the first element lies, in elements."""
    return self._strides_offset()[1]


@declare(function=False, name="is_contiguous")
def _is_contiguous(self: Tensor, memory_format: Any = formats.contiguous_format) -> bool:
    """Whether the elements lie in row-major order (or in that of `memory_format`)."""
    if memory_format in (formats.channels_last, formats.channels_last_3d):
        wanted = channels_last_strides(self._dims(), memory_format)
        return wanted is not None and _same_order(self._dims(), stride_of(self), wanted)
    return self._is_plain() or is_contiguous(self._dims(), stride_of(self))


def channels_last_strides(shape: tuple[int, ...], memory_format: Any) -> tuple[int, ...] | None:
    """Strides of NHWC or NDHWC memory for a tensor of logical shape NC...; None for other ranks."""
    ndim = 4 if memory_format is formats.channels_last else 5
    if len(shape) != ndim:
        return None
    order = (0, *range(2, ndim), 1)
    inner = row_major([shape[i] for i in order])
    strides = [0] * ndim
    for axis, step in zip(order, inner, strict=True):
        strides[axis] = step
    return tuple(strides)


def _same_order(shape: Sequence[int], strides: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


@declare()
def clone(input: Tensor, *, memory_format: Any = formats.preserve_format) -> Tensor:
    """A copy with its own storage, recorded on the tape.

    >>> import flambeau as torch
    >>> x = torch.zeros(2)
    >>> y = x.clone().add_(1)
    >>> x
    tensor([0., 0.])
    """
    result = apply(CLONE, (input,))
    strides = None
    if memory_format in (formats.channels_last, formats.channels_last_3d):
        strides = channels_last_strides(input._dims(), memory_format)
        if strides is None:
            ndim = 4 if memory_format is formats.channels_last else 5
            raise RuntimeError(
                f"required rank {ndim} tensor to use channels_last{'_3d' if ndim == 5 else ''} "
                "format"
            )
    elif memory_format is formats.preserve_format and not input._is_plain():
        from ..core.layout import propagated_strides

        shape = tuple(input._dims())
        if shape:
            strides = propagated_strides([(shape, stride_of(input))], shape)
    if strides is not None:
        result._storage.strides = strides
    return result


@declare(function=False)
def contiguous(self: Tensor, memory_format: Any = formats.contiguous_format) -> Tensor:
    """The tensor itself if its elements lie in row-major order, else a copy in which they do."""
    if self.is_contiguous(memory_format):  # type: ignore[attr-defined]
        return self
    return clone(self, memory_format=memory_format)


@declare(function=False, name="view")
def view_(self: Tensor, *shape: Any, dtype: Any = None) -> Tensor:
    """The same elements under another shape, without a copy; or under another element type.

    Args:
        shape: sizes; one may be -1.
        dtype: reinterpret the bytes (`view(dtype)`).

    Raises:
        RuntimeError: the strides do not allow it; `reshape` copies then.
    """
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], dtypes.dtype)):
        return _view_dtype(self, dtype or shape[0])
    old = self._dims()
    new = inferred_shape(self.numel(), sizes_of(shape))
    if not self._is_plain() and reshaped_strides(old, stride_of(self), new) is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return view(self, "ViewBackward0", (("reshape", new),))


def _view_dtype(x: Tensor, dtype: dtypes.dtype) -> Tensor:
    if dtype is x.dtype:
        return view(x, "AliasBackward0", (("reshape", x._dims()),))
    new, old = dtype.numpy, x._dtype_numpy()
    assert new is not None
    shape, strides = x._dims(), stride_of(x)
    if new.itemsize != old.itemsize:
        if not shape:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {_short(x.dtype)} as {_short(dtype)} (different "
                "element sizes)"
            )
        if strides[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {_short(x.dtype)} as {_short(dtype)} "
                f"(different element sizes), but got {strides[-1]}"
            )
        if new.itemsize > old.itemsize and shape[-1] % (new.itemsize // old.itemsize):
            ratio = new.itemsize // old.itemsize
            raise RuntimeError(
                f"self.size(-1) must be divisible by {ratio} to view {_short(x.dtype)} as "
                f"{_short(dtype)} "
                f"(different element sizes), but got {shape[-1]}"
            )
    return view(x, "ViewBackward0", (("bitcast", new),))


def _short(dtype: dtypes.dtype) -> str:
    from ..core.legacy import scalar_type_name

    return scalar_type_name(dtype)


@declare(function=False)
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor viewed with the shape of `other`."""
    return self.view(other._dims())  # type: ignore[attr-defined]


def reshape_to(x: Tensor, new: tuple[int, ...]) -> Tensor:
    """A view of `x` under a shape where the strides allow it, else a copy."""
    if x._is_plain() or reshaped_strides(x._dims(), stride_of(x), new) is not None:
        return view(x, "ViewBackward0", (("reshape", new),))
    copied = clone(x, memory_format=formats.contiguous_format)
    return apply(RESHAPE_COPY, (copied,), (new,))


def _unsafe_view(x: Any, *, shape: tuple[int, ...]) -> Any:
    return kernels.replay(x, steps=(("reshape", shape),))


RESHAPE_COPY = Op(_unsafe_view, name="UnsafeView")


@declare(method=False)
def reshape(input: Tensor, shape: Any) -> Tensor:
    """The elements in row-major order under another shape; a view where possible."""
    return reshape_to(input, inferred_shape(input.numel(), sizes_of((shape,), "reshape", "shape")))


def _reshape_method(self: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order under another shape; a view where possible."""
    if not shape:
        raise TypeError('reshape() missing 1 required positional arguments: "shape"')
    sizes = sizes_of(shape, "reshape", "shape")
    return reshape_to(self, inferred_shape(self.numel(), sizes))


declare(name="reshape", function=False)(_reshape_method)


@declare(function=False)
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor reshaped as `other` is."""
    return reshape_to(self, inferred_shape(self.numel(), other._dims()))


@declare()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from `start_dim` to `end_dim` merged into one."""
    shape = input._dims()
    start, end = dimension(start_dim, len(shape)), dimension(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape_to(input, (1,))
    if start == end:
        return input
    count = int(np.prod(shape[start : end + 1], dtype=np.int64))
    return reshape_to(input, (*shape[:start], count, *shape[end + 1 :]))


@declare()
def ravel(input: Tensor) -> Tensor:
    """All elements along one axis."""
    return contiguous(reshape_to(input, (input.numel(),)))


@declare()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Axis `dim` split into axes of `sizes` (one may be -1)."""
    shape = input._dims()
    at = dimension(dim, len(shape), scalar_ok=False)
    wanted = sizes_of((sizes,))
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        parts = inferred_shape(shape[at], wanted)
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(wanted)} don't multiply up to the size of dim {at} "
            f"({shape[at]}) in the input tensor"
        ) from None
    return view(input, "ViewBackward0", (("reshape", (*shape[:at], *parts, *shape[at + 1 :])),))


@declare()
def permute(input: Tensor, dims: Any) -> Tensor:
    """The axes in another order: axis i of the result is axis `dims[i]` of the input."""
    return _permute(input, sizes_of((dims,)))


def _permute(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    ndim = len(x._dims())
    if len(dims) != ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {ndim} is not equal "
            f"to len(dims) = {len(dims)}"
        )
    axes = tuple(dimension(d, ndim) for d in dims)
    if len(set(axes)) != ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return view(x, "PermuteBackward0", (("permute", axes),))


def _permute_method(self: Tensor, *dims: Any) -> Tensor:
    """The axes in another order: axis i of the result is axis `dims[i]` of the input."""
    return _permute(self, sizes_of(dims))


declare(name="permute", function=False)(_permute_method)


@declare(aliases=("swapaxes", "swapdims"))
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    ndim = len(input._dims())
    a, b = dimension(dim0, ndim), dimension(dim1, ndim)
    axes = list(range(ndim))
    if ndim:
        axes[a], axes[b] = axes[b], axes[a]
    return view(input, "TransposeBackward0", (("permute", tuple(axes)),))


@declare()
def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and scalars as they are."""
    ndim = len(input._dims())
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    axes = (1, 0) if ndim == 2 else tuple(range(ndim))
    return view(input, "TBackward0", (("permute", axes),))


@declare()
def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two axes."""
    if input.dim() < 2:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got "
            f"{input.dim()}-D tensor."
        )
    return conj(transpose(input, -2, -1))


@declare(aliases=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The axes `source` moved to the positions `destination`; the others keep their order."""
    ndim = len(input._dims())
    froms = (source,) if isinstance(source, int) else tuple(source)
    tos = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(froms) != len(tos):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(froms)} dims) should contain the same number of dims as destination "
            f"({list(tos)} dims)"
        )
    a = [dimension(d, ndim) for d in froms]
    b = [dimension(d, ndim) for d in tos]
    if len(set(a)) != len(a):
        raise RuntimeError(f"movedim: repeated dim in `source` ({list(froms)})")
    if len(set(b)) != len(b):
        raise RuntimeError(f"movedim: repeated dim in `destination` ({list(tos)})")
    rest = iter([i for i in range(ndim) if i not in a])
    placed = dict(zip(b, a, strict=True))
    axes = tuple(placed[i] if i in placed else next(rest) for i in range(ndim))
    return view(input, "PermuteBackward0", (("permute", axes),))


@declare(inplace=False)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at position `dim`."""
    shape = input._dims()
    at = dimension(dim, len(shape) + 1)
    step = ("unsqueeze", (*shape[:at], 1, *shape[at:]), at)
    return view(input, "UnsqueezeBackward0", (step,))


@declare()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """The axes of size 1 (all, or those among `dim`) removed."""
    shape = input._dims()
    if dim is None:
        new = tuple(n for n in shape if n != 1)
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        at = {dimension(d, len(shape)) for d in dims}
        new = tuple(n for i, n in enumerate(shape) if not (i in at and n == 1))
    label = "SqueezeBackward0" if dim is None else "SqueezeBackward1"
    return view(input, label, (("reshape", new),))


@declare(function=False)
def expand(self: Tensor, *sizes: Any, implicit: bool = False) -> Tensor:
    """Axes of size 1 repeated without a copy; -1 keeps a size."""
    shape = expanded_shape(self._dims(), sizes_of(sizes), self.type())
    return view(self, "ExpandBackward0", (("expand", shape),))


@declare(function=False)
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor expanded to the shape of `other`."""
    return expand(self, other._dims())


@declare()
def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """The tensor broadcast to `size`, without a copy."""
    return expand(input, sizes_of(size))


@declare()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at position `index` of axis `dim`; the axis goes away."""
    shape = input._dims()
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    at = dimension(dim, len(shape), scalar_ok=False)
    i = index if type(index) is int else index.__index__()
    if not -shape[at] <= i < shape[at]:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {at}"
        )
    return view(input, "SelectBackward0", (("select", at),), (i % shape[at],))


def slice_axis(x: Tensor, axis: int, start: int, length: int, step: int = 1) -> Tensor:
    """`x[start : start + length * step : step]` along `axis`; the bounds are right already."""
    return view(x, "SliceBackward0", (("slice", axis, length, step),), (start,))


@declare()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` entries of axis `dim` from `start` on."""
    shape = input._dims()
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    at = dimension(dim, len(shape), scalar_ok=False)
    begin = start.__index__()
    size = shape[at]
    if not -size <= begin <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {begin})"
        )
    begin += size if begin < 0 else 0
    if begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return slice_axis(input, at, begin, length)


@declare()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of the axes `dim1` and `dim2`, as the last axis."""
    ndim = len(input._dims())
    a, b = dimension(dim1, ndim), dimension(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return view(input, "DiagonalBackward0", (("diagonal", offset, a, b),))


@declare(function=False)
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` along an axis, `step` apart; the windows' elements are the last axis."""
    from ..errors import dimension as normalised

    shape = self._dims()
    at = normalised(dimension, len(shape))
    length = shape[at] if shape else 1
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {at} is {length} but size is {size}"
        )
    return view(self, "UnfoldBackward0", (("unfold", at, size, step),))


@declare()
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """The storage seen with given sizes and strides."""
    sizes, strides = tuple(size), tuple(stride)
    if len(sizes) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    start = input._strides_offset()[1] if storage_offset is None else storage_offset
    storage = input._storage
    reach = start + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True)) + 1
    count = int(np.prod(storage.array.shape, dtype=np.int64))
    if 0 not in sizes and (reach > count or start < 0):
        itemsize = storage.array.dtype.itemsize
        raise RuntimeError(
            f"setStorage: sizes {list(sizes)}, strides {list(strides)}, storage offset {start}, "
            "and "
            f"itemsize {itemsize} requiring a storage size of {reach * itemsize} are out of bounds "
            f"for storage of size {count * itemsize}"
        )
    whole = input if _fills_storage(input, count) else _whole(input)
    memory_order = whole._strides_offset()[0]
    order = tuple(sorted(range(len(memory_order)), key=lambda i: -memory_order[i]))
    lead = (("permute", order),) if order != tuple(range(len(order))) else ()
    steps = (*lead, ("as_strided", sizes, strides))
    result = view(whole, "AsStridedBackward0", steps, (start,))
    if input._creation is not None:
        result._creation = input._creation
    return result


def _fills_storage(x: Tensor, count: int) -> bool:
    """Whether `x` shows every element of its storage once, in whatever order of the axes."""
    return not x._steps or (x.numel() == count and is_dense(x._dims(), x._strides_offset()[0]))


def _whole(x: Tensor) -> Tensor:
    """The tensor of which `x` is a view, for functions that address its storage."""
    base = x._base
    if base is not None and not base._steps:
        return base
    if x.requires_grad:
        raise NotImplementedError("flambeau.as_strided of a leaf that is a part of its storage")
    result = object.__new__(Tensor)
    result._storage = x._storage
    result._own_version = x._own_version
    return result


@declare()
def real(input: Tensor) -> Tensor:
    """The real part of a complex tensor, as a view; a real tensor itself."""
    return view(input, "RealBackward0", (("real",),)) if input.dtype.is_complex else input


@declare()
def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor, as a view."""
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view(input, "ImagBackward0", (("imag",),))


@declare()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate, as a view; a real tensor itself."""
    return view(input, "ConjBackward0", (("conj",),)) if input.dtype.is_complex else input


@declare(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as a real one with a last axis (real, imaginary)."""
    if not input.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return view(input, "ViewAsRealBackward0", (("as_real",),))


@declare(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor with a last axis of size 2 as a complex one."""
    shape = input._dims()
    if input.dtype.is_complex or not input.dtype.is_floating_point:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {_short(input.dtype)}"
        )
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if stride_of(input)[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    return view(input, "ViewAsComplexBackward0", (("as_complex",),))


def _reversed_axes(self: Tensor) -> Tensor:
    """The axes in reverse order."""
    return _permute(self, tuple(reversed(range(self.dim()))))


def _matrix_transpose(self: Tensor) -> Tensor:
    """The last two axes exchanged."""
    if self.dim() < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {self.dim()}-D "
            "tensor."
        )
    return transpose(self, -2, -1)


def _hermitian(self: Tensor) -> Tensor:
    """The conjugate transpose of a matrix."""
    ndim = self.dim()
    if ndim not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{hint}"
        )
    return adjoint(self) if ndim else self


Tensor.T = property(_reversed_axes)  # type: ignore[attr-defined]
Tensor.mT = property(_matrix_transpose)  # type: ignore[attr-defined]
Tensor.H = property(_hermitian)  # type: ignore[attr-defined]
Tensor.mH = property(adjoint)  # type: ignore[attr-defined]
Tensor.real = property(real)  # type: ignore[attr-defined]
Tensor.imag = property(imag)  # type: ignore[attr-defined]


# In place: the tensor itself becomes the view


@contextlib.contextmanager
def history_kept(x: Tensor) -> Iterator[None]:
    """Record what is done to a tensor with a history even under `no_grad`: it changes its shape."""
    previous = modes.grad
    modes.grad = previous or x._node is not None
    try:
        yield
    finally:
        modes.grad = previous


def become(x: Tensor, viewed: Tensor) -> Tensor:
    """Turn `x` into `viewed`, a view of it, as `transpose_` and its relatives do."""
    edge = edge_of(viewed)
    for field in ("_steps", "_offsets", "_view_shape", "_view_dtype", "_layout"):
        x.__dict__.pop(field, None)
        if field in viewed.__dict__:
            x.__dict__[field] = viewed.__dict__[field]
    x._cached_version = -1
    if x._base is not None:
        x._base_steps, x._base_offsets = viewed._base_steps, viewed._base_offsets
    else:
        x._reshaped = True
    if edge is not None:
        x._node, x._index = edge
        x._requires_grad = False
    counted = x._own_version is None
    if x._own_version is not None:
        x._own_version.counted += 1
    x._storage.count_write(counted)
    return x


def _in_place(name: str, function: Any) -> None:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, shared=True)
        with history_kept(self):
            return become(self, function(self, *args, **kwargs))

    method.__doc__ = f"`{name}` in place: the tensor itself becomes the view."
    declare(name=name + "_", function=name == "as_strided")(method)


for _name, _function in {
    "t": t,
    "transpose": transpose,
    "swapaxes": transpose,
    "swapdims": transpose,
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "as_strided": as_strided,
}.items():
    _in_place(_name, _function)
