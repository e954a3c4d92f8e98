"""Norms of vectors and matrices, distances, covariances."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import argument, broadcast_shapes, dimension
from ..kernels import distance as kernels
from .arguments import axes_of, invalid_arguments, not_implemented_for, numpy_names
from .autocast import lowered
from .linalg_checks import (
    check_inexact,
    check_matrix,
    check_square,
    empty_like,
    is_inexact,
    value_of,
)
from .namespaces import LINALG, member
from .pointwise import promoted
from .registry import cast, declare

VECTOR_NORM = Op(kernels.vector_norm, name="LinalgVectorNorm", vjp=kernels.vector_norm_vjp)
MATRIX_NORM = Op(kernels.matrix_norm, name="LinalgMatrixNorm")
COND = Op(kernels.cond, name="NanToNum")
DIST = Op(kernels.dist)
PAIRWISE_DISTANCE = Op(kernels.pairwise_distance, name="Norm")
COSINE_SIMILARITY = Op(kernels.cosine_similarity, name="Sum")
CDIST = Op(kernels.cdist, vjp=kernels.cdist_vjp)
PDIST = Op(kernels.pdist, vjp=kernels.pdist_vjp)
RENORM = Op(kernels.renorm)
COV = Op(kernels.cov, name="Squeeze")
CORRCOEF = Op(kernels.corrcoef, name="Clamp")

INFINITY = float("inf")


def _converted(function: str, x: Tensor, dtype: dtypes.dtype | None) -> Tensor:
    """x in the type in which a norm is asked for."""
    if dtype is None or dtype is x.dtype:
        return x
    if dtype.is_complex != x.dtype.is_complex:
        kind = "complex" if x.dtype.is_complex else "real"
        raise RuntimeError(
            f"{function}: dtype should be {kind} for {kind} inputs, but got "
            f"{scalar_type_name(dtype)}"
        )
    if dtypes.promote_types(x.dtype, dtype) is not dtype:
        raise RuntimeError(
            f"{function}: the dtype of the input ({scalar_type_name(x.dtype)}) should be "
            f"convertible without narrowing to the specified dtype ({scalar_type_name(dtype)})"
        )
    return cast(x, dtype)


def _number_name(ord: float) -> str:
    return f"{ord:g}"


# Norms


@member(LINALG)
def vector_norm(
    input: Tensor,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """(sum |x_i|^ord)^(1/ord) over `dim` (None: all axes)."""
    name = "linalg.vector_norm"
    if isinstance(ord, str) or ord is None:
        raise argument("linalg_vector_norm", "ord", 2, "Number", ord)
    check_inexact(name, input, narrow=True)
    input = _converted(name, input, dtype)
    ord = float(ord)
    shape = input._dims()
    axes = axes_of("linalg_vector_norm", dim, len(shape))
    if ord < 0 or ord == INFINITY:
        for axis in axes:
            if shape[axis] == 0:
                where = "an empty tensor" if dim is None else f"the dimension {axis}"
                rest = "" if dim is None else "this dimension is empty and "
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {_number_name(ord)} norm on {where}"
                    f"{' ' if dim is None else ''}because {rest}the operation does not have an "
                    "identity"
                )
    return apply(VECTOR_NORM, (input,), (ord, axes, bool(keepdim)))


def _checked_order(ord: Any) -> Any:
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
        return ord
    if abs(ord) not in (1, 2, INFINITY):
        raise RuntimeError(f"linalg.matrix_norm: Order {_number_name(ord)} not supported.")
    return float(ord)


@member(LINALG)
def matrix_norm(
    input: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The norm of the matrices over two axes: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf."""
    name = "linalg.matrix_norm"
    if not isinstance(dim, (tuple, list)):
        raise invalid_arguments("linalg_matrix_norm", input, dim)
    check_matrix(name, input)
    if len(dim) != 2:
        listed = " ".join(map(str, dim))
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {listed}")
    order = _checked_order(ord)
    check_inexact(name, input, narrow=order not in ("nuc", 2.0, -2.0))
    axes = tuple(dimension(d, len(input._dims())) for d in dim)
    if axes[0] == axes[1]:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    input = _converted(name, input, dtype)
    if order != "fro" and not input.numel():
        return input.abs().sum(axes, keepdim)
    label = "LinalgVectorNormBackward0" if order == "fro" else _matrix_label(order)
    return apply(MATRIX_NORM, (input,), (order, axes, bool(keepdim)), label)


def _matrix_label(order: Any) -> str:
    if order == "nuc":
        return "SumBackward1"
    return "AmaxBackward0" if order > 0 else "AminBackward0"


