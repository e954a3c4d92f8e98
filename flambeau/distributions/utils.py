"""What the distributions share: broadcasting of parameters, odds and probabilities, triangles."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number
from typing import Any

from .. import dtypes
from ..core.modes import enable_grad
from ..core.tensor import Tensor
from ..dtypes import finfo
from ..ops.creation import tensor
from ..ops.filling import empty, zeros
from ..ops.joining import broadcast_tensors
from ..ops.ranges import arange
from ..size import Size

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

EULER = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape from tensors and numbers; numbers take the first tensor's type.

    Example::

        >>> [tuple(x.shape) for x in broadcast_all(torch.zeros(2, 1), torch.ones(3), 0.5)]
        [(2, 3), (2, 3), (2, 3)]
    """
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = dtypes.get_default_dtype() if first is None else first.dtype
    device = None if first is None else first.device
    found = [v if isinstance(v, Tensor) else tensor(v, dtype=dtype, device=device) for v in values]
    return tuple(broadcast_tensors(*found))


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from log-odds (binary), or from logarithms known up to a constant."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept away from 0 and 1 by the machine epsilon."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The log-odds (binary), or the logarithms, of probabilities."""
    inner = clamp_probs(probs)
    return inner.log() - (-inner).log1p() if is_binary else inner.log()


class lazy_property:
    """A method whose value is computed at the first reading and then kept in the instance."""

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of matrices on and below the diagonal `diag`, row by row.

    Example::

        >>> tril_matrix_to_vec(torch.tensor([[1, 2], [3, 4]]))
        tensor([1, 3, 4])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _lower(n, diag, mat)]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Lower triangular matrices from what `tril_matrix_to_vec` gives.

    Example::

        >>> vec_to_tril_matrix(torch.tensor([1.0, 3.0, 4.0]))
        tensor([[1., 0.],
                [3., 4.]])
    """
    count, corner = vec.shape[-1], 1 + 2 * diag
    n = (-corner + math.sqrt(corner**2 + 8 * count + 4 * abs(diag) * (diag + 1))) / 2
    if round(n) - n > finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    n = round(n)
    matrix = zeros(vec.shape[:-1] + (n, n), dtype=vec.dtype, device=vec.device)
    matrix[..., _lower(n, diag, vec)] = vec
    return matrix


def _lower(n: int, diag: int, like: Tensor) -> Tensor:
    places = arange(n, device=like.device)
    return places < places.view(-1, 1) + (diag + 1)


def sum_rightmost(value: Tensor, count: int) -> Tensor:
    """The sum over the last `count` axes, or over all where there are fewer."""
    return value.reshape(value.shape[:-count] + (-1,)).sum(-1) if count else value


def standard_normal(shape: Size, like: Tensor) -> Tensor:
    """Normals of mean 0 and deviation 1, of the type of `like`."""
    return empty(shape, dtype=like.dtype, device=like.device).normal_()


def standard_uniform(shape: Size, like: Tensor) -> Tensor:
    """Uniforms from [0, 1), of the type of `like`."""
    return empty(shape, dtype=like.dtype, device=like.device).uniform_()
