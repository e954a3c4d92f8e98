"""QR, eigenvalues and singular values, and what is computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import LinAlgError
from ..kernels import decompositions as kernels
from ..kernels import linalg as factor_kernels
from .arguments import not_implemented_for
from .autocast import lowered
from .linalg_checks import (
    check_inexact,
    check_matrix,
    check_square,
    column_major,
    empty_like,
    is_inexact,
    value_of,
    warn_once,
)
from .namespaces import LINALG, member
from .registry import declare
from .return_types import named_result

QR = Op(factor_kernels.qr, name="LinalgQr", vjp=factor_kernels.qr_vjp)
GEQRF = Op(factor_kernels.geqrf, differentiable=False)
HOUSEHOLDER_PRODUCT = Op(factor_kernels.householder_product, name="LinalgHouseholderProduct")
ORMQR = Op(factor_kernels.ormqr)
EIGH = Op(kernels.eigh, name="LinalgEigh", vjp=kernels.eigh_vjp)
EIGVALSH = Op(kernels.eigvalsh, name="LinalgEigh", vjp=kernels.eigvalsh_vjp)
EIG = Op(kernels.eig, name="LinalgEig", vjp=kernels.eig_vjp)
EIGVALS = Op(kernels.eigvals, name="LinalgEig", vjp=kernels.eigvals_vjp)
SVD = Op(kernels.svd, name="LinalgSvd", vjp=kernels.svd_vjp)
SVDVALS = Op(kernels.svdvals, name="LinalgSvd", vjp=kernels.svdvals_vjp)
PINV = Op(kernels.pinv, name="LinalgPinv", vjp=kernels.pinv_vjp)
MATRIX_RANK = Op(kernels.matrix_rank, differentiable=False)
LSTSQ = Op(kernels.lstsq, name="LinalgLstsq", vjp=kernels.lstsq_vjp)
MATRIX_EXP = Op(kernels.matrix_exp, name="LinalgMatrixExp")


# QR


@member(LINALG, "qr")
def linalg_qr(A: Tensor, mode: str = "reduced") -> Any:
    """A = Q R with orthonormal columns in Q: 'reduced', 'complete', or 'r' for R alone."""
    check_matrix("linalg.qr", A)
    check_inexact("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    q, r = apply(QR, (A,), (mode,))
    if mode != "r":
        column_major(q)
    return named_result("linalg_qr", ("Q", "R"))((q, column_major(r)))


@declare(out=True)
def qr(input: Tensor, some: bool = True) -> Any:
    """`linalg.qr`; deprecated."""
    warn_once(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future "
        "PyTorch release.\nThe boolean parameter 'some' has been replaced with a string parameter "
        "'mode'.\n"
        "Q, R = torch.qr(A, some)\nshould be replaced with\n"
        "Q, R = torch.linalg.qr(A, 'reduced' if some else 'complete')"
    )
    return named_result("qr", ("Q", "R"))(linalg_qr(input, "reduced" if some else "complete"))


@declare(out=True)
def geqrf(input: Tensor) -> Any:
    """QR in the form of Householder reflectors: R above them, and their factors tau."""
    if len(input._dims()) < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    if not is_inexact(input) or input.dtype.itemsize < 4:
        raise not_implemented_for("geqrf_cpu", input.dtype)
    reflectors, tau = apply(GEQRF, (input,))
    return named_result("geqrf", ("a", "tau"))((column_major(reflectors), tau))


def _check_reflectors(function: str, x: Tensor, tau: Tensor) -> None:
    a, t = x._dims(), tau._dims()
    if len(a) < 2:
        raise RuntimeError(f"{function}: input must have at least 2 dimensions.")
    if len(a) - len(t) != 1:
        raise RuntimeError(
            f"{function}: Expected tau to have one dimension less than input, but got tau.ndim "
            f"equal to {len(t)} and input.ndim is equal to {len(a)}"
        )
    if x.dtype is not tau.dtype:
        raise RuntimeError(
            f"{function}: tau dtype {scalar_type_name(tau.dtype)} does not match input dtype "
            f"{scalar_type_name(x.dtype)}"
        )
    if not is_inexact(x):
        raise not_implemented_for("orgqr_cpu", x.dtype)


@member(LINALG)
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflectors that `geqrf` returned."""
    name = "torch.linalg.householder_product"
    _check_reflectors(name, input, tau)
    a, t = input._dims(), tau._dims()
    if a[-2] < a[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if a[-1] < t[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if a[:-2] != t[:-1]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(t[:-1])}"
        )
    return column_major(apply(HOUSEHOLDER_PRODUCT, (input, tau)))


