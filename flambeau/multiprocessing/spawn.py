"""`spawn`: run a function in several processes, and raise here what one of them raised."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ProcessException(Exception):
    """A process of `spawn` failed."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid

    def __reduce__(self) -> Any:
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A process of `spawn` ended with an exception."""


class ProcessExitedException(ProcessException):
    """A process of `spawn` ended by a signal or with an exit code."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: Any = None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self) -> Any:
        return type(self), (
            self.msg,
            self.error_index,
            self.pid,
            self.exit_code,
            self.signal_name,
        )


def _run(function: Callable[..., Any], rank: int, args: tuple[Any, ...], report: str) -> None:
    """The body of a process: what it raises goes into the file `report`."""
    try:
        function(rank, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        Path(report).write_bytes(pickle.dumps(traceback.format_exc()))
        sys.exit(1)


class ProcessContext:
    """The processes that `spawn(join=False)` started.

    Attributes:
        processes: the processes, in their order.
    """

    def __init__(self, processes: list[Any], reports: list[str]) -> None:
        self.processes = processes
        self.error_files = reports
        self.sentinels = {p.sentinel: i for i, p in enumerate(processes)}

    def pids(self) -> list[int]:
        """The processes' numbers in the system."""
        return [int(p.pid) for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for a process to end; True when all have ended well.

        Args:
            timeout: how many seconds to wait at most.
            grace_period: how long the others may still run when one has failed.

        Raises:
            ProcessRaisedException: one raised; the others were ended.
            ProcessExitedException: one was ended by a signal or an exit code.
        """
        if not self.sentinels:
            return True
        ready = multiprocessing.connection.wait(list(self.sentinels), timeout=timeout)
        failed = None
        for sentinel in ready:
            index = self.sentinels.pop(sentinel)  # type: ignore[arg-type]
            process = self.processes[index]
            process.join()
            if process.exitcode != 0:
                failed = index
                break
        if failed is None:
            return not self.sentinels
        self._end_the_others(grace_period)
        self._raise(failed)
        return False

    def _end_the_others(self, grace_period: float | None) -> None:
        until = time.monotonic() + (grace_period or 0)
        for process in self.processes:
            process.join(max(0.0, until - time.monotonic()) if grace_period else 0)
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def _raise(self, index: int) -> None:
        process, report = self.processes[index], Path(self.error_files[index])
        if report.exists():
            text = pickle.loads(report.read_bytes())
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{text}",
                index,
                process.pid,
            )
        code = process.exitcode
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"<Unknown signal {-code}>"
            raise ProcessExitedException(
                f"process {index} terminated with signal {name}", index, process.pid, code, name
            )
        raise ProcessExitedException(
            f"process {index} terminated with exit code {code}", index, process.pid, code
        )


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run `fn(i, *args)` in processes i = 0 ... nprocs - 1.

    Args:
        join: wait for all of them; otherwise their `ProcessContext` is returned.
        daemon: end them with this process.
        start_method: "spawn", "fork" or "forkserver".

    Raises:
        ProcessRaisedException: one raised; the others were ended.
        ProcessExitedException: one was ended by a signal or an exit code.
    """
    context = multiprocessing.get_context(start_method)
    folder = tempfile.TemporaryDirectory(prefix="flambeau-spawn-")
    processes, reports = [], []
    for rank in range(nprocs):
        report = str(Path(folder.name) / str(rank))
        process = context.Process(  # type: ignore[attr-defined]
            target=_run, args=(fn, rank, args, report), daemon=daemon
        )
        process.start()
        processes.append(process)
        reports.append(report)
    started = ProcessContext(processes, reports)
    started._folder = folder  # type: ignore[attr-defined]
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run `fn(i, *args)` in `nprocs` new processes; see `start_processes`."""
    if start_method != "spawn":
        import warnings

        warnings.warn(
            "This method only supports start_method=spawn (got: "
            f"{start_method}).\nTo use a different start_method use:\n\t\t "
            "torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, "spawn")
