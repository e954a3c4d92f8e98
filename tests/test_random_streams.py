"""Every sampler of the CPU generator draws PyTorch's numbers, and leaves PyTorch's state behind."""

from __future__ import annotations

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
import torch

from flambeau.core.random import Generator

from .oracle_stream import leaves_stream

SIZES = (0, 1, 2, 7, 8, 15, 16, 17, 24, 31, 32, 33, 100, 1000, 4099)
# Each seed draws two of the sizes, so that all of them meet several seeds.
SEEDS = [(seed, (SIZES[seed % 15], SIZES[(seed * 7 + 3) % 15])) for seed in range(101)]

FLOATING = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
    torch.float16: np.dtype(np.float16),
    torch.bfloat16: np.dtype(ml_dtypes.bfloat16),
}
INTEGRAL = {
    torch.int64: np.dtype(np.int64),
    torch.int32: np.dtype(np.int32),
    torch.int16: np.dtype(np.int16),
    torch.int8: np.dtype(np.int8),
    torch.uint8: np.dtype(np.uint8),
    torch.bool: np.dtype(bool),
}
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

# name: (PyTorch's draw of n values of a dtype, ours)
CONTINUOUS = {
    "rand": (lambda n, t: torch.rand(n, dtype=t), lambda g, n, d: g.uniform(n, dtype=d)),
    "uniform_": (
        lambda n, t: torch.empty(n, dtype=t).uniform_(-0.3, 0.77),
        lambda g, n, d: g.uniform(n, -0.3, 0.77, d),
    ),
    "randn": (lambda n, t: torch.randn(n, dtype=t), lambda g, n, d: g.normal(n, dtype=d)),
    "normal_": (
        lambda n, t: torch.empty(n, dtype=t).normal_(0.3, 1.7),
        lambda g, n, d: g.normal(n, 0.3, 1.7, d),
    ),
    "normal_ of a transposed matrix": (
        lambda n, t: torch.empty(n, 2, dtype=t).t().normal_(0.3, 1.7).t(),
        lambda g, n, d: g.normal(2 * n, 0.3, 1.7, d, contiguous=n < 2).reshape(n, 2),
    ),
    "log_normal_": (
        lambda n, t: torch.empty(n, dtype=t).log_normal_(0.3, 1.7),
        lambda g, n, d: g.log_normal(n, 0.3, 1.7, d),
    ),
    "exponential_": (
        lambda n, t: torch.empty(n, dtype=t).exponential_(1.7),
        lambda g, n, d: g.exponential(n, 1.7, d),
    ),
    "cauchy_": (
        lambda n, t: torch.empty(n, dtype=t).cauchy_(0.3, 1.7),
        lambda g, n, d: g.cauchy(n, 0.3, 1.7, d),
    ),
    "geometric_": (
        lambda n, t: torch.empty(n, dtype=t).geometric_(0.3),
        lambda g, n, d: g.geometric(n, 0.3, d),
    ),
    "bernoulli_": (
        lambda n, t: torch.empty(n, dtype=t).bernoulli_(0.3),
        lambda g, n, d: g.bernoulli(n, 0.3).astype(d),
    ),
    "bernoulli": (
        lambda n, t: torch.bernoulli(torch.rand(n, dtype=t)),
        lambda g, n, d: g.bernoulli_each(g.uniform(n, dtype=d)).astype(d),
    ),
}
RANGES = (
    (-5, 100),
    (0, 2**28 - 1),
    (0, 2**28),
    (2**40, 2**40 + 7),
    (-(2**62), 2**62 + 5),
    (-(2**63), 2**63 - 1),
)


def assert_same_bits(expected: torch.Tensor, actual: np.ndarray, name) -> None:
    assert tuple(expected.shape) == actual.shape, name
    width = actual.dtype.itemsize
    bits = BITS[width]
    wanted = expected.contiguous().view(bits).numpy()
    got = np.ascontiguousarray(actual).view(wanted.dtype)
    assert np.array_equal(wanted, got), (name, expected, actual)


def assert_same_statistics(generator: Generator, expected: torch.Tensor, actual) -> None:
    """Where the oracle takes another stream: equal means; ours then follows the oracle's state."""
    generator.set_state(torch.get_rng_state().numpy())
    if actual.size >= 1000:
        assert abs(expected.double().mean().item() - actual.astype(float).mean()) < 0.15


def assert_same_state(generator: Generator, name) -> None:
    assert np.array_equal(torch.get_rng_state().numpy(), generator.get_state()), name


