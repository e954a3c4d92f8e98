"""`cond` and `while_loop`: what they compute, through gradients, and what they refuse.

PyTorch compiles both on the spot, which takes seconds: the values are known here, the texts of
errors that it raises before that are its own.
"""

import pytest

import flambeau as t
from tests.parity.lockstep import error_of, lockstep


@pytest.mark.parametrize("start,taken", [(1.0, "sin"), (-1.0, "neg")])
def test_one_branch_is_run(start, taken):
    x = t.tensor([start, 2 * start], requires_grad=True)
    run = []

    def branch(name):
        def function(x):
            run.append(name)
            return getattr(x, name)()

        return function

    y = t.cond(x.sum() > 0, branch("sin"), branch("neg"), (x,))
    assert run == [taken]
    assert (y == getattr(x, taken)()).all()
    y.sum().backward()
    expected = x.detach().cos() if taken == "sin" else -t.ones(2)
    assert (x.grad == expected).all()


@lockstep
def test_refused_by_cond(t):
    x = t.ones(2)
    yes = t.tensor(True)

    def same(x):
        return x

    return [
        error_of(lambda: t.cond("a", same, same, (x,))),
        error_of(lambda: t.cond(t.tensor([True, False]), same, same, (x,))),
        error_of(lambda: t.cond(yes, 3, same, (x,))),
        error_of(lambda: t.cond(yes, same, same, x)),
        error_of(lambda: t.cond(yes, same, same, ("a",))),
        error_of(lambda: t.while_loop(3, same, (x,))),
    ]


def test_while_loop():
    x = t.ones(2, requires_grad=True)
    count, y = t.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), (t.tensor(0), x))
    assert count == 3
    assert (y == 8).all()
    y.sum().backward()
    assert (x.grad == 8).all()
    with pytest.raises(RuntimeError, match="must return 2 values"):
        t.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1,), (t.tensor(0), x))
    with pytest.raises(RuntimeError, match="Expect carried_inputs"):
        t.while_loop(lambda i: i < 3, lambda i: (i + 1,), "abc")
