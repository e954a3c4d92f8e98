"""Signs, limits, replacements, and combinations of three tensors."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..core.op import apply
from ..core.tensor import Tensor
from ..dtypes import RESULT
from ..dtypes import dtype as DType
from ..kernels import numbers as kernels
from .arguments import check_tensor, invalid_arguments, not_implemented_for
from .creation import check_fits, number_argument
from .elementwise import (
    binary,
    complex_type,
    kind_of,
    make_op,
    unary,
    unsupported,
    without_derivative,
)
from .pointwise import NUMBERS
from .registry import declare, store_out

# Signs

unary(
    "neg",
    kernels.negative,
    "-input",
    refusals={
        "b": RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    },
    label="Neg",
    aliases=("negative",),
)
unary(
    "sign",
    kernels.sign,
    "-1, 0 or 1",
    refusals={
        "c": NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
            "torch.sgn instead."
        )
    },
    inplace_function=False,
)
unary(
    "sgn", kernels.sgn, "input / |input|, 0 at 0; of real numbers the sign", inplace_function=False
)
unary("angle", kernels.angle, "The argument of a complex number", result="float", inplace=False)
binary(
    "copysign",
    kernels.copysign,
    "|input| with the sign of other",
    result="float",
    numbers="other",
    refusals=unsupported("c"),
    label="CopysignBackward0",
    number_label="CopysignBackward1",
)

CONJ = make_op(kernels.conj, "ConjPhysical")


def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugate, as a new tensor; a real tensor itself."""
    check_tensor("conj_physical", input)
    if out is not None:
        plain = conj_physical if input.dtype.is_complex else Tensor.clone  # type: ignore[attr-defined]
        return store_out(out, plain, "conj_physical", (input,), {})
    return apply(CONJ, (input,), (None,)) if input.dtype.is_complex else input


declare(inplace=True, inplace_function=True, out=True)(conj_physical)


@declare()
def positive(input: Tensor) -> Tensor:
    """The tensor itself."""
    check_tensor("positive", input)
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


HEAVISIDE = make_op(kernels.heaviside, differentiable=False)


def heaviside(input: Tensor, values: Tensor, *, out: Tensor | None = None) -> Tensor:
    """0 below zero, 1 above, `values` at zero. It has no derivative."""
    if out is not None:
        return store_out(out, heaviside, "heaviside", (input, values), {})
    check_tensor("heaviside", input)
    check_tensor("heaviside", values, "values", 2)
    if input.dtype.is_complex or values.dtype.is_complex:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    result = apply(HEAVISIDE, (input, values), (None,))
    return without_derivative(result, (input, values), "heaviside")


declare(inplace=True, out=True)(heaviside)

# The larger and the smaller

for _name, _doc in (
    ("maximum", "The larger of the two; NaN wins"),
    ("minimum", "The smaller of the two; NaN wins"),
    ("fmax", "The larger of the two; a NaN gives way"),
    ("fmin", "The smaller of the two; a NaN gives way"),
):
    binary(
        _name,
        getattr(kernels, _name),
        _doc,
        refusals={"c": RuntimeError(f"{_name} not implemented for complex tensors.")},
        inplace=False,
    )
binary(
    "nextafter",
    kernels.nextafter,
    "The number next to input in the direction of other",
    refusals=unsupported("bic"),
)

CLAMP = make_op(kernels.clamp)


