"""Linear systems: determinants, inverses, LU and Cholesky factors, triangular systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import broadcast_shapes
from ..kernels import linalg as kernels
from .arguments import not_implemented_for
from .linalg_checks import (
    check_inexact,
    check_info,
    check_matrix,
    check_square,
    column_major,
    empty_like,
    indefinite,
    is_inexact,
    singular_inverse,
    singular_solve,
    warn_once,
)
from .matmul import matmul
from .namespaces import LINALG, member
from .registry import declare
from .return_types import named_result
from .tensor_products import matrix_power

INV_EX = Op(kernels.inv_ex, name="LinalgInvEx", vjp=kernels.inv_ex_vjp)
DET = Op(kernels.det, name="LinalgDet")
SLOGDET = Op(kernels.slogdet, name="LinalgSlogdet")
LOGDET = Op(kernels.logdet, name="Where")
SOLVE_EX = Op(kernels.solve_ex, name="LinalgSolveEx", vjp=kernels.solve_ex_vjp)
SOLVE_TRIANGULAR = Op(kernels.solve_triangular, name="LinalgSolveTriangular")
TRIANGULAR_SOLVE = Op(kernels.triangular_solve)
LU_FACTOR_EX = Op(kernels.lu_factor_ex, name="LinalgLuFactorEx")
LU = Op(kernels.lu, name="LinalgLu")
LU_UNPACK = Op(kernels.lu_unpack)
LU_SOLVE = Op(kernels.lu_solve, name="LinalgLuSolve")
CHOLESKY_EX = Op(kernels.cholesky_ex, name="LinalgCholeskyEx", vjp=kernels.cholesky_ex_vjp)
CHOLESKY_SOLVE = Op(kernels.cholesky_solve, vjp=kernels.cholesky_solve_vjp)
CHOLESKY_INVERSE = Op(kernels.cholesky_inverse, vjp=kernels.cholesky_inverse_vjp)


# Determinants and inverses


def _check_for_lu(function: str, x: Tensor) -> None:
    check_square(function, x)
    check_inexact(function, x, narrow=True)
    if x.dtype.itemsize < 4:
        raise not_implemented_for("lu_cpu", x.dtype)


def _det(A: Tensor) -> Tensor:
    """The determinant."""
    _check_for_lu("linalg.det", A)
    size = A._dims()[-1]
    if size == 0:
        return A.sum((-2, -1)) + 1
    return apply(DET, (A,)) if size > 1 else A.squeeze((-2, -1))


det = declare(name="det")(_det)
member(LINALG, "det")(_det)


@member(LINALG, "slogdet")
def linalg_slogdet(A: Tensor) -> Any:
    """The sign of the determinant and the logarithm of its modulus."""
    _check_for_lu("linalg.slogdet", A)
    return named_result("linalg_slogdet", ("sign", "logabsdet"))(apply(SLOGDET, (A,)))


@declare(out=True)
def slogdet(input: Tensor) -> Any:
    """The sign of the determinant and the logarithm of its modulus."""
    return named_result("slogdet", ("sign", "logabsdet"))(linalg_slogdet(input))


@declare()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN for a negative one, -inf for 0."""
    _check_for_lu("logdet", input)
    return apply(LOGDET, (input,))


def _inv_ex(function: str, A: Tensor, check_errors: bool) -> tuple[Tensor, Tensor]:
    check_square("linalg.inv", A)
    check_inexact("linalg.inv", A)
    inverse, info = apply(INV_EX, (A,))
    if check_errors:
        check_info(function, info, singular_inverse)
    return column_major(inverse), info


