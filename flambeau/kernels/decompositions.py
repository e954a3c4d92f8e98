"""Eigenvalues, singular values and functions of matrices built on them, on stacks (*, n, m).

Derivatives are written in terms of the factors, so that a gradient of the eigenvalues or singular
values alone never divides by their differences. Sources: M. Giles, "Collected matrix derivative
results" (2008); Z.-Q. Wan and S.-X. Zhang, "Automatic differentiation for complex valued SVD"
(2019); G. Golub and V. Pereyra, "The differentiation of pseudo-inverses" (1973).
"""

from __future__ import annotations

import jax
import numpy as np
from jax import lax

from .common import broadcast, cast, expand
from .linalg import diagonal, identity_like, scale_columns, scale_rows, solve_ex
from .products import adjoint, conjugate, matmul


def _is_complex(x):
    return np.issubdtype(x.dtype, np.complexfloating)


def _on_diagonal(values, dtype=None):
    """(*, n) -> (*, n, n) with the values on the diagonal."""
    n = values.shape[-1]
    shape = (*values.shape, n)
    on = lax.eq(
        *(lax.broadcasted_iota(np.int32, shape, axis) for axis in (-2 % len(shape), len(shape) - 1))
    )
    columns = lax.broadcast_in_dim(values, shape, (*range(values.ndim - 1), values.ndim))
    placed = lax.select(on, columns, lax.full_like(columns, 0))
    return placed if dtype is None else cast(placed, dtype)


def _differences(values):
    """E with E_ij = values_j - values_i, and 1 on the diagonal."""
    n = values.shape[-1]
    shape = (*values.shape, n)
    batch = tuple(range(values.ndim - 1))
    columns = lax.broadcast_in_dim(values, shape, (*batch, values.ndim))
    rows = lax.broadcast_in_dim(values, shape, (*batch, values.ndim - 1))
    return lax.add(lax.sub(columns, rows), _on_diagonal(lax.full_like(values, 1)))


def _off_diagonal(x):
    return lax.sub(x, _on_diagonal(diagonal(x)))


# --- eigenvalues --------------------------------------------------------------------------------


def eigh(x, *, upper):
    """x = V diag(w) V^H from one triangle of x; w ascending. Returns (w, V)."""
    vectors, values = lax.linalg.eigh(x, lower=not upper, symmetrize_input=False)
    return values, vectors


def eigh_vjp(cts, inputs, outputs, needs, *, upper):
    """The Hermitian part of V (diag(gw) + (V^H gV) / E) V^H, E_ij = w_j - w_i."""
    gradient_values, gradient_vectors = cts
    if gradient_values is None and gradient_vectors is None:
        return (None,)
    vectors = outputs[1]
    middle = None
    if gradient_values is not None:
        middle = _on_diagonal(gradient_values, vectors.dtype)
    if gradient_vectors is not None:
        product = matmul(adjoint(vectors), gradient_vectors)
        gaps = cast(_differences(outputs[0]), product.dtype)
        product = _off_diagonal(lax.div(product, gaps))
        product = lax.mul(lax.add(product, adjoint(product)), lax.full_like(product, 0.5))
        middle = product if middle is None else lax.add(middle, product)
    return (matmul(matmul(vectors, middle), adjoint(vectors)),)


def eigvalsh(x, *, upper):
    """The eigenvalues of `eigh`."""
    return eigh(x, upper=upper)[0]


def eigvalsh_vjp(cts, inputs, outputs, needs, *, upper):
    """V diag(g) V^H."""
    decomposed = eigh(inputs[0], upper=upper)
    return eigh_vjp((cts[0], None), inputs, decomposed, needs, upper=upper)


def eig(x):
    """x = V diag(w) V^-1 for any square x. Returns complex (w, V); columns of V have norm 1."""
    values, vectors = lax.linalg.eig(x, compute_left_eigenvectors=False)
    return values, vectors


