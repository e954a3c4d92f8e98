"""NumPy's form of XLA's elementwise primitives.

A rule takes an equation's parameters and its input and output types, and returns a function of
NumPy arrays. Rules run once, when a program is built; the functions run every time. An elementwise
function may get operands that broadcast against each other (see `lowering`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .source import Expressed, undispatched

Function = Any  # a callable of arrays, or `Expressed`
Rule = Callable[[dict[str, Any], list[Any], list[Any]], Function]

RULES: dict[str, Rule] = {}

PLAIN: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "is_finite": np.isfinite,
    "exp": np.exp,
    "exp2": np.exp2,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "abs": np.abs,
    "square": np.square,
    "real": np.real,
    "imag": np.imag,
    "conj": np.conjugate,
    "not": np.invert,
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "pow": np.power,
    "atan2": np.arctan2,
    "nextafter": np.nextafter,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


# For arrays of at least one axis, Python's operators are faster than the calls.
INFIX = {
    name: Expressed(f"{{0}} {sign} {{1}}")
    for name, sign in {
        "add": "+",
        "add_any": "+",
        "sub": "-",
        "mul": "*",
        "lt": "<",
        "le": "<=",
        "gt": ">",
        "ge": ">=",
        "eq": "==",
        "ne": "!=",
    }.items()
}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Register a rule for the primitive `name`."""

    def register(function: Rule) -> Rule:
        RULES[name] = function
        return function

    return register


for _name, _function in PLAIN.items():
    RULES[_name] = lambda params, ins, outs, f=_function: f


def identity(x: Any) -> Any:
    """What needs no call."""
    return x


for _name in ("copy", "copy_p", "stop_gradient", "pvary"):
    RULES[_name] = lambda params, ins, outs: identity


@rule("sign")
def _sign(params: Any, ins: Any, outs: Any) -> Function:
    if ins[0].dtype.kind == "c":
        raise NotImplementedError("sign of complex numbers")
    return np.sign


@rule("div")
def _div(params: Any, ins: Any, outs: Any) -> Function:
    if ins[0].dtype.kind in "iu":
        return _truncated_division
    return np.true_divide


def _truncated_division(x: Any, y: Any) -> Any:
    """Integer division rounded towards zero; x / 0 is -1, as XLA has it."""
    zero = np.equal(y, 0)
    safe = np.where(zero, np.asarray(1, np.asarray(y).dtype), y)
    quotient = np.floor_divide(x, safe)
    inexact = np.not_equal(np.multiply(quotient, safe), x)
    fix = np.logical_and(np.less(quotient, 0), inexact)
    quotient = np.add(quotient, fix.astype(quotient.dtype))
    return np.where(zero, np.asarray(-1).astype(quotient.dtype), quotient)


@rule("rem")
def _rem(params: Any, ins: Any, outs: Any) -> Function:
    if ins[0].dtype.kind in "iu":

        def remainder(x: Any, y: Any) -> Any:
            zero = np.equal(y, 0)
            safe = np.where(zero, np.asarray(1, np.asarray(y).dtype), y)
            return np.where(zero, x, np.fmod(x, safe))

        return remainder
    return np.fmod


@rule("integer_pow")
def _integer_pow(params: Any, ins: Any, outs: Any) -> Function:
    exponent, dtype = params["y"], outs[0].dtype
    if exponent == 2:
        return Expressed("{0} * {0}")
    if dtype.kind in "iu" and exponent < 0:
        raise NotImplementedError("negative integer power of integers")
    number = np.asarray(exponent, dtype)
    if 0 <= exponent <= 4:

        def repeated(x: Any) -> Any:
            result = np.ones_like(x) if exponent == 0 else x
            for _ in range(exponent - 1):
                result = np.multiply(result, x)
            return result

        return repeated
    return lambda x: np.power(x, number)


@rule("rsqrt")
def _rsqrt(params: Any, ins: Any, outs: Any) -> Function:
    one = np.asarray(1, outs[0].dtype)
    return Expressed("{one} / {sqrt}({0})", one=one, sqrt=np.sqrt)


@rule("logistic")
def _logistic(params: Any, ins: Any, outs: Any) -> Function:
    dtype = outs[0].dtype
    if dtype.kind == "c":
        raise NotImplementedError("logistic of complex numbers")
    one = np.asarray(1, dtype)
    return Expressed("{one} / ({one} + {exp}(-{0}))", one=one, exp=np.exp)


