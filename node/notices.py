"""Those who want to be called when a register's value is beaten.

What if they are slow? The ledger is the queue: the writer only says that there is something new, and a thread of its
own reads the notes from where it was and calls everybody with each. So nothing is held up and nothing piles up in
memory; what falls out of the ledger before its turn is skipped, and said so in the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .errors import Closed
from .handles.conflicts import Conflict, conflict
from .limits import CONFLICTS_PAGE, END_S_MAX
from .turns import Core

log = logging.getLogger("gossamer")

Listener = Callable[[Conflict], object]


class Notices:
    """The listeners of one core, and how far they have been told."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._listeners: list[Listener] = []
        self._told = {name: self._last(name) for name in core.keyspaces()}

    def _last(self, keyspace: str) -> int:
        return next((number for number, _ in self._core.notes(keyspace, None, 1)), 0)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each conflict from now on; what ends that is returned."""
        if not callable(listener):
            raise TypeError(f"listener: a function is wanted, not {type(listener).__name__}")
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def tell(self) -> None:
        """Call the listeners with all that was noted since the last time."""
        for keyspace in self._core.keyspaces():
            while page := self._core.notes_above(
                keyspace, self._told.setdefault(keyspace, 0), CONFLICTS_PAGE
            ):
                if (skipped := page[0][0] - self._told[keyspace] - 1) > 0:
                    log.warning(
                        "%s: %d conflicts fell out of the ledger before they were told", keyspace, skipped
                    )
                for number, record in page:
                    self._told[keyspace] = number
                    self._call(conflict(keyspace, number, record))

    def _call(self, one: Conflict) -> None:
        for listener in list(self._listeners):
            try:
                listener(one)
            except Exception:
                log.exception("a listener failed on conflict %d of %s", one.id, one.path)


class NoticeThread:
    """Tells the listeners on a thread of its own, woken by the writer."""

    def __init__(self, core: Core) -> None:
        self._notices = Notices(core)
        self._news = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="gossamer-conflicts", daemon=True)
        self.add = self._notices.add
        core.on_beaten = self._news.set
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is noted later is told to nobody. Not from a listener."""
        self._is_over = True
        self._news.set()
        if self._thread is not threading.current_thread():
            self._thread.join(END_S_MAX)  # a listener may take longer; the thread ends with it

    def _run(self) -> None:
        while self._news.wait() and not self._is_over:
            self._news.clear()
            try:
                self._notices.tell()
            except Closed:
                return
            except Exception:
                log.exception("telling of conflicts failed")