@member(LINALG)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The inverse, and where it failed (0: nowhere)."""
    results = _inv_ex("linalg.inv_ex", A, check_errors)
    return named_result("linalg_inv_ex", ("inverse", "info"))(results)


@member(LINALG)
def inv(A: Tensor) -> Tensor:
    """The inverse; LinAlgError for a singular matrix."""
    return _inv_ex("linalg.inv", A, True)[0]


@declare(out=True)
def inverse(input: Tensor) -> Tensor:
    """The inverse of a square matrix, or of each of a stack.

    >>> import flambeau as torch
    >>> torch.inverse(torch.eye(2) * 2)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    return _inv_ex("linalg.inv", input, True)[0]


# Systems


def _check_system(function: str, A: Tensor, B: Tensor, left: bool, square: bool = True) -> None:
    """The checks on shapes of A X = B (X A = B where not `left`); B is a matrix by now."""
    (check_square if square else check_matrix)(function, A)
    check_matrix(function, B, "B")
    a, b = A._dims()[-2:], B._dims()[-2:]
    if a[-2] != b[-2 if left else -1]:
        raise RuntimeError(
            f"{function}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({a[0]}x{a[1]} and {b[0]}x{b[1]})"
        )


def _is_vector(A: Tensor, B: Tensor) -> bool:
    """Whether B is a vector, or a stack of vectors that fits A exactly."""
    a, b = A._dims(), B._dims()
    return len(b) == 1 or (len(a) - 1 == len(b) and b == a[:-1])


def _check_one_type(function: str, A: Tensor, B: Tensor) -> None:
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{function}: Expected A and B to have the same dtype, but found A of type "
            f"{scalar_type_name(A.dtype)} and B of type {scalar_type_name(B.dtype)} instead"
        )


