"""The scrub: a node reads all that it stores again and again, a little at a time.

What has the disk changed where nobody looks? Cells that are damaged are noted, and asked of peers; a wrong index is
mended from the cells; a digest that is not the sum over them is counted anew, and then differs from what peers have, who
send what is missing. The reading is done between two turns, what follows from it in the next tick.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from . import limits
from .replication.healing import Healer, is_path
from .store import Draft, Store

log = logging.getLogger("gossamer")


class Scrub:
    """Of one node; the writer's thread alone calls it."""

    def __init__(self, store: Store, healer: Healer) -> None:
        self._store, self._healer = store, healer
        self._stepped_at = -math.inf
        self._passes = 0
        self._unsettled: dict[str, set[bytes]] = {}
        """Keyspaces of which a pass is over -> paths whose index is wrong."""

    def step(self, now: float) -> None:
        """Read some more, if it is time."""
        pressing = self._pressing()
        passed = now - self._stepped_at
        if passed < (limits.SCRUB_PRESSING_S if pressing else limits.SCRUB_STEP_S):
            return
        self._stepped_at = now
        part = 1.0 if pressing else min(1.0, passed / limits.SCRUB_EVERY_S)
        names = self._store.keyspaces()
        name = pressing[0] if pressing else names[self._passes % len(names)]
        audit = self._store.audit(name)
        if not (
            pressing and audit.is_over and name not in self._healer.suspects
        ):  # else its total is what is wanted
            self._store.audit_step(name, max(1, int(limits.SCRUB_CELLS * part)), limits.SCRUB_BYTES)
        if audit.is_over:
            self._passes += 1
            self._unsettled[name] = audit.unindexed
            self._healer.suspects.discard(name)

    @property
    def is_owed(self) -> bool:
        """Whether `settle` has something to do."""
        return bool(self._unsettled)

    def wake_at(self) -> float:
        """When the next step is wanted; never for one that can wait until the node does something anyway."""
        if self._unsettled:
            return 0.0
        return self._stepped_at + limits.SCRUB_PRESSING_S if self._pressing() else math.inf

    def _pressing(self) -> list[str]:
        names = self._store.keyspaces()
        return [name for name in names if self._is_pressing(name) and name not in self._unsettled]

    def _is_pressing(self, name: str) -> bool:
        is_lost = not self._store.state(name).is_counted and not self._store.damaged(name)
        return is_lost or name in self._healer.suspects

    def settle(self, drafts: Callable[[str], Draft]) -> list[str]:
        """Write what follows from the passes that are over; the keyspaces in which something was mended."""
        mended = []
        for name in self._store.keyspaces():
            nameless = [at for at in self._store.damaged(name) if not is_path(at)]
            if name not in self._unsettled and not nameless:
                continue
            if self._settle(name, drafts(name), nameless, self._unsettled.pop(name, set())):
                mended.append(name)
        return mended

    def _settle(self, name: str, draft: Draft, nameless: list[bytes], unindexed: set[bytes]) -> bool:
        for at in nameless:
            draft.drop_damaged(at)
            log.error("keyspace %r: a cell whose key is damaged was dropped: %s", name, at.hex())
        readable = [at for at in sorted(unindexed) if not draft.is_damaged(at)]
        for at in readable:
            draft.reindex(at)
        was_known = draft.state.is_counted
        is_other = draft.recount()
        if readable:
            log.error(
                "keyspace %r: the index of changes was wrong about %d cells, and is mended",
                name,
                len(readable),
            )
            self._healer.begin_anew(name)
        if is_other and was_known:
            log.error(
                "keyspace %r: the digest was not that of the cells; it is now, and is compared with peers",
                name,
            )
        return bool(nameless or readable or is_other)
