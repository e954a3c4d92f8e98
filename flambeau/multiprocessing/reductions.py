"""How tensors travel through queues and pipes: their memory is shared, not copied."""

from __future__ import annotations

from multiprocessing import reduction
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..nn.parameter import Parameter
from ..ops.sharing import attach, share

_FIELDS = ("_steps", "_offsets", "_view_shape", "_view_dtype")


def reduce_tensor(tensor: Tensor) -> tuple[Any, ...]:
    """What a queue sends for a tensor: the file descriptor of its memory, and how to read it."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the data, "
            "call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    cell = tensor._storage
    if cell.device.type != "cpu":
        return _rebuild_elsewhere, (type(tensor), tensor.cpu(), str(tensor.device))
    descriptor = reduction.DupFd(share(cell))
    view = {name: tensor.__dict__[name] for name in _FIELDS if name in tensor.__dict__}
    about = (cell.array.shape, cell.array.dtype.name, cell.strides)
    return _rebuild, (type(tensor), descriptor, about, view, tensor._requires_grad)


def _rebuild(
    cls: type, descriptor: Any, about: Any, view: dict[str, Any], requires_grad: bool
) -> Tensor:
    shape, dtype, strides = about
    tensor = object.__new__(cls)
    tensor._storage = attach(descriptor.detach(), shape, np.dtype(dtype), strides)
    tensor.__dict__.update(view)
    tensor._requires_grad = requires_grad
    return tensor


def _rebuild_elsewhere(cls: type, tensor: Tensor, device: str) -> Tensor:
    found = tensor.to(device)
    found.__class__ = cls
    return found


def register() -> None:
    """Teach the standard library's queues and pipes about tensors."""
    for cls in (Tensor, Parameter):
        reduction.ForkingPickler.register(cls, reduce_tensor)
