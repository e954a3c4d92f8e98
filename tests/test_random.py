"""The random functions and methods: PyTorch's values, checks, aliasing and gradients.

Each row is a program text that runs under both libraries from the same seed. Values, types,
strides, node names, what is drawn next, and the class and text of errors have to agree.
"""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

import flambeau
from flambeau.core.random import recording

from .oracle_stream import leaves_stream

INF, NAN = float("inf"), float("nan")
INVALID = "received an invalid combination of arguments"


def outcome(library, program: str):
    """What `program` gives: its facts, or its error; with what it draws next."""
    library.manual_seed(5)
    x = library.linspace(-1, 2, 24)
    names = {
        "T": library,
        "F32": library.float32,
        "x": x,
        "p": library.linspace(0, 1, 24),
        "m": library.linspace(0.1, 1, 24).reshape(4, 6),
        "leaf": library.linspace(0.1, 1, 24).requires_grad_(),
        "i": library.zeros(24, dtype=library.int64),
        "u": library.zeros(24, dtype=library.uint8),
        "h": library.zeros(24, dtype=library.float16),
        "d": library.zeros(24, dtype=library.float64),
        "b": library.zeros(24, dtype=library.bool),
        "c": library.zeros(24, dtype=library.complex64),
        "inf": INF,
        "nan": NAN,
        "np": np,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = eval(program, names)
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
            return ("error", type(error).__name__, str(error).split("\n")[0]), ()
    texts = [str(w.message).split(" (Triggered")[0] for w in caught]
    after = library.rand(1).item(), library.randn(1).item()
    return describe(library, result), (after, texts)


def describe(library, result):
    if not isinstance(result, library.Tensor):
        return result
    facts = (str(result.dtype), tuple(result.shape), result.requires_grad, str(result.device))
    node = result.grad_fn.name() if result.grad_fn is not None else None
    if result.device.type == "meta":
        return (*facts, node)
    value = result.detach()
    if value.dtype == library.bfloat16:
        value = value.float()
    return (*facts, result.stride(), node, value.numpy().tolist())


FACTORIES = """
T.rand(2, 3)
T.rand((2, 3))
T.rand([2, 3])
T.rand(T.Size([2]))
T.rand(size=(2,))
T.rand(0)
T.rand(())
T.rand(np.int64(2))
T.rand(40)
T.rand(4, dtype=T.float64)
T.rand(4, dtype=T.float16)
T.rand(4, dtype=T.bfloat16)
T.rand(4, dtype=float)
T.rand(4, dtype=T.complex64)
T.rand(4, dtype=T.complex128)
T.rand(2, device='meta')
T.rand(2, requires_grad=True)
T.rand(2, generator=None)
T.rand(4, generator=T.Generator().manual_seed(3))
T.rand(2, out=T.zeros(2))
T.rand(2, out=T.zeros(0))
T.rand(2, out=T.zeros(2, dtype=T.float64))
T.rand(2, out=T.zeros(2), requires_grad=True)
T.rand(4, 6, out=T.zeros(6, 4).t())
T.randn(2, 3)
T.randn(4, 5)
T.randn(40)
T.randn(7, dtype=T.float64)
T.randn(33, dtype=T.float64)
T.randn(33, dtype=T.float16)
T.randn(33, dtype=T.bfloat16)
T.randn(3, dtype=T.complex64)
T.randn(20, dtype=T.complex128)
T.randn(4, 6, out=T.zeros(6, 4).t())
T.randn(2, device='meta', dtype=T.float64)
T.rand_like(x)
T.rand_like(i, dtype=T.float32)
T.rand_like(x, requires_grad=True)
T.rand_like(x, generator=T.Generator().manual_seed(1))
T.rand_like(m.t())
T.rand_like(m.t(), memory_format=T.contiguous_format)
T.rand_like(m[:, ::2])
T.rand_like(x, device='meta')
T.randn_like(m)
T.randn_like(m.t())
T.randn_like(c)
T.randn_like(T.zeros(2, 3, 4, 4).contiguous(memory_format=T.channels_last))
T.randint(3, (2,))
T.randint(0, 3, (5,))
T.randint(high=3, size=(2,))
T.randint(low=1, high=3, size=(2,))
T.randint(3, size=(2,))
T.randint(3, T.Size([2]))
T.randint(3, [2])
T.randint(3, ())
T.randint(2**40, (5,))
T.randint(-2**62, 2**62 + 5, (5,))
T.randint(3, (9,), dtype=T.float32)
T.randint(2, (9,), dtype=T.bool)
T.randint(200, (9,), dtype=T.uint8)
T.randint(3, (9,), dtype=T.float16)
T.randint(3, (9,), dtype=T.bfloat16)
T.randint(3, (2,), dtype=T.float32, requires_grad=True)
T.randint(3, (2,), out=T.zeros(2))
T.randint(3, (2,), out=T.zeros(2, dtype=T.int64))
T.randint(T.tensor(3), (5,))
T.randint(T.tensor(1), T.tensor(3), (5,))
T.randint(np.int64(3), (5,))
T.randint_like(x, 3)
T.randint_like(x, 1, 3)
T.randint_like(x, high=3)
T.randint_like(x, low=1, high=3)
T.randint_like(i, 3)
T.randint_like(x, 3, dtype=T.int64)
T.randint_like(m.t(), 9)
T.randperm(5)
T.randperm(0)
T.randperm(1)
T.randperm(1000)
T.randperm(5, dtype=T.int32)
T.randperm(5, dtype=T.float32)
T.randperm(2049, dtype=T.float16)
T.randperm(256, dtype=T.uint8)
T.randperm(5, dtype=T.bfloat16)
T.randperm(n=5)
T.randperm(5, out=T.zeros(5, dtype=T.int64))
T.randperm(5, out=T.zeros(5))
T.randperm(5, dtype=T.float32, requires_grad=True)
T.randperm(5, device='meta')
T.randperm(5, generator=T.Generator().manual_seed(9))
"""

DISTRIBUTIONS = """
T.normal(0., 1., (2,))
T.normal(2, 3, (20,))
T.normal(mean=2., std=3., size=(20,))
T.normal(x, 1.5)
T.normal(x)
T.normal(1., p)
T.normal(x, p)
T.normal(m[:2], p[:6])
T.normal(m.t(), 1.)
T.normal(1., m.t())
T.normal(m[:1], m[:, :1])
T.normal(x, i + 1)
T.normal(x, d + 1)
T.normal(d, p)
T.normal(c, 1.)
T.normal(mean=x, std=1.)
T.normal(x[0], 1.)
T.normal(x[0], p[3])
T.normal(x[0], p)
T.normal(mean=2, std=p)
T.normal(0., 1., (2,), dtype=T.float64)
T.normal(0., 1., (2,), out=T.zeros(2))
T.normal(x, 1., out=d)
T.normal(0., 1., [2], requires_grad=True)
T.normal(leaf, 1.)
T.normal(leaf, leaf)
T.normal(0., leaf)
T.normal(x, 1., generator=T.Generator().manual_seed(3))
T.bernoulli(p)
T.bernoulli(p.double())
T.bernoulli(p.half())
T.bernoulli(m.t())
T.bernoulli(leaf)
T.bernoulli(x, .5)
T.bernoulli(x, p=.5)
T.bernoulli(i, .5)
T.bernoulli(p, out=d)
T.bernoulli(m, out=T.zeros(6, 4).t())
T.bernoulli(p, generator=T.Generator().manual_seed(3))
p.bernoulli()
x.bernoulli(.3)
T.poisson(p * 20)
T.poisson((p * 20).half())
T.poisson(m.t() * 5)
T.poisson(leaf)
T.poisson(p, T.Generator().manual_seed(3))
T.binomial((p * 30).floor(), p)
T.binomial(T.tensor([20.]), T.tensor([.4]))
T.binomial((m * 30).floor().t(), m.t())
T.binomial((p * 30).floor().double(), p.double())
T.multinomial(p, 1)
T.multinomial(p, 5)
T.multinomial(p, 50, True)
T.multinomial(m, 2)
T.multinomial(m, 1)
T.multinomial(m.t(), 2)
T.multinomial(m.t(), 1)
T.multinomial(m.t(), 5, replacement=True)
T.multinomial(m.double(), 2)
T.multinomial(m, num_samples=2, replacement=True)
T.multinomial(leaf, 2)
T.multinomial(m, 2, out=T.zeros(0, dtype=T.int64))
T.multinomial(T.ones(0, 3), 2)
p.multinomial(2)
T.dropout(x, .5, True)
T.dropout(x, .3, True)
T.dropout(m.t(), .3, True)
T.dropout(m[:, ::2], .3, True)
T.dropout(x.double(), .3, True)
T.dropout(x.half(), .3, True)
T.dropout(x.bfloat16(), .3, True)
T.dropout(x, .5, False)
T.dropout(x, 0., True)
T.dropout(x, 1., True)
T.dropout(x * inf, 1., True)
T.dropout(leaf, .5, True)
T.dropout(leaf * 1, 1., True)
T.dropout(x, .5, False) is x
T.dropout(i, .5, False) is i
T.dropout(x[0], .5, True)
T.dropout_(x, .3, True)
T.dropout_(leaf * 1, .3, True)
T.dropout_(x[3:], 1., True)
T.feature_dropout(m, .3, True)
T.feature_dropout(x.reshape(2, 3, 4), .3, True)
T.feature_dropout(x.reshape(2, 3, 4).permute(1, 0, 2), .3, True)
T.feature_dropout_(x.reshape(2, 3, 4), .3, True)
T.feature_dropout(x, 1., True)
T.alpha_dropout(leaf, .3, True)
T.alpha_dropout(m.t(), .3, True)
T.alpha_dropout(x.double(), .37, True)
T.alpha_dropout(x.half(), .37, True)
T.alpha_dropout(x.bfloat16(), .37, True)
T.alpha_dropout_(leaf * 1, .3, True)
T.alpha_dropout(x, 1., True)
T.feature_alpha_dropout(x.reshape(2, 3, 4), .3, True)
T.feature_alpha_dropout_(x.reshape(2, 3, 4), .3, True)
T.rrelu(x)
T.rrelu(x, .1, .3, False)
T.rrelu(x, .1, .3, True)
T.rrelu(x.double(), .1, .3, True)
T.rrelu(x, .2, .2, True)
T.rrelu((m - .5).t(), .1, .3, True)
T.rrelu(leaf - .5, .1, .3, True)
T.rrelu(leaf - .5)
T.rrelu_(x, .1, .3, True)
T.rrelu(T.tensor([nan, 0., -0.]), .1, .3, True)
T.rrelu(T.tensor([nan, 0., -0.]))
"""

IN_PLACE = """
x.uniform_()
x.uniform_(-3, 3)
x.uniform_(1)
x.uniform_(to=3)
x.uniform_(**{'from': 1, 'to': 2})
x.uniform_(T.tensor(0.), T.tensor(2.))
x.uniform_(np.float64(0), np.float32(1))
x.uniform_(True, 2)
x.uniform_(1, 1)
x.uniform_(generator=T.Generator().manual_seed(3))
c.uniform_()
h.uniform_(0, 100)
x.normal_()
x.normal_(2, 3)
x.normal_(0, inf)
x.normal_(nan, 1)
x.normal_(0, 0)
x[:10].normal_(2, 3)
c.normal_(1, 2)
x.exponential_()
x.exponential_(2.5)
x.exponential_(lambd=.3)
x.exponential_(inf)
h.exponential_()
x.bernoulli_()
x.bernoulli_(.3)
x.bernoulli_(p=.3)
i.bernoulli_(.5)
b.bernoulli_(.5)
u.bernoulli_(1)
x.bernoulli_(p)
d.bernoulli_(p)
x.bernoulli_(p.double())
x.bernoulli_(T.tensor(.5))
i.bernoulli_(p)
m.t().bernoulli_(T.tensor([0., .5, 1., .5]))
x.random_()
i.random_()
u.random_()
b.random_()
h.random_()
d.random_()
i.random_(7)
i.random_(-3, 7)
i.random_(0, 2**63 - 1)
i.random_(-2**63, None)
i.random_(2**63 - 5, None)
u.random_(0, 256)
u.random_(200, None)
b.random_(0, 2)
h.random_(0, 5000)
x.random_(0, 2**25)
x.random_(-2**24 - 1, 0)
x.random_(-2**24 - 1, None)
x.random_(2**25 + 1, 2**25 + 11)
x.random_(2**24 + 3, 2**24 + 12)
x.random_(to=3)
x.random_(**{'from': 1, 'to': 3})
x.random_(3, generator=T.Generator().manual_seed(3))
x.log_normal_()
x.log_normal_(.5, .25)
x.cauchy_()
x.cauchy_(2, 3)
d.cauchy_(2, 3)
x.geometric_(.5)
i.geometric_(.5)
u.geometric_(.5)
x.t().uniform_()
m.t().uniform_()
m.t().normal_()
m[:, ::2].uniform_()
m[1:3].normal_()
m[:, 1].normal_()
T.zeros(2, 3, 4).permute(2, 0, 1).uniform_()
T.zeros(2, 3, 4).permute(1, 2, 0).random_(9)
(m.t().uniform_(), m)[1]
(m[:, ::2].random_(9), m)[1]
(m.view(-1)[3:9].exponential_(), m)[1]
T.zeros(3, device='meta').uniform_()
T.zeros(3, device='meta').normal_()
T.zeros(3, device='meta').bernoulli_(T.zeros(3, device='meta'))
T.dropout(T.zeros(3, device='meta', requires_grad=True), .5, True)
T.alpha_dropout(T.zeros(3, device='meta'), .5, True)
T.rrelu(T.zeros(3, device='meta'), .1, .3, True)
T.multinomial(T.zeros(3, device='meta'), 2)
T.normal(T.zeros(3, device='meta'), 1.)
(leaf * 1).uniform_()
(leaf * 1).normal_()
(leaf * 1).bernoulli_()
(leaf * 1).bernoulli_(p)
(leaf * 1).bernoulli_(leaf)
x.bernoulli_(leaf)
(leaf * 1).random_()
(leaf * 1).random_(5)
(leaf * 1).random_(2, 5)
(leaf * 1).exponential_()
(leaf * 1).geometric_(.5)
(leaf * 1).cauchy_()
(leaf * 1).log_normal_()
"""

ERRORS = """
T.rand(-1)
T.rand(2.5)
T.rand("a")
T.rand(True)
T.rand(None)
T.rand(2, foo=1)
T.rand(2, generator=3)
T.rand(2, dtype=T.int64)
T.rand(2, dtype=T.bool)
T.rand(2, dtype=int)
T.rand(2, out=T.zeros(2), dtype=T.float64)
T.rand(2, out=T.zeros(2, dtype=T.int64))
T.rand(2, pin_memory=True)
T.randn(-1)
T.randn(2, dtype=T.int64)
T.randn(2, dtype=T.bool)
T.randn(2, out=T.zeros(2, dtype=T.int64))
T.rand_like(i)
T.rand_like([1])
T.randn_like(i)
T.randint(3)
T.randint(0, (2,))
T.randint(5, 5, (2,))
T.randint(5, 3, (2,))
T.randint(-3, (2,))
T.randint(3, 2)
T.randint(0, 3, 2)
T.randint(3.5, (2,))
T.randint(True, (2,))
T.randint(2**63, (2,))
T.randint(2**62, (2,), dtype=T.int32)
T.randint(300, (2,), dtype=T.uint8)
T.randint(3, (2,), dtype=T.bool)
T.randint(3, (2,), dtype=T.complex64)
T.randint(3, (2,), requires_grad=True)
T.randint(3, (-2,))
T.randint_like(i, 5, 3)
T.randperm(-1)
T.randperm(5.5)
T.randperm(5, dtype=T.bool)
T.randperm(300, dtype=T.uint8)
T.randperm(2050, dtype=T.float16)
T.randperm(5, dtype=T.complex64)
T.randperm(5, out=T.zeros(5), dtype=T.int64)
T.randperm(5, requires_grad=True)
T.normal(0., 1.)
T.normal(0., 1., 2)
T.normal(x, p - 1)
T.normal(x, -1.)
T.normal(0., -1., (2,))
T.normal(x, T.ones(2))
T.normal(i, 1.)
T.normal(i, i + 1)
T.normal(0., i + 1)
T.normal(x, c)
T.normal(leaf, 1., out=x)
T.rand(24, out=leaf)
T.bernoulli(leaf, out=x)
T.normal(0., 1., (2,), dtype=T.int64)
T.bernoulli(x)
T.bernoulli(x * nan)
T.bernoulli(i)
T.bernoulli(b)
T.bernoulli(c)
T.bernoulli(x, 2.)
T.poisson(x)
T.poisson(x * nan)
T.poisson(i)
T.binomial(x, p[:2])
T.binomial(p, p.double())
T.binomial(i, p)
T.binomial(p, i)
T.binomial(h, h)
T.multinomial(T.tensor([0., 0]), 1)
T.multinomial(T.tensor([0., 0]), 3, True)
T.multinomial(T.tensor([-1., 1]), 2)
T.multinomial(T.tensor([-1., 1]), 2, True)
T.multinomial(T.tensor([nan, 1]), 1)
T.multinomial(T.tensor([inf, 1]), 2, True)
T.multinomial(i, 1)
T.multinomial(T.ones(2, 2, 2), 1)
T.multinomial(T.ones(3), 0)
T.multinomial(T.ones(3), 4)
T.multinomial(T.ones(3, 0), 2)
T.multinomial(T.tensor(1.), 1)
T.multinomial(p, 1, out=T.zeros(1))
T.dropout(x, 1.5, True)
T.dropout(x, -.1, True)
T.dropout(x, nan, True)
T.dropout(i, .5, True)
T.dropout(b, .5, True)
T.dropout(c, .5, True)
T.dropout_(leaf, .5, True)
T.feature_dropout(x, .5, True)
T.feature_alpha_dropout(x[0], .5, True)
T.alpha_dropout(x, 2., True)
T.alpha_dropout(i, .5, True)
T.rrelu(x, .3, .1, True)
T.rrelu(x, .3, .1)
T.rrelu(i, .1, .3, True)
T.rrelu(h, .1, .3, True)
T.rrelu_(leaf, .1, .3, True)
x.uniform_(1, 0)
x.uniform_(0, inf)
x.uniform_(-3e38, 3e38)
x.uniform_(nan, 1)
x.uniform_(2)
x.uniform_(from_=0)
x.uniform_(0, 1, 2)
x.uniform_("a")
x.uniform_(1j)
x.uniform_(0, 1, generator=3)
i.uniform_()
b.uniform_()
h.uniform_(0, 1e6)
x.normal_(0, -1)
x.normal_(0, nan)
x.normal_(1j, 1)
i.normal_()
b.normal_()
x.exponential_(0)
x.exponential_(-1)
x.exponential_(nan)
i.exponential_()
c.exponential_()
x.bernoulli_(2)
x.bernoulli_(-1)
x.bernoulli_(nan)
c.bernoulli_(.5)
x.bernoulli_(T.tensor([.1, .2]))
x.bernoulli_(x)
x.bernoulli_(i)
x.random_(5, 5)
x.random_(5, 3)
x.random_(0)
x.random_(-1)
x.random_(2**63)
x.random_(1.5)
u.random_(0, 257)
u.random_(-1, 3)
b.random_(0, 3)
h.random_(0, 70000)
c.random_()
c.random_(0, 3)
x.random_(2**25 + 1, 2**25 + 2)
x.log_normal_(0, 0)
x.log_normal_(0, -1)
i.log_normal_()
c.log_normal_()
x.cauchy_(0, 0)
x.cauchy_(0, -1)
x.geometric_(0)
x.geometric_(1)
x.geometric_(nan)
b.geometric_(.5)
c.geometric_(.5)
leaf.uniform_()
leaf[2:].normal_()
T.zeros(1).expand(3).uniform_()
T.zeros(1).expand(3).bernoulli_(T.ones(3))
"""


def rows(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip().split("\n")]


@pytest.mark.parametrize("program", rows(FACTORIES, DISTRIBUTIONS, IN_PLACE))
def test_values(program):
    expected, expected_after = outcome(torch, program)
    actual, after = outcome(flambeau, program)
    assert not (isinstance(expected, tuple) and expected[0] == "error"), expected
    if leaves_stream(program) and isinstance(expected, tuple):  # see Note [MKL streams]
        assert actual[:-1] == expected[:-1]
        return
    # repr() tells nan from nan, and -0.0 from 0.0
    assert repr(actual) == repr(expected)
    assert after == expected_after


@pytest.mark.parametrize("program", rows(ERRORS))
def test_errors(program):
    expected, _ = outcome(torch, program)
    assert isinstance(expected, tuple)
    assert expected[0] == "error"
    actual, _ = outcome(flambeau, program)
    if INVALID in expected[2]:  # PyTorch lists all its overloads then
        assert actual[:2] == expected[:2]
    else:
        assert actual == expected


GRADIENTS = {
    "dropout": lambda T, x: T.dropout(x, 0.3, True),
    "dropout of a transposed matrix": lambda T, x: T.dropout(x.t(), 0.3, True),
    "all dropped": lambda T, x: T.dropout(x, 1.0, True),
    "alpha_dropout": lambda T, x: T.alpha_dropout(x, 0.3, True),
    "feature_dropout": lambda T, x: T.feature_dropout(x, 0.3, True),
    "dropout_": lambda T, x: T.dropout_(x * 1, 0.3, True),
    "rrelu": lambda T, x: T.rrelu(x, 0.1, 0.3, True),
    "rrelu in evaluation": lambda T, x: T.rrelu(x),
    "rrelu_": lambda T, x: T.rrelu_(x * 1, 0.1, 0.3, True),
    "uniform_": lambda T, x: (x * 1).uniform_() + x,
    "a view of it": lambda T, x: _draw_into_row(x),
    "bernoulli_": lambda T, x: (x * 1).bernoulli_(x.detach().abs().clamp(0, 1)) + x,
    "bernoulli": lambda T, x: T.bernoulli(x.abs().clamp(0, 1)) * x,
    "normal": lambda T, x: T.normal(x, x.abs()) * x,
    "poisson": lambda T, x: T.poisson(x.abs()) * x,
}


def _draw_into_row(x):
    y = x * 2
    y[1].normal_()
    return y


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    results = []
    for library in (torch, flambeau):
        library.manual_seed(2)
        x = library.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
        out = GRADIENTS[name](library, x)
        (out * library.linspace(1, 2, 12).reshape(out.shape)).sum().backward()
        results.append([t.detach().numpy() for t in (out, x.grad)])
    if leaves_stream(name):  # see Note [MKL streams]
        results = [[np.shape(a) for a in arrays] for arrays in results]
    for expected, actual in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "rrelu", "dropout_"])
