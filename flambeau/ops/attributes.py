"""Attributes and methods of other kinds of tensors (sparse, quantised), and of old versions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..errors import NotBuilt
from .registry import declare

# What kind of tensor it is


def _property(name: str, doc: str, value: Any) -> None:
    setattr(Tensor, name, property(value, doc=doc))


for _device in ("mps", "xpu", "ipu", "mtia", "xla", "vulkan", "maia"):
    _property(
        f"is_{_device}",
        f"Whether the tensor is on a device of type {_device}.",
        lambda self, _kind=_device: self.device.type == _kind,
    )
_property("is_sparse_csr", "Whether the layout is sparse rows: never.", lambda self: False)
_property("_has_symbolic_sizes_strides", "Whether sizes are symbols.", lambda self: False)
_property("_python_dispatch", "Whether Python handles the operations.", lambda self: False)
_property("_cdata", "A number that stands for the object.", id)
_property("_grad_fn", "The node of the tape: `grad_fn`.", lambda self: self.grad_fn)


# What only other layouts have


_LAYOUTS = {
    "coalesce": "sparse coordinate tensor",
    "indices": "sparse coordinate tensor",
    "is_coalesced": "sparse coordinate tensor",
    "values": "sparse tensor",
    "crow_indices": "sparse row compressed tensor",
    "col_indices": "sparse row compressed tensor",
    "ccol_indices": "sparse column compressed tensor",
    "row_indices": "sparse column compressed tensor",
}


def _declare_sparse(name: str, expected: str) -> None:
    def method(self: Tensor) -> Tensor:
        raise RuntimeError(f"{name} expected {expected} layout but got Strided")

    method.__doc__ = "Raises: the tensor is dense."
    declare(name=name, function=False)(method)


for _name, _expected in _LAYOUTS.items():
    _declare_sparse(_name, _expected)


@declare()
def sspaddmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Raises: the tensors are dense."""
    raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")


@declare()
def smm(input: Tensor, mat: Tensor) -> Tensor:
    """Raises: the tensors are dense."""
    raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")


@declare()
def dequantize(tensor: Tensor) -> Tensor:
    """The tensor as float32: it is not quantised."""
    return tensor.float()


@declare(function=False)
def xpu(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Raises: there is no build for Intel's GPUs."""
    raise AssertionError("Torch not compiled with XPU enabled")


@declare(function=False)
def ipu(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Raises: there is no build for Graphcore's processors."""
    raise RuntimeError("PyTorch is not linked with support for ipu devices")


@declare(function=False)
def reinforce(self: Tensor, reward: Any) -> None:
    """Raises: it was removed from PyTorch."""
    raise RuntimeError(
        "reinforce() was removed.\nUse torch.distributions instead.\n"
        "See https://pytorch.org/docs/main/distributions.html"
    )


_NOT_BUILT = frozenset(
    """
    hash_tensor index int_repr mtia q_per_channel_axis q_per_channel_scales
    q_per_channel_zero_points q_scale q_zero_point qscheme record_stream resize_as_sparse_
    sparse_mask sparse_resize_ sparse_resize_and_clear_ to_mkldnn to_padded_tensor to_sparse
    to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr _make_wrapper_subclass
    _nnz _indices _values _philox_normal_ _philox_uniform_
    """.split()  # noqa: SIM905
)


def _unknown(self: Tensor, name: str) -> Any:
    if name in _NOT_BUILT:
        raise NotBuilt(f"flambeau.Tensor.{name}")
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


Tensor.__getattr__ = _unknown  # type: ignore[method-assign]


# Python's protocols


def _array_wrap(self: Tensor, array: np.ndarray, *context: Any) -> Tensor:
    """A tensor of what a NumPy function made of this one."""
    from .copying import from_numpy

    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    return from_numpy(array)


def _reversed(self: Tensor) -> Tensor:
    return self if self.dim() == 0 else self.flip(0)


Tensor.__reversed__ = _reversed  # type: ignore[attr-defined]
Tensor.__array_wrap__ = _array_wrap  # type: ignore[attr-defined]
Tensor.__long__ = Tensor.__int__  # type: ignore[attr-defined]
Tensor.__nonzero__ = Tensor.__bool__  # type: ignore[attr-defined]