def eig_vjp(cts, inputs, outputs, needs):
    """V^-H (diag(gw) + (V^H gV - V^H V diag(Re V^H gV)) / conj(E)) V^H, E_ij = w_j - w_i."""
    gradient_values, gradient_vectors = cts
    if gradient_values is None and gradient_vectors is None:
        return (None,)
    vectors = outputs[1]
    middle = None
    if gradient_values is not None:
        middle = _on_diagonal(gradient_values)
    if gradient_vectors is not None:
        product = matmul(adjoint(vectors), gradient_vectors)
        lengths = cast(lax.real(diagonal(product)), product.dtype)
        gram = matmul(adjoint(vectors), vectors)
        product = lax.sub(product, scale_columns(gram, lengths))
        product = _off_diagonal(lax.div(product, lax.conj(_differences(outputs[0]))))
        middle = product if middle is None else lax.add(middle, product)
    gradient = solve_ex(adjoint(vectors), matmul(middle, adjoint(vectors)), left=True)[0]
    return (gradient if _is_complex(inputs[0]) else lax.real(gradient),)


@jax.custom_vjp
def _eig(x):
    """`eig` with `eig_vjp` for its derivative inside other kernels."""
    return eig(x)


def _eig_forward(x):
    outputs = _eig(x)
    return outputs, (x, outputs)


def _eig_backward(residuals, cts):
    # JAX's cotangents of complex values are the conjugates of PyTorch's gradients.
    x, outputs = residuals
    gradients = eig_vjp(tuple(conjugate(g) for g in cts), (x,), outputs, (True,))
    return (conjugate(gradients[0]),)


_eig.defvjp(_eig_forward, _eig_backward)


def eigvals(x):
    """The eigenvalues of `eig`."""
    (values,) = lax.linalg.eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)
    return values


def eigvals_vjp(cts, inputs, outputs, needs):
    """V^-H diag(g) V^H."""
    return eig_vjp((cts[0], None), inputs, _eig(inputs[0]), needs)


# --- singular values ----------------------------------------------------------------------------


def svd(x, *, full_matrices):
    """x = U diag(S) V^H. Returns (U, S, V^H), S descending.

    Tall matrices go through QR, as in T. Chan, "An improved algorithm for computing the singular
    value decomposition" (1982): from 3/2 as many rows as columns on, where PyTorch's LAPACK does
    so, too, and hence has the same signs.
    """
    rows, columns = x.shape[-2:]
    if rows == columns or rows < 3 * columns // 2 or columns == 0:
        u, s, vh = lax.linalg.svd(x, full_matrices=full_matrices)
        return u, s, vh
    q, r = lax.linalg.qr(x, full_matrices=full_matrices)
    u, s, vh = lax.linalg.svd(r[..., :columns, :], full_matrices=False)
    leading = matmul(q[..., :columns], u)
    if full_matrices:
        leading = lax.concatenate((leading, q[..., columns:]), x.ndim - 1)
    return leading, s, vh


def svd_vjp(cts, inputs, outputs, needs, *, full_matrices):
    """The gradient of the thin decomposition (Wan and Zhang 2019, equation 16)."""
    gu, gs, gvh = cts
    if gu is None and gs is None and gvh is None:
        return (None,)
    count = min(inputs[0].shape[-2:])
    u, vh = outputs[0][..., :count], outputs[2][..., :count, :]
    gu = None if gu is None else gu[..., :count]
    gvh = None if gvh is None else gvh[..., :count, :]
    if gu is None and gvh is None:
        return (matmul(matmul(u, _on_diagonal(gs, u.dtype)), vh),)
    s = outputs[1]
    wide = cast(s, u.dtype)
    squared = cast(_differences(lax.mul(s, s)), u.dtype)
    middle = lax.full((*s.shape, count), 0, u.dtype)
    if gs is not None:
        middle = lax.add(middle, _on_diagonal(gs, u.dtype))
    along_u = None if gu is None else matmul(adjoint(u), gu)
    along_v = None if gvh is None else matmul(vh, adjoint(gvh))
    if along_u is not None:
        middle = lax.add(middle, scale_columns(_skew(along_u, squared), wide))
    if along_v is not None:
        middle = lax.add(middle, scale_rows(_skew(along_v, squared), wide))
    if _is_complex(u) and along_u is not None:
        turns = lax.div(_imaginary(diagonal(along_u)), wide)
        middle = lax.add(middle, _on_diagonal(turns))
    gradient = matmul(matmul(u, middle), vh)
    inverse = lax.div(lax.full_like(wide, 1), wide)
    if gu is not None and u.shape[-2] > count:
        outside = lax.sub(gu, matmul(u, along_u))
        gradient = lax.add(gradient, matmul(scale_columns(outside, inverse), vh))
    if gvh is not None and vh.shape[-1] > count:
        outside = lax.sub(gvh, matmul(adjoint(along_v), vh))
        gradient = lax.add(gradient, matmul(u, scale_rows(outside, inverse)))
    return (gradient,)


