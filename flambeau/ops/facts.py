"""What a tensor is: questions that only look at its type, shape and place."""

from __future__ import annotations

from typing import Any

from .. import formats
from ..core.tensor import Tensor
from .registry import declare


def _tensor_argument(function: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{function}(): argument 'input' (position 1) must be Tensor, not "
            f"{type(value).__name__}"
        )
    return value


@declare(method=False)
def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


@declare(method=False)
def numel(input: Tensor) -> int:
    """The number of elements."""
    return _tensor_argument("numel", input).numel()


@declare()
def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are real floating-point numbers."""
    return _tensor_argument("is_floating_point", input).dtype.is_floating_point


@declare()
def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers."""
    return _tensor_argument("is_complex", input).dtype.is_complex


@declare()
def is_signed(input: Tensor) -> bool:
    """Whether the elements can be below zero."""
    return _tensor_argument("is_signed", input).dtype.is_signed


@declare()
def is_nonzero(input: Tensor) -> bool:
    """Whether the single element is not zero."""
    return bool(_tensor_argument("is_nonzero", input))


@declare()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both tensors have the same shape."""
    return input._dims() == other._dims()


@declare()
def is_conj(input: Tensor) -> bool:
    """Whether conjugation is pending: never, it is done at once."""
    return False


@declare()
def is_neg(input: Tensor) -> bool:
    """Whether negation is pending: never, it is done at once."""
    return False


@declare()
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugation is never pending."""
    return _tensor_argument("resolve_conj", input)


@declare()
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: negation is never pending."""
    return _tensor_argument("resolve_neg", input)


@declare()
def get_device(input: Tensor) -> int:
    """The index of the device, -1 for the CPU."""
    found = _tensor_argument("get_device", input).device
    return -1 if found.type == "cpu" else found.index or 0


@declare(function=False)
def nelement(self: Tensor) -> int:
    """The number of elements."""
    return self.numel()


@declare(function=False)
def ndimension(self: Tensor) -> int:
    """The number of axes."""
    return self.dim()


@declare(function=False)
def element_size(self: Tensor) -> int:
    """The number of bytes of an element."""
    return self.dtype.itemsize


@declare(function=False)
def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned: never."""
    return False


def _property(name: str, doc: str, value: Any) -> None:
    setattr(Tensor, name, property(value, doc=doc))


_property("is_cuda", "Whether the tensor is on a GPU.", lambda self: self.device.type == "cuda")
_property("is_cpu", "Whether the tensor is on the CPU.", lambda self: self.device.type == "cpu")
_property("is_meta", "Whether the tensor has no data.", lambda self: self.device.type == "meta")
_property("is_sparse", "Whether the layout is sparse: never.", lambda self: False)
_property("is_quantized", "Whether the tensor is quantised: never.", lambda self: False)
_property("is_mkldnn", "Whether the layout is MKL-DNN's: never.", lambda self: False)
_property("is_nested", "Whether the tensor is nested: never.", lambda self: False)
_property("itemsize", "The number of bytes of an element.", lambda self: self.dtype.itemsize)
_property("nbytes", "The bytes of all elements.", lambda self: self.numel() * self.dtype.itemsize)
_property("layout", "How the elements are held: densely.", lambda self: formats.strided)


@declare(function=False)
def data_ptr(self: Tensor) -> int:
    """A number that stands for the address of the first element: equal for aliases; 0 for none."""
    if not self.numel():
        return 0
    return self._storage.address + self._strides_offset()[1] * self.dtype.itemsize
