"""When does ``serve`` stop? On SIGTERM or SIGINT; a second one ends it at once, as if nobody listened.

The handlers do nothing: Python writes the signal's number to a socket, and `Stop.wait` reads it. A handler that
did something would run between any two instructions of the main thread.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from types import TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A context manager, for the main thread. ``until_eof``: the end of standard input stops it too."""

    def __init__(self, until_eof: bool = False) -> None:
        self._until_eof = until_eof

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: list[Any] = [signal.signal(number, lambda *_: None) for number in SIGNALS]
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in zip(SIGNALS, self._before, strict=True):
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> str | None:
        """Wait so long, and not longer than until there is a reason to stop; the reason."""
        watched: list[Any] = [self._reader, *([sys.stdin] if self._until_eof else [])]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._reader in ready:
            return signal.Signals(self._reader.recv(1)[0]).name
        if ready and not os.read(sys.stdin.fileno(), 4096):
            return "end of standard input"
        return None
