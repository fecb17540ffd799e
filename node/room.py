"""Whether there is room for more: the store's map has an end, and a full map takes no removals either.

How does one come back from there? Not at all: to remove something takes pages too. So a part of the map is kept for what makes
room: once only that is left, this node's own writes that add are refused, and removals go on, as do clean-up, the notes of members
and what peers send. When clean-up has freed enough, writes go on by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .backend import CANCEL, CLEAR, EXPECT, EXPIRE, SWEEP, Op
from .errors import StoreFull
from .limits import ROOM_CHECK_S, ROOM_KEPT
from .store import Store

FREEING = frozenset((CANCEL, CLEAR, EXPECT, EXPIRE, SWEEP, "disable", "discard", "expire", "remove", "reset"))
"""Methods of types, and others, that leave no more behind than was there, once every member has seen them."""


class Room:
    """Of one node's store; the writer's thread alone calls it."""

    def __init__(self, store: Store) -> None:
        self._store, self._checked_at = store, -math.inf
        self._is_scarce = False

    def step(self, now: float) -> None:
        """Look how much there is, if it is time."""
        if now - self._checked_at < ROOM_CHECK_S:
            return
        self._checked_at = now
        enough = self._store.size_max() * (1 - ROOM_KEPT)
        # The file never shrinks, so its size says only that there was once so much; to count what is used takes a while.
        self._is_scarce = self._store.size() > enough and self._store.used() > enough

    def check(self, ops: Iterable[Op]) -> None:
        """Raise `StoreFull` if these may not be written now."""
        if self._is_scarce and not all(op.method in FREEING for op in ops):
            size = self._store.size_max() / 1024**3
            raise StoreFull(
                f"the store is full: of its {size:g} GiB only what removals need is left; nothing was written, reads and "
                "removals go on"
            )