def _skew(x, squared):
    """(x - x^H) / E, E_ij = s_j^2 - s_i^2; zero on the diagonal."""
    return _off_diagonal(lax.div(lax.sub(x, adjoint(x)), squared))


def _imaginary(x):
    """x without its real part."""
    return lax.complex(lax.full_like(lax.real(x), 0), lax.imag(x))


def svdvals(x):
    """The singular values, descending."""
    return lax.linalg.svd(x, compute_uv=False)


def svdvals_vjp(cts, inputs, outputs, needs):
    """U diag(g) V^H."""
    decomposed = svd(inputs[0], full_matrices=False)
    gradient = (None, cts[0], None)
    return svd_vjp(gradient, inputs, decomposed, needs, full_matrices=False)


def _exceeding(values, atol, rtol):
    """Which values (*, n) exceed max(atol, rtol * the largest of them)."""
    largest = lax.reduce_max(values, (values.ndim - 1,))
    parts = [lax.expand_dims(cast(x, values.dtype), (np.ndim(x),)) for x in (largest, atol, rtol)]
    largest, atol, rtol, values = broadcast(*parts, values)
    return lax.gt(values, lax.max(atol, lax.mul(rtol, largest)))


def _inverted(values, keep):
    """1 / values where `keep` holds, 0 elsewhere."""
    values = expand(values, keep.shape)
    return lax.select(keep, lax.div(lax.full_like(values, 1), values), lax.full_like(values, 0))


def matrix_rank(x, atol, rtol, *, hermitian):
    """How many singular values exceed max(atol, rtol * the largest) (int64)."""
    values = lax.abs(eigvalsh(x, upper=False)) if hermitian else svdvals(x)
    if values.shape[-1] == 0:
        return lax.full(values.shape[:-1], 0, np.int64)
    above = _exceeding(values, atol, rtol)
    return lax.reduce_sum(cast(above, np.int64), (above.ndim - 1,))


def pinv(x, atol, rtol, *, hermitian):
    """The Moore-Penrose inverse; singular values up to max(atol, rtol * largest) count as zero."""
    if hermitian:
        values, left = eigh(x, upper=False)
        right = left
    else:
        left, values, vh = svd(x, full_matrices=False)
        right = adjoint(vh)
    inverse = _inverted(values, _exceeding(lax.abs(values), atol, rtol))
    return matmul(scale_columns(right, cast(inverse, x.dtype)), adjoint(left))


def pinv_vjp(cts, inputs, outputs, needs, *, hermitian):
    """-P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A), P = A^+ (Golub and Pereyra 1973)."""
    (g,), x, p = cts, inputs[0], outputs[0]
    if g is None:
        return None, None, None
    ph, gh = adjoint(p), adjoint(g)
    total = lax.neg(matmul(matmul(ph, g), ph))
    first = matmul(matmul(gh, p), ph)
    total = lax.add(total, lax.sub(first, matmul(x, matmul(p, first))))
    second = matmul(ph, matmul(p, gh))
    total = lax.add(total, lax.sub(second, matmul(matmul(second, p), x)))
    return total, None, None


def lstsq(a, b, rtol):
    """The X of least norm among those with the least |A X - b|. b is (*, n, k).

    Returns (X, rank as int64, singular values).
    """
    u, s, vh = svd(a, full_matrices=False)
    keep = _exceeding(s, lax.full_like(rtol, 0), rtol)
    inverse = _inverted(s, keep)
    projected = scale_rows(matmul(adjoint(u), b), cast(inverse, a.dtype))
    rank = lax.reduce_sum(cast(keep, np.int64), (s.ndim - 1,))
    return matmul(adjoint(vh), projected), rank, s