@pytest.mark.parametrize(("seed", "sizes"), SEEDS)
def test_interleaved_draws(seed, sizes):
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    for size in sizes:
        for name, (theirs, ours) in CONTINUOUS.items():
            for dtype, numpy_dtype in FLOATING.items():
                drawn = theirs(size, dtype), ours(generator, size, numpy_dtype)
                if leaves_stream(name):
                    assert_same_statistics(generator, *drawn)
                    continue
                assert_same_bits(*drawn, (name, dtype, size))
                assert_same_state(generator, (name, dtype, size))
        for dtype, numpy_dtype in (INTEGRAL | FLOATING).items():
            drawn = torch.empty(size, dtype=dtype).random_(), generator.random(size, numpy_dtype)
            assert_same_bits(*drawn, ("random_", dtype))
            drawn = (
                torch.empty(size, dtype=dtype).random_(0, 2),
                generator.integers(size, 0, 2, numpy_dtype),
            )
            assert_same_bits(*drawn, ("random_(0, 2)", dtype))
        for low, high in RANGES:
            drawn = torch.randint(low, high, (size,)), generator.integers(size, low, high)
            assert_same_bits(*drawn, ("randint", low, high))
        everything = torch.empty(size, dtype=torch.int64).random_(-(2**63), None)
        assert_same_bits(
            everything, generator.integers(size, -(2**63), 2**63), "random_(min, None)"
        )
        assert_same_bits(torch.randperm(size), generator.permutation(size), "randperm")
        assert_same_state(generator, "end")


@pytest.mark.parametrize("seed", range(0, 101, 20))
def test_large_permutation(seed):
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    assert_same_bits(torch.randperm(60000), generator.permutation(60000), "randperm")


def test_permutations_beyond_the_limit_are_refused():
    with pytest.raises(NotImplementedError, match="randperm of 214748364 or more values"):
        Generator().permutation(214748364)


def as_numpy(values: torch.Tensor, dtype: torch.dtype) -> np.ndarray:
    return values.to(dtype).double().numpy().astype(np.float32).astype(FLOATING[dtype])


@pytest.mark.parametrize("seed", range(0, 101, 10))
def test_samplers_of_unknown_length(seed):
    parameters = torch.Generator().manual_seed(seed + 1000)
    low, high = torch.rand(2, 60, generator=parameters)
    special = torch.tensor([0.0, 10.0, 9.9999, 3e4])
    rates = torch.cat([low * 12, high * 100, special])
    trials = torch.randint(0, 100, (120,), generator=parameters).float()
    probabilities = torch.cat([low, high])
    probabilities[:5] = torch.tensor([0, 1, 0.5, 0.99, 0.01])
    shapes = torch.cat([low * 2, high * 50, torch.tensor([0.0, 1e-3, 1.0, 1 / 3])])
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    for dtype in FLOATING:
        drawn = torch.poisson(rates.to(dtype)), generator.poisson(as_numpy(rates, dtype))
        assert_same_bits(*drawn, ("poisson", dtype))
        assert_same_state(generator, ("poisson", dtype))
    for dtype in (torch.float32, torch.float64):
        drawn = (
            torch.binomial(trials.to(dtype), probabilities.to(dtype)),
            generator.binomial(as_numpy(trials, dtype), as_numpy(probabilities, dtype)),
        )
        assert_same_bits(*drawn, ("binomial", dtype))
        drawn = torch._standard_gamma(shapes.to(dtype)), generator.gamma(as_numpy(shapes, dtype))
        assert_same_bits(*drawn, ("gamma", dtype))
        rows = shapes[:120].reshape(12, 10)
        drawn = (
            torch._sample_dirichlet(rows.to(dtype)).numpy(),
            generator.dirichlet(as_numpy(rows, dtype)),
        )
        # The last bit of a float64 quotient depends on the order in which the row is summed.
        np.testing.assert_allclose(drawn[1], drawn[0], rtol=1e-15 if dtype.itemsize == 8 else 0)
        assert_same_state(generator, ("dirichlet", dtype))


def test_infinite_trials_are_refused():
    with pytest.raises(ValueError, match="binomial expects finite counts, but got inf"):
        Generator().binomial(np.array([np.inf]), np.array([0.5]))


def test_rates_beyond_64_bits():
    for seed in range(3):
        torch.manual_seed(seed)
        generator = Generator().manual_seed(seed)
        rates = torch.tensor([1e6, 1e10, 1e20, float("inf")])
        assert_same_bits(torch.poisson(rates), generator.poisson(rates.numpy()), seed)


@pytest.mark.parametrize(
    ("samples", "replacement"), [(1, False), (1, True), (5, False), (7, True), (300, True)]
)
def test_multinomial(samples, replacement):
    for shape in ((5, 7), (2, 1000)):
        weights = torch.rand(shape, generator=torch.Generator().manual_seed(9))
        for seed in range(0, 101, 20):
            torch.manual_seed(seed)
            generator = Generator().manual_seed(seed)
            for dtype, numpy_dtype in FLOATING.items():
                # Among equal scores, frequent in 16 bits, PyTorch's partial sort has its own order.
                if samples > 1 and not replacement and numpy_dtype.itemsize == 2:
                    continue
                if leaves_stream("multinomial"):
                    continue
                drawn = (
                    torch.multinomial(weights.to(dtype), samples, replacement),
                    generator.multinomial(as_numpy(weights, dtype), samples, replacement),
                )
                assert_same_bits(*drawn, (shape, dtype))
                assert_same_state(generator, (shape, dtype))


