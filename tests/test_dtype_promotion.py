"""Type promotion: every pair of dtypes, dimensioned, 0-d and Python numbers."""

import itertools

import pytest
import torch

from tests.parity.lockstep import error_of, lockstep

INTEGRAL = ("bool", "uint8", "int8", "int16", "int32", "int64")
NAMES = (*INTEGRAL, "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
NUMBERS = {"bool": True, "int": 3, "float": 2.5, "complex": 1j}
OPERATIONS = {
    "add": lambda t, a, b: a + b,
    "mul": lambda t, a, b: a * b,
    "div": lambda t, a, b: a / b,
    "equal": lambda t, a, b: a == b,
    "where": lambda t, a, b: t.where(t.tensor(True), a, b),
}


def operands(t, name):
    """A dimensioned and a 0-d tensor of the dtype `name`."""
    dtype = getattr(t, name)
    return t.ones(2).to(dtype), t.ones(()).to(dtype)


def makes_complex_half(*kinds):
    """Whether the result would be complex32, which neither NumPy nor XLA has."""
    return "float16" in kinds and any(kind.startswith("complex") for kind in kinds)


def outcome(t, operation, a, b):
    """The dtype and shape of the result, or the error."""
    try:
        result = OPERATIONS[operation](t, a, b)
    except Exception as error:
        return type(error).__name__
    return result.dtype, result.shape, result


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("operation", OPERATIONS)
@lockstep
def test_pairs_of_tensors(t, operation, first):
    seen = {}
    for second in NAMES:
        if makes_complex_half(first, second):
            continue
        pairs = itertools.product(operands(t, first), operands(t, second))
        seen[second] = [outcome(t, operation, a, b) for a, b in pairs]
    return seen


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("operation", OPERATIONS)
@lockstep
def test_tensor_and_number(t, operation, number):
    value, seen = NUMBERS[number], {}
    for name in NAMES:
        if makes_complex_half(name, number):
            continue
        seen[name] = [
            (outcome(t, operation, x, value), outcome(t, operation, value, x))
            for x in operands(t, name)
        ]
    return seen


IN_PLACE = {
    "add_": lambda x, y: x.add_(y),
    "mul_": lambda x, y: x.mul_(y),
    "div_": lambda x, y: x.div_(y),
    "copy_": lambda x, y: x.copy_(y),
    "iadd": lambda x, y: x.__iadd__(y),
}


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("operation", IN_PLACE)
@lockstep
def test_in_place_keeps_the_dtype_or_raises(t, operation, first):
    seen = {}
    for second in NAMES:
        for place, other in enumerate(operands(t, second)):
            x = operands(t, first)[0]
            seen[f"{second} {place}"] = error_of(lambda x=x, o=other: IN_PLACE[operation](x, o)), x
    for name, number in NUMBERS.items():
        x = operands(t, first)[0]
        seen[name] = error_of(lambda x=x, n=number: IN_PLACE[operation](x, n)), x
    return seen


@lockstep
def test_promote_types(t):
    pairs = itertools.product(NAMES, NAMES)
    return {f"{a} {b}": t.promote_types(getattr(t, a), getattr(t, b)) for a, b in pairs}


@lockstep
def test_can_cast(t):
    pairs = itertools.product(NAMES, NAMES)
    return {f"{a} {b}": t.can_cast(getattr(t, a), getattr(t, b)) for a, b in pairs}


@lockstep
def test_result_type(t):
    seen = {}
    for a, b in itertools.product(NAMES, NAMES):
        pairs = itertools.product(operands(t, a), operands(t, b))
        seen[f"{a} {b}"] = [t.result_type(x, y) for x, y in pairs]
    for a, (name, number) in itertools.product(NAMES, NUMBERS.items()):
        seen[f"{a} {name}"] = [
            (t.result_type(x, number), t.result_type(number, x)) for x in operands(t, a)
        ]
    return seen


@pytest.mark.parametrize("name", [n for n in NAMES if getattr(torch, n).is_floating_point])
@lockstep
def test_finfo(t, name):
    info = t.finfo(getattr(t, name))
    fields = ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype")
    return [getattr(info, field) for field in fields], repr(info)


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
@lockstep
def test_iinfo(t, name):
    info = t.iinfo(getattr(t, name))
    return info.bits, info.max, info.min, info.dtype, repr(info)


@lockstep
def test_infos_of_the_wrong_kind(t):
    return error_of(lambda: t.finfo(t.int64)), error_of(lambda: t.iinfo(t.float32)), t.finfo().bits


@lockstep
def test_dtype_attributes(t):
    return {
        name: (
            d.is_floating_point,
            d.is_complex,
            d.is_signed,
            d.itemsize,
            repr(d),
            d.to_real() if d.is_floating_point or d.is_complex else None,
        )
        for name, d in ((name, getattr(t, name)) for name in NAMES)
    }


@pytest.mark.parametrize("default", ["float64", "bfloat16", "float32"])
@lockstep
def test_default_dtype(t, default):
    t.set_default_dtype(getattr(t, default))
    return (
        t.tensor(1.5).dtype,
        t.ones(2).dtype,
        (t.tensor([1, 2]) / 2).dtype,
        (t.tensor([1, 2]) + 1.5).dtype,
        t.tensor([1, 2]).sin().dtype,
        t.arange(0.0, 2.0).dtype,
        t.tensor(1j).dtype if default != "bfloat16" else None,
        t.full((1,), 2.0).dtype,
        t.empty(1).dtype,
        t.linspace(0, 1, 3).dtype,
    )


FLOATING = {
    "sin": lambda t, x: t.sin(x),
    "exp": lambda t, x: x.exp(),
    "sqrt": lambda t, x: x.sqrt(),
    "true_divide": lambda t, x: x / x,
    "floor_divide": lambda t, x: x // 1,
    "pow": lambda t, x: x**2,
    "pow_float": lambda t, x: x**0.5,
    "sum": lambda t, x: x.sum(),
    "prod": lambda t, x: x.prod(),
    "mean": lambda t, x: x.mean(),
    "cumsum": lambda t, x: x.cumsum(0),
    "max": lambda t, x: x.max(),
    "abs": lambda t, x: x.abs(),
    "neg": lambda t, x: -x,
    "round": lambda t, x: x.round(),
    "clamp_float": lambda t, x: x.clamp(min=0.5),
    "matmul": lambda t, x: x @ x,
    "logical_not": lambda t, x: t.logical_not(x),
    "isnan": lambda t, x: x.isnan(),
    "argmax": lambda t, x: x.argmax(),
    "softmax": lambda t, x: x.softmax(0),
    "softmax_dtype": lambda t, x: x.softmax(0, dtype=t.float64),
    "sum_dtype": lambda t, x: x.sum(dtype=t.float32),
    "zeros_like": lambda t, x: t.zeros_like(x),
    "new_ones": lambda t, x: x.new_ones(1),
    "full_like_float": lambda t, x: t.full_like(x, 1.5),
    "cat_with_float": lambda t, x: t.cat([x, t.ones(1)]),
    "stack_with_int": lambda t, x: t.stack([x, t.ones(2, dtype=t.int64)]),
    "std": lambda t, x: x.std(),
    "norm": lambda t, x: x.norm(),
    "lerp": lambda t, x: t.lerp(x, x, 0.5),
    "addcmul": lambda t, x: t.addcmul(x, x, x),
    "square": lambda t, x: x.square(),
    "reciprocal": lambda t, x: x.reciprocal(),
    "sigmoid": lambda t, x: x.sigmoid(),
    "relu": lambda t, x: x.relu(),
    "bitwise_not": lambda t, x: ~x,
    "shift": lambda t, x: x << 1,
    "remainder": lambda t, x: x % 2,
    "remainder_float": lambda t, x: x % 1.5,
    "minimum": lambda t, x: t.minimum(x, t.ones(2)),
    "atan2": lambda t, x: t.atan2(x, x),
    "dot": lambda t, x: t.dot(x, x),
    "bincount": lambda t, x: t.bincount(x),
    "sort": lambda t, x: x.sort()[0],
    "item": lambda t, x: x[0].item(),
}


@pytest.mark.parametrize("operation", FLOATING)
@lockstep
def test_result_of_one_operand(t, operation):
    seen = {}
    for name in NAMES:
        x = operands(t, name)[0]
        try:
            seen[name] = FLOATING[operation](t, x)
        except Exception as error:
            seen[name] = type(error).__name__
    return seen
