"""`torch.linalg`. Written by tools/stubs.py; not to be edited."""

import builtins
from typing import Any

from .core.tensor import Tensor
from .dtypes import dtype as _dtype
from .errors import LinAlgError as LinAlgError

def cholesky(input: Tensor, *, upper: builtins.bool = False, out: Any = None) -> Tensor: ...
def cholesky_ex(
    input: Tensor,
    *,
    upper: builtins.bool = False,
    check_errors: builtins.bool = False,
    out: Any = None,
) -> Any: ...
def cond(input: Tensor, p: Any = None, *, out: Any = None) -> Tensor: ...
def cross(input: Tensor, other: Tensor, *, dim: builtins.int = -1, out: Any = None) -> Tensor: ...
def det(A: Tensor, *, out: Any = None) -> Tensor: ...
def diagonal(
    A: Tensor,
    *,
    offset: builtins.int = 0,
    dim1: builtins.int = -2,
    dim2: builtins.int = -1,
    out: Any = None,
) -> Tensor: ...
def eig(input: Tensor, *, out: Any = None) -> Any: ...
def eigh(input: Tensor, UPLO: builtins.str = "L", *, out: Any = None) -> Any: ...
def eigvals(input: Tensor, *, out: Any = None) -> Tensor: ...
def eigvalsh(input: Tensor, UPLO: builtins.str = "L", *, out: Any = None) -> Tensor: ...
def householder_product(input: Tensor, tau: Tensor, *, out: Any = None) -> Tensor: ...
def inv(A: Tensor, *, out: Any = None) -> Tensor: ...
def inv_ex(A: Tensor, *, check_errors: builtins.bool = False, out: Any = None) -> Any: ...
def ldl_factor(input: Tensor, *, hermitian: builtins.bool = False, out: Any = None) -> Any: ...
def ldl_factor_ex(
    input: Tensor,
    *,
    hermitian: builtins.bool = False,
    check_errors: builtins.bool = False,
    out: Any = None,
) -> Any: ...
def ldl_solve(
    LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: builtins.bool = False, out: Any = None
) -> Tensor: ...
def lstsq(
    input: Tensor,
    b: Tensor,
    rcond: builtins.float | None = None,
    *,
    driver: builtins.str | None = None,
    out: Any = None,
) -> Any: ...
def lu(A: Tensor, *, pivot: builtins.bool = True, out: Any = None) -> Any: ...
def lu_factor(A: Tensor, *, pivot: builtins.bool = True, out: Any = None) -> Any: ...
def lu_factor_ex(
    A: Tensor, *, pivot: builtins.bool = True, check_errors: builtins.bool = False, out: Any = None
) -> Any: ...
def lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: builtins.bool = True,
    adjoint: builtins.bool = False,
    out: Any = None,
) -> Tensor: ...
def matmul(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor: ...
def matrix_exp(input: Tensor, *, out: Any = None) -> Tensor: ...
def matrix_norm(
    input: Tensor,
    ord: Any = "fro",
    dim: Any = ...,
    keepdim: builtins.bool = False,
    *,
    dtype: _dtype | None = None,
    out: Any = None,
) -> Tensor: ...
def matrix_power(input: Tensor, n: builtins.int, *, out: Any = None) -> Tensor: ...
def matrix_rank(
    input: Tensor,
    tol: Any = None,
    hermitian: builtins.bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Any = None,
) -> Tensor: ...
def multi_dot(tensors: Any, *, out: Any = None) -> Tensor: ...
def norm(
    input: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: builtins.bool = False,
    *,
    dtype: _dtype | None = None,
    out: Any = None,
) -> Tensor: ...
def pinv(
    input: Tensor,
    rcond: Any = None,
    hermitian: builtins.bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Any = None,
) -> Tensor: ...
def qr(A: Tensor, mode: builtins.str = "reduced", *, out: Any = None) -> Any: ...
def slogdet(A: Tensor, *, out: Any = None) -> Any: ...
def solve(A: Tensor, B: Tensor, *, left: builtins.bool = True, out: Any = None) -> Tensor: ...
def solve_ex(
    A: Tensor,
    B: Tensor,
    *,
    left: builtins.bool = True,
    check_errors: builtins.bool = False,
    out: Any = None,
) -> Any: ...
def solve_triangular(
    input: Tensor,
    B: Tensor,
    *,
    upper: builtins.bool,
    left: builtins.bool = True,
    unitriangular: builtins.bool = False,
    out: Any = None,
) -> Tensor: ...
def svd(
    A: Tensor,
    full_matrices: builtins.bool = True,
    *,
    driver: builtins.str | None = None,
    out: Any = None,
) -> Any: ...
def svdvals(A: Tensor, *, driver: builtins.str | None = None, out: Any = None) -> Tensor: ...
def tensorinv(input: Tensor, ind: builtins.int = 2, *, out: Any = None) -> Tensor: ...
def tensorsolve(input: Tensor, other: Tensor, dims: Any = None, *, out: Any = None) -> Tensor: ...
def vander(x: Tensor, *, N: builtins.int | None = None, out: Any = None) -> Tensor: ...
def vecdot(x: Tensor, y: Tensor, *, dim: builtins.int = -1, out: Any = None) -> Tensor: ...
def vector_norm(
    input: Tensor,
    ord: Any = 2,
    dim: Any = None,
    keepdim: builtins.bool = False,
    *,
    dtype: _dtype | None = None,
    out: Any = None,
) -> Tensor: ...
