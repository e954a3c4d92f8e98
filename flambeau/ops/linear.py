"""Linear and bilinear maps."""

from __future__ import annotations

from ..core.execute import Op
from ..core.op import apply
from ..core.shortcut import shortcut
from ..core.tensor import Tensor
from ..kernels import linear as kernels
from . import checks
from .arguments import c_name
from .autocast import autocast
from .registry import declare

LINEAR = Op(kernels.linear, name="Addmm")
BILINEAR = Op(kernels.bilinear)


@shortcut
@autocast("linear")
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias

    Shape: input (*, in_features), weight (out_features, in_features), bias (out_features,).
    """
    checks.tensor("linear", input)
    checks.tensor("linear", weight, "weight", 2)
    given, shape = input._dims(), weight._dims()
    if not given or given[-1] != shape[-1]:
        rows = input.numel() // max(given[-1], 1) if given else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{given[-1] if given else 1} and "
            f"{shape[-1]}x{shape[0]})"
        )
    for other in (weight, bias):
        if other is not None and other.dtype is not input.dtype:
            raise RuntimeError(
                "expected m1 and m2 to have the same dtype, but got: "
                f"{c_name(input.dtype)} != {c_name(other.dtype)}"
            )
    made = (*given[:-1], *shape[:-1])
    if bias is not None and bias._dims() not in ((), (1,), made[-1:]):
        raise RuntimeError(
            f"The expanded size of the tensor ({made[-1]}) must match the existing size "
            f"({bias._dims()[-1]}) at non-singleton dimension {len(made) - 1}.  Target sizes: "
            f"{list(made)}.  Tensor sizes: {checks.sizes(bias)}"
        )
    if bias is not None and bias._dims() == (1,) and made[-1:] != (1,):
        bias = bias.expand(made[-1:])  # type: ignore[attr-defined]
    return apply(LINEAR, (input, weight, bias), (), _label(len(given), bias))


def _label(ndim: int, bias: Tensor | None) -> str:
    """The name that PyTorch's tape shows for it."""
    if ndim == 2:
        return "MmBackward0" if bias is None else "AddmmBackward0"
    if bias is None:
        return "UnsafeViewBackward0" if ndim > 2 else "SqueezeBackward4"
    return "ViewBackward0"


@declare(method=False)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 @ weight @ input2 + bias, for each output a matrix."""
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for axis, (m, n) in enumerate(zip(input1._dims()[:-1], input2._dims()[:-1], strict=True)):
        if m != n:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {axis}: got {m} and {n}"
            )
    for number, x in ((1, input1), (2, input2)):
        if x._dims()[-1] != weight._dims()[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got "
                f"{x._dims()[-1]} but expected {weight._dims()[number]}"
            )
    if bias is not None and bias._dims()[0] != weight._dims()[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._dims()[0]} but "
            f"expected {weight._dims()[0]}"
        )
    return apply(BILINEAR, (input1, input2, weight, bias))