def test_values_that_round_to_the_upper_bound_become_the_lower():
    torch.manual_seed(0)
    generator = Generator().manual_seed(0)
    for dtype, low, high in (
        (torch.float32, 1, 1 + 3e-7),
        (torch.float64, 1, 1 + 6e-16),
        (torch.bfloat16, -2, -1),
        (torch.float16, 0, 1),
    ):
        expected = torch.empty(5000, dtype=dtype).uniform_(low, high)
        assert_same_bits(expected, generator.uniform(5000, low, high, FLOATING[dtype]), dtype)


class TestState:
    def test_bytes_are_exchanged_with_pytorch(self):
        theirs, ours = torch.Generator(), Generator()
        for seed, draws in ((3, 0), (4, 1), (5, 623), (6, 624), (7, 625)):
            theirs.manual_seed(seed)
            torch.rand(draws, generator=theirs)
            ours.set_state(theirs.get_state().numpy())
            assert np.array_equal(ours.get_state(), theirs.get_state().numpy())
            assert ours.initial_seed() == seed
            # Three values leave the companion of the fourth in the cache, in both directions.
            first = torch.randn(3, generator=theirs)
            assert_same_bits(first, ours.normal(3), seed)
            theirs.set_state(torch.from_numpy(ours.get_state()))
            assert_same_bits(torch.randn(2, generator=theirs), ours.normal(2), seed)

    def test_default_seed(self):
        assert np.array_equal(torch.Generator().get_state().numpy(), Generator().get_state())

    @pytest.mark.parametrize("seed", [-1, -(2**63), 2**64 - 1, 2**32, 2**40 + 5])
    def test_seeds_beyond_32_bits(self, seed):
        theirs, ours = torch.Generator().manual_seed(seed), Generator().manual_seed(seed)
        assert ours.initial_seed() == theirs.initial_seed()
        assert np.array_equal(theirs.get_state().numpy(), ours.get_state())

    @pytest.mark.parametrize(
        "seed", [2**64, -(2**63) - 1, 1.5, "a", None, True, np.int64(3)], ids=repr
    )
    def test_bad_seeds(self, seed):
        with pytest.raises((RuntimeError, ValueError, TypeError)) as expected:
            torch.Generator().manual_seed(seed)
        with pytest.raises(expected.type) as error:
            Generator().manual_seed(seed)
        assert str(error.value) == str(expected.value)

    @pytest.mark.parametrize(
        ("offset", "value"), [(8, b"\0"), (8, b"\xff\xff\xff\xff"), (12, b"\0"), (16, b"\xff\xff")]
    )
    def test_invalid_states(self, offset, value):
        state = Generator().get_state()
        state[8:12] = np.frombuffer(b"\x05\0\0\0", np.uint8)
        state[offset : offset + len(value)] = np.frombuffer(value, np.uint8)
        with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
            torch.Generator().set_state(torch.from_numpy(state))
        with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
            Generator().set_state(state)

    def test_state_of_another_size(self):
        short = np.zeros(5055, np.uint8)
        with pytest.raises(RuntimeError) as expected:
            torch.Generator().set_state(torch.from_numpy(short))
        with pytest.raises(RuntimeError) as error:
            Generator().set_state(short)
        assert str(error.value) == str(expected.value)

    def test_offsets_and_graph_states_are_refused(self):
        theirs, ours = torch.Generator(), Generator()
        for name, arguments in (
            ("get_offset", ()),
            ("set_offset", (1,)),
            ("graphsafe_get_state", ()),
            ("graphsafe_set_state", (3,)),
        ):
            with pytest.raises((RuntimeError, TypeError)) as expected:
                getattr(theirs, name)(*arguments)
            with pytest.raises(expected.type) as error:
                getattr(ours, name)(*arguments)
            assert str(error.value) == str(expected.value)

    def test_copies_continue_on_their_own(self):
        generator = Generator().manual_seed(8)
        generator.normal(3)
        copies = [
            generator.clone_state(),
            copy.deepcopy(generator),
            pickle.loads(pickle.dumps(generator)),
        ]
        expected = generator.normal(5)
        for other in copies:
            assert np.array_equal(other.normal(5), expected)
            assert other.initial_seed() == 8

    def test_seed_is_the_one_it_reports(self):
        generator = Generator()
        seed = generator.seed()
        assert seed == generator.initial_seed()
        assert np.array_equal(generator.uniform(4), Generator().manual_seed(seed).uniform(4))


def test_threads_take_whole_draws():
    generator = Generator().manual_seed(0)
    draws: list[bytes] = []

    def draw():
        for _ in range(50):
            draws.append(generator.normal(17).tobytes())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = Generator().manual_seed(0)
    assert sorted(draws) == sorted(alone.normal(17).tobytes() for _ in range(200))