@member(LINALG, "norm")
def linalg_norm(
    input: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """A vector norm over one axis (or all of them, where `ord` is None), a matrix norm over two."""
    axes = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if axes is not None and len(axes) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(axes)}"
        )
    ndim = len(input._dims())
    if axes is None and ord is not None and ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{ndim}D."
        )
    of_matrix = ord is not None and (
        isinstance(ord, str)
        or (axes is not None and len(axes) == 2)
        or (axes is None and ndim == 2)
    )
    if of_matrix:
        return matrix_norm(
            input, ord, axes or (0, 1) if ndim >= 2 else (-2, -1), keepdim, dtype=dtype
        )
    return vector_norm(input, 2 if ord is None else ord, axes, keepdim, dtype=dtype)


@numpy_names
def _norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The norm over `dim` (None: all axes): a p-norm of the elements, 'fro', or 'nuc'.

    >>> import flambeau as torch
    >>> torch.norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if out is not None:
        from .registry import store_out

        return store_out(out, _norm, "norm", (input, p, dim, keepdim), {"dtype": dtype})
    axes = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if isinstance(p, str) and (p != "fro" or (axes is not None and len(axes) > 2)):
        everything = tuple(range(len(input._dims()))) if axes is None else axes
        if p not in ("fro", "nuc"):
            everything = (-2, -1)
        return matrix_norm(input, p, everything, keepdim, dtype=dtype)
    order = 2 if p in ("fro", None) else p
    return vector_norm(input, order, axes, keepdim, dtype=dtype)


declare(name="norm", method=False)(_norm)


@declare(name="norm", function=False)
def _norm_method(
    self: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    dtype: dtypes.dtype | None = None,
) -> Tensor:
    """The norm over `dim` (None: all axes): a p-norm of the elements, 'fro', or 'nuc'."""
    return _norm(self, p, dim, keepdim, dtype=dtype)


def _deprecated_norm(name: str, successor: str) -> None:
    warnings.warn(
        f"at::{name} is deprecated and it is just left for JIT compatibility. It will be removed "
        f"in a future PyTorch release. Please use `{successor}` instead",
        UserWarning,
        stacklevel=4,
    )


