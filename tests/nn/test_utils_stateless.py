"""Modules called with other parameters and buffers than their own."""

import pytest

import flambeau
from flambeau.nn.utils.stateless import _functional_call
from tests.nn.agree import assert_agree


def net(t):
    """A module with a tied weight, a tied buffer and an absent parameter."""
    nn = t.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(1, 1)
            self.tied = self.inner.weight
            self.register_buffer("count", t.ones(1))
            self.register_buffer("twin", self.count)
            self.register_parameter("absent", None)
            self.norm = nn.BatchNorm1d(1)

        def forward(self, x, extra=0):
            return self.inner(x) + self.count + self.tied + self.twin + extra

    return Net()


def counter(t):
    class Counter(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", t.zeros(1))
            self.register_buffer("last", t.zeros(1))

        def forward(self, x):
            self.count.add_(1)
            self.last = x
            return self.count + self.last

    return Counter()


def call(t):
    if t is flambeau:
        return _functional_call
    from torch.func import functional_call

    return functional_call


def x(t):
    return t.ones(1, 1)


def everything(t, module):
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def values(t, module, tensors, *args, **kwargs):
    """The result, and that the module holds its own tensors again."""
    before = dict(module.state_dict())
    result = call(t)(module, tensors, *args, **kwargs)
    after = module.state_dict()
    return result, all(after[name].data_ptr() == before[name].data_ptr() for name in before)


PROGRAMS = {
    "one": lambda t: values(t, net(t), {"inner.weight": t.zeros(1, 1)}, x(t)),
    "untied": lambda t: values(t, net(t), {"inner.weight": t.zeros(1, 1)}, x(t), tie_weights=False),
    "tied by the other name": lambda t: values(t, net(t), {"tied": t.zeros(1, 1)}, x(t)),
    "two for tied ones": lambda t: values(
        t, net(t), {"tied": t.zeros(1, 1), "inner.weight": t.ones(1, 1)}, x(t)
    ),
    "unknown name": lambda t: values(t, net(t), {"foo": t.zeros(1)}, x(t)),
    "unknown module": lambda t: values(t, net(t), {"foo.bar": t.zeros(1)}, x(t)),
    "empty name": lambda t: values(t, net(t), {"": t.zeros(1)}, x(t)),
    "a module": lambda t: values(t, net(t), {"inner": t.zeros(1)}, x(t)),
    "a number": lambda t: values(t, net(t), {"inner.in_features": t.zeros(1)}, x(t)),
    "not a tensor": lambda t: values(t, net(t), {"inner.weight": 3}, x(t)),
    "no bias": lambda t: values(t, net(t), {"inner.bias": None}, x(t)),
    "strict, missing": lambda t: values(
        t, net(t), {"inner.weight": t.zeros(1, 1)}, x(t), strict=True
    ),
    "strict, unexpected": lambda t: values(t, net(t), {"foo": t.zeros(1)}, x(t), strict=True),
    "strict, all": lambda t: (lambda m: values(t, m, everything(t, m), x(t), strict=True))(net(t)),
    "tuple and keywords": lambda t: values(t, net(t), {}, (x(t),), {"extra": 5}),
    "keywords alone": lambda t: values(t, net(t), {}, None, {"x": x(t)}),
    "an error inside": lambda t: values(t, net(t), {"inner.weight": t.zeros(3, 3)}, x(t)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert_agree(PROGRAMS[name])


def test_own_tensors_come_back_after_an_error():
    module = net(flambeau)
    weight = module.inner.weight
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        _functional_call(module, {"inner.weight": flambeau.zeros(3, 3)}, x(flambeau))
    assert module.inner.weight is weight
    assert module.tied is weight


def test_buffers_that_forward_writes_to():
    def program(t):
        module, count = counter(t), t.zeros(1)
        tensors = {"count": count, "last": t.zeros(1)}
        result = call(t)(module, tensors, (t.ones(1),))
        return result, count, tensors, dict(module.state_dict())

    assert_agree(program)


def test_gradients_reach_the_given_tensors():
    def program(t):
        weight = t.full((1, 1), 2.0, requires_grad=True)
        module = net(t)
        call(t)(module, {"inner.weight": weight}, x(t)).sum().backward()
        return weight.grad, module.inner.weight.grad, module.inner.bias.grad

    assert_agree(program)


def test_early_name():
    assert_agree(
        lambda t: t.nn.utils.stateless.functional_call(
            t.nn.Linear(1, 1), {"weight": t.zeros(1, 1)}, x(t)
        )
    )
