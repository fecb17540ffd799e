"""A replica: the store and the engine of one node, driven one turn at a time.

The question this answers: *what happens together?* All inputs of a turn (own writes, messages, a tick) change the
store in one durable transaction; only when it is committed are writers told and messages sent. A crash at any
point leaves a state that some earlier turn ended in. The writer thread drives this in a service, and the simulator
drives the very same on a clock of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from gossamer.crdt import Cell, Dot, Event, Vector, path, register_lww

from . import beaten, idempotent
from .apply import expand
from .backend import EXPECT, Op, make_op
from .changing import ChangeFailed
from .errors import AnotherNode, Damaged, GossamerError, InsufficientRights, NotReady, ReadOnly, StoreError
from .feed import upkeep
from .feed.hub import Hub
from .feed.upkeep import RETENTION, Retention
from .hosting import Hosting
from .knowledge import Knowledge
from .limits import EXPLAIN_CELLS_MAX, LEDGER_STEP, OP_FOLD_LOOK, OP_FOLD_MAX, OP_WINDOW_S
from .op_id import check_op_id
from .remembered import Remembered
from .replication import limits, registry
from .replication.engine import Engine, Identity
from .replication.registry import SYSTEM
from .replication.state import State
from .rights import Rights, Where
from .scrub import Scrub
from .store import Draft, Store
from .store.feed import Place, Subscribed
from .store.feedpage import Page, Scope
from .sweep import Sweep
from .turns import (
    KEPT,
    Acknowledge,
    Close,
    Connected,
    Disconnected,
    Effect,
    Input,
    Instant,
    Received,
    Result,
    Settle,
    Subscribe,
    Tick,
    Unsubscribe,
    Update,
    UseFeed,
    Write,
)
from .waiting import Wait

log = logging.getLogger("gossamer")

Awaited = tuple[frozenset[bytes], frozenset[bytes]] | None
"""On whom collection depends: those who may return, and those who never will."""

DEFAULT = "default"
"""The keyspace of a node's own handles."""


