"""Products of vectors and matrices, and their sums with a third operand."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import scalar_type_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..errors import broadcast_shapes, dimension
from ..kernels import products as kernels
from .arguments import check_tensor, not_implemented_for
from .autocast import lowered
from .registry import cast, declare

DOT = Op(kernels.dot)
VDOT = Op(kernels.vdot)
MV = Op(kernels.mv)
MM = Op(kernels.mm, vjp=kernels.mm_vjp)
BMM = Op(kernels.bmm)
MATMUL = Op(kernels.matmul, name="UnsafeView", vjp=kernels.matmul_vjp)
OUTER = Op(kernels.outer, name="Mul")
INNER = Op(kernels.inner, name="View")
ADDMM = Op(kernels.addmm, vjp=kernels.addmm_vjp)
ADDMV = Op(kernels.addmv)
ADDR = Op(kernels.addr)
ADDBMM = Op(kernels.addbmm)
BADDBMM = Op(kernels.baddbmm)

# How messages about matrix products name the element types.
C_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long int",
    "bool": "bool",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def c_name(x: Tensor) -> str:
    """The name of a tensor's element type in C++."""
    return C_NAMES[x._dtype_numpy().name]


def list_of(shape: Any) -> str:
    """A shape as messages print it."""
    return str(list(shape))


def _refuse_bool(x: Tensor, kernel: str) -> None:
    if x.dtype is dtypes.bool:
        raise not_implemented_for(kernel, x.dtype)


# Two vectors


def _check_vectors(a: Tensor, b: Tensor) -> None:
    m, n = a._dims(), b._dims()
    if len(m) != 1 or len(n) != 1:
        raise RuntimeError(f"1D tensors expected, but got {len(m)}D and {len(n)}D tensors")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{scalar_type_name(a.dtype)} and {scalar_type_name(b.dtype)}"
        )
    if m != n:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list_of(m)} and src {list_of(n)} to have "
            f"the same number of elements, but got {m[0]} and {n[0]} elements respectively"
        )
    _refuse_bool(a, "dot")


@declare(out=True, short={})
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """sum_i input_i tensor_i of two vectors.

    >>> import flambeau as torch
    >>> torch.dot(torch.tensor([2, 3]), torch.tensor([2, 1]))
    tensor(7)
    """
    check_tensor("dot", tensor, "tensor", 2)
    _check_vectors(input, tensor)
    return apply(DOT, (input, tensor))


@declare(out=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """sum_i conj(input_i) other_i of two vectors."""
    check_tensor("vdot", other, "other", 2)
    _check_vectors(input, other)
    return apply(VDOT, (input, other))


@declare(out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input_i vec2_j of two vectors, a matrix."""
    for name, x in (("self", input), ("vec2", vec2)):
        if len(x._dims()) != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {len(x._dims())}-D")
    result = dtypes.promote_types(input.dtype, vec2.dtype)
    if result is dtypes.bool:
        return input.unsqueeze(1).logical_and(vec2)
    return apply(OUTER, (cast(input, result), cast(vec2, result)))


@declare(out=True)
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """Alias of `outer`."""
    return outer(input, vec2)


@declare(out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last axis of both; a 0-d operand scales the other."""
    check_tensor("inner", other, "other", 2)
    a, b = input._dims(), other._dims()
    if not a or not b:
        return input.mul(other)
    if a[-1] != b[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list_of(a)} and {list_of(b)}"
        )
    if input.dtype is not other.dtype:
        raise RuntimeError("both inputs should have same dtype")
    _refuse_bool(input, "addmm_impl_cpu_")
    if len(a) > 1 or len(b) > 1:
        input, other = lowered(input, other)
    return apply(INNER, (input, other))


# Two matrices


def _check_matrix_pair(a: Tensor, b: Tensor, m: Any, n: Any) -> None:
    """The checks of `mm` on (possibly flattened) shapes m and n."""
    if m[1] != n[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({m[0]}x{m[1]} and {n[0]}x{n[1]})"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(a)} != {c_name(b)}"
        )
    _refuse_bool(a, "addmm_impl_cpu_")


@declare(out=True, short={})
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, (n, k) and (k, m)."""
    check_tensor("mm", mat2, "mat2", 2)
    a, b = input._dims(), mat2._dims()
    if len(a) != 2:
        raise RuntimeError("self must be a matrix")
    if len(b) != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_matrix_pair(input, mat2, a, b)
    return apply(MM, (input, mat2))


@declare(out=True, method=False)
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Alias of `mm`."""
    return mm(input, mat2)


def _check_matrix_vector(mat: Tensor, vec: Tensor, start: int, m: Any, n: Any) -> None:
    """The checks of `mv` on shapes m and n; `start` is the size of what is added."""
    if m[1] != n[0]:
        raise RuntimeError(f"size mismatch, got input ({start}), mat ({m[0]}x{m[1]}), vec ({n[0]})")
    if mat.dtype is not vec.dtype:
        names = [scalar_type_name(x.dtype) for x in (vec, mat, vec)]
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{names[0]}, {names[1]}, and {names[2]}"
        )
    _refuse_bool(mat, "addmv_impl_cpu")