def _solve_ex(
    function: str, A: Tensor, B: Tensor, left: bool, check_errors: bool
) -> tuple[Tensor, Tensor]:
    name = "linalg.solve"
    check_inexact(name, A)
    _check_one_type(name, A, B)
    check_matrix(name, A)
    vector = _is_vector(A, B)
    if vector:
        if not left:
            raise RuntimeError(
                f"{name}: Vector broadcasting of the left hand side is not supported for "
                "left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        B = B.unsqueeze(-1)
    _check_system(name, A, B, left)
    broadcast_shapes(B._dims()[:-2], A._dims()[:-2])
    solution, info = apply(SOLVE_EX, (A, B), (bool(left),))
    if check_errors:
        check_info(f"torch.{function}", info, singular_solve)
    if left:
        column_major(solution)
    return (solution.squeeze(-1) if vector else solution), info


@member(LINALG)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve`, and where it failed (0: nowhere)."""
    results = _solve_ex("linalg.solve_ex", A, B, left, check_errors)
    return named_result("linalg_solve_ex", ("result", "info"))(results)


@member(LINALG)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X of A X = B (of X A = B where not `left`); LinAlgError for a singular A."""
    return _solve_ex("linalg.solve", A, B, left, True)[0]


@member(LINALG)
def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """The X of A X = B (of X A = B where not `left`) for a triangular A."""
    _check_system("linalg.solve_triangular", input, B, left)
    if not is_inexact(input):
        raise not_implemented_for("triangular_solve_cpu", input.dtype)
    broadcast_shapes(input._dims()[:-2], B._dims()[:-2])
    statics = (bool(upper), bool(left), bool(unitriangular))
    return column_major(apply(SOLVE_TRIANGULAR, (input, B.to(input.dtype)), statics))


def _check_pair(function: str, b: Tensor, A: Tensor) -> None:
    """The checks of the old functions, whose right-hand side comes first."""
    if b.dtype is not A.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type "
            f"{scalar_type_name(b.dtype)} and A of type {scalar_type_name(A.dtype)} instead."
        )
    rows, columns = A._dims()[-2:]
    if rows != columns:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {rows} by {columns} matrices"
        )
    m, n = b._dims()[-2:]
    if m != rows:
        raise RuntimeError(
            f"Incompatible matrix sizes for {function}: each A matrix is {rows} by {columns} but "
            f"each b matrix is {m} by {n}"
        )


@declare(out=True)
def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """The X of A X = input (of A^T X = input where `transpose`) for a triangular A; deprecated."""
    warn_once(
        "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangularand will be "
        "removed in a future PyTorch release.\ntorch.linalg.solve_triangular has its arguments "
        "reversed and does not return a copy of one of the inputs.\nX = torch.triangular_solve(B, "
        "A).solution\nshould be replaced with\nX = torch.linalg.solve_triangular(A, B)."
    )
    for name, x in (("b", input), ("A", A)):
        if len(x._dims()) < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it "
                f"has {len(x._dims())} dimensions instead"
            )
    _check_pair("triangular_solve", input, A)
    statics = (bool(upper), bool(transpose), bool(unitriangular))
    solution = column_major(apply(TRIANGULAR_SOLVE, (input, A), statics))
    batch = solution._dims()[:-2]
    fields = ("solution", "cloned_coefficient")
    copied = column_major(A.expand(*batch, *A._dims()[-2:]).clone())
    return named_result("triangular_solve", fields)((solution, copied))


# LU


def _check_lu(A: Tensor, pivot: bool) -> None:
    if len(A._dims()) < 2:
        raise RuntimeError(
            "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: "
            f"{list(A._dims())} instead"
        )
    if not is_inexact(A) or A.dtype.itemsize < 4:
        raise not_implemented_for("lu_cpu", A.dtype)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@member(LINALG)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """L and U packed in one matrix, the row exchanges counted from 1, and where U is singular."""
    _check_lu(A, pivot)
    results = apply(LU_FACTOR_EX, (A,))
    column_major(results[0])
    if check_errors:
        check_info("torch.linalg.lu_factor_ex", results[2], _zero_pivot, RuntimeError)
    return named_result("linalg_lu_factor_ex", ("LU", "pivots", "info"))(results)


def _zero_pivot(code: int) -> str:
    return (
        f"U[{code},{code}] is zero and using it on lu_solve would result in a division by zero. If "
        "you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
        "linalg.lu_factor_ex(A, pivot)"
    )


@member(LINALG)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """`lu_factor_ex` that raises where U is singular."""
    _check_lu(A, pivot)
    packed, pivots, info = apply(LU_FACTOR_EX, (A,))
    check_info("torch.linalg.lu_factor", info, _zero_pivot, RuntimeError)
    return named_result("linalg_lu_factor", ("LU", "pivots"))((column_major(packed), pivots))


@member(LINALG)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """The factors of A = P L U: a permutation, lower and upper triangular matrices."""
    _check_lu(A, pivot)
    p, lower, upper = apply(LU, (A,))
    return named_result("linalg_lu", ("P", "L", "U"))((p.detach(), lower, upper))


def _lu_with_warning(
    A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None
) -> Any:
    """`linalg.lu_factor_ex` under its old name; deprecated."""
    warn_once(
        "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and "
        "will be removed in a future PyTorch release.\nLU, pivots = torch.lu(A, compute_pivots)\n"
        "should be replaced with\nLU, pivots = torch.linalg.lu_factor(A, compute_pivots)\nand\n"
        "LU, pivots, info = torch.lu(A, compute_pivots, get_infos=True)\nshould be replaced with\n"
        "LU, pivots, info = torch.linalg.lu_factor_ex(A, compute_pivots)"
    )
    if out is not None:
        from .registry import store_out

        return store_out(out, _plain_lu, "lu", (A, pivot, get_infos), {})
    return _plain_lu(A, pivot, get_infos)


def _plain_lu(A: Tensor, pivot: bool, get_infos: bool) -> Any:
    _check_lu(A, pivot)
    results = apply(LU_FACTOR_EX, (A,))
    column_major(results[0])
    if not get_infos:
        return results[:2]
    fields = ("LU", "pivots", "info")
    return named_result("_lu_with_info", fields)(results)


def _lu_method(self: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """`linalg.lu_factor_ex` as a plain tuple."""
    _check_lu(self, pivot)
    packed, pivots, info = apply(LU_FACTOR_EX, (self,))
    return (column_major(packed), pivots, info)[: 3 if get_infos else 2]


declare(name="lu", method=False)(_lu_with_warning)
declare(name="lu", function=False)(_lu_method)


@declare(out=True, method=False)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """The factors (P, L, U) from what `linalg.lu_factor` returned."""
    if unpack_pivots and LU_pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    rows, columns = LU_data._dims()[-2:]
    count = min(rows, columns)
    p, lower, upper = apply(LU_UNPACK, (LU_data, LU_pivots[..., :count]))
    p = p.detach() if unpack_pivots else empty_like(LU_data)
    if not unpack_data:
        lower = upper = empty_like(LU_data)
    return named_result("lu_unpack", ("P", "L", "U"))((p, lower, upper))


@member(LINALG, "lu_solve")
def linalg_lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """The X of A X = B (X A = B where not `left`; with A^H where `adjoint`) from A's factors."""
    check_inexact("torch.linalg.lu_solve", LU)
    if pivots.dtype is not dtypes.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if LU.dtype is not B.dtype:
        raise RuntimeError(
            "linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type "
            f"{scalar_type_name(LU.dtype)} and B of type {scalar_type_name(B.dtype)} instead"
        )
    check_square("torch.linalg.lu_solve", LU)
    _check_system("linalg.lu_solve", LU, B, left)
    solution = apply(LU_SOLVE, (LU, pivots, B), (bool(left), bool(adjoint)))
    return column_major(solution) if left else solution


@declare(out=True)
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`linalg.lu_solve` with the right-hand side first; deprecated."""
    warn_once(
        "torch.lu_solve is deprecated in favor of torch.linalg.lu_solveand will be removed in a "
        "future PyTorch release.\nNote that torch.linalg.lu_solve has its arguments reversed.\n"
        "X = torch.lu_solve(B, LU, pivots)\nshould be replaced with\n"
        "X = torch.linalg.lu_solve(LU, pivots, B)"
    )
    return linalg_lu_solve(LU_data, LU_pivots, input)


# Cholesky


def _cholesky_ex(
    function: str, A: Tensor, upper: bool, check_errors: bool, label: str | None = None
) -> tuple[Tensor, Tensor]:
    factor, info = apply(CHOLESKY_EX, (A,), (bool(upper),), label)
    if check_errors:
        check_info(function, info, indefinite)
    return column_major(factor), info


@member(LINALG)
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The Cholesky factor, and the order of the first leading minor that isn't positive."""
    check_square("linalg.cholesky", input)
    check_inexact("linalg.cholesky", input)
    results = _cholesky_ex("linalg.cholesky_ex", input, upper, check_errors)
    return named_result("linalg_cholesky_ex", ("L", "info"))(results)


@member(LINALG, "cholesky")
def linalg_cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """The lower (or upper) triangular factor of a Hermitian positive definite matrix."""
    check_square("linalg.cholesky", input)
    check_inexact("linalg.cholesky", input)
    return _cholesky_ex("linalg.cholesky", input, upper, True)[0]


@declare(out=True)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky`; deprecated."""
    warn_once(
        "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a "
        "future PyTorch release.\nL = torch.cholesky(A)\nshould be replaced with\n"
        "L = torch.linalg.cholesky(A)\nand\nU = torch.cholesky(A, upper=True)\nshould be replaced "
        "with\nU = torch.linalg.cholesky(A).mH\nThis transform will produce equivalent results for "
        "all valid (symmetric positive definite) inputs."
    )
    check_square("cholesky", input)
    if not is_inexact(input) or input.dtype.itemsize < 4:
        raise not_implemented_for("cholesky_cpu", input.dtype)
    return _cholesky_ex("cholesky", input, upper, True, "CholeskyBackward0")[0]


@declare(out=True)
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The X of A X = input, given A's Cholesky factor."""
    for name, x in (("b", input), ("u", L)):
        if len(x._dims()) < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {len(x._dims())} dimensions "
                "instead"
            )
    _check_pair("cholesky_solve", input, L)
    return column_major(apply(CHOLESKY_SOLVE, (input, L), (bool(upper),)))


