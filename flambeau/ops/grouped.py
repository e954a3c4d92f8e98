"""Convolutions of sequences with the channels last, and products by groups of rows."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.legacy import native_name, scalar_type_name
from ..core.tensor import Tensor
from . import checks
from .convolution import conv1d
from .registry import FUNCTIONS, declare


@declare()
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolution of (T, B, C_in) by (width, C_in, C_out): (T + 2 pad - width + 1, B, C_out)

    >>> torch.conv_tbc(torch.ones(4, 1, 2), torch.ones(3, 2, 1), torch.zeros(1)).flatten()
    tensor([6., 6.])
    """
    if input.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight.ndim != 3:
        raise RuntimeError(
            "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels."
        )
    if bias.ndim != 1:
        raise RuntimeError("Bias must be 1-D")
    steps, batch, channels = input._dims()
    width, wanted, made = weight._dims()
    if channels != wanted:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if bias._dims()[0] != made:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    count = steps + 2 * pad - width + 1
    if count < 0:
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {count}: {[count, batch, made]}"
        )
    x: Any = input.permute(1, 2, 0)  # type: ignore[attr-defined]
    taps: Any = weight.permute(2, 1, 0)  # type: ignore[attr-defined]
    return conv1d(x, taps, bias, padding=pad).permute(2, 0, 1)  # type: ignore[attr-defined]


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Tensor:
    """One product a group: of the entries of (G, ., .) operands and of parts of (., .) operands.

    Args:
        mat_a: (M, K) or (G, M, K).
        mat_b: (K, N) or (G, K, N).
        offs: where each group's part of a matrix ends, int32: along M or N where the other operand
            is (G, ., .), along K where both are matrices.

    Returns:
        (M, N), or (G, M, N) where both operands have groups or neither has.

    Raises:
        RuntimeError: operands do not fit.
    """
    _check_grouped(mat_a, mat_b, offs, bias, out_dtype)
    a: Any = mat_a
    b: Any = mat_b
    if offs is None:
        return a.bmm(b)
    ends = checks.values(offs)
    if ends is None:
        raise NotImplementedError("flambeau.nn.functional.grouped_mm: offsets that are not known")
    bounds = list(zip([0, *ends.tolist()[:-1]], ends.tolist(), strict=True))
    if a.ndim == b.ndim == 2:
        return FUNCTIONS["stack"]([a[:, i:j] @ b[i:j] for i, j in bounds])
    if a.ndim == 2:
        parts = [a[i:j] @ b[g] for g, (i, j) in enumerate(bounds)]
        rest, axis = a.new_zeros(a.shape[0] - bounds[-1][1], b.shape[2]), 0
    else:
        parts = [a[g] @ b[:, i:j] for g, (i, j) in enumerate(bounds)]
        rest, axis = a.new_zeros(a.shape[1], b.shape[1] - bounds[-1][1]), 1
    return FUNCTIONS["cat"]([*parts, rest], axis)


def _check_grouped(
    a: Tensor, b: Tensor, offs: Tensor | None, bias: Tensor | None, out_dtype: Any
) -> None:
    for name, matrix in (("mat_a", a), ("mat_b", b)):
        if matrix.dtype not in (dtypes.float32, dtypes.bfloat16, dtypes.float16):
            raise RuntimeError(
                f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got "
                f"{scalar_type_name(matrix.dtype)}"
            )
    for name, matrix in (("mat_a", a), ("mat_b", b)):
        if matrix.ndim not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d")
    if not (a.ndim == b.ndim == 2) and a._dims()[-1] != b._dims()[-2]:
        raise RuntimeError("contraction dimension of mat_a and mat_b must match")
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
    if (offs is None) == (a.ndim == 2 or b.ndim == 2):
        raise RuntimeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d"
        )
    if offs is not None:
        if offs.ndim != 1:
            raise RuntimeError("offs has to be 1D")
        if offs.dtype is not dtypes.int32:
            raise RuntimeError("Offsets have to be int32")
    counts = {len(m) for m in (a, b) if m.ndim == 3} | ({len(offs)} if offs is not None else set())
    if len(counts) > 1:
        raise RuntimeError("matrix batch sizes have to match")
    if out_dtype is not None and out_dtype is not a.dtype:
        raise RuntimeError("Grouped gemm output dtype must match `mat_a` dtype")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{native_name(a.dtype)} != {native_name(b.dtype)}"
        )