@declare(out=True, short={})
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (n, k) and a vector (k)."""
    check_tensor("mv", vec, "vec", 2)
    a, b = input._dims(), vec._dims()
    if len(a) != 2 or len(b) != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {len(a)}, {len(b)}")
    _check_matrix_vector(input, vec, a[0], a, b)
    return apply(MV, (input, vec))


def _check_batches(a: Tensor, b: Tensor, m: Any, n: Any) -> None:
    """The checks of `bmm` on 3-d shapes m and n."""
    if m[0] != n[0] or m[2] != n[1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{m[0]}, {m[2]}] but got: [{n[0]}, {n[1]}]."
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type_name(a.dtype)} but found "
            f"{scalar_type_name(b.dtype)}"
        )
    _refuse_bool(a, "bmm")


@declare(out=True, short={})
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of matrices, (b, n, k) and (b, k, m)."""
    check_tensor("bmm", mat2, "mat2", 2)
    a, b = input._dims(), mat2._dims()
    for name, shape in (("batch1", a), ("batch2", b)):
        if len(shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    _check_batches(input, mat2, a, b)
    return apply(BMM, (input, mat2))


@declare(out=True, short={})
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product: 1-d operands lose their axis, leading axes broadcast.

    >>> import flambeau as torch
    >>> torch.matmul(torch.ones(5, 2, 3), torch.ones(3)).shape
    torch.Size([5, 2])
    """
    check_tensor("matmul", other, "other", 2)
    a, b = input._dims(), other._dims()
    m, n = len(a), len(b)
    if m == 2 and n == 2:
        _check_matrix_pair(input, other, a, b)
        return apply(MM, (input, other))
    if m == 0 or n == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D"
        )
    if n == 1:
        if m == 1:
            return dot(input, other)
        if m == 2:
            return mv(input, other)
        rows = _product(a[:-1])
        _check_matrix_vector(input, other, rows, (rows, a[-1]), b)
    elif n == 2:
        rows = 1 if m == 1 else _product(a[:-1])
        _check_matrix_pair(input, other, (rows, a[-1]), b)
        if m == 1:
            return apply(MATMUL, (input, other), (), "SqueezeBackward4")
    else:
        rows = (1, *a) if m == 1 else a
        batch = broadcast_shapes(rows[:-2], b[:-2])
        count = _product(batch)
        _check_batches(input, other, (count, *rows[-2:]), (count, *b[-2:]))
    return apply(MATMUL, (input, other))


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


# beta * input + alpha * product


def _check_expands(x: Tensor, target: tuple[int, ...]) -> None:
    """Raise unless x broadcasts to `target`, as what is added to a product must."""
    shape = x._dims()
    if len(shape) > len(target):
        raise RuntimeError(
            f"expand(torch.{scalar_type_name(x.dtype)}Tensor{{{list_of(shape)}}}, "
            f"size={list_of(target)}): the number of sizes provided ({len(target)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    offset = len(target) - len(shape)
    for i in range(len(shape) - 1, -1, -1):
        if shape[i] not in (1, target[offset + i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({target[offset + i]}) must match the existing "
                f"size ({shape[i]}) at non-singleton dimension {offset + i}.  Target sizes: "
                f"{list_of(target)}.  Tensor sizes: {list_of(shape)}"
            )


def _added(op: Op, start: Tensor, a: Tensor, b: Tensor, beta: Any, alpha: Any) -> Tensor:
    # beta = 0 means that NaNs in `start` do not count; its gradient is zero all the same.
    if beta == 0 and not start.requires_grad:
        return apply(op, (None, a, b, beta, alpha))
    if beta == 0:
        start = start.masked_fill(start.isfinite().logical_not(), 0)
    return apply(op, (start, a, b, beta, alpha))


def _check_same_dtype_as_start(start: Tensor, b: Tensor) -> None:
    if start.dtype is not b.dtype:
        raise RuntimeError(
            "self and mat2 must have the same dtype, but got "
            f"{scalar_type_name(start.dtype)} and {scalar_type_name(b.dtype)}"
        )


@declare(out=True, inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha (mat1 mat2); `input` broadcasts."""
    for i, (name, x) in enumerate((("mat1", mat1), ("mat2", mat2))):
        check_tensor("addmm", x, name, i + 2)
        if len(x._dims()) != 2:
            raise RuntimeError(f"{name} must be a matrix, got {len(x._dims())}-D tensor")
    a, b = mat1._dims(), mat2._dims()
    _check_expands(input, (a[0], b[1]))
    _check_same_dtype_as_start(input, mat2)
    _check_matrix_pair(mat1, mat2, a, b)
    return _added(ADDMM, input, mat1, mat2, beta, alpha)


@declare(out=True, inplace=True, inplace_function=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha (mat vec); `input` broadcasts."""
    check_tensor("addmv", mat, "mat", 2)
    check_tensor("addmv", vec, "vec", 3)
    s, a, b = input._dims(), mat._dims(), vec._dims()
    if len(s) > 1 or len(a) != 2 or len(b) != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {len(s)}, {len(a)}, {len(b)}")
    size = s[0] if s else 1
    if a[1] != b[0] or size not in (1, a[0]):
        raise RuntimeError(f"size mismatch, got input ({size}), mat ({a[0]}x{a[1]}), vec ({b[0]})")
    if not input.dtype is mat.dtype is vec.dtype:
        names = [scalar_type_name(x.dtype) for x in (input, mat, vec)]
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{names[0]}, {names[1]}, and {names[2]}"
        )
    _refuse_bool(mat, "addmv_impl_cpu")
    return _added(ADDMV, input, mat, vec, beta, alpha)


@declare(out=True, inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha (vec1 outer vec2); `input` broadcasts, types promote."""
    for name, x in (("vec1", vec1), ("vec2", vec2)):
        if len(x._dims()) != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {len(x._dims())}-D")
    _check_expands(input, (vec1._dims()[0], vec2._dims()[0]))
    vectors = dtypes.promote_types(vec1.dtype, vec2.dtype)
    result = dtypes.promote_types(input.dtype, vectors)
    integral = not (result.is_floating_point or result.is_complex)
    for name, value in (("beta", beta), ("alpha", alpha)):
        if integral and isinstance(value, (float, complex)):
            raise RuntimeError(
                f"For integral input tensors, argument {name} must not be a floating point number."
            )
    if result is dtypes.bool:
        beta, alpha = int(beta), int(alpha)
    a, b, c = (
        cast(x, dtypes.uint8 if result is dtypes.bool else result) for x in (input, vec1, vec2)
    )
    return cast(_added(ADDR, a, b, c, beta, alpha), result)


def _check_stacks(function: str, batch1: Tensor, batch2: Tensor) -> None:
    for i, (name, x) in enumerate((("batch1", batch1), ("batch2", batch2))):
        check_tensor(function, x, name, i + 2)
        dimension(2, len(x._dims()))
        if len(x._dims()) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")


@declare(out=True, inplace=True)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta input + alpha (batch1_i batch2_i) for every i; `input` broadcasts."""
    _check_stacks("baddbmm", batch1, batch2)
    a, b = batch1._dims(), batch2._dims()
    _check_expands(input, (a[0], a[1], b[2]))
    if not input.dtype is batch1.dtype is batch2.dtype:
        raise RuntimeError(
            f"Input dtypes must be the same, got: input {c_name(input)}, batch1: "
            f"{c_name(batch1)}, batch2: {c_name(batch2)}"
        )
    _check_batches(batch1, batch2, a, b)
    return _added(BADDBMM, input, batch1, batch2, beta, alpha)


@declare(out=True, inplace=True)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta input + alpha sum_i (batch1_i batch2_i); `input` broadcasts."""
    _check_stacks("addbmm", batch1, batch2)
    a, b = batch1._dims(), batch2._dims()
    _check_expands(input, (a[1], b[2]))
    if a[0] != b[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {a[0]} and {b[0]}"
        )
    if a[2] != b[1]:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({a[1]}x{a[2]} and {b[1]}x{b[2]})")
    _check_same_dtype_as_start(input, batch2)
    _check_batches(batch1, batch2, a, b)
    return _added(ADDBMM, input, batch1, batch2, beta, alpha)
