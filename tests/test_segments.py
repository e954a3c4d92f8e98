"""`segment_reduce` against PyTorch's: values, gradients, errors."""

import pytest

from tests.parity.lockstep import error_of, lockstep


@pytest.mark.parametrize("initial", [None, 3.5])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@lockstep(strides=False)
def test_values_and_gradients(t, reduce, initial):
    x = t.linspace(0.5, 6.0, 12).view(6, 2).requires_grad_()
    y = t.segment_reduce(x, reduce, lengths=t.tensor([2, 0, 4]), initial=initial)
    y[[0, 2]].sum().backward()
    offsets = t.segment_reduce(x, reduce, offsets=t.tensor([0, 1, 6]), initial=initial)
    return y, x.grad, offsets


@lockstep(strides=False)
def test_batches_of_pieces(t):
    x = t.arange(12.0).view(2, 3, 2)
    return (
        t.segment_reduce(x, "sum", lengths=t.tensor([[1, 2], [0, 3]]), axis=1),
        t.segment_reduce(x, "max", offsets=t.tensor([[0, 1, 3], [0, 0, 3]]), axis=1),
        t.segment_reduce(x.view(6, 2), "amax", lengths=t.tensor([2, 3]), unsafe=True),
    )


@lockstep
def test_refused(t):
    x = t.arange(12.0).view(6, 2)
    return [
        error_of(lambda: t.segment_reduce(x, "sum")),
        error_of(lambda: t.segment_reduce(x, "median", lengths=t.tensor([6]))),
        error_of(lambda: t.segment_reduce(x, "sum", lengths=t.tensor([2, 3]))),
        error_of(lambda: t.segment_reduce(x, "sum", lengths=t.tensor([-2, 8]))),
        error_of(lambda: t.segment_reduce(x, "sum", lengths=t.tensor([2, 4]), axis=1)),
        error_of(lambda: t.segment_reduce(x, "max", lengths=t.tensor([[2, 4], [2, 4]]))),
    ]
