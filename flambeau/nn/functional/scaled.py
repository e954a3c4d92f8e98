"""Products of 8-bit floats that stand for larger numbers."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ... import dtypes
from ...core.tensor import Tensor


class _ScalingType(Enum):
    """What a scaling factor stands for."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


class _SwizzleType(Enum):
    """How scaling factors lie in memory."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1

    def __int__(self) -> int:
        return self.value

    __index__ = __int__


ScalingType = _ScalingType
SwizzleType = _SwizzleType
_EIGHT_BITS = (dtypes.float8_e4m3fn, dtypes.float8_e5m2)


def _single(values: Any) -> Any:
    """The only entry of a list, or the value itself; None where there are more."""
    if not isinstance(values, (list, tuple)):
        return values
    return values[0] if len(values) == 1 else None


def scaled_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    scale_a: Any,
    scale_recipe_a: Any,
    scale_b: Any,
    scale_recipe_b: Any,
    swizzle_a: Any = None,
    swizzle_b: Any = None,
    bias: Tensor | None = None,
    output_dtype: Any = dtypes.bfloat16,
    contraction_dim: Any = (),
    use_fast_accum: bool = False,
) -> Tensor:
    """(mat_a * scale_a) @ (mat_b * scale_b) + bias of 8-bit floats, computed in float32

    Args:
        mat_a: (M, K); mat_b: (K, N).
        scale_a, scale_b: one number each (`ScalingType.TensorWise`), or (M, 1) and (1, N)
            (`ScalingType.RowWise`), float32.
        output_dtype: of the result; None for that of `mat_a`.
        swizzle_a, swizzle_b, use_fast_accum: for other devices; not used.

    Raises:
        ValueError: shapes do not fit, or another recipe is asked for.
    """
    for name, matrix in (("mat_a", mat_a), ("mat_b", mat_b)):
        if matrix.ndim != 2:
            raise ValueError(f"{name} must be a matrix")
    dims = tuple(contraction_dim) or (1, 0)
    (rows, inner), (outer, columns) = mat_a._dims(), mat_b._dims()
    if mat_a._dims()[dims[0]] != mat_b._dims()[dims[1]]:
        text = f"mat_a and mat_b shapes cannot be multiplied ({rows}x{inner} and {outer}x{columns})"
        if contraction_dim:
            text += f" with contraction dims mat_a: {dims[0]}, mat_b: {dims[1]}"
        raise ValueError(text)
    if bias is not None and bias.numel() != columns:
        raise ValueError(f"Bias must be size {columns} but got {bias.numel()}")
    scales = _single(scale_a), _single(scale_b)
    recipes = _single(scale_recipe_a), _single(scale_recipe_b)
    _check_recipe(mat_a, mat_b, scales, recipes)
    a, b = (m.to(dtypes.float32) for m in (mat_a, mat_b))  # type: ignore[attr-defined]
    if recipes[0] is ScalingType.TensorWise:
        result = (a @ b) * (scales[0].reshape(()) * scales[1].reshape(()))
    else:
        result = (a @ b) * scales[0] * scales[1]
    if bias is not None:
        result = result + bias.to(dtypes.float32)  # type: ignore[attr-defined]
    return result.to(mat_a.dtype if output_dtype is None else output_dtype)


def _check_recipe(a: Tensor, b: Tensor, scales: Any, recipes: Any) -> None:
    """ValueError unless both matrices are 8-bit floats scaled as a whole or by rows."""
    (rows, _), (_, columns) = a._dims(), b._dims()
    known = all(isinstance(s, Tensor) and s.dtype is dtypes.float32 for s in scales)
    if known and a.dtype in _EIGHT_BITS and b.dtype in _EIGHT_BITS:
        names = {getattr(r, "value", None) for r in recipes}
        if names == {0} and all(s.numel() == 1 for s in scales):
            return
        if names == {1} and [tuple(s.shape) for s in scales] == [(rows, 1), (1, columns)]:
            return
    raise ValueError(
        "Invalid scaling configuration.\n"
        "- For TensorWise scaling, a and b should be float8, scales should be float and "
        "singletons.\n"
        "- For RowWise scaling, a and b should be float8, scales should be float, scale_a should "
        f"be ({rows}, 1) and scale_b should be (1, {columns}), and both should be contiguous."
    )


def scaled_grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    scale_a: Any,
    scale_recipe_a: Any,
    scale_b: Any,
    scale_recipe_b: Any,
    swizzle_a: Any = None,
    swizzle_b: Any = None,
    bias: Tensor | None = None,
    offs: Tensor | None = None,
    output_dtype: Any = dtypes.bfloat16,
    contraction_dim: Any = (),
    use_fast_accum: bool = False,
) -> Tensor:
    """Raises: there is no grouped product of 8-bit floats here, as on PyTorch's CPU."""
    raise NotImplementedError(
        "Could not run 'aten::_scaled_grouped_mm_v2' with arguments from the "
        f"'{mat_a.device.type.upper()}' backend."
    )
