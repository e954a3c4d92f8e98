"""The fused cross-entropy of an affine map."""

from __future__ import annotations

from .. import dtypes
from ..core.execute import Op
from ..core.legacy import native_name
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import linear_cross_entropy as kernels
from ..kernels.common import compute_dtype
from .losses import class_target

_CHUNKED = "GeneratedBackwardFor_torch_nn__linear_cross_entropy_batch_chunked_{}defaultBackward"
LINEAR_CROSS_ENTROPY = Op(kernels.linear_cross_entropy)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    rows: int,
    acc_dtype: dtypes.dtype | None,
) -> Tensor:
    """The loss of `rows` rows of `input` at a time, 16-bit floats in float32."""
    narrow = input.dtype in (dtypes.float16, dtypes.bfloat16)
    if acc_dtype not in (None, input.dtype) and not (narrow and acc_dtype is dtypes.float32):
        raise RuntimeError(
            "linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 inputs, but got "
            f"{acc_dtype} acc_dtype and {input.dtype} inputs."
        )
    wide = compute_dtype(input._dtype_numpy())
    if input.dtype is not linear_weight.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{native_name(input.dtype)} != {native_name(linear_weight.dtype)}"
        )
    class_target(target, linear_weight._dims()[0], ignore_index)
    static = (int(ignore_index), reduction, int(rows), wide)
    inputs = (input, linear_weight, target, linear_bias, weight)
    label = _CHUNKED.format("no_reduction_" if reduction == "none" else "")
    return apply(LINEAR_CROSS_ENTROPY, inputs, static, label)
