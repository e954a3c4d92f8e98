"""Special functions: `torch.erf`, `torch.lgamma`, ... and the namespace `torch.special`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..core.execute import Op
from ..core.op import apply
from ..core.state import modes
from ..core.tape import Described, edge_of
from ..core.tensor import Tensor
from ..kernels import special as kernels
from .arguments import check_tensor, integer, not_implemented_for
from .elementwise import NoDerivative, binary, kind_of, make_op, refuse, unary, unsupported
from .namespaces import SPECIAL, member, with_numpy_names
from .pointwise import promoted
from .registry import FUNCTIONS, cast, declare, store_out

POLYGAMMA = Op(kernels.polygamma, vjp=kernels.polygamma_vjp, pointwise=True)
MVLGAMMA = Op(kernels.mvlgamma, vjp=kernels.mvlgamma_vjp, pointwise=True)
LOGIT = Op(kernels.logit, vjp=kernels.logit_vjp, pointwise=True)

# name: (formula, the kernel that PyTorch's messages name, whether torch.name_ exists)
TOP = {
    "erf": ("2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input", "erf_vml_cpu", True),
    "erfc": ("1 - erf(input)", "erfc_vml_cpu", True),
    "erfinv": ("The inverse of erf", "erfinv_vml_cpu", False),
    "lgamma": ("log |Gamma(input)|", "lgamma_vml_cpu", False),
    "digamma": ("The derivative of lgamma", "digamma", False),
    "i0": ("The modified Bessel function of the first kind and order 0", "i0_vml_cpu", True),
}
for _name, (_doc, _kernel_name, _function) in TOP.items():
    unary(
        _name,
        getattr(kernels, _name),
        _doc,
        result="float",
        refusals=unsupported("c"),
        kernel_name=_kernel_name,
        inplace_function=_function,
    )
unary("sinc", kernels.sinc, "sin(pi input) / (pi input), 1 at 0", result="float")


def _check_float(name: str, x: Tensor) -> Tensor:
    """x with integers as the default dtype; complex numbers are refused."""
    check_tensor(name, x)
    if x.dtype.is_complex:
        raise not_implemented_for(f"{name}_cpu", x.dtype)
    return x if x.dtype.is_floating_point else cast(x, dtypes.get_default_dtype())


@declare(inplace=True, inplace_function=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), input first clamped to [eps, 1 - eps] unless `eps` is None."""
    input = _check_float("logit", input)
    return apply(LOGIT, (input,), (None if eps is None else float(eps),))


def _polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if input.dtype.is_complex:
        names = {0: "digamma", 1: "trigamma"}
        raise not_implemented_for(names.get(n, "polygamma"), input.dtype)
    return apply(POLYGAMMA, (_check_float("polygamma", input),), (n,))


