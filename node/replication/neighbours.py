"""With whom a node of a large cluster keeps a link.

The question this answers: *whom do I dial, if not everybody?* Up to `MESH_MAX` members everybody. Beyond that the members
are put on a few rings, each in an order of its own, by a hash of the ring and the name, and a node is linked with the two
next to it on each. Both ends find the same, so a link is wanted by both, and nobody has more than two a ring. One
ring alone connects all; several of them, in orders that have nothing to do with each other, are never far across::

    n = 64, 4 rings: 8 links each, everybody within 3 hops        n = 1,024, 5 rings: 10 links each, within 5

The first ring stays as it is. The others change now and then, one at a time, so that no two nodes stay unlucky together.
Who cannot be reached is passed over: the next one along the ring takes its place, and goes when it is back. Time and
the members are arguments; what is kept is since when somebody was looked for in vain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache

from . import limits


def rings(count: int) -> int:
    """On how many rings so many members are: half of log2, and not less than `RINGS_MIN`."""
    return max(limits.RINGS_MIN, (max(count - 1, 1).bit_length() + 1) // 2)


def is_mesh(count: int) -> bool:
    """Whether so many members are all linked with each other."""
    return count <= limits.MESH_MAX


def epochs(count: int, wall_s: float) -> tuple[int, ...]:
    """Which order each ring is in at a time of day: the first never changes, of the others one at a time."""
    others = rings(count) - 1
    turn = int(wall_s // limits.RING_TURN_S)
    return (0, *((turn + ring) // others for ring in range(others)))


@lru_cache(maxsize=64)
def order(names: frozenset[str], ring: int, epoch: int) -> tuple[str, ...]:
    """The members in the order of a ring."""

    def place(name: str) -> bytes:
        return hashlib.blake2b(f"{ring} {epoch} {name}".encode(), digest_size=8).digest()

    return tuple(sorted(names, key=lambda name: (place(name), name)))


class Neighbours:
    """Of one node."""

    def __init__(self) -> None:
        self._missing_since: dict[str, float] = {}
        self._unwanted_since: dict[str, float] = {}
        self._guests: dict[str, float] = {}

    def invite(self, name: str, now: float) -> None:
        """Keep a link with somebody for a while, ring or not: there is something to ask."""
        self._guests[name] = now + limits.GUEST_S

    def wanted(
        self, me: str, names: frozenset[str], linked: AbstractSet[str], now: float, wall_s: float
    ) -> set[str]:
        """The members to be linked with, of ``names``, among whom this node is; ``linked`` are those that it is."""
        down = {name for name, since in self._missing_since.items() if now - since >= limits.PATIENCE_S}
        self._guests = {name: until for name, until in self._guests.items() if until > now and name in names}
        found = {*self._guests} - {me}
        for ring, epoch in enumerate(epochs(len(names), wall_s)):
            found |= _beside(me, order(names, ring, epoch), down - linked)
        self._missing_since = {name: self._missing_since.get(name, now) for name in found - linked}
        return found | self._lingering(linked - found, bool(self._missing_since.keys() - down), now)

    def _lingering(self, unwanted: AbstractSet[str], is_looking: bool, now: float) -> set[str]:
        """Links that are wanted no more: they end after a while, and not before those that come in their place."""
        since = {name: now if is_looking else self._unwanted_since.get(name, now) for name in unwanted}
        self._unwanted_since = since
        return {name for name, at in since.items() if now - at < limits.LINGER_S}


def _beside(me: str, ring: tuple[str, ...], down: AbstractSet[str]) -> set[str]:
    """The next one on each side that is not down, and those on the way, so that it is noticed when they are back."""
    found: set[str] = set()
    for side in (1, -1):
        for name in _along(me, ring, side):
            found.add(name)
            if name not in down:
                break
    return found


def _along(me: str, ring: tuple[str, ...], side: int) -> Iterator[str]:
    at = ring.index(me)
    for step in range(1, min(len(ring), limits.PASSED_OVER_MAX + 2)):
        yield ring[(at + side * step) % len(ring)]
