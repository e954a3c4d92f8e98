"""A worker process of a DataLoader: takes indices, loads and collates, sends batches."""

from __future__ import annotations

import random
import signal
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ops.generator import manual_seed
from .channel import Channel
from .datapipes.graph import is_pipe, seed_all, share_out
from .fetch import new_fetcher


@dataclass
class WorkerInfo:
    """What a data set may know about the worker process that it runs in.

    Attributes:
        id: the worker's number, from 0.
        num_workers: how many there are.
        seed: what this worker's generators were seeded with: the loader's draw plus `id`.
        dataset: this process's copy of the data set.
        rng: always None.
        worker_method: always "multiprocessing".
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What a data set may know about the worker process that it runs in.

    Returns:
        The worker's `id`, `num_workers`, `seed` and `dataset`; None in the main process.

    Example::

        >>> from flambeau.utils.data import get_worker_info
        >>> get_worker_info() is None
        True
    """
    return _info


class WorkerFailure:
    """An exception of a worker, on its way to the main process.

    Args:
        where: the end of the sentence "Caught ValueError ...".
    """

    def __init__(self, where: str):
        kind, value, trace = sys.exc_info()
        assert kind is not None
        self.kind: Any = kind
        self.text = (
            f"Caught {kind.__name__} {where}.\n"
            f"Original {''.join(traceback.format_exception(kind, value, trace))}"
        )

    def reraise(self) -> None:
        """Raise an exception of the same class, with the worker's traceback as its message."""
        if self.kind is KeyError:
            raise KeyError(_Unquoted(self.text))
        if getattr(self.kind, "message", None):
            raise self.kind(message=self.text)
        try:
            error = self.kind(self.text)
        except Exception:
            raise RuntimeError(self.text) from None
        raise error


class _Unquoted(str):
    """A text whose `repr`, which KeyError shows, is the text."""

    def __repr__(self) -> str:
        return str(self)


@dataclass
class Task:
    """One batch to load; `pass_number` tells one pass from the next, `index` None begins it."""

    pass_number: int
    number: int
    index: Any
    shared_seed: int | None = None


@dataclass
class Result:
    """What came of a task."""

    pass_number: int
    number: int
    data: Any


class EndOfStream:
    """In place of a batch: this worker's stream has no more items."""


@dataclass
class Order:
    """What a worker needs to know.

    Attributes:
        shipment: holds the data set, `collate_fn` and `worker_init_fn`.
        base_seed: the loader's draw; worker `number` is seeded with `base_seed + number`.
        shared_seed: what the seeds of shuffling data pipes are drawn from.
        others: in a forked process, the main process's ends of the pipes.
    """

    shipment: Any
    number: int
    workers: int
    base_seed: int
    streaming: bool
    batched: bool
    drop_last: bool
    shared_seed: int | None = None
    others: list[Any] = field(default_factory=list)


def seed_everything(base_seed: int, number: int) -> int:
    """Seed this process's generators as PyTorch seeds a worker's; returns the seed."""
    seed = base_seed + number
    random.seed(seed)
    manual_seed(seed)
    words = [number, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))
    return seed


def work(connection: Any, order: Order) -> None:
    """The body of a worker process: until the main process closes its end of the pipe."""
    # Ctrl-C reaches the whole group of processes; the main one ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in order.others:
        other.close()
    channel = Channel(connection)
    try:
        _Loop(channel, order).run()
    except (EOFError, ConnectionError, KeyboardInterrupt):
        pass
    finally:
        channel.close()


class _Loop:
    """Loads what it is told to."""

    def __init__(self, channel: Channel, order: Order):
        self._channel, self._order = channel, order
        self._where = f"in DataLoader worker process {order.number}"
        self._failure: WorkerFailure | None = None
        self._fetcher: Any = None
        self._ended = False
        self._dataset = self._collate = None
        try:
            self._prepare()
        except Exception:
            self._failure = WorkerFailure(self._where)

    def _prepare(self) -> None:
        global _info
        order = self._order
        seed = seed_everything(order.base_seed, order.number)
        self._dataset, self._collate, prepare = order.shipment.open()
        if is_pipe(self._dataset):
            share_out(self._dataset, order.workers, order.number)
        _info = WorkerInfo(order.number, order.workers, seed, self._dataset)
        if prepare is not None:
            prepare(order.number)
        self._begin(order.shared_seed)

    def _begin(self, shared_seed: int | None) -> None:
        """Make the fetcher of a new pass."""
        order, self._ended = self._order, False
        if shared_seed is not None:
            seed_all(self._dataset, shared_seed)
        assert self._collate is not None
        self._fetcher = new_fetcher(
            self._dataset, order.streaming, order.batched, self._collate, order.drop_last
        )

    def run(self) -> None:
        """Load and send, until the other end is closed."""
        while True:
            task: Task = self._channel.receive()
            if task.index is None:
                self._restart(task.shared_seed)
                continue
            if self._ended:
                continue
            data = self._load(task.index)
            self._send(Result(task.pass_number, task.number, data))

    def _restart(self, shared_seed: int | None) -> None:
        try:
            self._begin(shared_seed)
        except Exception:
            self._failure = WorkerFailure(self._where)

    def _load(self, index: Any) -> Any:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            return failure
        try:
            return self._fetcher.fetch(index[0])
        except StopIteration:
            if not self._order.streaming:
                return WorkerFailure(self._where)
            self._ended = True
            return EndOfStream()
        except Exception:
            return WorkerFailure(self._where)

    def _send(self, result: Result) -> None:
        """Send a result; one that cannot be pickled becomes a failure."""
        try:
            self._channel.send(result)
        except ConnectionError:
            raise
        except Exception:
            kind = type(result.data).__name__
            result.data = WorkerFailure(f"{self._where}, sending a {kind}")
            try:
                self._channel.send(result)
            except ConnectionError:
                raise
            except Exception:  # the class of the exception is local to the worker
                result.data.kind = RuntimeError
                self._channel.send(result)
