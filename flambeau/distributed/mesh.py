"""The processes as a JAX mesh of one CPU device each, and the programs that join their arrays.

Every process brings one array of the same shape and type; the compiled programs see them stacked
along an axis that is sharded over the processes, so XLA's collectives (gloo) do the transport.
Values that are only moved travel as unsigned integers, so that every bit arrives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "ranks"
REDUCTIONS = {"SUM": jnp.sum, "PRODUCT": jnp.prod, "MIN": jnp.min, "MAX": jnp.max}


@contextmanager
def loss_of_a_process() -> Iterator[None]:
    """Say what it means that XLA's transport failed (as either of two classes of errors)."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if "gloo" not in str(error).lower():
            raise
        raise RuntimeError(
            "a collective operation failed: another process has ended or cannot be reached "
            f"({str(error).splitlines()[0]})"
        ) from None


class Pending:
    """The result of a program that may still be running: `read()` waits for it."""

    def __init__(self, result: Any, finish: Callable[[np.ndarray], np.ndarray]) -> None:
        self._result = result
        self._finish = finish

    def read(self) -> np.ndarray:
        """This process's part of the result.

        Raises:
            RuntimeError: another process has ended or cannot be reached.
        """
        result = self._result
        with loss_of_a_process():
            value = np.asarray(
                result.addressable_data(0) if isinstance(result, jax.Array) else result
            )
        return self._finish(value)

    def ready(self) -> bool:
        """Whether `read()` returns at once."""
        ready = getattr(self._result, "is_ready", None)  # NumPy's arrays are
        return ready is None or ready()


class Processes:
    """All processes of the job, of which this is number `rank`."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._program = functools.cache(self._build)

    @functools.cached_property
    def _mesh(self) -> Mesh:
        devices = sorted(jax.devices("cpu"), key=lambda device: device.process_index)
        first = {device.process_index: device for device in reversed(devices)}
        return Mesh(np.array([first[rank] for rank in range(self.size)]), (AXIS,))

    def _build(self, kind: str, detail: Any) -> Callable[[Any], Any]:
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        parted = NamedSharding(self._mesh, PartitionSpec(AXIS))
        if kind == "gather":
            return jax.jit(lambda x: x, out_shardings=everywhere)
        if kind == "broadcast":
            return jax.jit(lambda x: x[detail], out_shardings=everywhere)
        if kind == "scatter":
            return jax.jit(lambda x: x[detail], out_shardings=parted)
        reduction, scattered = detail
        return jax.jit(
            lambda x: _reduced(x, reduction), out_shardings=parted if scattered else everywhere
        )

    def _run(
        self, kind: str, detail: Any, value: np.ndarray, finish: Callable[[np.ndarray], np.ndarray]
    ) -> Pending:
        sharding = NamedSharding(self._mesh, PartitionSpec(AXIS))
        shape = (self.size, *value.shape)
        stacked = jax.make_array_from_process_local_data(sharding, value[None], shape)
        program = self._program(kind, detail)
        with loss_of_a_process():
            return Pending(program(stacked), finish)

    def reduce(self, value: np.ndarray, reduction: str) -> Pending:
        """The elementwise `reduction` of all processes' values, on every process."""
        if self.size == 1 or value.size == 0:
            return Pending(value, lambda result: result)
        return self._run("reduce", (reduction, False), value, lambda result: result)

    def reduce_scatter(self, value: np.ndarray, reduction: str) -> Pending:
        """As `reduce`, of values of shape (size, ...); process number i has row i of the result."""
        if self.size == 1 or value.size == 0:
            return Pending(value, lambda result: result[0])
        return self._run("reduce", (reduction, True), value, lambda result: result[0])

    def gather(self, value: np.ndarray) -> Pending:
        """All processes' values, stacked, on every process."""
        if self.size == 1 or value.size == 0:
            stacked = np.broadcast_to(value, (self.size, *value.shape))
            return Pending(stacked, lambda result: result)
        return self._run(
            "gather", None, as_bits(value), lambda bits: from_bits(bits, value, self.size)
        )

    def broadcast(self, value: np.ndarray, source: int) -> Pending:
        """The value of process number `source`, on every process."""
        if self.size == 1 or value.size == 0:
            return Pending(value, lambda result: result)
        return self._run(
            "broadcast", source, as_bits(value), lambda bits: from_bits(bits, value, 1)[0]
        )

    def scatter(self, rows: np.ndarray, source: int) -> Pending:
        """Row i of the rows of process number `source`, on process number i."""
        if self.size == 1 or rows.size == 0:
            return Pending(rows, lambda result: result[self.rank])
        bits = np.stack([as_bits(row) for row in rows])
        return self._run("scatter", source, bits, lambda mine: from_bits(mine, rows[0], 1)[0])


def _reduced(x: Any, reduction: str) -> Any:
    """Reduce the first axis; 16-bit floats are rounded once, truth values stay truth values."""
    if x.dtype == jnp.bool_:
        return x.any(0) if reduction in ("SUM", "MAX") else x.all(0)
    wide = jnp.float32 if x.dtype in (jnp.float16, jnp.bfloat16) else x.dtype
    if reduction == "AVG":
        return (x.astype(wide).sum(0) / x.shape[0]).astype(x.dtype)
    if reduction in ("SUM", "PRODUCT"):
        return REDUCTIONS[reduction](x.astype(wide), 0, dtype=wide).astype(x.dtype)
    return REDUCTIONS[reduction](x, 0)


def as_bits(value: np.ndarray) -> np.ndarray:
    """A value's memory as a vector of unsigned integers."""
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return flat.view(np.uint32) if flat.size % 4 == 0 else flat


def from_bits(bits: np.ndarray, like: np.ndarray, count: int) -> np.ndarray:
    """`count` values of the shape and type of `like` from their memory."""
    flat = np.ascontiguousarray(bits).reshape(-1).view(like.dtype)
    return flat.reshape(count, *like.shape)