def test_second_derivatives(name):
    results = []
    for library in (torch, flambeau):
        library.manual_seed(2)
        x = library.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
        out = GRADIENTS[name](library, x * x)
        (first,) = library.autograd.grad((out * out).sum(), x, create_graph=True)
        (second,) = library.autograd.grad((first * first).sum(), x)
        results.append([first.detach().numpy(), second.numpy()])
    if leaves_stream(name):  # see Note [MKL streams]
        results = [[np.shape(a) for a in arrays] for arrays in results]
    for expected, actual in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_recorded_draws_stay_on_the_stream():
    """Note [Draws in compiled functions]: what was recorded draws the next values of the stream."""

    def step():
        x = flambeau.rand(5)
        return (flambeau.dropout(x, 0.5, True) + flambeau.zeros(5).normal_()).tolist()

    flambeau.manual_seed(3)
    step()
    expected = flambeau.rand(3).tolist()
    flambeau.manual_seed(3)
    calls = []

    def recorder(values, shape, dtype):
        calls.append(values)
        return np.zeros(shape, dtype)

    recording.recorder = recorder
    try:
        assert step() == [0.0] * 5
    finally:
        recording.recorder = None
    assert [values().shape for values in calls] == [(5,)] * 3
    assert flambeau.rand(3).tolist() == expected