class Replica:
    """One node's state machine. `turn` and `outbox` belong to one thread; `cell` and `page` to any."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        keyspaces: Sequence[str] = (DEFAULT,),
        *,
        peers: Sequence[str] = (),
        old_ids: Sequence[bytes] = (),
        new_id: Callable[[], bytes] | None = None,
        on_new_id: Callable[[bytes, list[bytes], str], None] | None = None,
        on_close: Callable[[], None] | None = None,
        retention: Retention = RETENTION,
        read_only: Sequence[str] = (),
        op_window_s: float = OP_WINDOW_S,
    ) -> None:
        """``peers`` are the addresses that were configured. ``new_id`` gives a fresh random replica id;
        ``on_new_id`` stores one: id, old ids, reason.

        ``on_close`` closes the store, and the directory around it; without one the store alone is closed.
        """
        self.store = store
        self._on_close = on_close or store.close
        self.remembered = Remembered(op_window_s)
        self.engine = Engine(identity, registry.Registry(), peers)
        self.engine.old_ids = list(old_ids)
        self.knowledge = Knowledge(store, self.engine)
        self.engine.read_only = frozenset(read_only)
        self._new_id, self._on_new_id = new_id, on_new_id
        self._hosting = Hosting(store, self.engine)
        self.wake_at = 0.0
        for name in (SYSTEM, *keyspaces, *read_only):
            self._host(name)
        self._scrub = Scrub(store, self.engine.healer)
        self._rights = Rights(self.engine, self._knows_members)
        self._settled: list[tuple[Write, Result]] = []
        self._system_seen: State | None = None
        self._unready: set[str] = set()
        self._collecting: dict[str, bytes] = {}
        self._collected: dict[str, tuple[Awaited, Vector]] = {}  # whom the last pass waited for; its reach
        self._folding: dict[str, bytes] = {}
        self._sweep = Sweep(store, self.engine)
        self._upkeep_at = 0.0
        self.wake_at = 0.0
        self.hub = Hub()
        self._retention = retention
        self._rung: dict[
            str, int
        ] = {}  # keyspace -> the next position of its feed when its followers were woken
        self.names: dict[bytes, str] = {}
        """Replica id -> the member that has, or had, it."""
        self.on_beaten: Callable[[], None] | None = None
        self._told_beyond: set[tuple[str, bytes]] = set()
        self._refresh()

    @property
    def replica(self) -> bytes:
        """This node's replica id."""
        return self.engine.identity.replica

    def host(self, keyspace: str) -> None:
        """Make a keyspace here, if it is not yet, and share it with peers that have it."""
        self._host(keyspace)
        self.wake_at = 0.0

    def _host(self, keyspace: str) -> None:
        known = self.store.keyspaces()
        if keyspace in known:
            return
        if len(known) >= limits.KEYSPACES_MAX:
            raise ValueError(f"keyspaces: at most {limits.KEYSPACES_MAX} on one node, {SYSTEM} among them")
        if self.store.dropped().get(keyspace) == self.replica:
            self._take_new_identity(f"keyspace {keyspace!r} is hosted again")
        self.store.host(keyspace)

    def may_write(self, keyspace: str) -> bool:
        """Whether this node may make events in a keyspace: writes, and all that it does unasked."""
        return self.engine.may_write(keyspace)

    def hosts(self, keyspace: str) -> bool:
        """Whether a keyspace is here. Any thread."""
        return keyspace in self.store.keyspaces()

    def leave(self, keyspace: str, force: bool = False) -> None:
        """Drop a keyspace, as soon as other hosts have all of it; at once with ``force``. `OnlyCopy` if there is none."""
        if self._hosting.leave(keyspace, force=force):
            self._drop(keyspace)
        self._upkeep_at = self.wake_at = 0.0

    def stay(self, keyspace: str) -> str:
        """Give up dropping a keyspace; why it could not go, empty if it has gone."""
        self._upkeep_at = self.wake_at = 0.0
        return self._hosting.stay(keyspace)

    def _drop(self, keyspace: str) -> None:
        self._hosting.drop(keyspace)
        for kept in (self._collecting, self._collected, self._folding, self._rung):
            kept.pop(keyspace, None)
        self._rights.forget(keyspace)
        self._refresh()
        self.hub.ring(keyspace)
        log.info("%s: keyspace %r was dropped here", self.engine.identity.name, keyspace)

    def _drop_left(self) -> None:
        for name in sorted(self.engine.leaving):
            if self._hosting.may_go(name):
                self._drop(name)

    def state(self, keyspace: str) -> State:
        """The keyspace's state as of the last commit. Not to be changed."""
        return self.store.state(keyspace)

    # Turns

    def turn(self, inputs: Sequence[Input], now: Instant) -> list[Result]:
        """Commit all inputs in one durable transaction. An exception in a result is that input's alone.

        Raises `StoreError` if the transaction as a whole failed; then nothing of it stands.
        """
        self.engine.wall_ahead = now.wall - int(now.mono * 1e6)
        if self.engine.is_disowned:  # a new id could not be stored at the end of an earlier turn
            self._take_new_identity(self.engine.is_disowned)
        try:
            with self._drafts(now) as (drafts, made):
                if self.engine.receiver.has_late_shares:
                    self.engine.receiver.late_shares(drafts)
                results: list[Result] = [None] * len(inputs)
                # Writes first: a message may prove that this replica id must not be used any more.
                for at in sorted(
                    range(len(inputs)), key=lambda i: not isinstance(inputs[i], Write | Update | Settle)
                ):
                    results[at] = self._take(drafts, inputs[at], now)
                settled = self._move_rights(drafts, made, now)
        except StoreError as error:
            self.engine.close_all("the store failed")
            self._settled += self._rights.abandon(error)
            raise
        self._rights.committed()
        self._settled += settled
        for name, draft in made.items():
            self._rights.watch(name, sorted(draft.bounded))
        if self.on_beaten is not None and any(draft.has_noted for draft in made.values()):
            self.on_beaten()
        self._refresh()
        if self.engine.is_disowned:
            with suppress(StoreError):  # this turn stands; the next one tries again before it writes anything
                self._take_new_identity(self.engine.is_disowned)
        self._drop_left()
        for alarm in self.engine.take_alarms():
            log.error("%s: %s", self.engine.identity.name, alarm)
        return results

    def take_settled(self) -> list[tuple[Write, Result]]:
        """The writes that were kept, and are no longer, with their outcome."""
        taken, self._settled = self._settled, []
        return taken

    @contextmanager
    def _drafts(self, now: Instant) -> Iterator[tuple[Callable[[str], Draft], dict[str, Draft]]]:
        """What makes drafts, and those it has made."""
        may_return = self.engine.duties.may_return()
        made: dict[str, Draft] = {}
        with self.store.transaction() as make:

            def drafts(name: str) -> Draft:
                draft = made[name] = make(name)
                draft.may_return, draft.wall = may_return, now.wall
                draft.due_at = self.remembered.due_at(now.wall)
                return draft

            yield drafts, made

    def _take(self, drafts: Callable[[str], Draft], one: Input, now: Instant) -> Result:
        match one:
            case Write():
                try:
                    return self._write(drafts(one.keyspace), one, now)
                except InsufficientRights as error:
                    return KEPT if self._rights.refused(one, now.mono) else error
                except (TypeError, ValueError, GossamerError, KeyError) as error:
                    return error
            case Update():
                try:
                    return self._update(drafts(one.keyspace), one, now)
                except (TypeError, ValueError, GossamerError, KeyError, ChangeFailed) as error:
                    return error
            case UseFeed() | Subscribe() | Acknowledge() | Unsubscribe():
                try:
                    return upkeep.take(drafts(one.keyspace), one, now.wall, self._retention)
                except (ValueError, KeyError) as error:
                    return error
            case Settle():
                try:
                    return self._settle(drafts(one.keyspace), one, now)
                except (ValueError, GossamerError, KeyError) as error:
                    return error
            case Received():
                self.engine.receive(drafts, one.link, one.body, now.mono)
            case Connected():
                self.engine.connect(one.link, one.dialed, now.mono, one.vouched)
            case Disconnected():
                self.engine.disconnect(one.link)
            case Tick():
                self._upkeep(drafts, now)
        return None

    def _move_rights(
        self, drafts: Callable[[str], Draft], made: dict[str, Draft], now: Instant
    ) -> list[tuple[Write, Result]]:
        """Rights of bounded counters: try the spends that wait, give and ask. What waits no longer, and its outcome."""

        def has_changed(where: Where) -> bool:
            return where[0] in made and where[1] in made[where[0]].bounded

        def commit(draft: Draft, ops: Sequence[Op]) -> Dot | None:
            return self._commit(draft, ops, now) if self.may_write(draft.tables.name) else None

        def write(draft: Draft, one: Write) -> Dot | None:
            return self._write(draft, one, now)

        settled = self._rights.settle(drafts, has_changed, write, now.mono)
        if self._knows_members():
            self._rights.answer(drafts, commit, now.mono)
            self._rights.even_out(drafts, commit, now.mono)
            self._rights.ask(drafts, now.mono)
        return settled

    def _knows_members(self) -> bool:
        """Half a registry would make members of those that are none."""
        return self.store.state(SYSTEM).is_whole and not self.engine.registry.is_damaged

    def _write(self, draft: Draft, one: Write, now: Instant) -> Dot | None:
        if one.attempt is None:
            return self._identified(draft, one, now)
        known = self.remembered.attempted(draft, one.attempt)
        if known is not None:
            return known[0]
        if one.attempt.node != self.replica:
            raise AnotherNode(self.replica)
        dot = self._identified(draft, one, now)
        self.remembered.note_attempt(draft, one.attempt, dot)
        return dot

    def _identified(self, draft: Draft, one: Write, now: Instant) -> Dot | None:
        """A write, unless its ``op_id`` says that it was made."""
        if one.op_id is None:
            return self._commit(draft, one.ops, now)
        event = self._next_event(draft, now, one.ops)
        changed, dot = idempotent.expand_once(
            one.ops, one.op_id, draft.scan, draft.cell, event, draft.pending, self.remembered.window
        )
        self._stand(draft, event, changed)
        return dot

    def _update(self, draft: Draft, one: Update, now: Instant) -> Dot | None:
        """A write that depends on a cell, unless its ``op_id`` says that it was made: then nothing is asked."""
        if one.op_id is not None:
            note = draft.cell(path.component("op_id", check_op_id(one.op_id)))
            if idempotent.is_done(note, one.op_id, now.wall, self.remembered.window):
                return idempotent.outcome(note)
        ops = one.change(draft.cell(one.path))
        return self._identified(draft, Write(one.keyspace, ops, op_id=one.op_id), now)

    def _next_event(self, draft: Draft, now: Instant, ops: Sequence[Op] = ()) -> Event:
        if not self.may_write(draft.tables.name):
            raise ReadOnly(f"keyspace {draft.tables.name!r}: this node only reads it")
        estate = self._rights.needed(ops, draft.tables.name, draft.state.delivered)
        return Event(self.replica, draft.state.delivered.last(self.replica) + 1, now.wall, estate)

    def _commit(self, draft: Draft, ops: Sequence[Op], now: Instant) -> Dot | None:
        """One event of this node's own, over as many cells as it changes."""
        event = self._next_event(draft, now, ops)
        changed = expand(ops, draft.scan, draft.cell, event, draft.pending)
        self._stand(draft, event, changed)
        return (event.replica, event.seq) if changed else None

    def _stand(self, draft: Draft, event: Event, changed: dict[bytes, Cell]) -> None:
        """Let an event be: its cells, and its dot."""
        if not changed:
            return
        dot = (event.replica, event.seq)
        grouped = (dot,) if len(changed) > 1 else ()
        for cell_path, cell in changed.items():
            draft.put(cell_path, cell, grouped)
        if grouped:
            draft.add_group(dot, changed)
        draft.state.delivered.add(*dot)

    def _settle(self, draft: Draft, one: Settle, now: Instant) -> Dot | None:
        """What is to become of a beaten value: the write and the note of it, together."""
        record = draft.note(one.number)
        if record is None or record.beaten.dot != one.dot:
            raise ValueError(f"conflict {one.number}: this node has no note of it, or not any more")
        if one.verb == "dismiss":
            draft.settle_note(one.number, beaten.DISMISSED)
            return None
        value = register_lww.value_of(record.beaten.entry())
        unless_moved = () if one.force else (make_op(record.path, EXPECT, (record.by.dot,)),)
        dot = self._commit(draft, (*unless_moved, make_op(record.path, "set", (value,))), now)
        draft.settle_note(one.number, beaten.REINSTATED)
        return dot

    def _refresh(self) -> None:
        """What is kept in memory of the last commit."""
        system = self.store.state(SYSTEM)
        seen = self._system_seen
        may_be_mended = self.engine.registry.is_damaged and system is not seen
        if (
            seen is None
            or may_be_mended
            or seen.delivered != system.delivered
            or system.bootstrap is not seen.bootstrap
        ):
            self._system_seen = system
            with self.store.snapshot() as views:
                self.engine.registry = registry.read(views(SYSTEM))
            self._tell_beyond()
            if may_be_mended and not self.engine.registry.is_damaged:
                self.engine.close_all("the registry can be read again: who may be linked is looked at anew")
            self.names = self._names()
            self._upkeep_at = 0.0
            self.wake_at = 0.0
        self._unready = {
            name
            for name in self.store.keyspaces()
            if (boot := self.store.state(name).bootstrap) is not None
            and boot.is_first
            and not self.store.state(name).is_whole
        }
        self._wake_followers()

    def _tell_beyond(self) -> None:
        """Have an operator told, once, of events that nobody else will take."""
        for name in self.store.keyspaces() if self.engine.registry.closed else ():
            for replica, count in self.engine.registry.beyond(name, self.store.state(name).delivered).items():
                if name != SYSTEM and (name, replica) not in self._told_beyond:
                    self._told_beyond.add((name, replica))
                    self.engine.alarm(
                        f"keyspace {name!r}: {count} events of {replica.hex()}, which was forgotten, are here and were "
                        "given up by the others: they take nothing from this node any more; see Operations, Members"
                    )

    def _wake_followers(self) -> None:
        for name in set(self.hub.followed()).intersection(self.store.keyspaces()):
            come = -1 if name in self._unready else self.store.feed(name).next
            if self._rung.get(name) != come:
                self._rung[name] = come
                self.hub.ring(name)

    def _names(self) -> dict[bytes, str]:
        members = self.engine.registry.members.values()
        had = {i: m.name for m in members for i in m.ids}
        return had | {m.replica: m.name for m in members if m.replica}

    def _take_new_identity(self, reason: str) -> None:
        if self._new_id is None:
            raise AssertionError(f"a new replica id is wanted and none can be made: {reason}")
        me = self.engine.identity
        replica = self._new_id()
        if self._on_new_id is not None:
            self._on_new_id(replica, [*self.engine.old_ids, me.replica], reason)
        self.engine.become(me._replace(replica=replica, fingerprint=self._new_id()))
        self.engine.alarm(f"goes on as replica {replica.hex()}, no longer {me.replica.hex()}: {reason}")
        self.wake_at = 0.0

    # Upkeep

    def _upkeep(self, drafts: Callable[[str], Draft], now: Instant) -> None:
        """Registration, votes and answers; a step of collection, and one of sweeping."""
        states = {name: self.store.state(name) for name in self.store.keyspaces()}
        applying = [name for name in states if states[name].is_applying]
        for name in applying:
            self.engine.journal.go_on(drafts(name), name)
        for name in self._scrub.settle(drafts):
            self._collected.pop(name, None)  # rows of damaged cells were left alone: another pass
            self._collecting.pop(name, None)
        ops = self.engine.duties.due(states, now.mono)
        if ops:
            with suppress(Damaged):  # tried again once it is mended
                self._commit(drafts(SYSTEM), ops, now)
        for name in states if states[SYSTEM].is_whole else ():
            self._collect(drafts, name, now)
            self._fold(drafts, name, now)
            self._sweep_remembered(drafts, name, now)
        self.remembered.turn(drafts, states, now.mono)
        for name in states:
            self._forget_sealed(drafts, name)
        is_trimming = self._tend_feeds(drafts, now.wall)
        for name, op in self._sweep.due(now):
            self._remove_expired(drafts(name), op, now)
        old_notes = [name for name in states if self._trim_notes(drafts, name)]
        is_busy = (
            applying
            or self._collecting
            or self._folding
            or is_trimming
            or old_notes
            or self._sweep.is_under_way
        )
        self._upkeep_at = now.mono + (0.0 if is_busy else min(limits.COLLECT_EVERY_S, limits.SWEEP_EVERY_S))

    def _tend_feeds(self, drafts: Callable[[str], Draft], wall: int) -> bool:
        """Retention; whether there is more to remove at once."""
        followed = set(self.hub.followed())
        more = [
            upkeep.tend(self.store.feed(name), name in followed, partial(drafts, name), wall, self._retention)
            for name in self.store.keyspaces()
        ]
        return any(more)

    def _remove_expired(self, draft: Draft, op: Op, now: Instant) -> None:
        if draft.state.is_whole:  # else a renewal may be here that the vector does not say
            with suppress(Damaged):  # it stays as it is, until it is replaced
                self._commit(draft, [op], now)

    def _forget_sealed(self, drafts: Callable[[str], Draft], name: str) -> None:
        """What is kept of ids that are over: nothing of what they had, and once for all what there was of them."""
        reg, state = self.engine.registry, self.store.state(name)
        for replica in reg.sealed.intersection(state.peers):
            drafts(name).set_peer(replica, None)
        base = reg.base.of(name)
        if base != state.base and drafts(name).state.delivered.covers(base):
            drafts(name).rebase(base)

    def _trim_notes(self, drafts: Callable[[str], Draft], name: str) -> bool:
        """A step of forgetting beaten values of long ago; whether there may be more."""
        return self.store.tally(name).notes > 0 and drafts(name).trim_notes(LEDGER_STEP)

    def _collect(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        state = self.store.state(name)
        waits_for = (self.engine.duties.may_return(), frozenset(self.engine.registry.sealed))
        if name not in self._collecting:
            stable = self.engine.duties.collectable(state, name)
            waited_for, reach = self._collected.get(name, (None, Vector()))
            if waited_for == waits_for and reach.covers(stable):
                return  # not by the horizon: it may have come from a peer, or a pass may not have ended
            self._collected[name] = waits_for, stable
            self._folding[name] = b""
        draft = drafts(name)
        where, silent = self.engine.duties.collect(draft, name, self._collecting.get(name, b""))
        waited_for, reach = self._collected[
            name
        ]  # less may be stable than when the pass began: a joiner counts
        self._collected[name] = waited_for, reach.intersect(self.engine.duties.collectable(draft.state, name))
        for cell_path in dict.fromkeys(silent):  # all of them could just be read
            self._commit(drafts(name), [Op(cell_path, "remove", (), ())], now)
        if where is None:
            self._collecting.pop(name, None)
        else:
            self._collecting[name] = where

    def _fold(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        """Add to counters what every member knows to be pending, where that falls to this node."""
        if name not in self._folding or not self.store.has_operations(name):
            self._folding.pop(name, None)
            return
        draft = drafts(name)
        where, found = self.engine.duties.foldable(draft, name, self._folding[name], OP_FOLD_LOOK)
        for counter, group in groupby(found, path.counter_of):
            pending = list(group)
            for at in range(0, len(pending), OP_FOLD_MAX):
                self._fold_some(draft, counter, pending[at : at + OP_FOLD_MAX], now)
        if where is None:
            del self._folding[name]
        else:
            self._folding[name] = where

    def _fold_some(self, draft: Draft, counter: bytes, pending: list[bytes], now: Instant) -> None:
        event = self._next_event(draft, now)
        with suppress(Damaged):  # they stay pending until the counter's cell is replaced
            self._stand(draft, event, idempotent.fold(counter, pending, draft.cell, event))

    def _sweep_remembered(self, drafts: Callable[[str], Draft], name: str, now: Instant) -> None:
        """Remove notes of ``op_id``s whose window is over, by an event, where that falls to this node."""
        if not self.store.has_due(name, now.wall):
            return
        draft = drafts(name)
        gone = self.remembered.over(draft, now.wall, lambda at: self.engine.duties.may_sweep(draft, name, at))
        if not gone:
            return
        event = self._next_event(draft, now)
        removals = [Op(cell_path, "remove", (), ()) for cell_path in gone]
        self._stand(draft, event, expand(removals, draft.scan, draft.cell, event))

    # Sending

    def outbox(self, now: Instant) -> list[Effect]:
        """What to send now, all of it committed; ask again until it is empty."""
        self.engine.wall_ahead = now.wall - int(now.mono * 1e6)
        with self.store.snapshot() as views:
            effects = self.engine.outbox(views, self.store.keyspaces(), now.mono)
        self._scrub.step(now.mono)
        self.wake_at = min(
            self.engine.wake_at, self._upkeep_at, self._rights.wake_at(), self._scrub.wake_at()
        )
        if self.engine.receiver.has_late_shares:
            self.wake_at = 0.0
        return effects

    def addresses(self) -> list[str]:
        """Members' addresses to dial, beside the configured ones."""
        me = self.engine.identity
        members = self.engine.registry.remaining
        return sorted({m.address for m in members if m.address and m.name != me.name})

    def name_at(self, address: str) -> str | None:
        """The name of the member at an address: as it is registered, or as it called itself when it was dialed."""
        registered = [m.name for m in self.engine.registry.remaining if m.address == address]
        return registered[0] if registered else self.engine.claimed.get(address)

    def wants(self, address: str) -> bool:
        """Whether dialing an address would help: not if it is this node, or a peer that is linked already."""
        found = self.engine.leads_to(address)
        if found is None:
            return True
        linked = {link.peer for link in self.engine.links.values() if not link.closing}
        return found != self.replica and found not in linked

    # Reads

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        """The cell at a path. `NotReady` during the first bootstrap; `Damaged` for a wrong checksum."""
        if keyspace in self._unready:
            raise NotReady(f"keyspace {keyspace!r}: its first bootstrap is under way")
        return self.store.cell(keyspace, cell_path)

    def page(self, keyspace: str, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, Cell]]:
        """Up to ``limit`` cells under a prefix, past ``after``, in path order, from one snapshot."""
        if keyspace in self._unready:
            raise NotReady(f"keyspace {keyspace!r}: its first bootstrap is under way")
        return self.store.page(keyspace, prefix, after, limit)

    def keyspaces(self) -> list[str]:
        """The keyspaces here."""
        return self.store.keyspaces()

    def notes(self, keyspace: str, below: int | None, limit: int) -> list[tuple[int, beaten.Record]]:
        """Notes of beaten values and their numbers, the newest first."""
        return self.store.notes(keyspace, below, limit)

    def notes_above(self, keyspace: str, number: int, limit: int) -> list[tuple[int, beaten.Record]]:
        """Notes of beaten values above a number, the oldest first."""
        return self.store.notes_above(keyspace, number, limit)

    def explain(self, keyspace: str, cell_path: bytes, now: Instant) -> dict[str, Any]:
        """Why a reader sees what is at a path: plain, JSON-ready data."""
        from . import (
            explaining,  # it stands on the handles' reading, and they on this; importing it above would be a circle
        )

        if path.decode(cell_path)[-1][0] in path.CONTAINERS:
            cells = self.page(keyspace, cell_path, None, EXPLAIN_CELLS_MAX + 1)
        else:
            cells = [(cell_path, self.cell(keyspace, cell_path))]
        about = self.knowledge
        known = explaining.Known(
            keyspace,
            now.wall,
            about.names(),
            about.committed(keyspace),
            about.stable(keyspace),
            self.engine.unmet(),
        )
        return explaining.explain(cell_path, cells, known)

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        """The replica ids whose rights of bounded counters a member, or this node, may spend, the current one first."""
        delivered = self.store.state(keyspace).delivered
        replica = self.replica
        if member:
            found = self.engine.registry.members.get(member)
            if found is None or found not in self.engine.registry.remaining:
                raise ValueError(f"member {member!r}: none that counts is called so")
            if keyspace not in found.keyspaces:
                raise ValueError(f"member {member!r}: it does not host keyspace {keyspace!r}")
            if keyspace in found.read_only:
                raise ValueError(f"member {member!r}: it only reads keyspace {keyspace!r}")
            replica = found.replica
        others = self._rights.estate(keyspace, replica, delivered) - {replica}
        return (replica, *sorted(others))

    # Feeds

    def feed_page(self, keyspace: str, place: Place, scope: Scope) -> Page | None:
        """What there is of a feed from a place on; None during the first bootstrap, whose end rings the hub."""
        return None if keyspace in self._unready else self.store.feed_page(keyspace, place, scope)

    def subscriptions(self, keyspace: str) -> dict[str, Subscribed]:
        """The subscriptions of a keyspace, by name."""
        return self.store.subscriptions(keyspace)

    def feed_status(self, keyspace: str) -> dict[str, Any]:
        """A feed and its subscriptions, JSON-ready."""
        from .report import feed  # as below

        return feed(self, keyspace)

    # Tokens and waiting

    def token(self, keyspace: str, dot: Dot | None) -> str | None:
        """The token of all that is delivered, or of one event; None if it is too long. Any thread."""
        return self.knowledge.token(keyspace, dot)

    def short_token(self, keyspace: str) -> str:
        """A token that leaves out what every member has. `LimitExceeded` if that is too long as well."""
        return self.knowledge.short_token(keyspace)

    def has(self, keyspace: str, token: str) -> bool:
        """Whether a token is surely covered. Any thread."""
        return self.knowledge.has(keyspace, token)

    def lacks(self, keyspace: str, wait: Wait, now: Instant) -> str | None:
        """What is missing for a wait to be over, in words; None: nothing."""
        return self.knowledge.lacks(keyspace, wait, now.mono)

    def status(self, now: Instant) -> dict[str, Any]:
        """A plain, JSON-ready snapshot of this node as it knows itself and its peers."""
        from .report import status  # the report reads a replica; importing it above would be a circle

        return status(self, now.mono)

    def copy_to(self, folder: Path) -> None:
        """Copy the store, as of the last commit, into an empty folder. Any thread."""
        self.store.copy_to(folder)

    def close(self) -> None:
        """Let go of the store."""
        self._on_close()


__all__ = ["DEFAULT", "Close", "Replica"]
