"""What comes in on all links, on its way to the writer: several messages at once where they come quickly.

Why wait? A turn and what is sent after it cost about as much for five messages as for one, and the acknowledgements of
one event come from all peers within a few milliseconds. A message that comes alone is passed on at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..limits import GATHER_S
from ..turns import Received
from ..writer import Writer

Taken = Callable[[asyncio.Future[Any]], None]


class Intake:
    """Lives on the loop."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Received, Taken]] = []
        self._passed_at = -GATHER_S

    def put(self, message: Received, taken: Taken) -> None:
        """Pass a message on, now or soon; ``taken`` is told what became of it. The order stays."""
        self._waiting.append((message, taken))
        if len(self._waiting) == 1:
            due = self._passed_at + GATHER_S
            if self._loop.time() >= due:
                self.pass_on()
            else:
                self._loop.call_at(due, self.pass_on)

    def pass_on(self) -> None:
        """Pass on all that waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._passed_at = self._loop.time()
        for message, taken in waiting:
            self._writer.enqueue(message).add_done_callback(taken)
