"""Sparse tensors in coordinates: the gradients of tables of which few rows were looked up.

Only what such gradients need is built; every other function raises `NotImplementedError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .. import dtypes, formats
from ..core.device import tensor_from_host
from ..core.op import apply
from ..core.printing import tensor_text, with_suffixes
from ..core.state import modes
from ..core.storage import Storage
from ..core.tensor import Tensor, wrap
from ..dtypes import dtype as DType
from ..errors import NotBuilt
from .checks import values
from .joining import CAT
from .registry import FUNCTIONS, declare


class SparseTensor(Tensor):
    """A tensor that is zero but at some coordinates; values at equal coordinates add up.

    Attributes:
        _where: the coordinates, (sparse axes, nnz), int64.
        _what: the values, (nnz, *dense axes); its history is the tensor's.
    """

    _repr_name = "Tensor"
    _where: Tensor
    _what: Tensor
    _unique: bool
    is_sparse = True  # type: ignore[assignment]
    layout = formats.sparse_coo  # type: ignore[assignment]

    # Note [Sparse storage]
    # The fields that every tensor has tell shape, element type and device, as on the meta device;
    # there is no dense array, and whatever asks for one (`_array`) is not built for sparse tensors.

    @staticmethod
    def of(where: Tensor, what: Tensor, shape: tuple[int, ...], unique: bool) -> SparseTensor:
        """The tensor of a shape from its coordinates and values; `unique`: no two are equal."""
        result = object.__new__(SparseTensor)
        array = jax.ShapeDtypeStruct(shape, what._dtype_numpy())
        result._storage = Storage(array, what.device)
        result._where, result._what, result._unique = where, what, unique
        return result

    def _with(self, what: Tensor) -> SparseTensor:
        return SparseTensor.of(self._where, what, self._dims(), self._unique)

    def _become(self, other: SparseTensor) -> SparseTensor:
        self._where, self._what, self._unique = other._where, other._what, other._unique
        self._storage.count_write()
        return self

    def _array(self) -> Any:
        raise NotImplementedError("flambeau: this function of a sparse tensor")

    _on_device = _replay = _host = _array
    _steps = property(_array)  # type: ignore[assignment]

    # Facts

    def _indices(self) -> Tensor:
        """The coordinates, as they are."""
        return self._where

    def _values(self) -> Tensor:
        """The values, as they are."""
        return self._what.detach()

    def indices(self) -> Tensor:
        """The coordinates (sparse axes, nnz) of a coalesced tensor, sorted."""
        self._check_coalesced("indices")
        return self._where

    def values(self) -> Tensor:
        """The values (nnz, *dense axes) of a coalesced tensor."""
        self._check_coalesced("values")
        return self._what

    def _check_coalesced(self, name: str) -> None:
        if not self._unique:
            raise RuntimeError(
                f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first"
            )

    def _nnz(self) -> int:
        """How many coordinates are held."""
        return self._where._dims()[1]

    def sparse_dim(self) -> int:
        """The number of axes that coordinates are of."""
        return self._where._dims()[0]

    def dense_dim(self) -> int:
        """The number of axes of each value."""
        return self._what.ndim - 1

    def is_coalesced(self) -> bool:
        """Whether the coordinates are known to be sorted and no two equal."""
        return self._unique

    def stride(self, dim: int | None = None) -> Any:
        """Zeros: the elements have no places in memory."""
        return (0,) * self.ndim if dim is None else 0

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """False: the elements have no places in memory."""
        return False

    def data_ptr(self) -> int:
        """Raises: there is no memory that holds the elements."""
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def untyped_storage(self) -> Any:
        """Raises: there is no memory that holds the elements."""
        raise NotImplementedError("Cannot access storage of SparseTensorImpl")

    storage = untyped_storage

    def numpy(self, *, force: bool = False) -> Any:
        """Raises: NumPy has no sparse arrays."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    # The tape: the values carry the history

    @property
    def requires_grad(self) -> bool:
        """Whether the values' computation is recorded."""
        return self._what.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            raise NotBuilt("flambeau.Tensor.requires_grad = True of a sparse tensor")
        self._what.requires_grad = False

    @property
    def grad_fn(self) -> Any:
        """The node of the tape that made the values."""
        return self._what.grad_fn

    def detach(self) -> SparseTensor:
        """The same values without their history."""
        return self._with(self._what.detach())

    def detach_(self) -> SparseTensor:
        """Forget the history of the values."""
        self._what = self._what.detach()
        return self

    # Other forms

    def coalesce(self) -> SparseTensor:
        """Sorted coordinates, no two equal: the values at equal ones are added up."""
        if self._unique:
            return self
        sizes = self._dims()[: self.sparse_dim()]
        where, what = self._where._host(), self._what
        flat = np.ravel_multi_index(tuple(where), sizes) if where.size else where[0]
        kept, place = np.unique(flat, return_inverse=True)
        total: Any = wrap(np.zeros((kept.size, *what._dims()[1:]), what._dtype_numpy()))
        total = total.index_add(0, tensor_from_host(place.reshape(-1)), what)
        coordinates = np.stack(np.unravel_index(kept, sizes)).astype(np.int64)
        return SparseTensor.of(tensor_from_host(coordinates), total, self._dims(), True)

    def to_dense(self, dtype: DType | None = None, *, masked_grad: bool | None = None) -> Tensor:
        """The tensor with its zeros."""
        what = self._what
        zeros: Any = wrap(np.zeros(self._dims(), what._dtype_numpy()), self.device)
        dense = zeros.index_put(tuple(self._where.unbind(0)), what, accumulate=True)
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self) -> SparseTensor:
        """The tensor itself."""
        return self

    def clone(self, *, memory_format: Any = None) -> SparseTensor:
        """A copy of coordinates and values."""
        where = self._where.clone()
        return SparseTensor.of(where, self._what.clone(), self._dims(), self._unique)

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """The values in another element type, or on another device."""
        what = self._what.to(*args, **kwargs)
        return self if what is self._what else self._with(what)

    def float(self) -> SparseTensor:
        """The values as float32."""
        return self.to(dtypes.float32)

    def double(self) -> SparseTensor:
        """The values as float64."""
        return self.to(dtypes.float64)

    def half(self) -> SparseTensor:
        """The values as float16."""
        return self.to(dtypes.float16)

    def cpu(self) -> SparseTensor:
        """The tensor on the CPU."""
        return self.to("cpu")

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        return memo.setdefault(id(self), self.detach().clone())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return SparseTensor.of, (self._where, self._what, self._dims(), self._unique)

    # Arithmetic

    def add(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        """self + alpha * other, of two sparse tensors: the coordinates of both."""
        if not isinstance(other, SparseTensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        if other._dims() != self._dims():
            raise RuntimeError(
                f"add: expected sizes of 'self' and 'other' to match, but {list(self._dims())} != "
                f"{list(other._dims())}"
            )
        more: Any = other._what if alpha == 1 else other._what * alpha
        where = apply(CAT, (self._where, other._where), (1,))
        what = apply(CAT, (self._what, more), (0,))
        return SparseTensor.of(where, what, self._dims(), False)

    def add_(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        """In-place version of `add`."""
        return self._become(self.add(other, alpha=alpha))

    def __add__(self, other: Any) -> SparseTensor:
        return self.add(other)

    __iadd__ = add_

    def __radd__(self, other: Any) -> Tensor:
        if not isinstance(other, Tensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        return other + self.to_dense()  # type: ignore[operator]

    def mul(self, other: Any) -> SparseTensor:
        """self * other, a number."""
        if isinstance(other, Tensor) and other.ndim:
            raise NotImplementedError("flambeau.Tensor.mul of a sparse tensor and another tensor")
        return self._with(self._what * other)  # type: ignore[operator]

    def mul_(self, other: Any) -> SparseTensor:
        """In-place version of `mul`."""
        return self._become(self.mul(other))

    __mul__ = __rmul__ = mul
    __imul__ = mul_

    def div(self, other: Any) -> SparseTensor:
        """self / other, a number."""
        if isinstance(other, Tensor) and other.ndim:
            raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor")
        return self._with(self._what / other)  # type: ignore[operator]

    def div_(self, other: Any) -> SparseTensor:
        """In-place version of `div`."""
        return self._become(self.div(other))

    __truediv__ = div
    __itruediv__ = div_

    def neg(self) -> SparseTensor:
        """-self"""
        return self._with(-self._what)  # type: ignore[operator]

    __neg__ = neg

    def zero_(self) -> SparseTensor:
        """No coordinates are left."""
        return self._become(
            SparseTensor.of(self._where[:, :0], self._what.detach()[:0], self._dims(), True)
        )

    def sum(self) -> Tensor:
        """The sum of all values."""
        return self._what.sum()

    def norm(self, p: Any = "fro") -> Tensor:
        """The norm of all elements, as a vector."""
        return self.coalesce()._what.norm(p)

    # Text

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        text = f"tensor(indices={_plain(self._where, 22)},\n{' ' * 7}"
        text += f"values={_plain(self._what, 21)},\n{' ' * 7}size={tuple(self.shape)}"
        suffixes = [f"nnz={self._nnz()}"]
        if self.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool):
            suffixes.append(f"dtype={self.dtype}")
        suffixes.append(f"layout={self.layout}")
        if self.grad_fn is not None:
            suffixes.append("grad_fn=<SparseCooTensorWithDimsAndTensorsBackward0>")
        elif self.requires_grad:
            suffixes.append("requires_grad=True")
        return with_suffixes(text, suffixes, 7, ahead=0)


def _plain(part: Tensor, indent: int) -> str:
    """The text of coordinates or values, without their type, which the whole tensor tells."""
    array = part._host()
    if not array.size:
        return f"tensor([], size={array.shape})"
    return f"tensor({tensor_text(array, indent)})"


@declare(method=False)
def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Sequence[int] | None = None,
    *,
    dtype: DType | None = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseTensor:
    """A sparse tensor of values (nnz, *dense axes) at coordinates (sparse axes, nnz).

    Args:
        size: of all axes; by default the smallest that holds the coordinates.
        is_coalesced: the coordinates are sorted, and no two are equal.

    Raises:
        RuntimeError: sizes do not fit together, or a coordinate is outside.

    >>> torch.sparse_coo_tensor([[0, 2]], [1.5, 2.0], (4,)).to_dense()
    tensor([1.5000, 0.0000, 2.0000, 0.0000])
    """
    if requires_grad:
        raise NotBuilt("flambeau.sparse_coo_tensor(requires_grad=True)")
    where = FUNCTIONS["as_tensor"](indices, device=device).to(dtypes.int64)
    what = FUNCTIONS["as_tensor"](values, dtype=dtype, device=device)
    if where.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(where._dims())}")
    axes, count = where._dims()
    if not what.ndim:
        what = what.expand(count)
    if what._dims()[0] != count:
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{count}, nnz from values: {what._dims()[0]}"
        )
    shape = _full_size(where, what) if size is None else tuple(size)
    if len(shape) != axes + what.ndim - 1:
        raise RuntimeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: "
            f"len(size) = {len(shape)}, sparse_dim = {axes}, dense_dim = {what.ndim - 1}"
        )
    _check_coordinates(where, shape)
    return SparseTensor.of(where, what, shape, count < 2 or bool(is_coalesced))


def _full_size(where: Tensor, what: Tensor) -> tuple[int, ...]:
    if not where._dims()[1]:
        return (0,) * where._dims()[0] + what._dims()[1:]
    return (*(where._host().max(1) + 1).tolist(), *what._dims()[1:])


def _check_coordinates(where: Tensor, shape: tuple[int, ...]) -> None:
    known = values(where)
    if known is None or not known.shape[1] or modes.levels:
        return
    for axis, row in enumerate(known):
        if row.min() < 0:
            raise RuntimeError(f"found negative index {row.min()} for dim {axis}")
        if row.max() >= shape[axis]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {axis}, size is {shape[axis]} but "
                f"found index {row.max()}"
            )
