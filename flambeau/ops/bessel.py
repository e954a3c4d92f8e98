"""`torch.special`: Bessel and Airy functions, orthogonal polynomials. None has a derivative."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..core.op import apply
from ..core.tensor import Tensor
from ..kernels import bessel as kernels
from .arguments import check_tensor, not_implemented_for
from .elementwise import make_op
from .namespaces import SPECIAL, member
from .pointwise import promoted

FUNCTIONS_OF_ONE = {
    "airy_ai": "The Airy function Ai",
    "bessel_j0": "The Bessel function of the first kind and order 0",
    "bessel_j1": "The Bessel function of the first kind and order 1",
    "bessel_y0": "The Bessel function of the second kind and order 0",
    "bessel_y1": "The Bessel function of the second kind and order 1",
    "modified_bessel_i0": "The modified Bessel function of the first kind and order 0",
    "modified_bessel_i1": "The modified Bessel function of the first kind and order 1",
    "modified_bessel_k0": "The modified Bessel function of the second kind and order 0",
    "modified_bessel_k1": "The modified Bessel function of the second kind and order 1",
    "scaled_modified_bessel_k0": "exp(input) times `modified_bessel_k0`",
    "scaled_modified_bessel_k1": "exp(input) times `modified_bessel_k1`",
    "spherical_bessel_j0": "sin(input) / input, 1 at 0",
}
POLYNOMIALS = {
    "chebyshev_polynomial_t": "The Chebyshev polynomial of the first kind T_n",
    "chebyshev_polynomial_u": "The Chebyshev polynomial of the second kind U_n",
    "chebyshev_polynomial_v": "The Chebyshev polynomial of the third kind V_n",
    "chebyshev_polynomial_w": "The Chebyshev polynomial of the fourth kind W_n",
    "shifted_chebyshev_polynomial_t": "T_n(2 input - 1)",
    "shifted_chebyshev_polynomial_u": "U_n(2 input - 1)",
    "shifted_chebyshev_polynomial_v": "V_n(2 input - 1)",
    "shifted_chebyshev_polynomial_w": "W_n(2 input - 1)",
    "hermite_polynomial_h": "The physicists' Hermite polynomial H_n",
    "hermite_polynomial_he": "The probabilists' Hermite polynomial He_n",
    "laguerre_polynomial_l": "The Laguerre polynomial L_n",
    "legendre_polynomial_p": "The Legendre polynomial P_n",
}


def _computed_in(name: str, dtype: dtypes.dtype) -> dtypes.dtype:
    """The type of the result; 16-bit and complex numbers are refused."""
    if dtype.is_complex or dtype in (dtypes.float16, dtypes.bfloat16):
        raise not_implemented_for(f"{name}_cpu", dtype)
    return dtype if dtype.is_floating_point else dtypes.get_default_dtype()


def _define_function(name: str, doc: str) -> None:
    op = make_op(getattr(kernels, name), name, differentiable=False)

    def call(input: Tensor) -> Tensor:
        check_tensor(name, input)
        return apply(op, (input,), (_computed_in(name, input.dtype).numpy,))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    member(SPECIAL, name, prefix="special_")(call)


def _define_polynomial(name: str, doc: str) -> None:
    op = make_op(getattr(kernels, name), name, differentiable=False)

    def call(input: Any, n: Any) -> Tensor:
        if not isinstance(n, Tensor):
            check_tensor(name, input)
        input, n, common = promoted(input, n)
        return apply(op, (input, n), (_computed_in(name, common).numpy,))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{doc}(input), elementwise; 0 for n < 0."
    member(SPECIAL, name, prefix="special_")(call)


for _name, _doc in FUNCTIONS_OF_ONE.items():
    _define_function(_name, _doc)
for _name, _doc in POLYNOMIALS.items():
    _define_polynomial(_name, _doc)