@declare(out=True)
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of a matrix, given its Cholesky factor."""
    check_square("cholesky_inverse", L)
    return column_major(apply(CHOLESKY_INVERSE, (L,), (bool(upper),)))


# Tensors as matrices


@member(LINALG)
def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse with respect to the first `ind` axes taken together."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = input._dims()
    rows, columns = (int(np.prod(s, dtype=np.int64)) for s in (shape[:ind], shape[ind:]))
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {columns} != {rows}"
        )
    return inv(input.reshape(rows, columns)).reshape(*shape[ind:], *shape[:ind])


@member(LINALG)
def tensorsolve(input: Tensor, other: Tensor, dims: Any = None) -> Tensor:
    """The X of tensordot(A, X, X.ndim) = B; the axes `dims` of A are moved to the right first."""
    if dims is not None:
        input = input.movedim(
            tuple(dims), tuple(range(len(input._dims()) - len(dims), len(input._dims())))
        )
    shape, count = input._dims(), len(other._dims())
    rows, columns = (int(np.prod(s, dtype=np.int64)) for s in (shape[:count], shape[count:]))
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {columns} != {rows}"
        )
    return solve(input.reshape(rows, columns), other.reshape(rows)).reshape(shape[count:])


# Functions that PyTorch removed

REMOVED = {
    "solve": "`torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` "
    "has its arguments reversed and does not return the LU factorization.\n\nTo get the LU "
    "factorization see `torch.lu`, which can be used with `torch.lu_solve` or `torch.lu_unpack`.\n"
    "X = torch.solve(B, A).solution should be replaced with:\nX = torch.linalg.solve(A, B)",
    "eig": "`torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather "
    "than real tensors mimicking complex tensors.\n\nL, _ = torch.eig(A) should be replaced with:\n"
    "L_complex = torch.linalg.eigvals(A)\n\nand\n\nL, V = torch.eig(A, eigenvectors=True) should "
    "be replaced with:\nL_complex, V_complex = torch.linalg.eig(A)",
    "lstsq": "`torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`.\n`torch.linalg.lstsq` "
    "has reversed arguments and does not return the QR decomposition in the returned tuple "
    "(although it returns other information about the problem).",
    "symeig": "The default behavior has changed from using the upper triangular portion of the "
    "matrix by default to using the lower triangular portion.\n\nL, _ = torch.symeig(A, "
    "upper=upper) should be replaced with:\nL = torch.linalg.eigvalsh(A, UPLO='U' if upper else "
    "'L')\n\nand\n\nL, V = torch.symeig(A, eigenvectors=True) should be replaced with:\n"
    "L, V = torch.linalg.eigh(A, UPLO='U' if upper else 'L')",
    "matrix_rank": "\nPlease use the `torch.linalg.matrix_rank` function instead. The parameter "
    "'symmetric' was renamed in `torch.linalg.matrix_rank()` to 'hermitian'.",
}


def _removed(name: str, advice: str) -> None:
    def function(*args: Any, **kwargs: Any) -> Any:
        gap = "" if advice.startswith("\n") else " "
        raise RuntimeError(
            f"This function was deprecated since version 1.9 and is now removed.{gap}{advice}"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Removed; see `linalg.{name}`."
    declare(name=name, method=name != "matrix_rank")(function)


for _name, _advice in REMOVED.items():
    _removed(_name, _advice)

LINALG["matrix_power"] = matrix_power
LINALG["matmul"] = matmul


@member(LINALG, out=False)
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of the last two axes."""
    return A.diagonal(offset, dim1, dim2)
