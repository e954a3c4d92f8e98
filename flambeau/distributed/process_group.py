"""The default process group: how processes find each other, and who they are.

Processes meet at JAX's coordinator, which the process of rank 0 runs at MASTER_ADDR:MASTER_PORT (or
at the address of `tcp://`).
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import jax
from jax.extend import backend as jax_backend

from ..core.state import modes
from .mesh import Processes

NO_GROUP = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)
TOO_LATE = (
    "init_process_group was called after JAX had begun to compute in this process; call it at the "
    "start of the program, before the first operation that runs compiled code"
)


class TooLate(Exception):
    """There are arrays on devices that JAX found before it knew of the other processes."""


DEFAULT_TIMEOUT = timedelta(minutes=30)


class ProcessGroup:
    """The processes that take part in a collective operation."""

    def __init__(self, processes: Processes, backend: str, coordinated: bool) -> None:
        self.processes = processes
        self.backend = backend
        self.coordinated = coordinated

    def rank(self) -> int:
        """This process's number."""
        return self.processes.rank

    def size(self) -> int:
        """How many processes there are."""
        return self.processes.size

    def name(self) -> str:
        """The backend's name."""
        return self.backend


class _World(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        return _default


class group(metaclass=_World):
    """`group.WORLD`: the group of all processes, or None before `init_process_group`."""


_default: ProcessGroup | None = None
_failed = False


def is_available() -> bool:
    """Whether processes can work together: yes."""
    return True


def is_initialized() -> bool:
    """Whether `init_process_group` has been called."""
    return _default is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Meet the other processes of this job. Call it before anything is computed.

    Args:
        backend: "gloo", the only one that is built.
        init_method: "env://" (the default: MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE from the
            environment) or "tcp://host:port", of the process of rank 0.
        timeout: how long to wait for the others; 30 minutes by default.
        world_size: the number of processes, if not from the environment.
        rank: this process's number, if not from the environment.
        store, pg_options, device_id: not built.
        group_name: ignored, as in PyTorch.

    Raises:
        ValueError: there is a group already, or something is missing.
        RuntimeError: JAX has computed in this process before, or the others did not come.
    """
    global _default
    if _default is not None:
        raise ValueError("trying to initialize the default process group twice!")
    for name, value in (("store", store), ("pg_options", pg_options), ("device_id", device_id)):
        if value is not None:
            raise NotImplementedError(f"torch.distributed.init_process_group({name}=)")
    chosen = (backend or "gloo").lower()
    if chosen not in ("gloo", "cpu:gloo"):
        raise NotImplementedError(f"torch.distributed.init_process_group(backend={backend!r})")
    address, rank, world_size = _rendezvous(init_method or "env://", rank, world_size)
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not one of the {world_size} processes of world_size")
    if world_size > 1:
        _meet(address, rank, world_size, timeout or DEFAULT_TIMEOUT)
    _default = ProcessGroup(Processes(rank, world_size), "gloo", world_size > 1)


def _rendezvous(method: str, rank: int, world_size: int) -> tuple[str, int, int]:
    """The coordinator's address, this process's number, and the number of processes."""
    url = urlsplit(method)
    if url.scheme == "env":
        rank = int(_from_environment("RANK")) if rank < 0 else rank
        world_size = int(_from_environment("WORLD_SIZE")) if world_size < 0 else world_size
        address = f"{_from_environment('MASTER_ADDR')}:{_from_environment('MASTER_PORT')}"
        return address, rank, world_size
    if url.scheme == "tcp":
        given = {name: int(values[-1]) for name, values in parse_qs(url.query).items()}
        rank = given.get("rank", rank)
        world_size = given.get("world_size", world_size)
        for name, value in (("port number", url.port), ("rank parameter", rank >= 0)):
            if not value:
                raise ValueError(
                    f"Error initializing torch.distributed using tcp:// rendezvous: {name} missing"
                )
        if world_size < 0:
            raise ValueError(
                "Error initializing torch.distributed using tcp:// rendezvous: "
                "world size parameter missing"
            )
        return f"{url.hostname}:{url.port}", rank, world_size
    if url.scheme == "file":
        raise NotImplementedError("torch.distributed.init_process_group(init_method='file://...')")
    raise RuntimeError(f"No rendezvous handler for {url.scheme}://")


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(
            "Error initializing torch.distributed using env:// rendezvous: environment variable "
            f"{name} expected, but not set"
        )
    return value


def _meet(address: str, rank: int, world_size: int, timeout: timedelta) -> None:
    """Join the job at JAX's coordinator; undo what was set where that fails."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    seconds = max(1, int(timeout.total_seconds()))
    if rank == 0:
        _check_free(address)

    def join() -> None:
        jax.distributed.initialize(
            address,
            world_size,
            rank,
            initialization_timeout=seconds,
            shutdown_timeout_seconds=seconds,
        )

    try:
        try:
            join()
        except RuntimeError as error:
            if "must be called before" not in str(error):
                raise
            _forget_devices()
            join()
    except TooLate:
        raise RuntimeError(TOO_LATE) from None
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {rank} of {world_size} could not meet the other processes at {address} "
            f"({str(error).splitlines()[0]})"
        ) from None
    _leave_at_once_on_failure()


def _check_free(address: str) -> None:
    """Raise where another program uses the coordinator's port: JAX would end the process."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise RuntimeError(
                f"the coordinator cannot listen on port {port} ({error.strerror}); "
                "choose another one for MASTER_PORT"
            ) from None


def _forget_devices() -> None:
    """Have JAX look for devices anew, where a program has only asked whether there is a GPU."""
    if jax.live_arrays():
        raise TooLate
    jax_backend.clear_backends()


def _leave_at_once_on_failure() -> None:
    """A program that raised must not wait at exit for the others, who may be waiting for it."""
    shown = sys.excepthook

    def note(*about: Any) -> None:
        global _failed
        _failed = True
        shown(*about)

    sys.excepthook = note
    atexit.register(_leave_if_failed)


def _leave_if_failed() -> None:
    if _failed and _default is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def destroy_process_group(group: Any = None) -> None:
    """Leave the process group, once all its processes do."""
    global _default
    if _default is None or (group is not None and group is not _default):
        raise AssertionError("Process group cannot be None")
    leaving, _default = _default, None
    if leaving.coordinated:
        jax.distributed.shutdown()


def default_group(function: str, group: Any = None) -> ProcessGroup:
    """The default group, which is the only one; errors in the name of `function`."""
    if _default is None:
        raise ValueError(NO_GROUP)
    if group is not None and group is not _default:
        raise NotImplementedError(f"torch.distributed.{function}(group=)")
    if modes.trace is not None:
        raise NotImplementedError(f"torch.distributed.{function} in a compiled function")
    return _default


def get_rank(group: Any = None) -> int:
    """This process's number in the group, from 0."""
    return default_group("get_rank", group).rank()


def get_world_size(group: Any = None) -> int:
    """How many processes there are."""
    return default_group("get_world_size", group).size()


def get_backend(group: Any = None) -> str:
    """The name of the group's backend."""
    return default_group("get_backend", group).backend


def not_built(function: str) -> NoReturn:
    """What a function of PyTorch's does that is not built."""
    default_group(function)
    raise NotImplementedError(f"torch.distributed.{function}")
