"""Readers of the store that died: other processes (a backup, a verification) that were killed while they read.

Why care? Each has a slot in LMDB's table of readers, with the commit that it was reading, and no page which that commit needs
is used again. The dead do not give their slots back, so the file would grow with every write, for as long as the node runs.
One that is alive and merely stopped keeps its slot: nobody may take the pages from under it.
"""

from __future__ import annotations

import logging
import math

from .limits import READERS_CHECK_S
from .store import Store

log = logging.getLogger("gossamer")


class Readers:
    """Of one node; the writer's thread alone calls it."""

    def __init__(self, store: Store) -> None:
        self._store, self._checked_at = store, -math.inf

    def step(self, now: float) -> None:
        """Clear the slots of the dead, if it is time."""
        if now - self._checked_at < READERS_CHECK_S:
            return
        self._checked_at = now
        if dead := self._store.check_readers():
            log.info("%d readers of the store had died; the pages that they held can be used again", dead)
