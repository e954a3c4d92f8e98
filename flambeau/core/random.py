"""Random draws on the CPU: PyTorch's streams, as NumPy arrays.

A `Generator` draws flat arrays, in the order in which PyTorch fills memory; callers reshape.
`dtype` is a NumPy dtype (bfloat16 being that of `ml_dtypes`). See Note [Rounding of samples].
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any, Self

import ml_dtypes
import numpy as np

from flambeau.core import random_math, random_sequential
from flambeau.core.mt19937 import DEFAULT_SEED, DoubleCursor, Engine

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT16, FLOAT32, FLOAT64 = (np.dtype(name) for name in ("float16", "float32", "float64"))
INT64, BOOL = np.dtype("int64"), np.dtype("bool")

# The largest integers up to which a floating type counts without gaps, and, of the integer types,
# the largest that `Generator.random` gives.
LARGEST_INTEGER = {FLOAT16: 1 << 11, BFLOAT16: 1 << 8, FLOAT32: 1 << 24, FLOAT64: 1 << 53, BOOL: 1}

_WIDE_RANGE = 1 << 28
_PERMUTATION_LIMIT = 214748364
_CHUNK = 1 << 15


class _Recording(threading.local):
    """`recorder(values, shape, dtype)`, while a function is being compiled, stands in for draws."""

    recorder: Callable[..., Any] | None = None


recording = _Recording()


def draw(values: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """What `values()` draws, an array of `shape` and `dtype`.

    All draws of tensor functions go through here: a compiled function records `values`, to call it
    anew for each run (Note [Draws in compiled functions]).
    """
    # Note [Draws in compiled functions]
    # A traced draw would be a constant. The recorder keeps the callable, whose result depends on
    # the generator alone, and returns a placeholder; each run then calls the recorded draws in
    # their order and passes the results in. So a compiled function stays on the same stream.
    if recording.recorder is not None:
        return recording.recorder(values, shape, dtype)
    return values()


def largest_integer(dtype: np.dtype) -> int:
    """The greatest value that `Generator.random` draws for `dtype`."""
    return LARGEST_INTEGER[dtype] if dtype in LARGEST_INTEGER else int(np.iinfo(dtype).max)


class Generator:
    """PyTorch's CPU generator: the same seed gives the same numbers.

    State and seed functions follow `torch.Generator`; a state is a NumPy array of 5056 bytes.
    """

    def __init__(self, engine: Engine | None = None):
        self.engine = Engine() if engine is None else engine

    # Seeds and states

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed`; a negative one stands for 2**64 + seed.

        Raises:
            RuntimeError: the seed is no integer.
            ValueError: it does not fit in 64 bits.
        """
        if isinstance(seed, np.integer):
            raise TypeError("an integer is required")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError("Overflow when unpacking long long")
        self.engine.reseed(seed % (1 << 64))
        return self

    def initial_seed(self) -> int:
        """The seed that the stream began from."""
        return self.engine.seed

    def seed(self) -> int:
        """Seed from the operating system's entropy, and return that seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.engine.reseed(seed)
        return seed

    def get_state(self) -> np.ndarray:
        """The state, in the bytes that PyTorch uses."""
        return self.engine.dump()

    def set_state(self, state: np.ndarray) -> Generator:
        """Continue from a state that `get_state`, here or in PyTorch, gave."""
        self.engine.load(state)
        return self

    def clone_state(self) -> Self:
        """A new generator that continues from this one's state on its own."""
        clone = type(self)()
        clone.engine.load(self.engine.dump())
        return clone

    def get_offset(self) -> int:
        """Raises: a CPU generator counts no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> Generator:
        """Raises: a CPU generator counts no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def graphsafe_get_state(self) -> Generator:
        """Raises: states that captured graphs share belong to CUDA generators."""
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state: Generator) -> Generator:
        """Raises: states that captured graphs share belong to CUDA generators."""
        if not isinstance(state, Generator):
            raise TypeError(f"expected a Generator, but got {type(state).__name__}")
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def __getstate__(self) -> np.ndarray:
        return self.engine.dump()

    def __setstate__(self, state: np.ndarray) -> None:
        self.engine = Engine()
        self.engine.load(state)

    # Continuous distributions

    def uniform(self, count: int, low=0.0, high=1.0, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Uniform values in [low, high); what rounds to `high` becomes `low`."""
        if dtype == FLOAT64:
            values = self.engine.doubles(count)
            if (low, high) == (0.0, 1.0):
                return values
            values = random_math.fused64(values, high - low, low)
        else:
            values = self.engine.singles(count)
            if (low, high) == (0.0, 1.0) and dtype == FLOAT32:
                return values
            low, high = np.float32(low), np.float32(high)
            values = random_math.fused32(values, high - low, low).astype(dtype)
        low, high = dtype.type(low), dtype.type(high)
        return np.where(values == high, low, values)

    def normal(
        self, count: int, mean=0.0, std=1.0, dtype: np.dtype = FLOAT32, contiguous: bool = True
    ) -> np.ndarray:
        """Normal values: 16 or more contiguous ones are filled by blocks, others in series.

        Where the last block is incomplete, the last 16 values are drawn anew; of the 16-bit types
        the incomplete block is not drawn before that.
        """
        if count < 16 or not contiguous:
            return _narrow(self._normal_series(count, mean, std, dtype), dtype)
        draw = self.engine.doubles if dtype == FLOAT64 else self.engine.singles
        with self.engine.lock:
            values = np.empty(count, FLOAT64 if dtype == FLOAT64 else FLOAT32)
            drawn = count if dtype in (FLOAT32, FLOAT64) else count // 16 * 16
            values[:drawn] = _box_muller(draw(drawn))
            if count % 16:
                values[-16:] = _box_muller(draw(16))
        if (mean, std) == (0.0, 1.0):
            return values.astype(dtype, copy=False)
        if dtype == FLOAT64:
            return random_math.fused64(values, std, mean)
        return random_math.fused32(values, np.float32(std), np.float32(mean)).astype(dtype)

    def log_normal(self, count: int, mean=1.0, std=2.0, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Exponentials of normal values."""
        values = self._normal_series(count, mean, std, dtype)
        with np.errstate(over="ignore"):
            return _narrow(_apply(math.exp, np.exp, values, dtype), dtype)

    def exponential(self, count: int, rate=1.0, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Exponential values: -log(1 - u) / rate."""
        logarithms = _apply(math.log1p, np.log1p, -self.engine.doubles(count), dtype)
        return _narrow(np.float64(-1.0) / rate * logarithms, dtype)

    def cauchy(self, count: int, median=0.0, sigma=1.0, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Cauchy values: median + sigma * tan(pi * (u - 1/2))."""
        angles = math.pi * (self.engine.doubles(count) - 0.5)
        tangents = _apply(math.tan, np.tan, angles, dtype)
        return _narrow(random_math.fused64(tangents, sigma, median), dtype)

    # Discrete distributions

    def integers(self, count: int, low: int, high: int, dtype: np.dtype = INT64) -> np.ndarray:
        """Whole numbers in [low, high), by the remainder of a word (two for 2**28 and more)."""
        span = high - low
        if span >= 1 << 64:
            return _narrow(self.engine.words64(count).view(np.int64), dtype)
        if span >= _WIDE_RANGE:
            values = self.engine.words64(count) % np.uint64(span)
        else:
            values = (self.engine.words32(count) % np.uint32(span)).astype(np.uint64)
        values += np.uint64(low % (1 << 64))
        return _narrow(values.view(np.int64), dtype)

    def random(self, count: int, dtype: np.dtype = INT64) -> np.ndarray:
        """Whole numbers from 0 to the greatest that `dtype` counts to."""
        words = self.engine.words64 if dtype in (INT64, FLOAT64) else self.engine.words32
        values = words(count)
        return _narrow(values % values.dtype.type(largest_integer(dtype) + 1), dtype)

    def bernoulli(self, count: int, probability: float) -> np.ndarray:
        """True with one `probability`; two words a value."""
        words = self.engine.words64(count)
        if probability >= 1:
            return np.ones(count, BOOL)
        # The low 53 bits are the numerator of u; moved to the top they compare as they are.
        words <<= np.uint64(11)
        return words < np.uint64(math.ceil(math.ldexp(probability, 53)) << 11)

    def bernoulli_each(self, probabilities: np.ndarray) -> np.ndarray:
        """True with each value's own probability; one word a value, two for float64."""
        wide = probabilities.dtype == FLOAT64
        draw = self.engine.doubles if wide else self.engine.singles
        uniforms = draw(probabilities.size).reshape(probabilities.shape)
        return uniforms < (probabilities if wide else probabilities.astype(np.float32))

    def geometric(self, count: int, probability: float, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """The number of trials up to the first success: ceil(log(u) / log(1 - p))."""
        with np.errstate(divide="ignore"):
            logarithms = _apply(math.log, np.log, self.engine.doubles(count), FLOAT64)
            return _narrow(np.ceil(logarithms / np.log1p(-probability)), dtype)

    def permutation(self, count: int) -> np.ndarray:
        """A shuffle of 0 .. count - 1 by Fisher and Yates: i changes places with i + word % rest.

        Raises:
            NotImplementedError: 214748364 values and more, which PyTorch shuffles otherwise.
        """
        if count >= _PERMUTATION_LIMIT:
            raise NotImplementedError(f"randperm of {_PERMUTATION_LIMIT} or more values")
        if count < 2:
            return np.arange(count, dtype=np.int64)
        steps = np.arange(count - 1, dtype=np.int64)
        partners = steps + self.engine.words32(count - 1) % (count - steps)
        return _apply_swaps(partners, count)

    def multinomial(
        self, weights: np.ndarray, samples: int, replacement: bool, by_columns: bool = False
    ) -> np.ndarray:
        """Categories drawn by the rows of `weights`, as int64 of shape (rows, samples).

        Without replacement (and for one sample) the largest weight / exponential values win, the
        exponentials being drawn row by row or `by_columns`; with it, uniforms are looked up among
        the cumulative sums.
        """
        rows, categories = weights.shape
        if samples == 1 or not replacement:
            draws = self.exponential(weights.size, 1.0, weights.dtype)
            draws = (
                draws.reshape(categories, rows).T if by_columns else draws.reshape(weights.shape)
            )
            with np.errstate(divide="ignore", over="ignore"):
                scores = (_wide(weights) / _wide(draws)).astype(weights.dtype)
            if samples == 1:
                return _wide(scores).argmax(axis=1)[:, None].astype(np.int64)
            return np.argsort(-_wide(scores), axis=1, kind="stable")[:, :samples]
        uniforms = self.engine.doubles(rows * samples).reshape(rows, samples)
        chosen = np.empty(uniforms.shape, np.int64)
        for row, row_weights in enumerate(weights):
            sums = _wide(row_weights).cumsum()
            chosen[row] = np.searchsorted(sums / sums[-1], uniforms[row])
        return chosen

    # Samplers that take an unknown number of words

    def poisson(self, rates: np.ndarray) -> np.ndarray:
        """Poisson counts, one for each rate."""
        return self._sequential(random_sequential.poisson, rates)

    def binomial(self, trials: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Binomial counts, one for each pair of trials and probability."""
        return self._sequential(random_sequential.binomial, trials, probabilities)

    def gamma(self, shapes: np.ndarray) -> np.ndarray:
        """Gamma variates of unit scale, one for each shape parameter; never below the smallest
        normal number of the type."""

        def rounded(value: float) -> float:
            return float(shapes.dtype.type(value))

        ignored = np.errstate(over="ignore", under="ignore")
        with ignored, self.engine.lock, DoubleCursor(self.engine, 4 * shapes.size) as uniform:

            def normal() -> float:
                kept, self.engine.cached_double = self.engine.cached_double, None
                if kept is not None:
                    return kept
                angle, log_argument = 2 * math.pi * uniform(), -uniform()
                radius = math.sqrt(-2 * math.log1p(log_argument))
                self.engine.cached_double = radius * math.sin(angle)
                return radius * math.cos(angle)

            values = [
                random_sequential.gamma(shape, uniform, normal, rounded)
                for shape in shapes.ravel().astype(np.float64).tolist()
            ]
        result = _narrow(np.array(values, np.float64), shapes.dtype).reshape(shapes.shape)
        return np.maximum(result, ml_dtypes.finfo(shapes.dtype).tiny)

    def dirichlet(self, concentrations: np.ndarray) -> np.ndarray:
        """Points of the simplex, one for each row of concentrations: gamma variates over their sum.

        The sum's last bit, and so that of float64 results, depends on the order of additions.
        """
        variates = self.gamma(concentrations.astype(np.float64))
        points = (variates / variates.sum(axis=-1, keepdims=True)).astype(concentrations.dtype)
        return np.maximum(points, ml_dtypes.finfo(concentrations.dtype).tiny)

    def _sequential(self, sampler, *parameters: np.ndarray) -> np.ndarray:
        rows = zip(*(p.ravel().astype(np.float64).tolist() for p in parameters), strict=True)
        first = parameters[0]
        with self.engine.lock, DoubleCursor(self.engine, 4 * first.size) as uniform:
            values = [sampler(*row, uniform) for row in rows]
        return _narrow(np.array(values, np.float64), first.dtype).reshape(first.shape)

    def _normal_series(self, count: int, mean, std, dtype: np.dtype) -> np.ndarray:
        """Normals in float64 from pairs of doubles; an odd one's companion is kept for later."""
        engine = self.engine
        with engine.lock:
            kept = [engine.cached_double] if count and engine.cached_double is not None else []
            pairs = (count - len(kept) + 1) // 2
            uniforms = engine.doubles(2 * pairs)
            angles = 2 * math.pi * uniforms[0::2]
            radii = np.sqrt(-2 * _apply(math.log1p, np.log1p, -uniforms[1::2], dtype))
            fresh = np.empty((pairs, 2))
            fresh[:, 0] = radii * _apply(math.cos, np.cos, angles, dtype)
            fresh[:, 1] = radii * _apply(math.sin, np.sin, angles, dtype)
            values = np.concatenate([kept, fresh.ravel()])
            if len(values) > count:
                last = math.sqrt(-2 * math.log1p(-uniforms[-1]))
                engine.cached_double = last * math.sin(angles[-1])
            elif count:
                engine.cached_double = None
        return random_math.fused64(values[:count], std, mean)


def _wide(values: np.ndarray) -> np.ndarray:
    """16-bit floats as float32, others as they are."""
    return values.astype(np.float32) if values.dtype in (FLOAT16, BFLOAT16) else values


def _narrow(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`values` as `dtype`; to the 16-bit floats by way of float32."""
    if dtype in (FLOAT16, BFLOAT16):
        values = values.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype, copy=False)


def _apply(exact, vectorised, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A function of float64 values, to the last bit where the result stays float64."""
    if dtype == FLOAT64 or values.size < 16:
        return random_math.exactly(exact, values)
    return vectorised(values)


def _box_muller(uniforms: np.ndarray) -> np.ndarray:
    """Normals from uniforms in blocks of 16: eight radii, then eight angles. A last, incomplete
    block is left as it is.

    Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
    """
    whole = uniforms.size // 16 * 16
    for start in range(0, whole, _CHUNK):
        block = uniforms[start : min(start + _CHUNK, whole)].reshape(-1, 2, 8)
        below_one, turn = 1 - block[:, 0], block[:, 1]
        if uniforms.dtype == FLOAT64:
            radii = np.sqrt(-2 * random_math.exactly(math.log, below_one))
            angles = 2 * math.pi * turn
            sines = random_math.exactly(math.sin, angles)
            cosines = random_math.exactly(math.cos, angles)
        else:
            radii = np.sqrt(np.float32(-2) * random_math.log32(below_one))
            sines, cosines = random_math.sincos32(np.float32(2 * math.pi) * turn)
        np.multiply(radii, cosines, out=block[:, 0])
        np.multiply(radii, sines, out=block[:, 1])
    return uniforms


def _apply_swaps(partners: np.ndarray, count: int) -> np.ndarray:
    """0 .. count - 1 after the swaps of place i with place partners[i] >= i, for rising i.

    What place k holds at step k was put there by the last step m < k that had k as its partner,
    and is what place m held at step m: a chain of such links ends at a place no earlier step
    touched, whose content is its own index. All chains are followed at once, by doubling.
    """
    steps = np.arange(count, dtype=np.int64)
    partners = np.append(partners, count - 1)
    order = np.sort(partners * count + steps) % count
    targets = partners[order]
    link = np.full(count, -1)
    moved = order != targets
    link[targets[moved]] = order[moved]
    earlier = np.full(count, -1)
    repeated = targets[1:] == targets[:-1]
    earlier[order[1:][repeated]] = order[:-1][repeated]

    origin = np.where(link < 0, steps, link)
    while True:
        further = origin[origin]
        if np.array_equal(further, origin):
            break
        origin = further
    return np.where(earlier < 0, partners, origin[earlier])


default_generator = Generator()
default_generator.seed()

__all__ = [
    "DEFAULT_SEED",
    "Generator",
    "default_generator",
    "draw",
    "largest_integer",
    "recording",
]
