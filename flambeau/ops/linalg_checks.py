"""What the functions of linear algebra check, and how they report a failed factorisation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax.core
import numpy as np

from ..core.batching import is_batched
from ..core.legacy import scalar_type_name
from ..core.levels import known_values
from ..core.state import modes
from ..core.tensor import Tensor, wrap
from ..errors import LinAlgError

_given: set[str] = set()


def warn_once(text: str, stacklevel: int = 4) -> None:
    """Give a warning at its first occasion only, as PyTorch does for these."""
    if text not in _given:
        _given.add(text)
        warnings.warn(text, UserWarning, stacklevel=stacklevel)


def is_inexact(x: Tensor) -> bool:
    """Whether the elements are floating or complex."""
    return x.dtype.is_floating_point or x.dtype.is_complex


def check_inexact(function: str, x: Tensor, *, narrow: bool = False) -> None:
    """Raise unless the elements are floating or complex (and of 32 bits at least)."""
    if not is_inexact(x):
        raise RuntimeError(
            f"{function}: Expected a floating point or complex tensor as input. Got "
            f"{scalar_type_name(x.dtype)}"
        )
    if not narrow and x.dtype.itemsize < 4:
        raise RuntimeError(
            f"{function}: Low precision dtypes not supported. Got {scalar_type_name(x.dtype)}"
        )


def check_matrix(function: str, x: Tensor, name: str = "A") -> None:
    """Raise unless there are two axes at least."""
    if len(x._dims()) < 2:
        raise RuntimeError(f"{function}: The input tensor {name} must have at least 2 dimensions.")


def check_square(function: str, x: Tensor) -> None:
    """Raise unless the last two axes are equal."""
    check_matrix(function, x)
    rows, columns = x._dims()[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{function}: A must be batches of square matrices, but they are {rows} by {columns} "
            "matrices"
        )


def value_of(x: Tensor) -> np.ndarray | None:
    """The value on the host; None inside a compiled function and on the meta device."""
    if modes.levels and is_batched(x):
        return None
    array = x._storage.array
    if isinstance(array, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        return None
    return x._host()


def check_info(
    function: str,
    info: Tensor,
    message: Callable[[int], str],
    error: type[RuntimeError] = LinAlgError,
) -> None:
    """Raise `error` where a factorisation failed; `message` gets the number that says where.

    Inside a compiled function nothing is raised: the result then holds infinities or NaNs.
    """
    codes = known_values(info) if modes.levels else value_of(info)
    if codes is None or not codes.any():
        return
    place = ""
    flat = codes.reshape(-1)
    first = int(np.flatnonzero(flat)[0])
    if codes.ndim:
        place = f"(Batch element {first}): "
    raise error(f"{function}: {place}{message(int(flat[first]))}")


def singular_inverse(code: int) -> str:
    """Why `inv` failed."""
    return (
        f"The diagonal element {code} is zero, the inversion could not be completed because the "
        "input matrix is singular."
    )


def singular_solve(code: int) -> str:
    """Why `solve` failed."""
    return "The solver failed because the input matrix is singular."


def indefinite(code: int) -> str:
    """Why `cholesky` failed."""
    return (
        "The factorization could not be completed because the input is not positive-definite (the "
        f"leading minor of order {code} is not positive-definite)."
    )


def empty_like(x: Tensor, shape: tuple[int, ...] = (0,), dtype: Any = None) -> Tensor:
    """A tensor of zeros (by default without elements) of x's type."""
    return wrap(np.zeros(shape, dtype or x._dtype_numpy()), x.device)


def column_major(x: Tensor, height: int = 1) -> Tensor:
    """A fresh result with the strides of LAPACK's layout, as PyTorch's results have them.

    Args:
        height: the least distance of two columns.
    """
    rows, columns = x._dims()[-2:]
    step = max(height, rows)
    strides = [1, step]
    size = step * max(1, columns)
    for n in reversed(x._dims()[:-2]):
        strides.insert(0, size)
        size *= max(1, n)
    x._storage.strides = tuple(strides)
    return x
