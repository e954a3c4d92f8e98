"""Operations that come again go a shorter way each time; the results stay those of the first time.

The first call of an operation goes the long way, the second makes it known, the third uses what is
known, and after some more the NumPy calls have become source (Notes [Known calls], [Shortcuts]).
"""

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.config import config
from flambeau.core import execute
from flambeau.nn import functional as F

TIMES = 10

FUNCTIONS = {
    "neg": lambda x, y: -x,
    "add": lambda x, y: x + y,
    "add a number": lambda x, y: x + 2,
    "number minus": lambda x, y: 1 - x,
    "same twice": lambda x, y: x * x,
    "broadcast": lambda x, y: x * y[0],
    "view of each": lambda x, y: x[1:] / y.t()[1:, :],
    "out of memory order": lambda x, y: x.t() * 2,
    "softmax": lambda x, y: x.softmax(-1),
    "log_softmax by name": lambda x, y: torch.log_softmax(input=x, dim=0),
    "sum": lambda x, y: x.sum(1, keepdim=True),
    "var": lambda x, y: x.var(0),
    "max": lambda x, y: x.max(1)[0],
    "clamp": lambda x, y: x.clamp(0.2, 0.8),
    "where": lambda x, y: torch.where(x > 0.5, x, y),
    "linear": lambda x, y: F.linear(x, y, y[0]),
    "matmul": lambda x, y: x @ y,
    "layer_norm": lambda x, y: F.layer_norm(x, (4,), y[0], y[1]),
    "pow": lambda x, y: x**3,
    "gelu": lambda x, y: F.gelu(x, approximate="tanh"),
    "cat": lambda x, y: torch.cat([x, y]),
    "cross entropy": lambda x, y: F.cross_entropy(x, torch.tensor([0, 1, 2, 3])),
    "max_pool": lambda x, y: F.max_pool1d(x, 2),
    "lstm": lambda x, y: torch.lstm_cell(x, (y, y), x[:1].tile(16, 1), y[:1].tile(16, 1))[1],
}


def operands():
    torch.manual_seed(0)
    return [torch.rand(4, 4).requires_grad_() for _ in range(2)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_time_gives_what_the_first_gave(name):
    first = None
    for _ in range(TIMES):
        x, y = operands()
        result = FUNCTIONS[name](x, y)
        result.sum().backward()
        with torch.no_grad():
            bare = FUNCTIONS[name](x, y)
        assert not bare.requires_grad
        assert bare.dtype is result.dtype
        found = [result, bare, x.grad, y.grad]
        values = [None if t is None else t.detach().numpy() for t in found]
        label, strides = result.grad_fn.name(), result.stride()
        if first is None:
            first = values, label, strides
        assert (label, strides) == first[1:]
        for now, then in zip(values, first[0], strict=True):
            if then is None:
                assert now is None
            else:
                np.testing.assert_allclose(now, then, rtol=1e-6)


def many_times(function):
    for _ in range(TIMES):
        result = function()
    return result


def test_numbers_of_other_values_are_not_confused():
    x = torch.ones(3)
    many_times(lambda: x + 2)
    many_times(lambda: x**2)
    many_times(lambda: x.clamp(0, 5))
    assert (x + 3).tolist() == [4, 4, 4]
    assert ((x + 1) ** 3).tolist() == [8, 8, 8]
    assert (x * 9).clamp(0, 6).tolist() == [6, 6, 6]
    assert (x + True).dtype is torch.float32
    many_times(lambda: torch.add(x, x, alpha=1))
    assert torch.add(x, x, alpha=4).tolist() == [5, 5, 5]


def test_the_same_operand_twice_is_not_taken_for_two():
    x, y = torch.full((2,), 3.0), torch.full((2,), 5.0)
    many_times(lambda: x - x)
    assert (x - y).tolist() == [-2, -2]
    many_times(lambda: y - x)
    assert (y - y).tolist() == [0, 0]


def test_zeros_of_either_sign_are_not_confused():
    x = torch.full((1,), -1.0)
    assert not np.signbit(many_times(lambda: x.clamp(min=0.0)).numpy())
    assert np.signbit(many_times(lambda: x.clamp(min=-0.0)).numpy())


def test_the_default_dtype_matters():
    x = torch.tensor([1, 2])
    assert many_times(lambda: x / 2).dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert (x / 2).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_mistakes_raise_as_often_as_they_are_made():
    x = torch.ones(2, 3)
    many_times(lambda: x.sum(1))
    many_times(lambda: x @ x.t())
    for _ in range(3):
        with pytest.raises(IndexError, match="Dimension out of range"):
            x.sum(2)
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            x @ x


def test_inference_and_hooks_on_saved_tensors_still_count():
    x = torch.ones(2, requires_grad=True)
    many_times(lambda: (x * x).sum().backward())
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        y = x * x
    assert len(packed) == 2
    y.sum().backward()
    with torch.inference_mode():
        assert (x * x).is_inference()


def test_a_saved_value_written_to_is_noticed():
    x = torch.ones(2, requires_grad=True)
    many_times(lambda: (x * 1).exp().sum().backward())
    y = (x * 1).exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_walking_the_same_graph_again_gives_the_same_bits():
    model, x = nn.GRU(3, 3), torch.rand(5, 2, 3)
    y = model(x)[0].sum()
    walks = [
        torch.autograd.grad(y, list(model.parameters()), retain_graph=True) for _ in range(TIMES)
    ]
    for walk in walks[1:]:
        assert all(torch.equal(a, b) for a, b in zip(walk, walks[0], strict=True))


def tiers(size):
    """How often NumPy and XLA served a function, and whether XLA its backward, call by call."""
    found = []
    for _ in range(4):
        x = torch.rand(size, size).requires_grad_()
        counters = config.counters
        before = counters.host, counters.compiled
        y = x.softmax(0)
        middle = counters.host, counters.compiled
        torch.autograd.grad(y, x, torch.ones_like(x))
        after = counters.host, counters.compiled
        found.append((middle[0] - before[0], middle[1] - before[1], after[1] > middle[1]))
    return found


@pytest.mark.skipif(config.tier != "auto", reason="a tier is forced")
def test_programs_go_to_xla_by_count(monkeypatch):
    monkeypatch.setattr(execute, "COMPILE_SECONDS", 0.0)
    switched = config.counters.switched
    assert tiers(71) == [(1, 0, False), (0, 1, True), (0, 1, True), (0, 1, True)]
    assert config.counters.switched > switched


@pytest.mark.skipif(config.tier != "auto", reason="a tier is forced")
def test_a_node_goes_back_the_way_it_came(monkeypatch):
    monkeypatch.setattr(execute, "COMPILE_SECONDS", 0.0)
    x = torch.rand(73, 73).requires_grad_()
    y = x.softmax(0)
    x.softmax(0)  # by XLA
    compiled = config.counters.compiled
    for _ in range(3):
        torch.autograd.grad(y, x, torch.ones_like(x), retain_graph=True)
    assert config.counters.compiled == compiled


@pytest.mark.skipif(config.tier != "auto", reason="a tier is forced")
def test_deterministic_algorithms_pin_the_tier():
    torch.use_deterministic_algorithms(True)
    try:
        assert set(tiers(72)) == {(0, 1, True)}
        assert {found[:2] for found in tiers(2)} in ({(1, 0)}, {(0, 1)})
    finally:
        torch.use_deterministic_algorithms(False)
