"""Products of tensors: contractions, Einstein sums, Kronecker and vector products, powers."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import broadcast_shapes, dimension
from ..kernels import einsum as einsum_kernels
from ..kernels import products as kernels
from .arguments import check_tensor, integers, not_implemented_for
from .autocast import active_kind, lowered
from .linalg_checks import warn_once
from .matmul import c_name, list_of
from .namespaces import LINALG, member
from .registry import cast, declare

TENSORDOT = Op(kernels.tensordot, name="View")
EINSUM = Op(einsum_kernels.einsum, name="View")
KRON = Op(kernels.kron, name="UnsafeView")
CROSS = Op(kernels.cross, name="LinalgCross")
TRACE = Op(kernels.trace)
MULTI_DOT = Op(kernels.multi_dot, name="View")
MATRIX_POWER = Op(kernels.matrix_power, name="Mm")
VANDER = Op(kernels.vander, name="Flip")
VECDOT = Op(kernels.vecdot, name="Sum")

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ELLIPSIS = "..."


@declare(method=False)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The sum of products over pairs of axes.

    Args:
        dims: how many of a's last axes meet b's first ones, or two lists of axes.
    """
    if out is not None:
        from .registry import store_out

        return store_out(out, tensordot, "tensordot", (a, b, dims), {})
    m, n = a._dims(), b._dims()
    dims_a, dims_b = _paired_axes(dims, len(m), len(n))
    if len(dims_a) != len(dims_b):
        raise RuntimeError("both dimension lists should have same length")
    if a.dtype is not b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    for i, j in zip(dims_a, dims_b, strict=True):
        size_a, size_b = m[dimension(i, len(m))], n[dimension(j, len(n))]
        if size_a != size_b and 1 not in (size_a, size_b):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {size_a} in dim {i} and "
                f"second has size {size_b} in dim {j}"
            )
    axes = []
    for listed, ndim in ((dims_a, len(m)), (dims_b, len(n))):
        found = tuple(dimension(i, ndim) for i in listed)
        for i in found:
            if found.count(i) > 1:
                raise RuntimeError(f"dim {i} appears multiple times in the list of dims")
        axes.append(found)
    left = [size for i, size in enumerate(m) if i not in axes[0]]
    right = [size for i, size in enumerate(n) if i not in axes[1]]
    if math.prod(left) * math.prod(right) != 1:  # else PyTorch multiplies vectors, not matrices
        a, b = lowered(a, b)
    return apply(TENSORDOT, (a, b), tuple(axes))


def _paired_axes(dims: Any, m: int, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (list, tuple)):
        first, second = dims
        return integers("tensordot", first), integers("tensordot", second)
    (count,) = integers("tensordot", dims)
    if count < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={count}")
    if count > min(m, n):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={count}")
    return tuple(range(m - count, m)), tuple(range(count))


# Einstein sums


