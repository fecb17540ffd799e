"""Canaries: a small register per member, written every few seconds, to see how long a write takes to be seen.

By whose clock? By the writer's alone. It knows when it wrote, and is told by each other node what that has committed,
as with any write. So the figure is from the call of the write here until this node *knows* that the other has it: a
little more than the other needed, by the way back, and never wrong by a clock.

They have a keyspace of their own, which the nodes that write canaries share, so they are in no one's data, feeds or
exports, and cost one cell a member.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from time import monotonic
from typing import Any, cast

from gossamer.crdt import Dot, path

from ..backend import make_op
from ..errors import Closed, GossamerError, StoreFailed
from ..limits import CANARY_EVERY_S, CANARY_EVERY_S_MIN, END_S_MAX
from ..node import Node
from ..replica import Replica
from ..ticket import Ticket
from ..turns import Instant, Write
from ..waiting import Until

log = logging.getLogger("gossamer")

CANARIES = "$canary"
"""Their keyspace."""


class Canary:
    """Writes canaries for one node, on a thread of its own, until `close` or until the node closes."""

    def __init__(self, node: Node, every_s: float = CANARY_EVERY_S) -> None:
        if isinstance(every_s, bool) or not isinstance(every_s, (int, float)):
            raise TypeError(f"every_s: seconds are wanted, not {type(every_s).__name__}")
        if not CANARY_EVERY_S_MIN <= every_s < float("inf"):
            raise ValueError(f"every_s: {every_s} s is not {CANARY_EVERY_S_MIN} or more, and finite")
        self._writer, self._replica = node.backend.writer, cast(Replica, node.backend.core)
        self._every_s = every_s
        self._over = threading.Event()
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="gossamer-canary", daemon=True)
        node.when_closed(self.close)
        self._thread.start()

    def close(self) -> None:
        """Write no more. Again: does nothing."""
        self._over.set()
        self._thread.join(END_S_MAX)

    def _run(self) -> None:
        while not self._over.is_set():
            began = monotonic()
            try:
                self._send(began)
            except (Closed, StoreFailed):
                return
            except GossamerError as error:  # a full disk, say
                log.warning("a canary could not be written: %s", error)
            self._over.wait(max(began + self._every_s - monotonic(), 0.0))

    def _send(self, began: float) -> None:
        """Write one, and note who has it, until all have or the next one is due."""
        self._writer.submit(partial(self._replica.host, CANARIES)).result()
        name = self._replica.engine.identity.name
        self._number += 1
        op = make_op(path.component("register", name), "set", (self._number,))
        dot: Dot = self._writer.submit(Write(CANARIES, [op])).result()
        seen: set[str] = set()
        until, ticket = Until(partial(self._look, dot, began, seen)), Ticket()
        self._writer.watch(until, ticket)
        try:
            self._wait(ticket, began + self._every_s)
        except TimeoutError:
            self._note_late(seen, self._writer.submit(partial(self._holders, dot)).result())
        finally:
            until.is_over = True

    def _wait(self, ticket: Ticket, deadline: float) -> Any:
        while not self._over.is_set():
            step = min(max(deadline - monotonic(), 0.0), 0.2)  # so that closing it is not held up
            try:
                return ticket.result(step)
            except TimeoutError:
                if monotonic() >= deadline:
                    raise
        return None

    def _look(self, dot: Dot, began: float, seen: set[str], _now: Instant) -> str | None:
        """Note who has it now and had it not. On the writer's thread, after each turn."""
        holders = self._holders(dot)
        for member, has_it in holders.items():
            if has_it and member not in seen:
                seen.add(member)
                self._replica.counts.visible[member].add(monotonic() - began)
        return None if len(seen) == len(holders) else "others lack it"

    def _holders(self, dot: Dot) -> dict[str, bool]:
        return self._replica.knowledge.holders(CANARIES, dot)

    def _note_late(self, seen: set[str], holders: dict[str, bool]) -> None:
        for member in holders.keys() - seen:
            self._replica.counts.late[member] += 1


__all__ = ["CANARIES", "Canary"]
