"""Pointwise kernels against the oracle at kinks, infinities, NaN and ordinary points."""

import itertools

import jax
import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.kernels import conversion, integers, numbers, power, rounding, transcendental
from tests.kernels import against_oracle
from tests.kernels.checking import check, normal

BF16 = ml_dtypes.bfloat16
INF, NAN = np.inf, np.nan
POINTS = [0.0, -0.0, 0.5, -0.5, 1, -1, 2, -2, 1.5, 2.5, 1e-4, 8, 100, -30]
SPECIAL = [INF, -INF, NAN]


def words(text):
    return text.split()


UNARY = [
    *(
        (transcendental, name, getattr(torch, name), {})
        for name in words(
            "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos "
            "tan asin acos atan sinh cosh tanh sigmoid asinh acosh atanh deg2rad rad2deg"
        )
    ),
    *((rounding, name, getattr(torch, name), {}) for name in words("floor ceil trunc frac round")),
    *(
        (rounding, "round", lambda x, d=d: torch.round(x, decimals=d), {"decimals": d})
        for d in (1, 3, -1)
    ),
    (rounding, "frexp", torch.frexp, {}),
    *(
        (numbers, name, getattr(torch, name), {})
        for name in words(
            "sign sgn signbit isnan isinf isfinite isposinf isneginf isreal angle nan_to_num"
        )
    ),
    (
        numbers,
        "nan_to_num",
        lambda x: torch.nan_to_num(x, nan=2.0, posinf=3.0, neginf=4.0),
        {"nan": 2.0, "posinf": 3.0, "neginf": 4.0},
    ),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("row", UNARY, ids=lambda r: r[1] + str(r[3]))
def test_unary(row, dtype):
    module, name, oracle, statics = row
    # The sign of a bfloat16 NaN depends on who converts it.
    special = SPECIAL[:2] if name == "signbit" else SPECIAL
    x = np.array([*POINTS, *normal(10), *special]).astype(dtype)
    kernel, vjp = getattr(module, name), getattr(module, name + "_vjp", None)
    # The derivative is a third power of the rounded output.
    tolerance = 2e-2 if dtype == BF16 and name == "rsqrt" else None
    if name == "sgn":  # The oracle's derivative is a placeholder that NumPy cannot read.
        x = x.astype(np.float64)
        against_oracle.check(kernel, oracle, [x], grad=False)
        return
    check(kernel, oracle, (x,), statics, tolerance, vjp=vjp)


FUNCTIONS_OF_POWER = [
    ("reciprocal", torch.reciprocal, {}),
    ("absolute", torch.abs, {}),
    *(
        ("power_fixed", lambda x, e=e: torch.pow(x, e), {"exponent": e})
        for e in power.FIXED_EXPONENTS
    ),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("row", FUNCTIONS_OF_POWER, ids=lambda r: r[0] + str(r[2]))
def test_powers(row, dtype):
    name, oracle, statics = row
    x = np.array([*POINTS, *normal(10), *SPECIAL]).astype(dtype)
    # The oracle multiplies by rounded powers, we round once; 100^3 times 3 is where it shows.
    tolerance = 2e-2 if dtype == BF16 else 1e-5
    kernel, vjp = getattr(power, name), getattr(power, name + "_vjp")
    check(kernel, oracle, (x,), statics, tolerance, vjp=vjp)


@pytest.mark.parametrize("dtype", [np.float32, BF16], ids=lambda d: np.dtype(d).name)
def test_power_on_a_grid(dtype):
    grid = [0.0, -0.0, 1, -2, 0.75, 2.5, INF, NAN]
    a, b = np.array(list(itertools.product(grid, repeat=2))).astype(dtype).T
    check(power.power, torch.pow, (a.copy(), b.copy()), vjp=power.power_vjp)


def test_power_of_integers():
    a, b = np.array(list(itertools.product([0, 1, -1, 2, -3, 7], [0, 1, 2, 5, 30]))).T.copy()
    check(power.power, torch.pow, (a, b))
    nonzero = a != 0  # 0 to a negative power is a division by 0 inside the oracle
    check(power.power, torch.pow, (a[nonzero], -b[nonzero]))


@pytest.mark.parametrize("target", [np.int64, np.int32, np.int16, np.uint8, np.bool_])
def test_conversion_of_floats_that_do_not_fit(target):
    x = np.array([NAN, INF, -INF, 3e9, -3e9, 1e20, 300.7, -2.25, 7e4, 0.0], np.float32)
    kind = torch.from_numpy(np.zeros(1, target)).dtype
    converted = conversion.convert(jax.numpy.asarray(x), np.dtype(target))
    np.testing.assert_array_equal(converted, torch.from_numpy(x).to(kind).numpy())


BINARY = [
    *(
        (transcendental, name, getattr(torch, name))
        for name in words("atan2 hypot logaddexp logaddexp2")
    ),
    *((rounding, name, getattr(torch, name)) for name in ["fmod", "remainder", "ldexp"]),
    (rounding, "trunc_divide", lambda a, b: torch.div(a, b, rounding_mode="trunc")),
    (rounding, "floor_divide", lambda a, b: torch.div(a, b, rounding_mode="floor")),
    *(
        (numbers, name, getattr(torch, name))
        for name in words("copysign maximum minimum fmax fmin nextafter")
    ),
    (numbers, "clamp_low", lambda a, b: torch.clamp(a, min=b)),
    (numbers, "clamp_high", lambda a, b: torch.clamp(a, max=b)),
]


def find(module, name):
    """A kernel and its derivative; clamp with one limit stands for itself."""
    if name == "clamp_low":
        return (
            lambda a, b: numbers.clamp(a, b, None),
            lambda c, i, o, n: numbers.clamp_vjp(c, (*i, None), o, (*n, False))[:2],
        )
    if name == "clamp_high":
        return (
            lambda a, b: numbers.clamp(a, None, b),
            lambda c, i, o, n: numbers.clamp_vjp(c, (i[0], None, i[1]), o, (n[0], False, n[1]))[
                ::2
            ],
        )
    return getattr(module, name), getattr(module, name + "_vjp", None)


@pytest.mark.parametrize("dtype", [np.float32, BF16], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("row", BINARY, ids=lambda r: r[1])
def test_binary_on_a_grid(row, dtype):
    module, name, oracle = row
    grid = [0.0, -0.0, 1, -2, 0.75, 7.5, *SPECIAL]
    if name == "copysign":
        grid.remove(NAN)  # The sign of a bfloat16 NaN depends on who converts it.
    a, b = np.array(list(itertools.product(grid, repeat=2))).astype(dtype).T
    kernel, vjp = find(module, name)
    check(kernel, oracle, (a.copy(), b.copy()), vjp=vjp)


@pytest.mark.parametrize("row", BINARY, ids=lambda r: r[1])
def test_binary_broadcasts(row):
    module, name, oracle = row
    kernel, vjp = find(module, name)
    a, b = normal(2, 1, 3), normal(4, 1, seed=1)
    check(kernel, oracle, (a, b), vjp=vjp)
    check(kernel, oracle, (a.astype(np.float64), np.array(0.5)), vjp=vjp)


def test_heaviside():
    x = np.array([*POINTS, *SPECIAL], np.float32)
    against_oracle.check(numbers.heaviside, torch.heaviside, [x, np.float32([0.25])], grad=False)


@pytest.mark.parametrize("equal_nan", [False, True])
@pytest.mark.parametrize("rtol", [0.0, 1e-2])
def test_isclose(equal_nan, rtol):
    grid = [0.0, 1, 1.005, 1.02, -1, 1e6, *SPECIAL]
    a, b = np.array(list(itertools.product(grid, repeat=2))).astype(np.float32).T.copy()
    statics = {"rtol": rtol, "atol": 0.0, "equal_nan": equal_nan}
    check(numbers.isclose, lambda a, b: torch.isclose(a, b, **statics), (a, b), statics)
    ints = np.array([1, 100, 101, 500])
    check(numbers.isclose, lambda a, b: torch.isclose(a, b, **statics), (ints, ints + 1), statics)


def test_clamp_with_both_limits():
    grid = [0.0, 1, -2, 0.75, INF, NAN]
    columns = np.array(list(itertools.product(grid, repeat=3))).astype(np.float32).T.copy()
    check(numbers.clamp, torch.clamp, tuple(columns), vjp=numbers.clamp_vjp)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, BF16], ids=lambda d: np.dtype(d).name)
def test_three_operands(dtype):
    x, a, b = normal(2, 3), normal(3, seed=1), normal(2, 1, seed=2)
    x, a, b = (t.astype(dtype) for t in (x, a, b))
    weight = np.array([0.0, 0.3, 0.5, 0.7, 1.0, 2.0]).reshape(2, 3).astype(dtype)
    check(numbers.lerp, torch.lerp, (x, a, weight), vjp=numbers.lerp_vjp)
    value = np.array(0.5).astype(dtype)
    some = [True, True, True, False]
    check(
        numbers.addcmul,
        lambda x, a, b, v: torch.addcmul(x, a, b, value=0.5),
        (x, a, b, value),
        differentiable=some,
    )
    check(
        numbers.addcdiv,
        lambda x, a, b, v: torch.addcdiv(x, a, b, value=0.5),
        (x, a, b, value),
        differentiable=some,
    )


INTEGER_UNARY = [
    (integers, "bitwise_not"),
    (integers, "logical_not"),
    *((rounding, name) for name in words("floor ceil trunc round")),
    *((numbers, name) for name in words("sign sgn signbit isnan isinf isfinite isreal nan_to_num")),
    *((numbers, name) for name in ["isposinf", "isneginf"]),
]
INTEGER_BINARY = [
    *(
        (integers, name)
        for name in words(
            "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift "
            "logical_and logical_or logical_xor gcd lcm"
        )
    ),
    *((rounding, name) for name in ["fmod", "remainder", "floor_divide"]),
    *((numbers, name) for name in words("maximum minimum fmax fmin")),
]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8])
def test_integers(dtype):
    values = np.array([0, 1, 5, 7, 12, 100], dtype)
    if np.dtype(dtype).kind == "i":
        values = np.concatenate([values, -values])
    for module, name in INTEGER_UNARY:
        check(getattr(module, name), getattr(torch, name), (values,))
    a, b = np.array(list(itertools.product(values, repeat=2)), dtype).T.copy()
    for module, name in INTEGER_BINARY:
        divides = name in ("fmod", "remainder", "floor_divide")
        second = np.where(b == 0, 3, b).astype(dtype) if divides else b
        check(getattr(module, name), getattr(torch, name), (a, second))


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8])
def test_shifts_beyond_the_word(name, dtype):
    a = np.array([1, 5, 100, 127], dtype)
    a = np.concatenate([a, -a]) if np.dtype(dtype).kind == "i" else a
    for shift in (0, 1, 7, 8, 31, 32, 63, 64, 100):
        b = np.full_like(a, shift)
        check(getattr(integers, name), getattr(torch, name), (a, b))


