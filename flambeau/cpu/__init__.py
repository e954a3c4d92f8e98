"""`torch.cpu`: the processor, under the names that accelerators have."""

from __future__ import annotations

from typing import Any

from . import amp


class Stream:
    """The one stream of the processor, where work is done when it is asked for.

    Args:
        priority: accepted.
    """

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        """Do nothing: all work is done."""

    def record_event(self) -> None:
        """Do nothing: all work is done."""

    def wait_event(self, event: Any) -> None:
        """Do nothing: all work is done."""


class Event:
    """A point in the processor's work: it has always been reached."""

    def __init__(self, enable_timing: bool = False) -> None:
        pass

    def query(self) -> bool:
        """Whether the point has been reached: always."""
        return True

    def record(self, stream: Any = None) -> None:
        """Do nothing: all work is done."""

    def synchronize(self) -> None:
        """Do nothing: all work is done."""

    def wait(self, stream: Any = None) -> None:
        """Do nothing: all work is done."""


_stream = Stream()


class StreamContext:
    """Context manager: work inside goes to `stream`."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass


def stream(stream: Stream | None) -> StreamContext:
    """Context manager: work inside goes to `stream`."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream that work goes to."""
    return _stream


def is_available() -> bool:
    """Whether there is a processor: yes."""
    return True


def is_initialized() -> bool:
    """Whether the processor is in use: yes."""
    return True


def device_count() -> int:
    """How many CPU devices there are: one."""
    return 1


def current_device() -> str:
    """The current device: "cpu"."""
    return "cpu"


def set_device(device: Any) -> None:
    """Do nothing: there is one device."""


def synchronize(device: Any = None) -> None:
    """Wait until the processor has done everything that it was given.

    Functions return before XLA has finished; reading a value waits for it by itself.
    """
    import jax

    jax.block_until_ready(jax.live_arrays("cpu"))
