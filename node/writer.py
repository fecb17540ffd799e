"""The writer thread: the one place where a node's core is driven, and where writes become groups.

How do many writers share one fsync? Everything that has queued up while the last transaction was committed
makes the next one (group commit), so a lone writer waits for one commit and a thousand wait for one as well.
Messages from peers go the same way, so applying them and writing never contend.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from . import fork
from .changing import check_outside
from .errors import Closed, GossamerError, LimitExceeded, StoreFailed, WaitTimeout
from .limits import END_S_MAX, GROUP_MAX, OVERDUE_LOOK_S, SETTLE_S_MAX, WAITS_MAX
from .overdue import Call, Entry, UnderWay
from .ticket import Future, Ticket, Waiter, settle
from .turns import KEPT, Core, Effect, Input, Instant, Tick
from .waiting import Until

log = logging.getLogger("gossamer")

TICK_S_MIN = 0.001
"""Between two ticks, whatever the core asks for: a mistake in ``wake_at`` must not become a busy loop."""
RETRY_S = 0.5
"""After a tick that failed (a full disk, say), before the next."""
PATIENCE_S_MAX = 3600.0
"""Longest wait for input; a queue takes no infinite timeout."""


class Writer:
    """Drives a core from one thread of its own, which starts with the first submission."""

    def __init__(
        self, core: Core, clock: Callable[[], Instant], dispatch: Callable[[Sequence[Effect]], None]
    ) -> None:
        """``dispatch`` is called on the writer thread with what the core wants sent; it must not block."""
        self._core, self._clock, self._dispatch = core, clock, dispatch
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()  # None: look whether to stop
        self._under_way = UnderWay()
        self._kept: dict[int, Entry] = {}  # id of a write that the core keeps -> it, and who waits for it
        self._waiting_for_room: deque[Waiter] = deque()
        self._untils: dict[Until, Waiter] = {}
        self._lifecycle = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._refusal: Exception | None = None
        self._stopping = self._ended = False
        self.is_forked = False
        self._tick_not_before = -math.inf
        self.fork_lock = fork.ForkLock()
        fork.guard(self)

    # From any thread.

    def submit(self, what: Input | Call) -> Ticket:
        """Queue an input, or a call; waits while the queue is full. `Closed` after `close`."""
        check_outside()
        if self._queue.qsize() >= self._under_way.room:
            self._find_room()
        ticket = Ticket()
        self._put((what, ticket))
        return ticket

    async def asubmit(self, what: Input | Call) -> Any:
        """Queue an input, or a call, and await its result. Cancelled, or too late (`WaitTimeout`), it may be committed all the same."""
        if self._queue.qsize() >= self._under_way.room:
            await self._afind_room()
        return await self.enqueue(what)

    def enqueue(self, what: Input | Call) -> Future:
        """`asubmit` without waiting for room, for one who bounds himself what he has under way."""
        future: Future = asyncio.get_running_loop().create_future()
        self._put((what, future))
        return future

    def watch(self, until: Until, waiter: Waiter) -> None:
        """Settle ``waiter`` once ``until`` lacks nothing; what its ``lacks`` raises is raised. `LimitExceeded`."""
        check_outside()
        self.check()
        if len(self._untils) >= WAITS_MAX:
            raise LimitExceeded(f"{WAITS_MAX} callers are waiting already")
        if self._thread is None:
            self.start()
        self._untils[until] = waiter
        self._queue.put(None)  # to be looked at now
        if self._ended:
            self._abandon()

    def start(self) -> None:
        """Start the thread, if it is not running: it also does what the core wants done at a certain time."""
        with self._lifecycle:
            self.check()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gossamer-writer", daemon=True)
                self._thread.start()
                self._watchdog = threading.Thread(target=self._watch, name="gossamer-overdue", daemon=True)
                self._watchdog.start()

    def check(self) -> None:
        """Raise what a submission would raise now."""
        if self._refusal is not None:
            raise copy.copy(self._refusal)  # each caller gets a traceback of its own

    def check_open(self) -> None:
        """Raise `Closed` if there is nothing to read any more; a failed store can still be read."""
        if self._refusal is not None and isinstance(self._refusal, Closed):
            raise copy.copy(self._refusal)

    @property
    def queued(self) -> int:
        """Inputs that wait for the next turn."""
        return self._queue.qsize() + self._under_way.aside

    @property
    def waiting(self) -> int:
        """Callers that wait for something to become so."""
        return len(self._untils)

    @property
    def is_done_for(self) -> bool:
        """Nothing will be committed any more."""
        return self._refusal is not None

    def close(self) -> bool:
        """Finish what was accepted, refuse everything else, and end the thread. Again: does nothing.

        False if the thread does not end: the core is in its hands, and must not be closed.
        """
        with self._lifecycle:
            self._stopping = True
            if not isinstance(self._refusal, Closed):
                self._refusal = Closed("the node is closed")
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(END_S_MAX)
            if thread.is_alive():
                log.error("the writer did not end within %g s: the disk may hang", END_S_MAX)
                return False
            self._watchdog.join(END_S_MAX)
        return True

    def forked(self, parent: int) -> None:
        """In a forked child: there is no thread here, so that nothing may ever be queued."""
        self.is_forked = True
        self._refusal = Closed(
            f"this is a forked child; the node belongs to process {parent}: open a node after the fork"
        )
        self._thread = None
        self._lifecycle = threading.Lock()  # held for ever, if a thread that is not here held it
        self._core.hub.forked()

    def _put(self, entry: Entry) -> None:
        self.check()
        if self._thread is None:
            self.start()
        self._queue.put(entry)
        if self._ended:  # it ended between the look and the put
            self._abandon()

    def _find_room(self) -> None:
        deadline = time.monotonic() + SETTLE_S_MAX
        while self._queue.qsize() >= self._under_way.room:
            room = Ticket()
            self._wait_for_room(room)
            try:
                room.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                self._give_up_room(room)
                raise _no_room() from None

    async def _afind_room(self) -> None:
        room: Future | None = None
        try:
            async with asyncio.timeout(SETTLE_S_MAX):
                while self._queue.qsize() >= self._under_way.room:
                    room = asyncio.get_running_loop().create_future()
                    self._wait_for_room(room)
                    await room
        except TimeoutError:
            if room is not None:
                self._give_up_room(room)
            raise _no_room() from None

    def _give_up_room(self, waiter: Waiter) -> None:
        with suppress(ValueError):  # it was found just now
            self._waiting_for_room.remove(waiter)

    def _wait_for_room(self, waiter: Waiter) -> None:
        self.check()
        self._waiting_for_room.append(waiter)
        if (
            self._queue.qsize() < self._under_way.room or self._ended
        ):  # the thread may have looked before the append
            self._make_room()

    def _make_room(self) -> None:
        waiting: list[tuple[Waiter, None]] = []
        try:
            while True:
                waiting.append((self._waiting_for_room.popleft(), None))
        except IndexError:
            settle(waiting)

    def _abandon(self) -> None:
        entries: list[Entry] = []
        while aside := self._under_way.end():
            entries += aside
        try:
            while True:
                entry = self._queue.get_nowait()
                if entry is not None:
                    entries.append(entry)
        except Empty:
            settle((waiter, Closed("the node is closed")) for _, waiter in entries)
        kept, self._kept = self._kept, {}
        settle((waiter, Closed("the node is closed")) for _, waiter in kept.values())
        waiting = [self._untils.pop(until, None) for until in list(self._untils)]
        settle((waiter, Closed("the node is closed")) for waiter in waiting if waiter is not None)
        self._make_room()

    def _watch(self) -> None:
        """The thread that answers for a writer that does not."""
        while not self._over.wait(OVERDUE_LOOK_S):
            overdue = self._under_way.overdue(self._queue, list(self._kept.values()), time.monotonic())
            if overdue:
                log.error("the writer is stuck, the disk may hang: %d callers wait no longer", len(overdue))
                settle(overdue)

    # On the writer thread.

    def _run(self) -> None:
        more = False
        try:
            while True:
                entries = self._take(wait=not (more or self._stopping))
                self._under_way.begin(entries)
                self._turn(entries)
                if self._untils:
                    self._look()
                more = self._send()
                if self._stopping and not entries:
                    return
        finally:
            self._ended = True
            self._over.set()
            self._abandon()

    def _take(self, wait: bool) -> list[Entry]:
        """All that is queued, up to a group; waits for something if ``wait``, at most until the next tick."""
        entries = self._under_way.end()
        if not self._under_way.aside:  # which came before what is queued
            self._take_queued(entries, wait and not entries)
        if self._waiting_for_room:
            self._make_room()
        return entries

    def _take_queued(self, entries: list[Entry], wait: bool) -> None:
        get_nowait = self._queue.get_nowait
        try:
            entry = self._queue.get(timeout=self._patience()) if wait else get_nowait()
            while entry is not None and len(entries) < GROUP_MAX - 1:
                entries.append(entry)
                entry = get_nowait()
            if entry is not None:
                entries.append(entry)
        except Empty:
            pass

    def _patience(self) -> float:
        due = max(self._core.wake_at, self._tick_not_before)
        return min(max(due - self._clock().mono, TICK_S_MIN), PATIENCE_S_MAX)

    def _turn(self, entries: list[Entry]) -> None:
        inputs = [what for what, _ in entries if not callable(what)]
        waiters = [waiter for what, waiter in entries if not callable(what)]
        now = self._clock()
        tick = now.mono >= max(self._core.wake_at, self._tick_not_before) and not self._stopping
        if inputs or tick:
            outcomes = self._outcomes([*inputs, Tick()] if tick else inputs, now)
            self._settle(zip(inputs, waiters, outcomes, strict=False))
            if tick:
                self._after_tick(outcomes[-1], now)
        if len(inputs) < len(entries):
            settle((waiter, self._called(what)) for what, waiter in entries if callable(what))

    def _settle(self, outcomes: Iterable[tuple[Input, Waiter, Any]]) -> None:
        """Give each waiter its outcome, but for writes that the core keeps; and those that it kept before."""
        settled: list[tuple[Waiter, Any]] = []
        for what, waiter, outcome in outcomes:
            if outcome is KEPT:
                self._kept[id(what)] = what, waiter
            else:
                settled.append((waiter, outcome))
        for write, outcome in self._core.take_settled():
            kept = self._kept.pop(
                id(write), None
            )  # None: of this very turn, which failed, so it has an outcome
            if kept is not None:
                settled.append((kept[1], outcome))
        settle(settled)

    def _outcomes(self, inputs: Sequence[Input], now: Instant) -> Sequence[Any]:
        if isinstance(self._refusal, StoreFailed):
            return [copy.copy(self._refusal) for _ in inputs]
        try:
            with self.fork_lock:
                return self._core.turn(inputs, now)
        except StoreFailed as error:
            log.error("the store failed; nothing more is written: %s", error)
            self._refusal = self._refusal or error
            self._core.hub.ring_all()  # those who wait for what will never come
            failure: Exception = error
        except GossamerError as error:  # a full disk, say: the callers are told
            failure = error
        except Exception as error:
            log.exception("a group of %d inputs failed", len(inputs))
            failure = error
        return [copy.copy(failure) for _ in inputs]

    def _after_tick(self, outcome: Any, now: Instant) -> None:
        failed = isinstance(outcome, Exception)
        if failed and self._refusal is None:
            log.warning("the node's upkeep failed and is tried again: %s", outcome)
        self._tick_not_before = now.mono + (RETRY_S if failed else TICK_S_MIN)

    def _called(self, call: Call) -> Any:
        try:
            with self.fork_lock:
                return call()
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the caller
            return error

    def _look(self) -> None:
        """Look at all who wait once, and let go those for whom it is over."""
        now = self._clock()
        done: list[tuple[Waiter, Any]] = []
        for until, waiter in list(self._untils.items()):  # a copy: others are added from other threads
            outcome = self._missing(until, now)
            if isinstance(outcome, str):
                until.why = outcome
            else:
                del self._untils[until]
                done.append((waiter, outcome))
        settle(done)

    def _missing(self, until: Until, now: Instant) -> Any:
        try:
            return None if until.is_over else until.lacks(now)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the caller
            return error

    def _send(self) -> bool:
        """Pass on what the core wants sent; whether there is more."""
        now = self._clock()
        try:
            with self.fork_lock:
                effects = self._core.outbox(now)
            if effects:
                self._dispatch(effects)
        except Exception:
            log.exception("sending to peers failed")
            return False
        return bool(effects) and self._core.wake_at <= now.mono


def _no_room() -> WaitTimeout:
    return WaitTimeout(f"no room in the writer's queue within {SETTLE_S_MAX:g} s; nothing was written")
