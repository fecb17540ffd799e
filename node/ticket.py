"""Who waits for the outcome of a submission: a thread with a `Ticket`, or a coroutine with a future.

Both are settled from the writer thread. The futures of one event loop are settled by a single callback,
since waking a loop (a system call) costs more than a write.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from .errors import WaitTimeout
from .limits import SETTLE_S_MAX

TURN_MAX = 32
"""Futures that are settled in one turn of their loop: each wakes a task, and timers and sockets wait until all of these have
run. With 256 at once the loop was a quarter later at the 99th percentile, and nothing was faster."""


class Ticket:
    """The outcome of one submission, for a thread to wait for."""

    __slots__ = ("_lock", "_outcome")

    def __init__(self) -> None:
        # A bare lock: a Condition, as in concurrent.futures, costs more than the whole handoff.
        self._lock = threading.Lock()
        self._lock.acquire()
        self._outcome: Any = None

    def settle(self, outcome: Any) -> None:
        """Give the result, or the exception to be raised. Once only."""
        self._outcome = outcome
        self._lock.release()

    def result(self, timeout: float = SETTLE_S_MAX) -> Any:
        """Wait for the result, up to ``timeout`` seconds (`WaitTimeout`), and return or raise it."""
        if not self._lock.acquire(timeout=timeout):
            raise WaitTimeout(f"no answer of the writer within {timeout:g} s; a write may still be committed")
        self._lock.release()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


Future = asyncio.Future[Any]
Waiter = Ticket | Future


def settle(outcomes: Iterable[tuple[Waiter, Any]]) -> None:
    """Give each waiter its outcome, from any thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Future, Any]]] = {}
    for waiter, outcome in outcomes:
        if isinstance(waiter, Ticket):
            waiter.settle(outcome)
        else:
            by_loop.setdefault(waiter.get_loop(), []).append((waiter, outcome))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_futures, loop, pairs)
        except RuntimeError:  # the loop is closed, so nobody waits
            pass


def _settle_futures(loop: asyncio.AbstractEventLoop, pairs: list[tuple[Future, Any]]) -> None:
    for future, outcome in pairs[:TURN_MAX]:
        if future.done():  # cancelled
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
    if len(pairs) > TURN_MAX:
        loop.call_soon(_settle_futures, loop, pairs[TURN_MAX:])