@declare(out=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """Alias of `linalg.householder_product`."""
    return householder_product(input, input2)


@declare(out=True)
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Q input3, Q^H input3, input3 Q or input3 Q^H for the Q of `geqrf`'s reflectors."""
    if len(input3._dims()) < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    _check_reflectors("torch.ormqr", input, input2)
    side = -2 if left else -1
    if input3._dims()[side] != input._dims()[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    return column_major(apply(ORMQR, (input, input2, input3), (bool(left), bool(transpose))))


# Eigenvalues


def _upper(UPLO: str) -> bool:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper() == "U"


def _check_eigh(A: Tensor) -> None:
    check_square("linalg.eigh", A)
    if not is_inexact(A) or A.dtype.itemsize < 4:
        raise not_implemented_for("linalg_eigh_cpu", A.dtype)


@member(LINALG)
def eigh(input: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues (ascending) and eigenvectors of a Hermitian matrix, of which one triangle
    is read."""
    _check_eigh(input)
    values, vectors = apply(EIGH, (input,), (_upper(UPLO),))
    fields = ("eigenvalues", "eigenvectors")
    return named_result("linalg_eigh", fields)((values, column_major(vectors)))


@member(LINALG)
def eigvalsh(input: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of `eigh`."""
    _check_eigh(input)
    return apply(EIGVALSH, (input,), (_upper(UPLO),))


def _check_finite(function: str, A: Tensor) -> None:
    host = value_of(A)
    if host is not None and not np.isfinite(host).all():
        raise RuntimeError(f"{function}: input tensor should not contain infs or NaNs.")


@member(LINALG)
def eig(input: Tensor) -> Any:
    """Eigenvalues and eigenvectors (columns of norm 1) of a square matrix, complex."""
    check_square("linalg.eig", input)
    check_inexact("linalg.eig", input)
    _check_finite("torch.linalg.eig", input)
    values, vectors = apply(EIG, (input,))
    fields = ("eigenvalues", "eigenvectors")
    return named_result("linalg_eig", fields)((values, column_major(vectors)))


@member(LINALG)
def eigvals(input: Tensor) -> Tensor:
    """The eigenvalues of `eig`."""
    check_square("linalg.eigvals", input)
    check_inexact("linalg.eigvals", input)
    return apply(EIGVALS, (input,))


# Singular values


def _check_svd(A: Tensor, driver: str | None = None) -> None:
    check_matrix("linalg.svd", A)
    check_inexact("linalg.svd", A)
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )
    host = value_of(A)
    if host is not None and not np.isfinite(host).all():
        raise LinAlgError(
            "linalg.svd: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        )


@member(LINALG, "svd")
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U diag(S) Vh with orthonormal columns in U and rows in Vh, S descending."""
    _check_svd(A, driver)
    u, s, vh = apply(SVD, (A,), (bool(full_matrices),))
    return named_result("linalg_svd", ("U", "S", "Vh"))((column_major(u), s, column_major(vh)))


@member(LINALG)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, descending."""
    _check_svd(A, driver)
    return apply(SVDVALS, (A,))


@declare(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """input = U diag(S) V^H; zeros for U and V unless `compute_uv`."""
    shape = input._dims()
    if len(shape) < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {len(shape)} dimensions "
            "instead"
        )
    result = named_result("svd", ("U", "S", "V"))
    if compute_uv:
        u, s, vh = linalg_svd(input, full_matrices=not some)
        return result((u, s, vh.mH))
    square = [empty_like(input, (*shape[:-2], n, n)) for n in shape[-2:]]
    return result((square[0], svdvals(input), square[1]))


def _tolerances(A: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """The thresholds for singular values: rtol is eps max(m, n) unless one is given."""
    if rtol is None:
        epsilon = float(np.finfo(A._dtype_numpy()).eps)
        rtol = epsilon * max(A._dims()[-2:]) if atol is None else 0.0
    return 0.0 if atol is None else atol, rtol


@member(LINALG)
def pinv(
    input: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudo-inverse; singular values up to max(atol, rtol * the largest) count as 0."""
    if len(input._dims()) < 2 or not is_inexact(input):
        raise RuntimeError(
            f"linalg.pinv({scalar_type_name(input.dtype)}{{{list(input._dims())}}}): expected a "
            "tensor with 2 or more dimensions of float, double, cfloat or cdouble types"
        )
    if hermitian:
        _check_eigh(input)
    if not input.numel():
        (result,) = lowered(input.mH.clone())
        return result
    atol, rtol = _tolerances(input, atol, rcond if rcond is not None else rtol)
    (result,) = lowered(apply(PINV, (input, atol, rtol), (bool(hermitian),)))
    return result


@declare()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse; singular values up to rcond * the largest count as 0."""
    return pinv(input, rcond)


@member(LINALG)
def matrix_rank(
    input: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """How many singular values exceed max(atol, rtol * the largest); `tol` is an atol."""
    check_matrix("torch.linalg.matrix_rank", input, "input")
    if not is_inexact(input):
        raise RuntimeError("This function doesn't handle types other than float and double")
    atol, rtol = _tolerances(input, atol if tol is None else tol, rtol)
    return apply(MATRIX_RANK, (input, atol, rtol), (bool(hermitian),))


DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@member(LINALG)
def lstsq(
    input: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    """The X of least norm with the least |A X - B|, the residuals, A's rank and singular values.

    The residuals are there where A has more rows than columns and full rank and the driver isn't
    'gelsy' (the default), the singular values for 'gelsd' and 'gelss'.
    """
    name = "torch.linalg.lstsq"
    _check_lstsq(name, input, b, driver)
    vector = len(input._dims()) == len(b._dims()) + 1
    column = b.unsqueeze(-1) if vector else b
    rows, columns = input._dims()[-2:]
    if rcond is None:
        rcond = float(np.finfo(input._dtype_numpy()).eps) * max(rows, columns)
    solution, rank, values = apply(LSTSQ, (input, column, rcond))
    residuals = solution.reshape(-1)[:0]
    ranks = value_of(rank)
    if ranks is None:
        raise NotImplementedError(
            "flambeau.linalg.lstsq: depends on values, which are not known here"
        )
    full = bool((ranks == min(rows, columns)).all())
    if driver == "gels" and not full:
        raise LinAlgError(
            f"{name}: The least squares solution could not be computed because the input matrix "
            f"does not have full rank (error code: {int(ranks.min()) + 1})."
        )
    if full and rows > columns and driver not in (None, "gelsy"):
        residuals = (input @ solution - column).abs().square().sum(-2)
    if driver == "gels":
        rank = empty_like(input, dtype=np.int64)
    if driver not in ("gelsd", "gelss"):
        values = empty_like(values)
    values = values.detach()
    fields = ("solution", "residuals", "rank", "singular_values")
    column_major(solution, max(rows, columns))
    solution = solution.squeeze(-1) if vector else solution
    return named_result("linalg_lstsq", fields)((solution, residuals, rank, values))


def _check_lstsq(name: str, A: Tensor, B: Tensor, driver: str | None) -> None:
    a, b = A._dims(), B._dims()
    if len(a) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if len(b) < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{scalar_type_name(A.dtype)} and other's dtype {scalar_type_name(B.dtype)}"
        )
    if not is_inexact(A):
        raise RuntimeError("This function doesn't handle types other than float and double")
    vector = len(a) == len(b) + 1
    if not vector and len(a) != len(b):
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - "
            "other.dim()) <= 1"
        )
    side = -1 if vector else -2
    if a[-2] != b[side]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size({side})")
    if driver is not None and driver not in DRIVERS:
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )


def _matrix_exp(input: Tensor) -> Tensor:
    """The matrix exponential, sum_k A^k / k!."""
    check_square("linalg.matrix_exp", input)
    check_inexact("linalg.matrix_exp", input, narrow=True)
    if not input.numel():
        return input.clone()
    if input.dtype.itemsize < 4:
        return apply(MATRIX_EXP, (input.to(dtypes.float32),)).to(input.dtype)
    return apply(MATRIX_EXP, (input,))


declare(name="matrix_exp")(_matrix_exp)
member(LINALG, "matrix_exp", out=False)(_matrix_exp)


# Low rank


def _random_range(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """Q with orthonormal columns that nearly span those of A (Halko, Martinsson and Tropp 2009,
    algorithms 4.3 and 4.4)."""
    from .registry import FUNCTIONS

    def times(x: Tensor, adjoint: bool) -> Tensor:
        product = (A.mH if adjoint else A) @ x
        if M is None:
            return product
        return product - (M.mH if adjoint else M) @ x

    sketch = FUNCTIONS["randn"](A._dims()[-1], q, dtype=A.dtype, device=A.device)
    basis = linalg_qr(times(sketch, False))[0]
    for _ in range(niter):
        basis = linalg_qr(times(basis, True))[0]
        basis = linalg_qr(times(basis, False))[0]
    return basis


@declare(method=False)
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with U diag(S) V^H near A - M, of rank q, from a random sketch.

    Source: N. Halko, P. Martinsson and J. Tropp, "Finding structure with randomness" (2009),
    algorithm 5.1.
    """
    rank, rounds = 6 if q is None else q, 2 if niter is None else niter
    rows, columns = A._dims()[-2:]
    if M is not None:
        M = M.broadcast_to(A._dims())
    wide = rows < columns
    if wide:
        A, M = A.mH, None if M is None else M.mH
    basis = _random_range(A, rank, rounds, M)
    small = basis.mH @ A
    if M is not None:
        small = small - basis.mH @ M
    u, s, vh = linalg_svd(small, full_matrices=False)
    u, v = basis @ u, vh.mH
    return (v, s, u) if wide else (u, s, v)


@declare(method=False)
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """The q leading principal components of A's rows, by `svd_lowrank`."""
    rows, columns = A._dims()[-2:]
    if q is None:
        q = min(6, rows, columns)
    elif not 0 <= q <= min(rows, columns):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{min(rows, columns)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if center:
        A = A - A.mean(-2, keepdim=True)
    return svd_lowrank(A, q, niter=niter)