@declare(method=False)
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma."""
    n = integer("polygamma", n, "n")
    if out is not None:
        return store_out(out, _polygamma, "polygamma", (n, input), {})
    check_tensor("polygamma", input, "input", 2)
    return _polygamma(n, input)


@declare(name="polygamma", function=False, inplace=True)
def _polygamma_method(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return _polygamma(integer("polygamma", n, "n"), self)


@declare(inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return apply(MVLGAMMA, (_check_float("mvlgamma", input),), (int(p),))


# Functions of two arguments

xlogy = binary(
    "xlogy",
    kernels.xlogy,
    "input log(other), 0 for input 0 unless other is NaN",
    result="float",
    numbers="both",
    refusals=unsupported("c"),
    number_label="XlogyBackward2",
    inplace_function=True,
)


class Refusal(NoDerivative):
    """The node of a function that PyTorch cannot differentiate with respect to one argument."""

    text: str

    def pull(self, gradients: list[Any], create_graph: bool) -> Any:
        raise NotImplementedError(self.text)


def _incomplete_gamma(name: str, doc: str) -> Callable[..., Tensor]:
    op = make_op(getattr(kernels, name))

    def call(input: Tensor, other: Tensor) -> Tensor:
        check_tensor(name, input)
        check_tensor(name, other, "other", 2)
        input, other, common = promoted(input, other)
        if not common.is_floating_point:
            raise not_implemented_for(f"{name}_cpu", common)
        if not (modes.grad and input.requires_grad):
            return apply(op, (input, other), (common.numpy,))
        result = apply(op, (input.detach(), other.detach()), (common.numpy,))
        described = Described(result._dims(), result._dtype_numpy())
        node = Refusal(name.capitalize(), [edge_of(input)], (described,), result.device)
        node.text = f"the derivative for '{name}: input' is not implemented."
        result._node = node
        return result

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return declare(name=name, inplace=True, out=True)(call)


igamma = _incomplete_gamma(
    "igamma", "The regularised lower incomplete gamma function; differentiable in `other` alone"
)
igammac = _incomplete_gamma(
    "igammac", "The regularised upper incomplete gamma function; differentiable in `other` alone"
)


# The namespace


def _special_unary(name: str, doc: str, label: str, refused: str) -> None:
    op = make_op(getattr(kernels, name), label)

    def call(input: Tensor) -> Tensor:
        check_tensor(name, input)
        refuse(f"{name}_cpu", input.dtype, unsupported("c"))
        if refused and input.dtype in (dtypes.float16, dtypes.bfloat16):
            raise not_implemented_for(f"{name}_cpu", input.dtype)
        if kind_of(input.dtype) in "bi":
            return apply(op, (input,), (dtypes.get_default_dtype().numpy,))
        return apply(op, (input,), (None,))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    member(SPECIAL, name, prefix="special_")(call)


for _row in (
    ("ndtr", "The distribution function of the standard normal distribution", "Mul", ""),
    ("ndtri", "The inverse of `ndtr`", "SpecialNdtri", "narrow"),
    ("log_ndtr", "log(ndtr(input)), exact in the lower tail", "SpecialLogNdtr", "narrow"),
    ("erfcx", "exp(input^2) erfc(input)", "SpecialErfcx", "narrow"),
    ("entr", "-input log(input), 0 at 0, -inf below", "SpecialEntr", ""),
    ("i0e", "exp(-|input|) I_0(input)", "SpecialI0E", ""),
    ("i1", "The modified Bessel function I_1", "SpecialI1", ""),
    ("i1e", "exp(-|input|) I_1(input)", "SpecialI1E", ""),
):
    _special_unary(*_row)


def _special_binary(name: str, doc: str, stem: str, narrow: bool) -> None:
    """A function of two tensors, or of a tensor and a number."""
    op = make_op(getattr(kernels, name))

    def call(input: Any, other: Any) -> Tensor:
        if not isinstance(other, Tensor):
            check_tensor(name, input)
        suffix = 2 if not isinstance(other, Tensor) else 1 if not isinstance(input, Tensor) else 0
        input, other, common = promoted(input, other)
        refuse(f"{name}_cpu", common, unsupported("c"))
        if not narrow and common in (dtypes.float16, dtypes.bfloat16):
            raise not_implemented_for(f"{name}_cpu", common)
        if not common.is_floating_point:
            common = dtypes.get_default_dtype()
        return apply(op, (input, other), (common.numpy,), f"Special{stem}Backward{suffix}")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    member(SPECIAL, name, prefix="special_")(call)


_special_binary(
    "xlog1py", "input log(1 + other), 0 for input 0 unless other is NaN", "Xlog1Py", True
)
_special_binary("zeta", "The Hurwitz zeta function sum_k (other + k)^-input", "Zeta", False)

# torch.special.name is torch.other_name
ALIASES = {
    "digamma": "digamma",
    "psi": "digamma",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "exp2": "exp2",
    "expit": "sigmoid",
    "expm1": "expm1",
    "gammainc": "igamma",
    "gammaincc": "igammac",
    "gammaln": "lgamma",
    "i0": "i0",
    "log1p": "log1p",
    "log_softmax": "log_softmax",
    "logit": "logit",
    "logsumexp": "logsumexp",
    "multigammaln": "mvlgamma",
    "polygamma": "polygamma",
    "round": "round",
    "sinc": "sinc",
    "softmax": "softmax",
    "xlogy": "xlogy",
}
SPECIAL.update({name: with_numpy_names(FUNCTIONS[old]) for name, old in ALIASES.items()})
