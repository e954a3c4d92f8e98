"""Gradients through random functions, generators and their states, `fork_rng`."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import flambeau
from flambeau.core.random import recording

from .oracle_stream import leaves_stream
from .random_programs import outcome, rows

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
