"""Loops and branches run by NumPy give what XLA gives."""

import jax
import numpy as np
import pytest
from jax import lax

from flambeau.host.lowering import HostProgram

X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def running_sum(x, *, reverse):
    weight = lax.full((3,), 2, x.dtype)

    def step(carry, row):
        total, count = carry
        total = lax.add(total, lax.mul(row, weight))
        return (total, lax.add(count, np.int64(1))), (total, lax.mul(row, row))

    start = (lax.full((3,), 0, x.dtype), np.int64(0))
    return lax.scan(step, start, x, reverse=reverse)


def scan_forwards(x):
    (total, count), (sums, squares) = running_sum(x, reverse=False)
    return total, count, sums, squares


def scan_backwards(x):
    (total, count), (sums, squares) = running_sum(x, reverse=True)
    return total, count, sums, squares


def unrolled(x):
    return lax.scan(lambda c, row: (lax.add(c, row), c), x[0], x, unroll=2)


def scan_without_rows(x):
    return lax.scan(lambda c, _: (lax.mul(c, x[0]), None), x[1], None, length=3)[0]


def broadcast_results(x):
    def step(carry, row):
        return lax.broadcast_in_dim(row[0], (3,), ()), lax.broadcast_in_dim(row[1], (2,), ())

    return lax.scan(step, x[0], x)


def scan_of_nothing(x):
    return lax.scan(lambda c, row: (lax.add(c, row), row), x[0], x[:0])


def doubled_until(x):
    limit = lax.reduce_max(x, (0, 1))

    def small(state):
        return lax.lt(state[0], lax.mul(limit, np.float32(50)))

    return lax.while_loop(
        small,
        lambda s: (lax.mul(s[0], np.float32(2)), lax.add(s[1], np.int32(1))),
        (limit, np.int32(0)),
    )


def never(x):
    return lax.while_loop(lambda s: lax.lt(s[0], s[0]), lambda s: lax.neg(s), x[0])


def nested(x):
    def outer(carry, row):
        inner, _ = lax.scan(lambda c, v: (lax.add(c, v), None), carry, row)
        return inner, lax.cond(lax.gt(inner, np.float32(0)), lax.neg, lax.exp, inner)

    return lax.scan(outer, np.float32(0), x)


def switched(x):
    branches = [lax.neg, lax.exp, lambda v: lax.mul(v, v)]
    return tuple(lax.switch(np.int32(at), branches, x) for at in (-3, 0, 1, 2, 7))


PROGRAMS = [
    scan_forwards,
    scan_backwards,
    unrolled,
    scan_without_rows,
    broadcast_results,
    scan_of_nothing,
    doubled_until,
    never,
    nested,
    switched,
]


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_numpy_gives_what_xla_gives(function):
    program = HostProgram.of(function, [jax.ShapeDtypeStruct(X.shape, X.dtype)])
    ours = jax.tree.leaves(program(X))
    theirs = jax.tree.leaves(jax.jit(function)(X))
    assert len(ours) == len(theirs)
    for mine, expected in zip(ours, theirs, strict=True):
        expected = np.asarray(expected)
        assert type(mine) is np.ndarray
        assert (mine.shape, mine.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-7)


def test_a_loop_costs_what_its_rounds_cost():
    short, long = (
        HostProgram.of(scan_forwards, [jax.ShapeDtypeStruct((n, 3), X.dtype)]) for n in (10, 1000)
    )
    assert 90 < (long.calls - len(long.steps)) / (short.calls - len(short.steps)) < 110
    assert 50 < long.cost / short.cost < 110
