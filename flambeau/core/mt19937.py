"""The Mersenne Twister MT19937 and PyTorch's record of its state, on NumPy.

Source: Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
pseudo-random number generator", 1998.
"""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np

DEFAULT_SEED = 67280421310721
STATE_WORDS = 624
STATE_BYTES = 5056

# seed, words left before the next twist (plus one), "is seeded", index of the next word
_HEADER = struct.Struct("<QiiQ")
# three doubles, the second being the cached normal, its flag; a cached single normal and its flag
_TRAILER = struct.Struct("<dddi4xf?3x")


class Engine:
    """A stream of 32-bit words, with the second values that the normal samplers keep for later.

    `lock` is held around each draw, so that threads that share an engine take whole draws.
    """

    def __init__(self, seed: int = DEFAULT_SEED):
        self.lock = threading.RLock()
        self._source = np.random.MT19937(0)
        self._words = np.random.Generator(self._source)
        self._legacy_seeding = np.random.RandomState(self._source).seed
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the stream of `seed` (0 <= seed < 2**64), whose low 32 bits alone matter."""
        with self.lock:
            self.seed = seed
            self._legacy_seeding(seed & 0xFFFFFFFF)
            self._untouched = True
            self.cached_double: float | None = None
            self._cached_single: float | None = None

    def words32(self, count: int) -> np.ndarray:
        """The next `count` words, as uint32."""
        with self.lock:
            self._untouched = self._untouched and count == 0
            return self._words.integers(0, 1 << 32, size=count, dtype=np.uint32)

    def words64(self, count: int) -> np.ndarray:
        """The next `2 * count` words in pairs, as uint64; a pair's first word is the high half."""
        with self.lock:
            self._untouched = self._untouched and count == 0
            return self._words.integers(0, 1 << 64, size=count, dtype=np.uint64)

    def singles(self, count: int) -> np.ndarray:
        """`count` float32 in [0, 1), each the low 24 bits of one word."""
        return (self.words32(count) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2**-24)

    def doubles(self, count: int) -> np.ndarray:
        """`count` float64 in [0, 1), each the low 53 bits of two words."""
        return (self.words64(count) & np.uint64((1 << 53) - 1)).astype(np.float64) * 2.0**-53

    def position(self) -> tuple[Any, bool]:
        """Where the stream stands, for `rewind`."""
        return self._source.state, self._untouched

    def rewind(self, position: tuple[Any, bool]) -> None:
        """Go back to a `position` taken before."""
        self._source.state, self._untouched = position

    def dump(self) -> np.ndarray:
        """The state as the 5056 bytes that PyTorch's CPU generator uses."""
        with self.lock:
            inner = self._source.state["state"]
            spent = int(inner["pos"])
            header = _HEADER.pack(
                self.seed, STATE_WORDS + 1 - spent, 1, 0 if self._untouched else spent
            )
            double, single = self.cached_double, self._cached_single
            trailer = _TRAILER.pack(
                0.0, double or 0.0, 0.0, double is not None, single or 0.0, single is not None
            )
            words = inner["key"].astype("<u8").tobytes()
        return np.frombuffer(header + words + trailer, dtype=np.uint8).copy()

    def load(self, state: np.ndarray) -> None:
        """Take over a state that `dump`, or PyTorch, wrote.

        Raises:
            RuntimeError: the bytes are no state of this generator.
        """
        if state.size != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG "
                f"state size to be {state.size}"
            )
        data = np.ascontiguousarray(state, dtype=np.uint8).tobytes()
        seed, left, seeded, following = _HEADER.unpack_from(data)
        words = np.frombuffer(data, "<u8", STATE_WORDS, _HEADER.size)
        _, double, _, has_double, single, has_single = _TRAILER.unpack_from(
            data, STATE_BYTES - _TRAILER.size
        )
        spent = left == 1
        if not seeded or not (spent or (left > 1 and left + following == STATE_WORDS + 1)):
            raise RuntimeError("Invalid mt19937 state")
        with self.lock:
            self.seed = seed
            self._source.state = {
                "bit_generator": "MT19937",
                "state": {
                    "key": words.astype(np.uint32),
                    "pos": STATE_WORDS if spent else following,
                },
            }
            self._untouched = spent and following == 0
            self.cached_double = double if has_double else None
            self._cached_single = single if has_single else None


class DoubleCursor:
    """Doubles one at a time, for samplers that use an unknown number of them.

    They are read ahead in blocks; on leaving the `with` block the engine stands just after the
    last one taken.
    """

    def __init__(self, engine: Engine, block: int):
        self._engine = engine
        self._block = max(block, 16)

    def __enter__(self) -> DoubleCursor:
        self._start = self._engine.position()
        self._values: list[float] = []
        self._taken = 0
        return self

    def __call__(self) -> float:
        if self._taken == len(self._values):
            self._values.extend(self._engine.doubles(self._block).tolist())
        self._taken += 1
        return self._values[self._taken - 1]

    def __exit__(self, *exception) -> None:
        self._engine.rewind(self._start)
        self._engine.words64(self._taken)
