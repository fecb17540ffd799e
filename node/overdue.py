"""Awaited calls end in time even if the writer does not answer: its disk hangs, or a function that it called does not return.

Threads time their waits themselves. A timer for each awaited call would cost more than the call's share of a commit, so here a
thread of its own looks now and then, and only at a turn that is the same at two looks. A call that is answered costs nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from .errors import WaitTimeout
from .limits import GROUP_MAX, QUEUED_MAX, SETTLE_S_MAX
from .ticket import Future, Ticket, Waiter
from .turns import Disconnected, Input, Write

Call = Callable[[], Any]
"""Something else to be done on the writer thread, between two turns."""
Entry = tuple[Input | Call, Waiter]


class UnderWay:
    """What the writer has taken and not answered, and what was queued behind it when a turn went on for too long."""

    def __init__(self) -> None:
        self.room = QUEUED_MAX
        """How many may be in the queue: less by those that are set aside."""
        self._lock = threading.Lock()
        self._group: list[Entry] = []
        self._aside: deque[Entry] = deque()
        self._turn = self._seen_turn = 0
        self._is_busy = False
        self._since: dict[Future, float] = {}  # who waits -> since when, as far as was seen

    # On the writer thread.

    def begin(self, group: list[Entry]) -> None:
        """These are under way, until `end`."""
        self._group = group
        self._turn += 1
        self._is_busy = True

    def end(self) -> list[Entry]:
        """They are answered; what was set aside meanwhile, up to a group less one. From here on the queue is the writer's alone."""
        with self._lock:
            self._is_busy = False
            self._group = []
            if not self._aside:
                return []
            taken = [self._aside.popleft() for _ in range(min(len(self._aside), GROUP_MAX - 1))]
            self.room = QUEUED_MAX - len(self._aside)
            return taken

    # On any thread.

    @property
    def aside(self) -> int:
        """Entries that wait for the next turn, and are not in the queue."""
        return len(self._aside)

    def overdue(
        self, queue: SimpleQueue[Entry | None], kept: Iterable[Entry], now: float
    ) -> list[tuple[Future, WaitTimeout]]:
        """Who has waited for too long, and what he is to be told. ``kept`` are answered by a later turn; ``now`` is monotonic."""
        with self._lock:
            if not self._is_busy:
                self._since.clear()
                return []
            if self._turn != self._seen_turn:
                self._seen_turn = self._turn
                return []
            self._set_aside(queue)
            return self._too_long([*self._group, *self._aside, *kept], now)

    def _set_aside(self, queue: SimpleQueue[Entry | None]) -> None:
        """A queue cannot be looked through; its order is kept, since the writer takes from it only after these."""
        try:
            for _ in range(queue.qsize()):
                entry = queue.get_nowait()
                if entry is not None:
                    self._aside.append(entry)
        except Empty:
            pass
        self.room = QUEUED_MAX - len(self._aside)

    def _too_long(self, entries: list[Entry], now: float) -> list[tuple[Future, WaitTimeout]]:
        waiting = {
            waiter: what
            for what, waiter in entries
            if not isinstance(waiter, Ticket) and not waiter.done() and not isinstance(what, Disconnected)
        }
        self._since = {waiter: self._since.get(waiter, now) for waiter in waiting}
        return [
            (waiter, late(seconds))
            for waiter, what in waiting.items()
            if now - self._since[waiter] >= (seconds := patience(what))
        ]


def patience(what: Input | Call) -> float:
    """Seconds that the writer has to answer."""
    return SETTLE_S_MAX + (what.wait if isinstance(what, Write) else 0.0)


def late(seconds: float) -> WaitTimeout:
    """What a caller is told whom the writer has not answered."""
    return WaitTimeout(f"no answer of the writer within {seconds:g} s; a write may still be committed")
