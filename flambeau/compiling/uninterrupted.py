"""Ctrl-C waits while a program runs that overwrites the parameters in their own memory."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any


class Uninterrupted:
    """A block that Ctrl-C does not break into: the signal's handler is called at its end.

    A program that was given the memory of the parameters has destroyed them by the time it
    returns; an exception before its outputs are in their places would lose the model.
    """

    __slots__ = ("frame", "handler")

    def __enter__(self) -> Uninterrupted:
        self.handler: Any = None
        self.frame: Any = None
        if threading.get_ident() == threading.main_thread().ident:  # signals are handled there
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self.handler = handler
                signal.signal(signal.SIGINT, self._wait)
        return self

    def _wait(self, number: int, frame: Any) -> None:
        self.frame = frame or sys._getframe()

    def __exit__(self, *error: object) -> None:
        if self.handler is None:
            return
        signal.signal(signal.SIGINT, self.handler)
        if self.frame is not None:
            frame, self.frame = self.frame, None
            self.handler(signal.SIGINT, frame)
