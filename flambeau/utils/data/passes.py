"""One pass over a data set: in this process, or by worker processes."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import select
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ...core.device import accelerator_count
from .channel import Channel, Shipment
from .datapipes.datapipe import IterDataPipe
from .datapipes.graph import seed_all
from .dataset import IterableDataset
from .fetch import new_fetcher
from .sampler import draw_seed
from .worker import EndOfStream, Order, Result, Task, WorkerFailure, work

if TYPE_CHECKING:
    from .dataloader import DataLoader

_ENDED_AT_THE_START = (
    "The worker ended before it loaded anything; its own error is printed above. A worker process "
    "imports the program's main module anew: what that does belongs under `if __name__ == "
    '"__main__":`.'
)
PATIENCE = 5.0  # seconds that a worker has to finish what it is doing, when a pass ends
_starting = threading.Lock()
_our_ends: weakref.WeakSet[Any] = weakref.WeakSet()

_NO_PINNED_MEMORY = (
    "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory "
    "won't be used."
)
_MORE_THAN_ANNOUNCED = (
    "Length of IterableDataset {} was reported to be {}(when accessing len(dataloader)), but {} "
    "samples have been fetched. "
)
_REPLICAS = (
    "For multiprocessing data-loading, this could be caused by not properly configuring the "
    "IterableDataset replica at each worker. Please see "
    "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
)


class Pass:
    """What both kinds of passes have in common: they are iterators over batches."""

    def __init__(self, loader: DataLoader) -> None:
        if loader.pin_memory and not accelerator_count():
            warnings.warn(_NO_PINNED_MEMORY, stacklevel=4)
        self._loader = loader
        self._dataset: Any = loader.dataset
        self._streaming = isinstance(self._dataset, IterableDataset)
        self._shared_seed = self._draw_shared_seed(loader)
        self._indices: Iterator[Any] = iter(loader._index_sampler)
        # Drawn without workers, too, as in PyTorch.
        self._base_seed = draw_seed(loader.generator)
        self._announced_length = loader._announced_length
        self._yielded = 0

    def _draw_shared_seed(self, loader: DataLoader) -> int | None:
        """The seed that all shuffling pipes draw theirs from; None without pipes."""
        if not isinstance(self._dataset, IterDataPipe):
            return None
        seed = draw_seed(loader.generator)
        seed_all(self._dataset, seed)
        return seed

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __next__(self) -> Any:
        data = self._next_batch()
        self._yielded += 1
        announced = self._announced_length
        if self._streaming and announced is not None and self._yielded > announced:
            text = _MORE_THAN_ANNOUNCED.format(self._dataset, announced, self._yielded)
            text += _REPLICAS if self._loader.num_workers else ""
            warnings.warn(text, stacklevel=2)
        return data

    def _next_batch(self) -> Any:
        raise NotImplementedError


class MainProcessPass(Pass):
    """A pass that loads in this process."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        if loader.timeout:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        batched = loader.batch_sampler is not None
        self._fetcher = new_fetcher(
            self._dataset, self._streaming, batched, loader.collate_fn, loader.drop_last
        )

    def _next_batch(self) -> Any:
        return self._fetcher.fetch(next(self._indices))


class Worker:
    """A worker process, seen from the main process."""

    def __init__(self, number: int, process: Any, connection: Any):
        self.number, self.process, self.connection = number, process, connection
        self.channel = Channel(connection)
        self.tasks = 0  # sent and not answered
        self.active = True
        self.answered = False

    def end(self) -> None:
        """Tell the process that nothing more will be asked of it."""
        self.active = False
        self.channel.close()


