"""Where sweeping stands: a step at a time through the index of what expires, keyspace by keyspace.

Which entries are due, and for whom, `replication/sweeping.py` says; this looks at a bounded number of them a turn.
"""

from __future__ import annotations

from .backend import SWEEP, Op
from .replication import limits, sweeping
from .replication.engine import Engine
from .store import Store
from .turns import Instant


class Sweep:
    """Finds what this node is to remove now."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self._places: dict[str, sweeping.Place] = {}
        self._next_at = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether there was more than one step can look at."""
        return bool(self._places)

    def due(self, now: Instant) -> list[tuple[str, Op]]:
        """The writes that sweep, each of one cell and so an event of its own, with their keyspaces."""
        if now.mono < self._next_at and not self._places:
            return []
        self._next_at = now.mono + limits.SWEEP_EVERY_S
        allowed = self._engine.duties.sweepable(now.wall)
        found: list[tuple[str, Op]] = []
        with self._store.snapshot() as views:
            for name in filter(self._engine.may_write, self._store.keyspaces()):
                after = self._places.pop(name, sweeping.START)
                paths, where = sweeping.find(views(name), allowed, after, limits.SWEEP_ROWS)
                if where is not None:
                    self._places[name] = where
                found += [(name, Op(cell_path, SWEEP, (allowed.has,), ())) for cell_path in paths]
        return found
