"""What the keys of the live demonstration do, one after the other in a thread of their own.

Why one after the other? A node is never killed while a write to it is under way, so every total stays exact.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..errors import GossamerError
from ..limits import END_S_MAX
from .load import Load
from .trio import CUT_OFF, KILLED, Trio

BURST = 10
"""Additions on each node for one press of the key."""

KEYS = {
    "w": "write",
    "p": f"partition ({CUT_OFF} off)",
    "h": "heal",
    "k": f"kill {KILLED}",
    "r": f"restart {KILLED}",
    "q": "quit",
}


class Actions:
    """A context manager. ``tell`` gets a sentence for each thing done; it is called from the thread."""

    def __init__(self, trio: Trio, load: Load, tell: Callable[[str], None]) -> None:
        self._trio, self._load, self._tell = trio, load, tell
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="demo-actions", daemon=True)
        self._by_key = {
            "w": self._write,
            "p": self._cut,
            "h": self._heal,
            "k": self._kill,
            "r": self._restart,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join(END_S_MAX)

    def press(self, key: str) -> None:
        """Do what the key stands for, once all before it is done. Another key does nothing."""
        if key in self._by_key:
            self._queue.put(key)

    def _run(self) -> None:
        while (key := self._queue.get()) is not None:
            try:
                self._tell(self._by_key[key]())
            except (GossamerError, OSError) as error:
                self._tell(f"{KEYS[key]}: {error}")

    def _write(self) -> str:
        running = self._trio.running
        self._load.burst(running, BURST)
        names = {node.name for node in running}
        if {"a", CUT_OFF} <= names:
            self._load.contest(self._trio.nodes["a"], self._trio.nodes[CUT_OFF])
        return f"wrote {BURST} additions, a note, an element and a cart on each of {', '.join(sorted(names))}"

    def _cut(self) -> str:
        self._trio.cut()
        return f"cut {CUT_OFF} off"

    def _heal(self) -> str:
        self._trio.heal()
        return "healed all links"

    def _kill(self) -> str:
        if not self._trio.nodes[KILLED].is_running:
            return f"{KILLED} is not running"
        self._trio.kill(KILLED)
        return f"sent {KILLED} SIGKILL"

    def _restart(self) -> str:
        if self._trio.nodes[KILLED].is_running:
            return f"{KILLED} is running"
        self._trio.start(KILLED)
        return f"restarted {KILLED}"