@declare(method=False)
def einsum(*args: Any) -> Tensor:
    """Sums of products in Einstein's notation: `einsum("ij,jk->ik", a, b)`, or with lists of
    labels, `einsum(a, [0, 1], b, [1, 2], [0, 2])`.

    >>> import flambeau as torch
    >>> torch.einsum("ii", torch.eye(3))
    tensor(3.)
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(args[0], Tensor):
        equation, operands = _equation_of_lists(args)
    else:
        equation, operands = args[0], args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
    for i, x in enumerate(operands):
        check_tensor("einsum", x, "operands", i + 2)
    inputs, output = _parse(equation, tuple([len(x._dims()) for x in operands]))
    _check_sizes(inputs, operands)
    if len(operands) > 1 and active_kind(*operands):
        operands, dtype = _einsum_types(operands, inputs, output)
        return cast(_contracted(operands, inputs, output), dtype)
    return _contracted(operands, inputs, output)


def _einsum_types(
    operands: tuple[Tensor, ...], inputs: tuple[tuple[Any, ...], ...], output: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], dtypes.dtype]:
    """The operands as autocast converts them, and the type of the result.

    PyTorch takes the operands in turn; where a label longer than 1 is summed, that is a product of
    matrices, and otherwise an elementwise one.
    """
    found, left = operands[0].dtype, set(inputs[0])
    lengths = [dict(zip(k, x._dims(), strict=True)) for k, x in zip(inputs, operands, strict=True)]
    lower = lowered(*operands)
    products = False
    for i in range(1, len(operands)):
        wanted = set(output).union(*inputs[i + 1 :])
        summed = (left & set(inputs[i])) - wanted
        long = [max(n.get(k, 1) for n in lengths[:i]) > 1 < lengths[i][k] for k in summed]
        matrices = any(long)
        found = lower[i].dtype if matrices else dtypes.promote_types(found, operands[i].dtype)
        products = products or matrices
        left = (left | set(inputs[i])) & wanted
    if not products:
        lower = tuple(cast(x, found) for x in operands)
    return lower, found


def _contracted(
    operands: tuple[Tensor, ...], inputs: tuple[tuple[Any, ...], ...], output: tuple[Any, ...]
) -> Tensor:
    for x in operands[1:]:
        if x.dtype is not operands[0].dtype:
            raise RuntimeError(
                f"expected scalar type {scalar_type_name(operands[0].dtype)} but found "
                f"{scalar_type_name(x.dtype)}"
            )
    if operands[0].dtype is dtypes.bool and len(operands) > 1:
        raise not_implemented_for("bmm", dtypes.bool)
    if len(operands) == 1:
        return _view_of_one(operands[0], inputs[0], output)
    if len(operands) > 2:
        return apply(EINSUM, operands, (inputs, output))
    # PyTorch's result is a product of matrices seen through a permutation.
    first, second = inputs
    natural = (
        *(k for k in output if k in first and k in second),
        *(k for k in output if k in first and k not in second),
        *(k for k in output if k not in first),
    )
    product = apply(EINSUM, operands, (inputs, natural))
    return product if natural == output else product.permute([natural.index(k) for k in output])


def _view_of_one(x: Tensor, labels: tuple[Any, ...], output: tuple[Any, ...]) -> Tensor:
    """A diagonal, a sum, a permutation of one tensor: a view where nothing is summed."""
    for k in set(labels):
        while labels.count(k) > 1:
            first = labels.index(k)
            second = labels.index(k, first + 1)
            rest = tuple(j for i, j in enumerate(labels) if i not in (first, second))
            x, labels = x.diagonal(0, first, second), (*rest, k)
    summed = tuple(i for i, k in enumerate(labels) if k not in output)
    if summed:
        x = x.sum(summed)
        labels = tuple(k for k in labels if k in output)
    return x.permute([labels.index(k) for k in output])


def _equation_of_lists(args: tuple[Any, ...]) -> tuple[str, tuple[Tensor, ...]]:
    """The equation that (operand, labels, operand, labels, ..., [labels]) means."""

    def spell(labels: Any) -> str:
        parts = []
        for label in labels:
            if label is Ellipsis:
                parts.append(ELLIPSIS)
            elif 0 <= label < len(LETTERS):
                parts.append(LETTERS[label])
            else:
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range "
                    f"[0, {len(LETTERS)})"
                )
        return "".join(parts)

    pairs = len(args) // 2
    operands = tuple(args[2 * i] for i in range(pairs))
    equation = ",".join(spell(args[2 * i + 1]) for i in range(pairs))
    if len(args) % 2:
        equation += "->" + spell(args[-1])
    return equation, operands


@functools.lru_cache(maxsize=1024)
def _parse(equation: str, ranks: tuple[int, ...]) -> tuple[Any, Any]:
    """The labels of each operand's axes and of the result's; an ellipsis becomes the labels
    -1, -2, ... from the right."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) > len(ranks):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(terms) < len(ranks):
        raise ValueError(
            f"Number of einsum subscripts, {len(terms)}, must be equal to the number of operands, "
            f"{len(ranks)}."
        )
    inputs, start = [], 0
    for i, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        labels = _labels(term, start, f"for operand {i}")
        inputs.append(_with_ellipsis(labels, rank, i))
        start += len(term) + 1
    covered = max([0, *(-k for labels in inputs for k in labels if isinstance(k, int))])
    dots = tuple(range(-covered, 0))
    seen = [k for labels in inputs for k in labels if isinstance(k, str)]
    if not arrow:
        once = sorted(k for k in set(seen) if seen.count(k) == 1)
        return tuple(inputs), dots + tuple(once)
    output: tuple[Any, ...] = ()
    for k in _labels(right, start + 1, "in the output"):
        if k == ELLIPSIS:
            output += dots
            continue
        if k in output:
            raise RuntimeError(
                f"einsum(): output subscript {k} appears more than once in the output"
            )
        if k not in seen:
            raise RuntimeError(
                f"einsum(): output subscript {k} does not appear in the equation for any input "
                "operand"
            )
        output += (k,)
    return tuple(inputs), output


