"""How far others are behind, in seconds of this node's own clock.

How can that be told without comparing clocks? A *mark* is what this node had at some moment. Once a member is known to
have all of it, the member is as of that moment, and a new mark is set. Who has all there is now is not behind.
So the figure is never too small by what is unknown here, and too large by at most the time between two looks. It counts
from the first look: what was before is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossamer.crdt import Vector

from ..knowledge import Knowledge

STABLE = ""
"""In place of a member: what all of them are known to have. No member is called so."""


@dataclass
class _Mark:
    vector: Vector
    """What this node had ``set_at``. Not changed by anybody: vectors are replaced by each commit."""
    set_at: float
    caught_up_at: float
    """The member is known to have had all that this node had then."""


class Lag:
    """The marks of one node. One thread at a time looks."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, str], _Mark] = {}

    def look(self, knowledge: Knowledge, own: str, keyspace: str, now: float) -> dict[str, float]:
        """Each member that hosts the keyspace, and `STABLE` -> seconds it is behind; not ``own``, which is this node.

        On the writer's thread.
        """
        known = knowledge.committed(keyspace)
        mine = known.pop(own).copy()
        known[STABLE] = knowledge.stable(keyspace)
        for gone in [at for at in self._marks if at[0] == keyspace and at[1] not in known]:
            del self._marks[gone]
        return {member: self._of((keyspace, member), mine, has, now) for member, has in known.items()}

    def forget_all_but(self, keyspaces: set[str]) -> None:
        """Drop the marks of keyspaces that are not here any more."""
        self._marks = {at: mark for at, mark in self._marks.items() if at[0] in keyspaces}

    def _of(self, at: tuple[str, str], mine: Vector, has: Vector, now: float) -> float:
        mark = self._marks.setdefault(at, _Mark(mine, now, now))
        if has.covers(mine):
            mark.vector, mark.set_at, mark.caught_up_at = mine, now, now
        elif has.covers(mark.vector):
            mark.vector, mark.set_at, mark.caught_up_at = mine, now, mark.set_at
        return now - mark.caught_up_at


__all__ = ["STABLE", "Lag"]
