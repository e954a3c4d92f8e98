"""Subclasses of Tensor: what operations on them return."""

import pytest

import flambeau
from tests.parity.lockstep import lockstep


@lockstep
def test_results_keep_the_class(t):
    class Marked(t.Tensor):
        pass

    x = t.arange(6.0).reshape(2, 3).as_subclass(Marked)
    g = t.ones(3, requires_grad=True).as_subclass(Marked)
    made = {
        "product": x * 2,
        "reflected": 2 * x,
        "with a tensor": t.ones(3) + x,
        "function": t.exp(x),
        "comparison": x > 1,
        "row": x[0],
        "transposed": x.t(),
        "reshaped": x.reshape(-1),
        "sum": x.sum(),
        "detached": x.detach(),
        "converted": x.to(t.float64),
        "cloned": x.clone(),
        "in place": x.clone().add_(1),
        "plain": x.as_subclass(t.Tensor) * 2,
        "gradient": g * 3,
    }
    kinds = {name: type(value).__name__ for name, value in made.items()}
    pieces = [type(p).__name__ for p in (*x.split(1), *x.unbind(), *x.max(0))]
    return kinds, pieces, made["gradient"].requires_grad, repr(x * 2), type(x[0, 0].item()).__name__


@lockstep
def test_parameters_make_tensors(t):
    class Scale(t.nn.Parameter):
        pass

    results = (t.nn.Parameter(t.ones(2)) * 2, Scale(t.ones(2)) * 2, Scale(t.ones(2))[0])
    return [type(r).__name__ for r in results]


@lockstep
def test_a_subclass_of_a_subclass(t):
    class First(t.Tensor):
        pass

    class Second(First):
        pass

    x = t.ones(2).as_subclass(Second)
    return type(x + 1).__name__, isinstance(x + 1, First)


def test_own_dispatch_is_refused():
    with pytest.raises(NotImplementedError, match="__torch_function__"):

        class Logged(flambeau.Tensor):
            @classmethod
            def __torch_function__(cls, function, types, args=(), kwargs=None):
                return None
