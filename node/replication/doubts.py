"""Hosts that have an event by their vector, and may not have what it left.

The question this answers: *may this node rely on that one's copy?* A vector says which events were taken, and a cell that
the disk has changed since was taken once. So a host is in doubt that asks for damaged cells, until it tells something again and has asked
for none meanwhile; and one whose digest is another at an equal vector, until they are equal. A doubt outlives the link: one that
comes back may have been restarted, and not know yet what is damaged there, so it is sent again what it asked for last.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from . import limits

ASKED = "asks for cells that are damaged there"
DIFFERS = "has another digest at an equal vector"

Where = tuple[bytes, str]
"""Replica id and keyspace."""


class Doubts:
    """Of one node, about those that it is, or was, linked with."""

    def __init__(self) -> None:
        self._asked: dict[Where, tuple[float, list[bytes]]] = {}
        """When cells were last asked for, or the link began on which they may be; and which."""
        self._differs: set[Where] = set()

    def asked(self, peer: bytes, keyspace: str, paths: Sequence[bytes], now: float) -> None:
        """It asked for damaged cells."""
        if paths:
            self._asked[peer, keyspace] = now, list(paths)

    def linked(self, peer: bytes, keyspace: str, now: float) -> list[bytes]:
        """It is linked anew; the cells that it asked for last."""
        _, paths = self._asked.get((peer, keyspace), (now, []))
        self.asked(peer, keyspace, paths, now)
        return paths

    def told(self, peer: bytes, keyspace: str, now: float) -> None:
        """It told what it has. Had it lacked cells still, it had asked for them before that."""
        at, _ = self._asked.get((peer, keyspace), (now, []))
        if now - at >= limits.DOUBT_S:
            del self._asked[peer, keyspace]

    def compared(self, peer: bytes, keyspace: str, *, is_equal: bool) -> None:
        """Its digest was compared with ours, at an equal vector."""
        if is_equal:
            self._differs.discard((peer, keyspace))
        else:
            self._differs.add((peer, keyspace))

    def about(self, peer: bytes, keyspace: str) -> str | None:
        """Why not to rely on its copy; None: nothing is known against it."""
        if (peer, keyspace) in self._asked:
            return ASKED
        return DIFFERS if (peer, keyspace) in self._differs else None

    def keep(self, members: AbstractSet[bytes]) -> None:
        """Forget those that are no members: nobody relies on them."""
        self._asked = {where: one for where, one in self._asked.items() if where[0] in members}
        self._differs = {where for where in self._differs if where[0] in members}
