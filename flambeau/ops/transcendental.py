"""Exponentials, logarithms, trigonometry and their inverses."""

from __future__ import annotations

from ..kernels import transcendental as kernels
from .elementwise import binary, unary, unsupported

# name: (formula, other names)
FLOATING = {
    "exp": ("e to the power of input", ()),
    "log": ("The natural logarithm", ()),
    "sqrt": ("The square root", ()),
    "sigmoid": ("1 / (1 + exp(-input))", ()),
    "sin": ("The sine", ()),
    "cos": ("The cosine", ()),
    "tanh": ("The hyperbolic tangent", ()),
    "exp2": ("2 to the power of input", ()),
    "expm1": ("exp(input) - 1, exact for small input", ()),
    "log2": ("The logarithm to base 2", ()),
    "log10": ("The logarithm to base 10", ()),
    "rsqrt": ("1 / sqrt(input)", ()),
    "tan": ("The tangent", ()),
    "asin": ("The inverse sine", ("arcsin",)),
    "acos": ("The inverse cosine", ("arccos",)),
    "atan": ("The inverse tangent", ("arctan",)),
    "sinh": ("The hyperbolic sine", ()),
    "cosh": ("The hyperbolic cosine", ()),
    "asinh": ("The inverse hyperbolic sine", ("arcsinh",)),
    "acosh": ("The inverse hyperbolic cosine", ("arccosh",)),
    "atanh": ("The inverse hyperbolic tangent", ("arctanh",)),
}
for _name, (_doc, _aliases) in FLOATING.items():
    unary(_name, getattr(kernels, _name), _doc, result="float", aliases=_aliases)

unary(
    "log1p",
    kernels.log1p,
    "log(1 + input), exact for small input",
    result="float",
    label="Log1P",
)
for _name, _doc, _label in (
    ("deg2rad", "Degrees as radians: input * pi / 180", "Deg2Rad"),
    ("rad2deg", "Radians as degrees: input * 180 / pi", "Rad2Deg"),
):
    unary(
        _name,
        getattr(kernels, _name),
        _doc,
        result="float",
        label=_label,
        refusals={"c": RuntimeError(f"{_name} is not supported for complex tensors.")},
    )

atan2 = binary(
    "atan2",
    kernels.atan2,
    "The angle of the point (other, input)",
    result="float",
    refusals=unsupported("c"),
    aliases=("arctan2",),
)
hypot = binary("hypot", kernels.hypot, "sqrt(input^2 + other^2)", refusals=unsupported("bic"))
logaddexp = binary(
    "logaddexp",
    kernels.logaddexp,
    "log(exp(input) + exp(other))",
    refusals=unsupported("bi"),
    inplace=False,
)
logaddexp2 = binary(
    "logaddexp2",
    kernels.logaddexp2,
    "log2(2^input + 2^other)",
    refusals=unsupported("bi"),
    inplace=False,
)