def test_a_draw_shows_on_the_numpy_side():
    array = np.zeros(3, np.float32)
    flambeau.manual_seed(0)
    flambeau.from_numpy(array).uniform_()
    torch.manual_seed(0)
    assert array.tolist() == torch.rand(3).tolist()


class TestGenerator:
    def test_states_are_exchanged(self):
        for library, other in ((torch, flambeau), (flambeau, torch)):
            library.manual_seed(11)
            library.randn(3)
            state = library.get_rng_state()
            assert str(state.dtype) == "torch.uint8"
            other.set_rng_state(other.from_numpy(state.numpy().copy()))
            assert library.randn(5).tolist() == other.randn(5).tolist()
            assert other.initial_seed() == 11

    @pytest.mark.parametrize(
        "program",
        rows("""
        T.manual_seed(-1).initial_seed()
        T.manual_seed("7").initial_seed()
        T.manual_seed(1.5).initial_seed()
        T.manual_seed(np.int64(3)).initial_seed()
        T.manual_seed(T.tensor(3)).initial_seed()
        T.manual_seed(2**64)
        T.manual_seed("a")
        T.manual_seed(None)
        T.Generator().manual_seed(1.5)
        T.Generator().manual_seed(x)
        T.Generator().initial_seed()
        str(T.Generator().device)
        str(T.Generator("cpu").device)
        str(T.Generator(device=T.device("cpu:0")).device)
        T.Generator("meta")
        T.Generator("foo")
        T.Generator().set_state(3)
        T.Generator().set_state(T.zeros(3))
        T.Generator().set_state(T.zeros(5055, dtype=T.uint8))
        T.Generator().set_state(T.zeros(5056, dtype=T.uint8))
        T.Generator().set_state(T.Generator().manual_seed(3).get_state()).initial_seed()
        T.Generator().get_offset()
        T.Generator().set_offset(1)
        T.Generator().get_state()
        T.set_rng_state(T.zeros(3))
        T.set_rng_state(3)
        T.default_generator is T.random.default_generator
        T.manual_seed(3) is T.default_generator
        isinstance(T.default_generator, T.Generator)
        T.rand(2, generator=T.Generator().manual_seed(3).clone_state())
        """),
    )
    def test_programs(self, program):
        program = program.strip()
        assert outcome(flambeau, program)[0] == outcome(torch, program)[0]

    def test_copies(self):
        generator = flambeau.Generator().manual_seed(4)
        flambeau.randn(3, generator=generator)
        for other in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
            assert isinstance(other, flambeau.Generator)
            assert other.device == flambeau.device("cpu")
            expected = flambeau.randn(4, generator=generator.clone_state())
            assert flambeau.randn(4, generator=other).tolist() == expected.tolist()

    def test_seed_starts_another_stream(self):
        assert flambeau.seed() == flambeau.initial_seed()
        flambeau.manual_seed(flambeau.initial_seed())

    def test_a_missing_device(self):
        if flambeau.rand(1).device.type != "cpu":
            pytest.skip("there is a GPU")
        with pytest.raises(RuntimeError, match="Cannot get CUDA generator"):
            flambeau.Generator("cuda")


class TestForkRng:
    def test_the_state_comes_back(self):
        flambeau.manual_seed(0)
        expected = flambeau.rand(2).tolist()
        flambeau.manual_seed(0)
        with pytest.raises(KeyError), flambeau.random.fork_rng():
            flambeau.rand(5)
            raise KeyError
        assert flambeau.rand(2).tolist() == expected

    def test_switched_off(self):
        flambeau.manual_seed(0)
        with flambeau.random.fork_rng(enabled=False):
            first = flambeau.rand(1).item()
        assert flambeau.rand(1).item() != first

    def test_unknown_device_type(self):
        foo = flambeau.random.fork_rng(device_type="foo")
        with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"), foo:
            pass