@rule("round")
def _round(params: Any, ins: Any, outs: Any) -> Function:
    if int(params["rounding_method"]) == 1:
        return np.rint

    def away_from_zero(x: Any) -> Any:
        whole = np.trunc(x)
        half = np.asarray(0.5, np.asarray(x).dtype)
        up = np.greater_equal(np.abs(np.subtract(x, whole)), half)
        return np.add(whole, np.where(up, np.sign(x), np.zeros_like(half)))

    return away_from_zero


@rule("convert_element_type")
def _convert(params: Any, ins: Any, outs: Any) -> Function:
    dtype, source = outs[0].dtype, ins[0].dtype
    if dtype == source:
        return identity
    if dtype == np.bool_:
        return Expressed("{not_equal}({0}, 0)", not_equal=np.not_equal)
    if source.kind == "c" and dtype.kind != "c":
        return lambda x: np.real(x).astype(dtype)
    if source.kind == "f" and dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        as_float = np.nan_to_num

        def saturated(x: Any) -> Any:
            safe = as_float(np.asarray(x, np.float64), nan=0.0)
            inside = np.asarray(x).astype(dtype)
            return np.where(safe >= high, high, np.where(safe <= low, low, inside)).astype(dtype)

        return saturated
    return Expressed("{0}.astype({dtype})", dtype=dtype)


@rule("bitcast_convert_type")
def _bitcast(params: Any, ins: Any, outs: Any) -> Function:
    dtype, shape = outs[0].dtype, outs[0].shape
    return lambda x: np.ascontiguousarray(x).view(dtype).reshape(shape)


@rule("reduce_precision")
def _reduce_precision(params: Any, ins: Any, outs: Any) -> Function:
    dtype = outs[0].dtype
    info = np.finfo(dtype)
    if params["exponent_bits"] >= info.nexp and params["mantissa_bits"] >= info.nmant:
        return identity
    raise NotImplementedError("reduce_precision")


@rule("select_n")
def _select(params: Any, ins: Any, outs: Any) -> Function:
    if ins[0].dtype != np.bool_ or len(ins) != 3:
        raise NotImplementedError("select_n of several cases")
    return Expressed("{where}({0}, {2}, {1})", where=undispatched(np.where))


@rule("clamp")
def _clamp(params: Any, ins: Any, outs: Any) -> Function:
    text = "{minimum}({maximum}({0}, {1}), {2})"
    return Expressed(text, minimum=np.minimum, maximum=np.maximum)


@rule("complex")
def _complex(params: Any, ins: Any, outs: Any) -> Function:
    dtype = outs[0].dtype

    def build(real: Any, imag: Any) -> Any:
        result = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), dtype)
        result.real = real
        result.imag = imag
        return result

    return build


def _unsigned_shift(x: Any, count: Any) -> Any:
    kind = np.asarray(x).dtype
    unsigned = np.dtype(f"u{kind.itemsize}")
    return np.right_shift(np.asarray(x).view(unsigned), count.astype(unsigned)).view(kind)


def _guarded(shift: Function, fill: Function) -> Function:
    """Shifts by the width or more, where C leaves the result open and XLA does not."""

    def shifted(x: Any, count: Any) -> Any:
        width = np.asarray(x).dtype.itemsize * 8
        outside = np.logical_or(np.less(count, 0), np.greater_equal(count, width))
        safe = np.where(outside, np.asarray(0, np.asarray(count).dtype), count)
        return np.where(outside, fill(x), shift(x, safe))

    return shifted


RULES["shift_left"] = lambda p, i, o: _guarded(np.left_shift, np.zeros_like)
RULES["shift_right_logical"] = lambda p, i, o: _guarded(_unsigned_shift, np.zeros_like)
RULES["shift_right_arithmetic"] = lambda p, i, o: _guarded(
    np.right_shift, lambda x: np.where(np.less(x, 0), -1, 0).astype(np.asarray(x).dtype)
)


@rule("population_count")
def _population_count(params: Any, ins: Any, outs: Any) -> Function:
    dtype = outs[0].dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return lambda x: np.bitwise_count(np.asarray(x).view(unsigned)).astype(dtype)


def _from_scipy(name: str) -> Rule:
    def make(params: Any, ins: Any, outs: Any) -> Function:
        import scipy.special

        function = getattr(scipy.special, name)
        dtype = outs[0].dtype
        return lambda x: np.asarray(function(x), dtype)

    return make


for _primitive, _name in {
    "erf": "erf",
    "erfc": "erfc",
    "erf_inv": "erfinv",
    "lgamma": "gammaln",
    "digamma": "digamma",
    "bessel_i0e": "i0e",
    "bessel_i1e": "i1e",
}.items():
    RULES[_primitive] = _from_scipy(_name)

ELEMENTWISE = frozenset(RULES) - {"bitcast_convert_type"}
