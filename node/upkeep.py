"""What a node does unasked, a bounded step in each tick.

The question this answers: *what has become due?* Registration and votes, parts of a full exchange to apply, collection,
folding and sweeping, the retention of feeds and of notes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import groupby

from gossamer.crdt import Vector, path

from . import idempotent
from .apply import expand
from .backend import Op
from .errors import Damaged
from .feed import upkeep as feed_upkeep
from .feed.hub import Hub
from .feed.upkeep import Retention
from .limits import LEDGER_STEP, OP_FOLD_LOOK, OP_FOLD_MAX
from .own_events import OwnEvents
from .remembered import Remembered
from .replication import limits
from .replication.engine import Engine
from .replication.registry import SYSTEM
from .scrub import Scrub
from .store import Draft, Store
from .sweep import Sweep
from .turns import Instant

Awaited = tuple[frozenset[bytes], frozenset[bytes]] | None
"""On whom collection depends: those who may return, and those who never will."""


class Upkeep:
    """One node's. Called in the writer's turns."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        own: OwnEvents,
        remembered: Remembered,
        scrub: Scrub,
        hub: Hub,
        retention: Retention,
    ) -> None:
        self._store, self._engine, self._own, self._remembered = store, engine, own, remembered
        self._scrub, self._hub, self.retention = scrub, hub, retention
        self._sweep = Sweep(store, engine)
        self._collecting: dict[str, bytes] = {}
        self._collected: dict[str, tuple[Awaited, Vector]] = {}  # whom the last pass waited for; its reach
        self._folding: dict[str, bytes] = {}
        self.held_up: set[str] = set()
        """Keyspaces of which the journal waits until damaged cells are replaced."""
        self.wake_at = 0.0
        """When the next step is due, by the clock that only goes forward."""

    def forget(self, keyspace: str) -> None:
        """A keyspace is here no longer."""
        for kept in (self._collecting, self._collected, self._folding):
            kept.pop(keyspace, None)

    def step(self, drafts: Callable[[str], Draft], now: Instant) -> None:
        """Registration, votes and answers; a step of collection, and one of sweeping."""
        states = {name: self._store.state(name) for name in self._store.keyspaces()}
        applying = {name for name in states if states[name].is_applying}
        self.held_up = {name for name in applying if not self._engine.journal.go_on(drafts(name), name)}
        self._engine.journal.tidy(drafts, states)
        for name in self._scrub.settle(drafts):
            self._collected.pop(name, None)  # rows of damaged cells were left alone: another pass
            self._collecting.pop(name, None)
        ops = self._engine.duties.due(states, now.mono)
        if ops:
            with suppress(Damaged):  # tried again once it is mended
                self._own.commit(drafts(SYSTEM), ops, now)
        for name in states if states[SYSTEM].is_whole else ():
            self._collect(drafts, name, now)
            self._fold(drafts, name, now)
            self._sweep_remembered(drafts, name, now)
        self._remembered.turn(drafts, states, now.mono)
        for name in states:
            self._forget_sealed(drafts, name)
        is_trimming = self._tend_feeds(drafts, now.wall)
        for name, op in self._sweep.due(now):
            self._remove_expired(drafts(name), op, now)
        old_notes = [name for name in states if self._trim_notes(drafts, name)]
        is_busy = (
            applying - self.held_up
            or self._collecting
            or self._folding
            or is_trimming
            or old_notes
            or self._sweep.is_under_way
        )
        self.wake_at = now.mono + (0.0 if is_busy else min(limits.COLLECT_EVERY_S, limits.SWEEP_EVERY_S))

    def _tend_feeds(self, drafts: Callable[[str], Draft], wall: int) -> bool:
        """Retention; whether there is more to remove at once."""
        followed = set(self._hub.followed())
        more = [
            feed_upkeep.tend(
                self._store.feed(name), name in followed, partial(drafts, name), wall, self.retention
            )
            for name in self._store.keyspaces()
        ]
        return any(more)

    def _remove_expired(self, draft: Draft, op: Op, now: Instant) -> None:
        if draft.state.is_whole:  # else a renewal may be here that the vector does not say
            with suppress(Damaged):  # it stays as it is, until it is replaced
                self._own.commit(draft, [op], now)

    def _forget_sealed(self, drafts: Callable[[str], Draft], name: str) -> None:
        """What is kept of ids that are over: nothing of what they had, and once for all what there was of them."""
        reg, state = self._engine.registry, self._store.state(name)
        for replica in reg.sealed.intersection(state.peers):
            drafts(name).set_peer(replica, None)
        base = reg.base.of(name)
        if base != state.base and drafts(name).state.delivered.covers(base):
            drafts(name).rebase(base)

    def _trim_notes(self, drafts: Callable[[str], Draft], name: str) -> bool:
        """A step of forgetting beaten values of long ago; whether there may be more."""
        return self._store.tally(name).notes > 0 and drafts(name).trim_notes(LEDGER_STEP)

    def _collect(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        state = self._store.state(name)
        waits_for = (self._engine.duties.may_return(), frozenset(self._engine.registry.sealed))
        if name not in self._collecting:
            stable = self._engine.duties.collectable(state, name)
            waited_for, reach = self._collected.get(name, (None, Vector()))
            if waited_for == waits_for and reach.covers(stable):
                return  # not by the horizon: it may have come from a peer, or a pass may not have ended
            self._collected[name] = waits_for, stable
            self._folding[name] = b""
        draft = drafts(name)
        where, silent = self._engine.duties.collect(draft, name, self._collecting.get(name, b""))
        waited_for, reach = self._collected[
            name
        ]  # less may be stable than when the pass began: a joiner counts
        self._collected[name] = (
            waited_for,
            reach.intersect(self._engine.duties.collectable(draft.state, name)),
        )
        for cell_path in dict.fromkeys(silent):  # all of them could just be read
            self._own.commit(drafts(name), [Op(cell_path, "remove", (), ())], now)
        if where is None:
            self._collecting.pop(name, None)
        else:
            self._collecting[name] = where

    def _fold(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        """Add to counters what every member knows to be pending, where that falls to this node."""
        if name not in self._folding or not self._store.has_operations(name):
            self._folding.pop(name, None)
            return
        draft = drafts(name)
        where, found = self._engine.duties.foldable(draft, name, self._folding[name], OP_FOLD_LOOK)
        for counter, group in groupby(found, path.counter_of):
            pending = list(group)
            for at in range(0, len(pending), OP_FOLD_MAX):
                self._fold_some(draft, counter, pending[at : at + OP_FOLD_MAX], now)
        if where is None:
            del self._folding[name]
        else:
            self._folding[name] = where

    def _fold_some(self, draft: Draft, counter: bytes, pending: list[bytes], now: Instant) -> None:
        event = self._own.next_event(draft, now)
        with suppress(Damaged):  # they stay pending until the counter's cell is replaced
            self._own.stand(draft, event, idempotent.fold(counter, pending, draft.cell, event))

    def _sweep_remembered(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        """Remove notes of ``op_id``s whose window is over, by an event, where that falls to this node."""
        if not self._store.has_due(name, now.wall):
            return
        draft = drafts(name)
        gone = self._remembered.over(
            draft, now.wall, lambda at: self._engine.duties.may_sweep(draft, name, at)
        )
        if not gone:
            return
        event = self._own.next_event(draft, now)
        removals = [Op(cell_path, "remove", (), ()) for cell_path in gone]
        self._own.stand(draft, event, expand(removals, draft.scan, draft.cell, event))
