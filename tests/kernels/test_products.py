"""Products against the oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from flambeau.kernels import einsum as einsum_kernels
from flambeau.kernels import products

from .against_oracle import check

random = np.random.RandomState(0)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


def cplx(*shape):
    return (real(*shape) + 1j * real(*shape)).astype(np.complex64)


def ints(*shape):
    return random.randint(-9, 9, shape)


MATMUL_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
]


@pytest.mark.parametrize("shapes", MATMUL_SHAPES)
def test_matmul(shapes):
    check(products.matmul, torch.matmul, [real(*s) for s in shapes], atol=1e-5)


ROWS = [
    (products.dot, torch.dot, [ints(4), ints(4)], {}),
    (products.vdot, torch.vdot, [cplx(4), cplx(4)], {}),
    (products.mv, torch.mv, [cplx(2, 3), cplx(3)], {}),
    (products.mm, torch.mm, [ints(2, 3), ints(3, 4)], {}),
    (products.bmm, torch.bmm, [real(2, 2, 3), real(2, 3, 4)], {}),
    (products.inner, torch.inner, [real(2, 3), real(4, 3)], {}),
    (products.inner, torch.inner, [real(), real(4, 3)], {}),
    (products.outer, torch.outer, [real(2), real(3)], {}),
    (products.kron, torch.kron, [real(2, 3), real(4, 1, 2)], {}),
    (products.cross, lambda a, b: torch.linalg.cross(a, b, dim=1),
     [real(2, 3), real(1, 3)], {"dim": 1}),
    (products.trace, torch.trace, [real(3, 4)], {}),
    (products.trace, torch.trace, [ints(3, 3).astype(np.int32)], {}),
    (products.vecdot, lambda a, b: torch.linalg.vecdot(a, b, dim=0),
     [cplx(3, 2), cplx(3, 1)], {"dim": 0}),
    (products.matmul, torch.matmul, [cplx(2, 2, 3), cplx(3, 4)], {}),
    (products.matrix_power, lambda x: torch.matrix_power(x, 5), [real(2, 3, 3)], {"n": 5}),
    (products.matrix_power, lambda x: torch.matrix_power(x, 0) + 0 * x, [real(3, 3)], {"n": 0}),
    (products.multi_dot, lambda *m: torch.linalg.multi_dot(m),
     [real(3), real(3, 5), real(5, 2), real(2, 4)], {}),
    (
        products.vander,
        lambda x: torch.linalg.vander(x, N=4),
        [real(2, 3)],
        {"columns": 4, "increasing": True},
    ),
    (
        products.tensordot,
        lambda a, b: torch.tensordot(a, b, ([1, 2], [2, 0])),
        [real(2, 3, 4), real(4, 5, 1)],
        {"dims_a": (1, 2), "dims_b": (2, 0)},
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0].__name__)
def test_product(row):
    kernel, oracle, inputs, statics = row
    check(kernel, oracle, inputs, statics, grad=oracle is not torch.dot, atol=1e-5)


ADDED = [
    (products.addmm, torch.addmm, [real(3), real(2, 4), real(4, 3)]),
    (products.addmv, torch.addmv, [real(1), real(2, 4), real(4)]),
    (products.addr, torch.addr, [real(2, 1), real(2), real(4)]),
    (products.baddbmm, torch.baddbmm, [real(1, 3), real(5, 2, 4), real(5, 4, 3)]),
    (products.addbmm, torch.addbmm, [real(2, 3), real(5, 2, 4), real(5, 4, 3)]),
]


@pytest.mark.parametrize("row", ADDED, ids=lambda r: r[0].__name__)
def test_added_product(row):
    kernel, oracle, inputs = row
    scalars = [np.array(0.5, np.float32), np.array(-2, np.float32)]
    check(
        lambda *a: kernel(*a, *scalars),
        lambda *a: oracle(*a, beta=0.5, alpha=-2),
        inputs,
        atol=1e-5,
    )
    check(
        lambda *a: kernel(None, *a, *scalars),
        lambda *a: oracle(torch.full((1,) * inputs[0].ndim, np.nan), *a, beta=0, alpha=-2),
        inputs[1:],
        grad=False,
        atol=1e-5,
    )


def test_addmm_rule():
    start, a, b, g = (jnp.asarray(real(*s)) for s in ((3,), (2, 4), (4, 3), (2, 3)))
    scalars = (jnp.float32(0.5), jnp.float32(-2))
    wanted = jax.vjp(lambda *x: products.addmm(*x, *scalars), start, a, b)[1](g)
    needs = (True, True, True, False, False)
    found = products.addmm_vjp((g,), (start, a, b, *scalars), None, needs)
    for ours, theirs in zip(found[:3], wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_narrow_products_are_rounded_once():
    ones = jnp.ones((1, 4096), jnp.bfloat16)
    assert products.mm(ones, ones.T)[0, 0] == 4096
    added = products.addmm(
        jnp.full((1, 1), 0.5, jnp.bfloat16), ones, ones.T / 4096, *(jnp.float32(1),) * 2
    )
    assert added.dtype == jnp.bfloat16
    assert added[0, 0] == 1.5


EINSUMS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("ii->i", [(3, 3)]),
    ("ii->", [(3, 3)]),
    ("iji->ij", [(3, 2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("i,j->ij", [(2,), (3,)]),
    ("bn,anm,bm->ba", [(2, 5), (3, 5, 4), (2, 4)]),
    ("bij,jk->bik", [(1, 2, 3), (3, 4)]),
    ("bi,bi->b", [(4, 1), (4, 3)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("a,a,a->a", [(3,), (3,), (1,)]),
    ("ab,cd->", [(2, 3), (4, 5)]),
]


@pytest.mark.parametrize("equation,shapes", EINSUMS)
def test_einsum(equation, shapes):
    left, output = equation.split("->")
    statics = {"inputs": tuple(tuple(t) for t in left.split(",")), "output": tuple(output)}
    check(
        einsum_kernels.einsum,
        lambda *a: torch.einsum(equation, *a),
        [real(*s) for s in shapes],
        statics,
        atol=1e-5,
    )