@declare(out=True, method=False)
def frobenius_norm(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """`linalg.vector_norm` over `dim`; deprecated."""
    _deprecated_norm("frobenius_norm", "linalg.vector_norm(A, 2., dim, keepdim)")
    return vector_norm(input, 2, dim, keepdim)


@declare(out=True, method=False)
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """The sum of the singular values; deprecated."""
    _deprecated_norm("nuclear_norm", "linalg.matrix_norm(A, 'nuc', dim, keepdim)")
    return matrix_norm(input, "nuc", dim, keepdim)


@declare(method=False)
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of the slices along axis `dim`, whose axis is kept (of everything for -1)."""
    if dim == -1:
        return _norm(v, pow)
    ndim = len(v._dims())
    axis = dimension(dim, ndim)
    others = tuple(i for i in range(ndim) if i != axis)
    return vector_norm(v, pow, others, True) if others else v.abs()


@member(LINALG)
def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition number in a norm of `matrix_norm` (None: 2)."""
    if len(input._dims()) < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    order = 2.0 if p is None else p
    if order in (2, -2):
        check_inexact("linalg.svd", input)
        return apply(COND, (input,), (float(order),), "SqueezeBackward1")
    check_square(
        f"linalg.cond(ord={order if isinstance(order, str) else _number_name(order)})", input
    )
    if not (
        order in ("fro", "nuc") or (not isinstance(order, str) and abs(order) in (1, INFINITY))
    ):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_inexact("linalg.inv", input)
    return apply(COND, (input,), (order if isinstance(order, str) else float(order),))


# Distances


@declare()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all of input - other."""
    broadcast_shapes(input._dims(), other._dims())
    _, _, result = promoted(input, other)
    if not (result.is_floating_point or result.is_complex):
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_type_name(result)}"
        )
    return apply(DIST, (cast(input, result), cast(other, result)), (float(p),))


def _promoted_pair(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    broadcast_shapes(x1._dims(), x2._dims())
    _, _, result = promoted(x1, x2)
    return cast(x1, result), cast(x2, result)


@declare(method=False)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis."""
    x1, x2 = _promoted_pair(x1, x2)
    if not is_inexact(x1):
        x1, x2 = (cast(x, dtypes.get_default_dtype()) for x in (x1, x2))
    if not x1._dims() and not x2._dims():
        x1 = x1.reshape(1)
        if keepdim:
            return apply(PAIRWISE_DISTANCE, (x1, x2, float(eps)), (float(p), False))
    label = "NormBackward1"
    return apply(PAIRWISE_DISTANCE, (x1, x2, float(eps)), (float(p), bool(keepdim)), label)


@declare(method=False)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along axis `dim`."""
    x1, x2 = _promoted_pair(x1, x2)
    if not x1.dtype.is_floating_point:
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is "
            f"{scalar_type_name(x1.dtype)}"
        )
    axis = dimension(dim, len(broadcast_shapes(x1._dims(), x2._dims())))
    if not x1._dims() and not x2._dims():
        x1 = x1.reshape(1)
        return apply(COSINE_SIMILARITY, (x1, x2, float(eps)), (0,), "SumBackward1")
    return apply(COSINE_SIMILARITY, (x1, x2, float(eps)), (axis,), "SumBackward1")


MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
# From this many points on, `cdist` multiplies matrices for p = 2 unless told otherwise.
MANY_POINTS = 25


@declare(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = MODES[0]) -> Tensor:
    """(*, P, M), (*, R, M) -> (*, P, R): the p-norms of all differences of two sets of points."""
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for i, x in enumerate((x1, x2), 1):
        if not x.dtype.is_floating_point:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, X{i} got: {scalar_type_name(x.dtype)}"
            )
    for i, x in enumerate((x1, x2), 1):
        if len(x._dims()) < 2:
            raise RuntimeError(
                f"cdist only supports at least 2D tensors, X{i} got: {len(x._dims())}D"
            )
    a, b = x1._dims(), x2._dims()
    if a[-1] != b[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {a[-1]} X2: {b[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    broadcast_shapes(a[:-2], b[:-2])
    if x1.dtype is not x2.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type_name(x1.dtype)} but found "
            f"{scalar_type_name(x2.dtype)}"
        )
    if x1.dtype.itemsize < 4:
        raise not_implemented_for("cdist", x1.dtype)
    if 0 in (a[-2], b[-2], a[-1]):
        shape = (*broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-2])
        return empty_like(x1, shape)
    many = a[-2] > MANY_POINTS or b[-2] > MANY_POINTS
    by_product = p == 2 and (compute_mode == MODES[1] or (compute_mode == MODES[0] and many))
    return apply(CDIST, (x1, x2), (float(p), by_product))


@declare(method=False)
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norms of the differences of all pairs of rows i < j."""
    if len(input._dims()) != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {len(input._dims())}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if input.dtype.itemsize < 4:
        raise not_implemented_for("pdist", input.dtype)
    count = input._dims()[0]
    if not input.numel():
        return empty_like(input, (count * (count - 1) // 2,))
    return apply(PDIST, (input,), (float(p),))


@declare(out=True, inplace=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along axis `dim`, those with a p-norm above `maxnorm` scaled down to it."""
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {_number_name(maxnorm)}")
    ndim = len(input._dims())
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    axis = dimension(dim, ndim)
    check_inexact("linalg.vector_norm", input, narrow=True)
    return apply(RENORM, (input, float(maxnorm)), (float(p), axis))


# Covariance


def _check_weights(name: str, w: Tensor, count: int, integral: bool) -> None:
    if len(w._dims()) > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{len(w._dims())} dimensions"
        )
    fits = w.dtype.is_floating_point != integral and w.dtype is not dtypes.bool
    if not fits or w.dtype.is_complex:
        kind = "integral" if integral else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with "
            f"{scalar_type_name(w.dtype)} dtype"
        )
    if w.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {w.numel()} != {count}"
        )
    values = value_of(w)
    if values is not None and (values < 0).any():
        raise RuntimeError(f"cov(): {name} cannot be negative")


@declare()
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariance matrix of the rows, of which the columns are observations."""
    shape = input._dims()
    if len(shape) > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{len(shape)} dimensions"
        )
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    count = shape[1] if len(shape) == 2 else input.numel()
    total: Any = count
    known: list[Any] = [] if fweights is None and aweights is None else [1.0]
    for name, w, integral in (("fweights", fweights, True), ("aweights", aweights, False)):
        if w is None:
            continue
        _check_weights(name, w, count, integral)
        values = value_of(w)
        if values is not None and known:
            known = [known[0] * values]
    if known and count and not known[0].sum():
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    if fweights is not None and aweights is None:
        values = value_of(fweights)
        total = count if values is None else int(values.sum())
    if aweights is None and total <= correction:
        _warn_degrees_of_freedom()
    if not is_inexact(input):
        input = cast(input, dtypes.get_default_dtype())
    if aweights is not None:
        input = cast(input, dtypes.promote_types(input.dtype, aweights.dtype))
    (result,) = lowered(apply(COV, (input, fweights, aweights), (int(correction),)))
    return result


def _warn_degrees_of_freedom() -> None:
    warnings.warn(
        "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
        "observations.",
        UserWarning,
        stacklevel=4,
    )


@declare()
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of the rows, of which the columns are observations."""
    shape = input._dims()
    if len(shape) > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{len(shape)} dimensions"
        )
    if (shape[1] if len(shape) == 2 else input.numel()) <= 1:
        _warn_degrees_of_freedom()
    if not is_inexact(input):
        input = cast(input, dtypes.get_default_dtype())
    (result,) = lowered(apply(CORRCOEF, (input,), (), "ClampBackward1"))
    return result
