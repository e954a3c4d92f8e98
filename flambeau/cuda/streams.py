"""Streams and events. XLA runs a GPU's programs one after the other on one stream of its own.

A stream only allows work to overlap; it never demands it. So every `Stream` here stands for XLA's
stream, and waiting for one waits for the GPU.
"""

from __future__ import annotations

import time
from typing import Any

from .device import index_of, is_available, require_cuda, synchronize


class Stream:
    """A queue of work on a GPU.

    Raises:
        RuntimeError: there is no GPU.
    """

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        if not is_available():
            raise RuntimeError("torch.cuda.Stream requires CUDA support")
        self.device_index = index_of(device, optional=True)
        self.priority = priority

    def synchronize(self) -> None:
        """Wait until all work is done."""
        synchronize(self.device_index)

    def query(self) -> bool:
        """Whether all work is done; it is after waiting for it."""
        self.synchronize()
        return True

    def wait_stream(self, stream: Stream) -> None:
        """Do nothing: work is done in the order in which it was given."""

    def wait_event(self, event: Event) -> None:
        """Do nothing: work is done in the order in which it was given."""

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event, by default a new one."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.device_index == self.device_index

    def __hash__(self) -> int:
        return hash(("cuda", self.device_index))

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class ExternalStream(Stream):
    """Raises: XLA runs on streams of its own only."""

    def __init__(self, stream_ptr: int, device: Any = None, **kwargs: Any) -> None:
        raise NotImplementedError("flambeau.cuda.ExternalStream")


class Event:
    """A point in the work of a GPU; recording one waits for the work before it.

    Args:
        enable_timing: `elapsed_time` may be asked for.

    Raises:
        RuntimeError: there is no GPU.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        if not is_available():
            raise RuntimeError("Tried to instantiate dummy base class Event")
        self.enable_timing = enable_timing
        self._time: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Wait for the work so far, and note the time."""
        synchronize(None if stream is None else stream.device_index)
        self._time = time.perf_counter()

    def wait(self, stream: Stream | None = None) -> None:
        """Do nothing: what was recorded is done."""

    def query(self) -> bool:
        """Whether the work is done: always."""
        return True

    def synchronize(self) -> None:
        """Do nothing: what was recorded is done."""

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to `end_event`."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._time is None or end_event._time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end_event._time - self._time) * 1000


class StreamContext:
    """Context manager: work inside goes to a stream; None does nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass


def stream(stream: Stream | None) -> StreamContext:
    """Context manager: work inside goes to `stream`; None does nothing."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream that work goes to."""
    require_cuda()
    return Stream(device)


def default_stream(device: Any = None) -> Stream:
    """The stream that work goes to unless told otherwise."""
    require_cuda()
    return Stream(device)


def set_stream(stream: Stream | None) -> None:
    """Make a stream the current one; None does nothing."""


def is_current_stream_capturing() -> bool:
    """Whether a graph is being captured: never."""
    if not is_available():
        raise RuntimeError("Tried to instantiate dummy base class _cuda_isCurrentStreamCapturing")
    return False


def get_sync_debug_mode() -> int:
    """Whether waiting for the GPU warns or raises: 0, it does neither."""
    require_cuda()
    return 0


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Only 0, "default", is there: XLA does not tell when it waits."""
    require_cuda()
    if debug_mode not in (0, "default"):
        raise NotImplementedError(f"flambeau.cuda.set_sync_debug_mode({debug_mode!r})")