def _labels(term: str, start: int, where: str) -> list[str]:
    """The letters of one term, with "..." in one piece; `start` is its place in the equation."""
    labels: list[str] = []
    i = 0
    while i < len(term):
        if term[i] == ".":
            if ELLIPSIS in labels:
                raise RuntimeError(
                    f"einsum(): found '.' {where} for which an ellipsis was already found"
                )
            if term[i : i + 3] != ELLIPSIS:
                raise RuntimeError(f"einsum(): found '.' {where} that is not part of any ellipsis")
            labels.append(ELLIPSIS)
            i += 3
            continue
        if term[i] != " ":
            if term[i] not in LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {start + i} in the equation "
                    "string, subscripts must be in [a-zA-Z]"
                )
            labels.append(term[i])
        i += 1
    return labels


def _with_ellipsis(labels: list[str], ndim: int, operand: int) -> tuple[Any, ...]:
    letters = len(labels) - labels.count(ELLIPSIS)
    if ELLIPSIS not in labels:
        if letters != ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({letters}) does not match "
                f"the number of dimensions ({ndim}) for operand {operand} and no ellipsis was given"
            )
        return tuple(labels)
    if letters > ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({letters}) is more than the "
            f"number of dimensions ({ndim}) for operand {operand}"
        )
    place = labels.index(ELLIPSIS)
    dots = tuple(range(letters - ndim, 0))
    return (*labels[:place], *dots, *labels[place + 1 :])


def _check_sizes(inputs: Any, operands: tuple[Tensor, ...]) -> None:
    sizes: dict[Any, int] = {}
    for i, (labels, x) in enumerate(zip(inputs, operands, strict=True)):
        own: dict[Any, int] = {}
        for k, size in zip(labels, x._dims(), strict=True):
            if own.setdefault(k, size) != size:
                raise RuntimeError(
                    f"einsum(): subscript {k} is repeated for operand {i} but the sizes don't "
                    f"match, {size} != {own[k]}"
                )
        for k, size in own.items():
            before = sizes.get(k, 1)
            if size not in (1, before) and before != 1:
                raise RuntimeError(
                    f"einsum(): subscript {k} has size {size} for operand {i} which does not "
                    f"broadcast with previously seen size {before}"
                )
            sizes[k] = size if before == 1 else before


# Kronecker, vector and other products


