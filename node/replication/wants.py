"""Questions for rights of bounded counters, out and in.

What may a peer make us do with a question? At most one event for each of `WANTS_MAX` counters, every
`GIVE_EVERY_S`: a question is noted, a later one about the same counter takes its place, and an answered one is gone.
How much it is given is decided elsewhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gossamer.crdt import counter_bounded, path

from ..errors import ProtocolError
from . import limits
from .link import Shared
from .messages import Want

if TYPE_CHECKING:
    from .engine import Engine


class Wanted(NamedTuple):
    """A peer's question for rights."""

    keyspace: str
    peer: bytes
    path: bytes
    amount: int


class Wants:
    """Of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.due_at = math.inf
        """When a question that is noted may be answered."""
        self._are_noted = False

    def on_want(self, shared: Shared, message: Want) -> None:
        if path.decode(message.path)[-1][0] != counter_bounded.CounterBounded.kind:
            raise ProtocolError("want: of what is no bounded counter")
        if not 0 < message.amount <= counter_bounded.AMOUNT_MAX:
            raise ProtocolError("want: an amount that nobody can transfer")
        if message.path in shared.wants or len(shared.wants) < limits.WANTS_MAX:
            shared.wants[message.path] = message.amount
            self._are_noted = True

    def take_due(self, now: float) -> list[Wanted]:
        """The questions that may be answered now; whatever is done with them, they count as answered."""
        due: list[Wanted] = []
        self.due_at = math.inf
        if not self._are_noted:
            return due
        for link in self._engine.links.values():
            for shared in link.shared.values():
                if not shared.wants or link.closing:
                    continue
                if now < shared.give_at:
                    self.due_at = min(self.due_at, shared.give_at)
                    continue
                due += [Wanted(shared.name, link.peer, at, amount) for at, amount in shared.wants.items()]
                shared.wants.clear()
                shared.give_at = now + limits.GIVE_EVERY_S
        self._are_noted = self.due_at < math.inf
        return due

    def ask(self, peer: bytes, keyspace: str, cell_path: bytes, amount: int) -> None:
        """Ask a linked peer for rights."""
        for link in self._engine.links.values():
            shared = link.shared.get(keyspace)
            if link.peer == peer and shared is not None and not link.closing:
                link.pending.append(Want(0, shared.number, cell_path, amount))

    def partners(self, keyspace: str) -> set[bytes]:
        """Replica ids of the members that share a keyspace with us now, and have said what they hold of it."""
        links = [link for link in self._engine.links.values() if not link.closing]
        shared = {link.peer: link.shared.get(keyspace) for link in links}
        ready = {
            peer for peer, s in shared.items() if s is not None and s.theirs is not None and s.their_whole
        }
        return ready & self.hosts(keyspace) - self._leaving(keyspace)

    def _leaving(self, keyspace: str) -> set[bytes]:
        """Those that are about to go, so that nobody gives them anything."""
        members = self._engine.registry.remaining
        return {m.replica for m in members if keyspace in m.leaving} - {self._engine.identity.replica}

    def hosts(self, keyspace: str) -> set[bytes]:
        """Replica ids of the members that count and may spend in a keyspace."""
        return self._engine.registry.writers(keyspace)