class WorkersPass(Pass):
    """A pass whose batches worker processes load, a few ahead of the loop that takes them.

    Task i goes to the next worker in turn, and results are handed out in the order of the tasks
    (`in_order`), so that the values do not depend on which worker is faster.
    """

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        loader.check_worker_number_rationality()
        self._persistent = loader.persistent_workers
        self._ahead = loader.prefetch_factor or 0
        self._pass_number = 0
        self._workers: list[Worker] = []
        # Ends the workers when this object goes, when the interpreter exits, or when told to.
        self._shut_down = weakref.finalize(self, _end_workers, self._workers, os.getpid())
        try:
            self._start(loader)
        except BaseException:
            self._shut_down()
            raise
        self._draw_shared_seed(loader)  # once more, unused, as in PyTorch
        self._begin()

    def restart(self, loader: DataLoader) -> None:
        """Begin another pass with the workers of the last one."""
        self._shared_seed = self._draw_shared_seed(loader)
        self._indices = iter(loader._index_sampler)
        self._announced_length, self._yielded = loader._announced_length, 0
        self._pass_number += 1
        for worker in self._workers:
            worker.active, worker.tasks = True, 0
            self._send(worker, Task(self._pass_number, -1, None, self._shared_seed))
        self._begin()

    # Processes

    def _start(self, loader: DataLoader) -> None:
        context = loader.multiprocessing_context or default_context()
        forked = context.get_start_method() == "fork"
        parts = (self._dataset, loader.collate_fn, loader.worker_init_fn)
        shipment = Shipment(parts)
        batched = loader.batch_sampler is not None
        for number in range(loader.num_workers):
            order = Order(
                shipment,
                number,
                loader.num_workers,
                self._base_seed,
                self._streaming,
                batched,
                loader.drop_last,
                self._shared_seed,
            )
            ours, theirs = context.Pipe(duplex=True)
            order.others = [ours, *_our_ends] if forked else []
            _our_ends.add(ours)
            process = context.Process(
                target=work, args=(theirs, order), name=f"DataLoaderWorker-{number}", daemon=True
            )
            with _starting, _environment_of_workers(forked):
                try:
                    process.start()
                except (AttributeError, TypeError, ValueError, pickle.PicklingError) as error:
                    _explain(error)
                    raise
            theirs.close()
            self._workers.append(Worker(number, process, ours))
        shipment.close()

    # Tasks and results

    def _begin(self) -> None:
        self._sent = self._wanted = 0
        self._owner: dict[int, Worker] = {}
        self._results: dict[int, Any] = {}
        self._turn = itertools.cycle(self._workers)
        for _ in range(self._ahead * len(self._workers)):
            self._dispatch()

    def _dispatch(self) -> None:
        """Give the next task to the worker whose turn it is."""
        worker = self._next_worker()
        if worker is None:
            return
        index = next(self._indices, _NOTHING)
        if index is _NOTHING:
            return
        number, self._sent = self._sent, self._sent + 1
        self._owner[number] = worker
        worker.tasks += 1
        self._send(worker, Task(self._pass_number, number, (index,)))

    def _next_worker(self) -> Worker | None:
        for worker in itertools.islice(self._turn, len(self._workers)):
            free = self._loader.in_order or worker.tasks < self._ahead
            if worker.active and free:
                return worker
        return None

    def _send(self, worker: Worker, task: Task) -> None:
        """Send a task; where the pipe is full, results are taken out of it first."""
        while not _has_room(worker.connection):
            self._take(worker)
            if worker.connection.closed:  # that was the end of its stream
                return
        try:
            worker.channel.send(task)
        except ConnectionError:
            self._raise_for_the_dead(worker)

    def _next_batch(self) -> Any:
        while True:
            number = self._next_number()
            if number is None:
                if not self._persistent:
                    self._shut_down()
                raise StopIteration
            if number not in self._results:
                self._wait()
                continue
            data = self._results.pop(number)
            del self._owner[number]
            self._dispatch()
            if isinstance(data, WorkerFailure):
                data.reraise()
            return data

    def _next_number(self) -> int | None:
        """The number of the batch to hand out next; None at the end of the pass."""
        if not self._loader.in_order:
            return next(iter(self._results), next(iter(self._owner), None))
        while self._wanted < self._sent:
            if self._wanted in self._owner:
                return self._wanted
            self._wanted += 1
        return None

    def _wait(self) -> None:
        """Take the next result of any worker."""
        active = [worker for worker in self._workers if worker.active]
        by_handle: dict[Any, Worker] = {worker.connection: worker for worker in active}
        sentinels = [worker.process.sentinel for worker in active]
        timeout = self._loader.timeout or None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = multiprocessing.connection.wait([*by_handle, *sentinels], left)
            if not ready:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            speaking = [by_handle[handle] for handle in ready if handle in by_handle]
            if not speaking:
                self._raise_for_the_dead()
            if sum(self._take(worker) for worker in speaking):
                return

    def _take(self, worker: Worker) -> bool:
        """Take one message of a worker; True if it belongs to this pass."""
        try:
            result: Result = worker.channel.receive()
        except (EOFError, ConnectionError):
            self._raise_for_the_dead(worker)
        worker.answered = True
        if result.pass_number != self._pass_number:
            return False
        worker.tasks -= 1
        if isinstance(result.data, EndOfStream):
            worker.active = False
            if not self._persistent:
                worker.end()
            for number in [n for n, w in self._owner.items() if w is worker]:
                if number not in self._results:
                    del self._owner[number]
            self._dispatch()
        else:
            self._results[result.number] = result.data
        return True

    def _raise_for_the_dead(self, silent: Worker | None = None) -> NoReturn:
        """Raise, with the numbers of the worker processes that are gone."""
        if silent is not None:
            silent.process.join(PATIENCE)
        dead = [w for w in self._workers if w.active and not w.process.is_alive()]
        reason = RuntimeError(_reason(dead[0])) if dead else None
        numbers = ", ".join(str(worker.process.pid) for worker in dead)
        for worker in dead:
            worker.end()
        error = RuntimeError(f"DataLoader worker (pid(s) {numbers}) exited unexpectedly")
        if dead and not dead[0].answered and dead[0].process.exitcode == 1:
            error.add_note(_ENDED_AT_THE_START)
        raise error from reason


