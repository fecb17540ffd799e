"""Signs of life of members that are no neighbours, as others tell of them.

The question this answers: *is a member alive that this node has no link with?* A sign is the time on the member's own
clock, as it told it to a neighbour. Only a later one than was known counts, and it counts from when it came here, so
that old news which goes round in circles keeps nobody alive, and nobody's clock is compared with another's.
"""

from __future__ import annotations

from collections.abc import Iterable

Known = tuple[int, float]
"""Seconds on the member's own clock, and when this node learned of it."""


class Signs:
    """Of one node."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def note(self, replica: bytes, wall_s: int, now: float) -> None:
        """A member, or somebody on its behalf, said what time it was there."""
        if wall_s > self._known.get(replica, (0, 0.0))[0]:
            self._known[replica] = (wall_s, now)

    def take(self, told: Iterable[tuple[bytes, int]], current: set[bytes], now: float) -> None:
        """What a peer tells of others; of those that are no members nothing is kept."""
        for replica, wall_s in told:
            if replica in current:
                self.note(replica, wall_s, now)

    def told(self, peer: bytes, current: set[bytes]) -> list[tuple[bytes, int]]:
        """What to tell a peer of the others."""
        return [
            (replica, wall_s)
            for replica, (wall_s, _) in self._known.items()
            if replica != peer and replica in current
        ]

    def at(self, replica: bytes) -> float | None:
        """When the last sign came here, None if none has."""
        known = self._known.get(replica)
        return None if known is None else known[1]

    def keep(self, current: set[bytes]) -> None:
        """Forget those that are members no longer."""
        for replica in self._known.keys() - current:
            del self._known[replica]