def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); the limits are numbers or tensors, and one may be left out.

    >>> import flambeau as torch
    >>> torch.clamp(torch.tensor([-1.0, 0.5, 2.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    return _clamp("clamp", ("ClampBackward1", "ClampBackward0"), input, min, max, out)


def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and `min`."""
    return _clamp("clamp_min", ("ClampMinBackward0", "ClampMinBackward1"), input, min, None, out)


def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """The smaller of input and `max`."""
    return _clamp("clamp_max", ("ClampMaxBackward0", "ClampMaxBackward1"), input, None, max, out)


def _clamp(
    name: str, labels: tuple[str, str], input: Any, low: Any, high: Any, out: Tensor | None
) -> Tensor:
    if out is not None:
        limits = {"min": low, "max": high}
        kept = {k: v for k, v in limits.items() if name in ("clamp", f"clamp_{k}")}
        return store_out(out, FUNCTIONS_OF[name], name, (input,), kept)
    check_tensor(name, input)
    if low is None and high is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    low, high = _one_kind(name, input, low, high)
    key = [_key(x) for x in (input, low, high) if x is not None]
    common = RESULT[tuple(key)]
    if common.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    numbers = [x for x in (low, high) if type(x) in NUMBERS]
    for value in numbers:
        if kind_of(common) == "i":
            check_fits(value, common)
    label = labels[0] if numbers else labels[1]
    return apply(CLAMP, (input, low, high), (common.numpy,), label)


FUNCTIONS_OF = {"clamp": clamp, "clamp_min": clamp_min, "clamp_max": clamp_max}


def _one_kind(name: str, input: Tensor, low: Any, high: Any) -> tuple[Any, Any]:
    """Both limits as numbers or both as tensors (0-d tensors beside a number become numbers)."""
    tensors = [isinstance(x, Tensor) for x in (low, high) if x is not None]
    if all(tensors):
        return low, high
    try:
        return tuple(  # type: ignore[return-value]
            None if x is None else number_argument(name, "min", 2, x) for x in (low, high)
        )
    except TypeError:
        given = [x for x in (input, low, high) if x is not None]
        raise invalid_arguments(name, *given) from None


def _key(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return type(x)
    return x.dtype if x._dims() else x.dtype.zero_dim


declare(
    inplace=True,
    inplace_function=True,
    out=True,
    aliases=("clip",),
    short={"pointwise": True},
)(clamp)
declare(inplace=True, inplace_function=True, out=True)(clamp_min)
declare(inplace=True, inplace_function=True, out=True)(clamp_max)

NAN_TO_NUM = make_op(kernels.nan_to_num)


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """NaN replaced by `nan` (0) and the infinities by the largest finite numbers, or as given."""
    if out is not None:
        if out.dtype is not input.dtype:
            raise RuntimeError(
                f"nan_to_num: dtype of out: {out.dtype._scalar_name} should be same as input: "
                f"{input.dtype._scalar_name}"
            )
        return store_out(out, nan_to_num, "nan_to_num", (input, nan, posinf, neginf), {})
    check_tensor("nan_to_num", input)
    static = tuple(None if x is None else float(x) for x in (nan, posinf, neginf))
    return apply(NAN_TO_NUM, (input,), (*static, None))


declare(inplace=True, inplace_function=True, out=True)(nan_to_num)

# Three tensors

LERP = make_op(kernels.lerp)
ADDCMUL = make_op(kernels.addcmul)
ADDCDIV = make_op(kernels.addcdiv)


def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input); the weight is a number or a tensor.

    >>> import flambeau as torch
    >>> torch.lerp(torch.tensor([0.0]), torch.tensor([10.0]), 0.25)
    tensor([2.5000])
    """
    if out is not None:
        return store_out(out, lerp, "lerp", (input, end, weight), {})
    check_tensor("lerp", input)
    check_tensor("lerp", end, "end", 2)
    for name, value in (("end", end), ("weight", weight)):
        if isinstance(value, Tensor) and value.dtype is not input.dtype:
            raise RuntimeError(
                f"expected dtype {_c_name(input.dtype)} for `{name}` but got dtype "
                f"{_c_name(value.dtype)}"
            )
    tensor_weight = isinstance(weight, Tensor)
    if kind_of(input.dtype) in "bi":
        kernel = "lerp_kernel_tensor" if tensor_weight else "lerp_kernel_scalar"
        raise not_implemented_for(kernel, input.dtype)
    if tensor_weight:
        return apply(LERP, (input, end, weight), (complex_type(input.dtype),), "LerpBackward1")
    factor = number_argument("lerp", "weight", 3, weight)
    return apply(LERP, (input, end, factor), (input._dtype_numpy(),))


def _c_name(dtype: DType) -> str:
    names = {"float32": "float", "float64": "double", "float16": "c10::Half"}
    names |= {"bfloat16": "c10::BFloat16", "int64": "long int", "int32": "int"}
    found = str(dtype).removeprefix("torch.")
    return names.get(found, found)


def _combined(
    op: Any, name: str, input: Any, args: tuple[Any, ...], keyword: dict[str, Any]
) -> Tensor:
    """The arguments (input, tensor1, tensor2, value), also in the old order with `value` second."""
    if len(args) == 3:
        warnings.warn(
            f"This overload of {name} is deprecated:\n\t{name}(Tensor input, Number value, Tensor "
            "tensor1, Tensor tensor2, *, Tensor out = None)\nConsider using one of the following "
            f"signatures instead:\n\t{name}(Tensor input, Tensor tensor1, Tensor tensor2, *, "
            "Number value = 1, Tensor out = None)",
            UserWarning,
            stacklevel=3,
        )
        value, first, second = args
        value = keyword.pop("value", value)
    else:
        names = ("tensor1", "tensor2")[len(args) :]
        first, second = (*args, *(keyword.pop(n, None) for n in names))
        value = keyword.pop("value", 1)
    if keyword:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(keyword))}'")
    check_tensor(name, input)
    check_tensor(name, first, "tensor1", 2)
    check_tensor(name, second, "tensor2", 3)
    common = RESULT[tuple(_key(x) for x in (input, first, second))]
    if name == "addcdiv" and all(kind_of(t.dtype) in "bi" for t in (first, second)):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / "
            "tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    if common is dtypes.bool:
        raise not_implemented_for(f"{name}_cpu_out", common)
    value = number_argument(name, "value", 4, value)
    if kind_of(common) == "i":
        value = int(value)
    elif common.is_floating_point:
        value = float(value)
    return apply(op, (input, first, second, value), (common.numpy,))


def addcmul(input: Tensor, *args: Any, out: Tensor | None = None, **keyword: Any) -> Tensor:
    """input + value * tensor1 * tensor2: `addcmul(input, tensor1, tensor2, *, value=1)`."""
    if out is not None:
        return store_out(out, addcmul, "addcmul", (input, *args), keyword)
    return _combined(ADDCMUL, "addcmul", input, args, keyword)


def addcdiv(input: Tensor, *args: Any, out: Tensor | None = None, **keyword: Any) -> Tensor:
    """input + value * tensor1 / tensor2: `addcdiv(input, tensor1, tensor2, *, value=1)`."""
    if out is not None:
        return store_out(out, addcdiv, "addcdiv", (input, *args), keyword)
    return _combined(ADDCDIV, "addcdiv", input, args, keyword)


declare(inplace=True, out=True)(lerp)
declare(inplace=True, out=True)(addcmul)
declare(inplace=True, out=True)(addcdiv)