@declare(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product; the shorter shape is padded with ones on the left."""
    check_tensor("kron", other, "other", 2)
    result = dtypes.promote_types(input.dtype, other.dtype)
    if result is dtypes.bool:
        whole = [cast(x, dtypes.uint8) for x in (input, other)]
        return cast(apply(KRON, whole), result)
    return apply(KRON, (cast(input, result), cast(other, result)))


@declare(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along an axis of size 3 (by default the first of that size)."""
    if dim is None:
        if len(input._dims()) != len(other._dims()):
            raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
        if 3 not in input._dims():
            raise RuntimeError("no dimension of size 3 in input")
        dim = input._dims().index(3)
        if dim != len(input._dims()) - 1 or len(input._dims()) > 1:
            _warn_cross()
    return linalg_cross(input, other, dim=dim)


def _warn_cross() -> None:
    warn_once(
        "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the "
        "dim explicitly or simply use torch.linalg.cross.\nThe default value of dim will change "
        "to agree with that of linalg.cross in a future release."
    )


def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along axis `dim`, of size 3; other axes broadcast."""
    a, b = input._dims(), other._dims()
    if len(a) != len(b):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = dimension(dim, len(a))
    if a[axis] != 3 or b[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a[axis]} and {b[axis]}"
        )
    broadcast_shapes(a, b)
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type_name(input.dtype)} but found "
            f"{scalar_type_name(other.dtype)}"
        )
    return apply(CROSS, (input, other), (axis,))


member(LINALG, "cross")(linalg_cross)


@member(LINALG)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """sum_i conj(x_i) y_i along axis `dim` of the common shape."""
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        raise RuntimeError(
            "linalg.vecdot: Expected a floating point or complex tensor as input. Got "
            f"{scalar_type_name(x.dtype)}"
        )
    if x.dtype is not y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{scalar_type_name(x.dtype)} and y of type {scalar_type_name(y.dtype)} instead"
        )
    shape = broadcast_shapes(x._dims(), y._dims())
    return apply(VECDOT, (x, y), (dimension(dim, len(shape)),), "SumBackward1")


@declare()
def trace(input: Tensor) -> Tensor:
    """The sum of the main diagonal of a matrix."""
    if len(input._dims()) != 2:
        raise RuntimeError(
            f"trace: expected a matrix, but got tensor with dim {len(input._dims())}"
        )
    if input.dtype is dtypes.bool:
        raise not_implemented_for("trace", input.dtype)
    return apply(TRACE, (input,))


@member(LINALG)
def multi_dot(tensors: Any) -> Tensor:
    """The product of two or more matrices (at the ends also vectors), in the cheapest order."""
    chain = tuple(tensors)
    last = len(chain) - 1
    if last < 1:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(chain)}")
    for i, x in enumerate(chain):
        ndim = len(x._dims())
        if i in (0, last):
            if ndim not in (1, 2):
                end = "last" if i else "first"
                raise RuntimeError(
                    f"multi_dot(): the {end} tensor must be 1D or 2D but got {ndim}D"
                )
        elif ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {ndim}D")
        if x.dtype is not chain[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{c_name(chain[0])} and tensor {i} {c_name(x)}"
            )
    for i in range(last):
        a, b = chain[i]._dims(), chain[i + 1]._dims()
        if a[-1] != b[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list_of(a)} and {list_of(b)} "
                "cannot be multiplied"
            )
    return apply(MULTI_DOT, lowered(*chain))


@declare(method=False)
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order; deprecated, see `linalg.multi_dot`."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for x in matrices:
        if len(x._dims()) != 2:
            raise RuntimeError(f"Tensor dimension is {len(x._dims())}, expected 2 instead.")
    if len(matrices) == 1:
        return matrices[0].clone()
    warn_once(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use "
        "torch.linalg.multi_dot instead, which accepts a list of two or more tensors rather than "
        "multiple parameters."
    )
    if out is None:
        return multi_dot(matrices)
    return multi_dot(matrices, out=out)


@declare(out=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """`input` multiplied n times; its inverse -n times for negative n."""
    shape = input._dims()
    if len(shape) < 2:
        raise RuntimeError(
            "linalg.matrix_power: The input tensor A must have at least 2 dimensions."
        )
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{shape[-2]} by {shape[-1]} matrices"
        )
    if n < 0:
        from .linalg import inv

        return matrix_power(inv(input), -n)
    if n == 1:
        return input.clone()
    if input.dtype is dtypes.bool:
        raise not_implemented_for("addmm_impl_cpu_", input.dtype)
    return apply(MATRIX_POWER, lowered(input) if n > 1 else (input,), (int(n),))


def _vander(x: Tensor, columns: int, increasing: bool) -> Tensor:
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        x = cast(x, dtypes.int64)
    return apply(VANDER, (x,), (columns, increasing))


@declare(method=False)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's values as columns, the highest first unless `increasing`."""
    if len(x._dims()) != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    columns = x._dims()[0] if N is None else N
    if columns < 0:
        raise RuntimeError("N must be non-negative.")
    return _vander(x, columns, bool(increasing))


@member(LINALG, "vander", out=False)
def linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 .. N - 1 of the values along a new last axis."""
    if x.dtype is dtypes.bool:
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got Bool"
        )
    columns = N if N is not None else x._dims()[-1] if x._dims() else 1
    if columns <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _vander(x if x._dims() else x.reshape(1), columns, True)