def test_truth_values():
    x = np.array([True, False])
    a, b = np.array(list(itertools.product(x, repeat=2))).T.copy()
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_xor"):
        check(getattr(integers, name), getattr(torch, name), (a, b))
    for module, name in ((integers, "bitwise_not"), (integers, "logical_not"), (numbers, "sign")):
        check(getattr(module, name), getattr(torch, name), (x,))
    floats = np.array([0.0, -0.0, NAN, 2], np.float32)
    check(integers.logical_not, torch.logical_not, (floats,))


COMPLEX = np.array([1 + 2j, -0.5 + 0.25j, 0.3 - 4j, -1 - 1j, 2.5 + 0j], np.complex64)


@pytest.mark.parametrize(
    "row",
    [r for r in UNARY if r[1] in words("exp exp2 expm1 log log2 log10 log1p sqrt rsqrt")],
    ids=lambda r: r[1],
)
def test_complex_exponentials(row):
    module, name, oracle, _ = row
    against_oracle.check(getattr(module, name), oracle, [COMPLEX], rtol=2e-5)


@pytest.mark.parametrize("name", words("sin cos tan asin acos atan sinh cosh asinh acosh atanh"))
def test_complex_trigonometry(name):
    # PyTorch's and XLA's complex functions each have errors of some units in the last place.
    against_oracle.check(
        getattr(transcendental, name), getattr(torch, name), [COMPLEX], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", words("sgn angle isnan isinf isfinite isreal nan_to_num"))
def test_complex_numbers(name):
    x = np.append(COMPLEX, np.complex64(0))
    against_oracle.check(
        getattr(numbers, name), getattr(torch, name), [x], grad=name in ("sgn", "angle")
    )
    special = np.array([complex(INF, 1), complex(NAN, 0), complex(1, -INF)], np.complex64)
    if name not in ("sgn", "angle"):
        against_oracle.check(getattr(numbers, name), getattr(torch, name), [special], grad=False)


def test_complex_combinations():
    a, b, w = COMPLEX, COMPLEX[::-1].copy(), (COMPLEX * 0.3).astype(np.complex64)
    against_oracle.check(numbers.lerp, torch.lerp, [a, b, w])
    value = np.array(0.5, np.complex64)
    against_oracle.check(
        lambda x, y, z: numbers.addcmul(x, y, z, jax.numpy.asarray(value)),
        lambda x, y, z: torch.addcmul(x, y, z, value=0.5),
        [a, b, w],
    )


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
def test_shifts_by_negative_amounts(name):
    a = np.array([5, -5, 100], np.int32)
    check(getattr(integers, name), getattr(torch, name), (a, np.full_like(a, -1)))
