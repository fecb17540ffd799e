"""Sweeping: what has expired is hidden at once, and removed in the background by ordinary events.

The question this answers: *may this node remove it now?* Its own entries as soon as they have expired; those of
others only after a grace time that is another one on every node, so that one expiry is one event and not one a
member. Time is the median of the node's clock and those of its linked peers: one wrong clock destroys nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gossamer.crdt import Entry, expiry

from . import limits
from .view import View

Place = tuple[bytes, bytes]
"""A key of the index of expiries, and a path under it."""
START: Place = (b"", b"")
NEVER = -1
"""Before any moment that an entry can expire at."""


class Due(NamedTuple):
    """Up to which moments entries may be swept, in microseconds since 1970."""

    mine: Collection[bytes]
    """The replica ids that are, or were, this node's."""
    own: int
    others: int

    def upto(self, replica: bytes) -> int:
        """For the entries of ``replica``."""
        return self.own if replica in self.mine else self.others

    def has(self, entry: Entry) -> bool:
        """Whether an entry may be swept."""
        expires_at = expiry.of(entry.payload)
        return expires_at is not None and expires_at <= self.upto(entry.replica)


def due(wall: int, skews: Iterable[int], mine: Collection[bytes], fingerprint: bytes) -> Due:
    """What may be swept at ``wall``; ``skews`` is by how many microseconds each linked peer's clock is ahead.

    Of two clocks the slower one counts, and who is alone with his clock sweeps nothing of others. An own entry waits
    for the own clock as well: that is what hides it here.
    """
    found = sorted([0, *skews])
    median = wall + found[(len(found) - 1) // 2]
    if len(found) == 1:
        return Due(mine, wall, NEVER)
    share = int.from_bytes(fingerprint[:4], "big") / 2**32
    grace = int((limits.SWEEP_GRACE_S + share * limits.SWEEP_SPREAD_S) * 1e6)
    return Due(mine, min(wall, median), median - grace)


def find(view: View, allowed: Due, after: Place, rows: int) -> tuple[list[bytes], Place | None]:
    """Paths of cells with something to sweep, of ``rows`` rows past a place; where to go on, None at the end."""
    paths: dict[bytes, None] = {}
    key, path_after = after
    looked = 0
    while looked < rows:
        found = next(iter(view.expiries(key, path_after)), None)
        if found is None:
            return list(paths), None
        replica, expires_at, cell_path = found
        looked += 1
        if expires_at > allowed.upto(replica):
            key, path_after = replica + b"\xff" * 9, b""  # to the next replica
            continue
        paths[cell_path] = None
        key, path_after = replica + expires_at.to_bytes(8, "big"), cell_path
    return list(paths), (key, path_after)