def lstsq_vjp(cts, inputs, outputs, needs):
    """gb = P^H g, and ga by the derivative of the pseudo-inverse P = A^+ at g b^H."""
    a, b, rtol = inputs
    if cts[0] is None:
        return None, None, None
    zero = lax.full_like(rtol, 0)
    p = pinv(a, zero, rtol, hermitian=False)
    gb = matmul(adjoint(p), cts[0]) if needs[1] else None
    ga = None
    if needs[0]:
        gradient = (matmul(cts[0], adjoint(b)),)
        three = (True, False, False)
        ga = pinv_vjp(gradient, (a, zero, rtol), (p,), three, hermitian=False)[0]
    return ga, gb, None


# --- the exponential ----------------------------------------------------------------------------

# The coefficients of the [13/13] Pade approximant and the 1-norm up to which it is exact to double
# precision: N. Higham, "The scaling and squaring method for the matrix exponential revisited"
# (2005), tables 2.3 and 2.4.
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_PADE_RADIUS = 5.371920351148152


@jax.custom_vjp
def matrix_exp(x):
    """exp(x) of square matrices, by scaling and squaring a Pade approximant (Higham 2005)."""
    real = np.finfo(x.dtype).dtype
    norm = lax.reduce_max(lax.reduce_sum(lax.abs(x), (x.ndim - 2,)), (x.ndim - 2,))
    ratio = lax.div(norm, lax.full_like(norm, _PADE_RADIUS))
    halvings = lax.max(
        lax.ceil(lax.div(lax.log(ratio), lax.full_like(ratio, np.log(2)))), lax.full_like(ratio, 0)
    )
    halvings = lax.select(lax.is_finite(norm), halvings, lax.full_like(halvings, 0))
    factor = lax.exp2(lax.neg(halvings)).astype(real)
    scaled = lax.mul(x, expand(cast(factor, x.dtype)[..., None, None], x.shape))
    numerator, denominator = _pade_parts(scaled)
    result = solve_ex(denominator, numerator, left=True)[0]

    def square(state):
        done, value = state
        again = lax.lt(lax.full_like(halvings, 0) + cast(done, halvings.dtype), halvings)
        squared = matmul(value, value)
        return done + 1, lax.select(expand(again[..., None, None], value.shape), squared, value)

    most = lax.reduce_max(halvings, tuple(range(halvings.ndim)))
    return lax.while_loop(lambda s: cast(s[0], most.dtype) < most, square, (np.int32(0), result))[1]


def _pade_parts(x):
    """p(x) and p(-x) for the [13/13] Pade polynomial p."""
    b = [lax.full_like(x, c / _PADE[0]) for c in _PADE]
    one = identity_like(x)
    x2 = matmul(x, x)
    x4 = matmul(x2, x2)
    x6 = matmul(x4, x2)

    def combine(start, high):
        top = matmul(x6, b[high] * x6 + b[high - 2] * x4 + b[high - 4] * x2)
        return top + b[start + 6] * x6 + b[start + 4] * x4 + b[start + 2] * x2 + b[start] * one

    odd = matmul(x, combine(1, 13))
    even = combine(0, 12)
    return lax.add(even, odd), lax.sub(even, odd)


def _matrix_exp_forward(x):
    return matrix_exp(x), x


def _matrix_exp_backward(x, gradient):
    """The upper right block of exp([[x^H, g], [0, x^H]]) (Mathias 1996, theorem 2.1)."""
    n = x.shape[-1]
    xt = lax.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
    top = lax.concatenate((xt, gradient), x.ndim - 1)
    bottom = lax.concatenate((lax.full_like(xt, 0), xt), x.ndim - 1)
    return (matrix_exp(lax.concatenate((top, bottom), x.ndim - 2))[..., :n, n:],)


matrix_exp.defvjp(_matrix_exp_forward, _matrix_exp_backward)
