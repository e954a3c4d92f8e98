"""`linalg.ldl_*`: the Bunch-Kaufman factorisation of symmetric matrices, by LAPACK on the host.

Source: J. Bunch and L. Kaufman, "Some stable methods for calculating inertia and solving symmetric
linear systems" (1977). SciPy, which JAX requires, has the routines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.device import tensor_from_host
from ..core.tensor import Tensor
from ..errors import broadcast_shapes
from .elementwise import without_derivative
from .linalg_checks import check_inexact, check_matrix, check_square, column_major, value_of
from .namespaces import LINALG, member
from .return_types import named_result


def _routine(stem: str, dtype: np.dtype, hermitian: bool) -> Any:
    """LAPACK's SYTRF or SYTRS, or for Hermitian complex matrices HETRF or HETRS."""
    from scipy.linalg import lapack

    kind = "he" if hermitian and dtype.kind == "c" else "sy"
    (function,) = lapack.get_lapack_funcs((kind + stem,), dtype=dtype)
    return function


def _known(name: str, x: Tensor) -> np.ndarray:
    host = value_of(x)
    if host is None:
        raise NotImplementedError(f"flambeau.linalg.{name}: computed on the host, on known values")
    return host


def _factor(A: Tensor, hermitian: bool) -> tuple[Tensor, Tensor, Tensor]:
    check_square("torch.linalg.ldl_factor_ex", A)
    check_inexact("torch.linalg.ldl_factor_ex", A)
    matrices = _known("ldl_factor", A)
    n, batch = matrices.shape[-1], matrices.shape[:-2]
    packed = np.zeros(matrices.shape, matrices.dtype)
    pivots = np.zeros((*batch, n), np.int32)
    info = np.zeros(batch, np.int32)
    if n:
        routine = _routine("trf", matrices.dtype, hermitian)
        for place in np.ndindex(*batch):
            factor, order, code = routine(matrices[place], lower=1)
            packed[place] = np.tril(factor)
            pivots[place] = order
            info[place] = code
    results = [tensor_from_host(x, A.device) for x in (packed, pivots, info)]
    column_major(results[0])
    without_derivative(results[0], (A,), "linalg_ldl_factor_ex")
    return results[0], results[1], results[2]


@member(LINALG)
def ldl_factor_ex(input: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """L and D of input = L D L^T (L D L^H where `hermitian`) packed in one matrix, the row
    exchanges, and the place of a zero block of D (0: none)."""
    results = _factor(input, hermitian)
    if check_errors:
        _check(results[2], "linalg.ldl_factor_ex")
    return named_result("linalg_ldl_factor_ex", ("LD", "pivots", "info"))(results)


@member(LINALG)
def ldl_factor(input: Tensor, *, hermitian: bool = False) -> Any:
    """`ldl_factor_ex` that raises where D is singular."""
    packed, pivots, info = _factor(input, hermitian)
    _check(info, "linalg.ldl_factor")
    return named_result("linalg_ldl_factor", ("LD", "pivots"))((packed, pivots))


def _check(info: Tensor, name: str) -> None:
    codes = info._host()
    if codes.any():
        raise RuntimeError(f"torch.{name}: D[{int(codes.max())},{int(codes.max())}] is zero")


@member(LINALG)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """The X of A X = B, given what `ldl_factor` returned."""
    check_square("torch.linalg.ldl_solve", LD)
    check_inexact("torch.linalg.ldl_solve", LD)
    check_matrix("torch.linalg.ldl_solve", B, "B")
    packed, order, right = (_known("ldl_solve", x) for x in (LD, pivots, B))
    if packed.shape[-1] != right.shape[-2]:
        raise RuntimeError(
            "torch.linalg.ldl_solve: Incompatible matrix sizes: each A matrix is "
            f"{packed.shape[-1]} by {packed.shape[-1]} but each B matrix is "
            f"{right.shape[-2]} by {right.shape[-1]}"
        )
    batch = broadcast_shapes(packed.shape[:-2], right.shape[:-2])
    packed = np.broadcast_to(packed, (*batch, *packed.shape[-2:]))
    order = np.broadcast_to(order, (*batch, order.shape[-1]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    solution = np.zeros(right.shape, right.dtype)
    if solution.size:
        routine = _routine("trs", packed.dtype, hermitian)
        for place in np.ndindex(*batch):
            solution[place], _ = routine(packed[place], order[place], right[place], lower=1)
    result = column_major(tensor_from_host(solution, B.device))
    return without_derivative(result, (LD, B), "linalg_ldl_solve")