_NOTHING = object()


def _has_room(connection: Any) -> bool:
    """Whether a pipe takes a message; if not, waits for one to come out of it."""
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLOUT)
    ((_, events),) = poll.poll()
    return not events & select.POLLIN or bool(events & select.POLLOUT)


def _reason(worker: Worker) -> str:
    code, pid = worker.process.exitcode, worker.process.pid
    if code is not None and code < 0:
        name = signal.strsignal(-code)
        return f"DataLoader worker (pid {pid}) is killed by signal: {name}. "
    return (
        f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}. Details are "
        "lost due to multiprocessing. Rerunning with num_workers=0 may give better error trace."
    )


def _end_workers(workers: list[Worker], owner: int) -> None:
    """End all processes: kindly at first."""
    if os.getpid() != owner:  # a forked copy of the main process
        return
    for worker in workers:
        worker.end()
    deadline = time.monotonic() + PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for worker in workers:
        if worker.process.is_alive():
            worker.process.terminate()
    for worker in workers:
        worker.process.join(1)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
    workers.clear()


# Starting

_NUMERIC_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _environment_of_workers:
    """What the environment says while a worker process is started."""

    def __init__(self, forked: bool):
        self._values = {} if forked else {"FLAMBEAU_WORKER": "1"}
        self._values |= {name: "1" for name in _NUMERIC_THREADS if not forked}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *exception: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def default_context() -> Any:
    """How workers are started: by a server process that has the library loaded, or anew."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "flambeau.utils.data.worker"])
    return context


def _explain(error: BaseException) -> None:
    error.add_note(
        "Worker processes of a DataLoader are started anew, so the data set, collate_fn and "
        "worker_init_fn are pickled: define their classes and functions at the top level of a "
        "module. multiprocessing_context='fork' does without pickling; such workers may use "
        "NumPy, but no operations of this library."
    )
