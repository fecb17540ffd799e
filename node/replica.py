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
from pathlib import Path
from typing import Any

from gossamer.crdt import Cell, Dot, path

from . import beaten
from .backend import Op
from .changing import ChangeFailed
from .departing import Departure
from .errors import GossamerError, InsufficientRights, NotReady, StoreError
from .feed import upkeep
from .feed.hub import Hub
from .feed.upkeep import RETENTION, Retention
from .hosting import Hosting
from .knowledge import Knowledge
from .limits import EXPLAIN_CELLS_MAX, LEAVE_STEP_S, OP_WINDOW_S
from .own_events import OwnEvents
from .readers import Readers
from .remembered import Remembered
from .replication import limits, registry
from .replication.engine import Engine, Identity
from .replication.registry import SYSTEM
from .replication.state import State
from .rights import Rights, Where
from .room import Room
from .scrub import Scrub
from .store import Draft, Store
from .store.feed import Place, Subscribed
from .store.feedpage import Page, Scope
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
    Send,
    Settle,
    Subscribe,
    Tick,
    Unsubscribe,
    Update,
    UseFeed,
    Write,
)
from .upkeep import Upkeep
from .waiting import Wait

log = logging.getLogger("gossamer")

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
        self.counts = store.counts
        self.remembered = Remembered(op_window_s)
        self.engine = Engine(identity, registry.Registry(), peers)
        self.engine.old_ids = list(old_ids)
        self.knowledge = Knowledge(store, self.engine)
        self.engine.read_only = frozenset(read_only)
        self._new_id, self._on_new_id = new_id, on_new_id
        self._hosting = Hosting(store, self.engine)
        self.wake_at = 0.0
        self._scrub = Scrub(store, self.engine.healer)
        self._readers, self._room = Readers(store), Room(store)
        self._rights = Rights(self.engine, self._knows_members)
        self._departure = Departure(store, self.engine, self._hosting, self.knowledge, self._rights)
        self._own = OwnEvents(self.engine, self.remembered, self._rights, self._room)
        self._settled: list[tuple[Write, Result]] = []
        self._system_seen: State | None = None
        self._unready: set[str] = set()
        self.hub = Hub()
        self._upkeep = Upkeep(
            store, self.engine, self._own, self.remembered, self._scrub, self.hub, retention
        )
        self._rung: dict[
            str, int
        ] = {}  # keyspace -> the next position of its feed when its followers were woken
        self.names: dict[bytes, str] = {}
        """Replica id -> the member that has, or had, it."""
        self.on_beaten: Callable[[], None] | None = None
        self._told_beyond: set[tuple[str, bytes]] = set()
        for name in (SYSTEM, *keyspaces, *read_only):
            self._host(name)
        self._refresh()

    @property
    def replica(self) -> bytes:
        """This node's replica id."""
        return self.engine.identity.replica

    def host(self, keyspace: str) -> None:
        """Make a keyspace here, if it is not yet, and share it with peers that have it."""
        self._host(keyspace)
        self._hasten()

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
        self._hasten()

    def stay(self, keyspace: str) -> str:
        """Give up dropping a keyspace; why it could not go, empty if it has gone."""
        self._hasten()
        return self._hosting.stay(keyspace)

    def depart(self) -> None:
        """Take no more writes, and leave the cluster as soon as others have everything. `OnlyCopy` if nobody could."""
        self._departure.begin()
        self._hasten()

    def remain(self) -> str | None:
        """Give up leaving; why it could not go, None if it has left."""
        self._hasten()
        return self._departure.give_up()

    def lacks_to_go(self) -> str | None:
        """What is missing until it has left, in words; None: nothing."""
        return self._departure.lacks()

    @property
    def is_gone(self) -> bool:
        """It has left the cluster for good, and others know."""
        return self.engine.has_left and self._departure.is_known()

    def _drop(self, keyspace: str) -> None:
        self._hosting.drop(keyspace)
        self._upkeep.forget(keyspace)
        self._rung.pop(keyspace, None)
        self._rights.forget(keyspace)
        self._refresh()
        self.hub.ring(keyspace)
        log.info("%s: keyspace %r was dropped here", self.engine.identity.name, keyspace)

    def _drop_left(self) -> None:
        for name in () if self.engine.is_departing else sorted(self.engine.leaving):
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
        if not self._is_worth(inputs, now):
            return [None] * len(inputs)
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
                self._say_farewell(drafts, made, now)
        except StoreError as error:
            self.engine.close_all("the store failed")
            self.counts.failed_turns += 1
            self._settled += self._rights.abandon(error)
            raise
        self._rights.committed()
        self._settled += settled
        self.counts.wrote(zip(inputs, results, strict=True))
        self.counts.wrote(settled)
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

    def _is_worth(self, inputs: Sequence[Input], now: Instant) -> bool:
        """Whether a turn is to be made at all, or there is only a tick for the sake of what is to be sent."""
        return (
            any(not isinstance(one, Tick) for one in inputs)
            or self._is_upkeep_due(now)
            or now.mono >= self._rights.wake_at()
            or self.engine.is_departing
            or self.engine.is_disowned is not None
            or self.engine.receiver.has_late_shares
        )

    def _is_upkeep_due(self, now: Instant) -> bool:
        return now.mono >= self._upkeep.wake_at or self._scrub.is_owed

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
                    return self._own.write(drafts(one.keyspace), one, now)
                except InsufficientRights as error:
                    return KEPT if self._rights.refused(one, now.mono) else error
                except (TypeError, ValueError, GossamerError, KeyError) as error:
                    return error
            case Update():
                try:
                    return self._own.update(drafts(one.keyspace), one, now)
                except (TypeError, ValueError, GossamerError, KeyError, ChangeFailed) as error:
                    return error
            case UseFeed() | Subscribe() | Acknowledge() | Unsubscribe():
                try:
                    return upkeep.take(drafts(one.keyspace), one, now.wall, self._upkeep.retention)
                except (ValueError, KeyError) as error:
                    return error
            case Settle():
                try:
                    return self._own.settle(drafts(one.keyspace), one, now)
                except (ValueError, GossamerError, KeyError) as error:
                    return error
            case Received():
                self.counts.received_bytes += len(one.body)
                with self.counts.merges:
                    self.engine.receive(drafts, one.link, one.body, now.mono)
            case Connected():
                self.engine.connect(one.link, one.dialed, now.mono, one.vouched)
            case Disconnected():
                self.engine.disconnect(one.link)
            case Tick() if self._is_upkeep_due(now) and not self.engine.is_disowned:
                self._upkeep.step(drafts, now)
        return None

    def _move_rights(
        self, drafts: Callable[[str], Draft], made: dict[str, Draft], now: Instant
    ) -> list[tuple[Write, Result]]:
        """Rights of bounded counters: try the spends that wait, give and ask. What waits no longer, and its outcome."""
        if self.engine.is_disowned:  # by a message of this turn: no event is made under the id any more
            return []

        def has_changed(where: Where) -> bool:
            return where[0] in made and where[1] in made[where[0]].bounded

        def commit(draft: Draft, ops: Sequence[Op]) -> Dot | None:
            """A gift, which a node that leaves makes as well."""
            if draft.tables.name in self.engine.read_only or self.engine.has_left:
                return None
            return self._own.commit(draft, ops, now, is_gift=True)

        def write(draft: Draft, one: Write) -> Dot | None:
            return self._own.write(draft, one, now)

        settled = self._rights.settle(drafts, has_changed, write, now.mono)
        if self._knows_members():
            self._rights.answer(drafts, commit, now.mono)
            self._rights.even_out(drafts, commit, now.mono)
            self._rights.ask(drafts, now.mono)
        return settled

    def _say_farewell(self, drafts: Callable[[str], Draft], made: dict[str, Draft], now: Instant) -> None:
        """Write that this node has left, if nobody needs it any more."""
        if self.engine.is_departing and not self.engine.is_disowned:
            ops = self._departure.farewell(
                lambda name: made[name].state if name in made else self.store.state(name)
            )
            if ops:
                self._own.commit(drafts(SYSTEM), ops, now)

    def _knows_members(self) -> bool:
        """Half a registry would make members of those that are none."""
        return self.store.state(SYSTEM).is_whole and not self.engine.registry.is_damaged

    def _refresh(self) -> None:
        """What is kept in memory of the last commit."""
        system = self.store.state(SYSTEM)
        seen = self._system_seen
        may_be_mended = self.engine.registry.is_damaged and system is not seen
        if (
            seen is None
            or may_be_mended
            or seen.delivered != system.delivered
            or seen.digest != system.digest  # a repair that fits a batch changes nothing else
            or system.bootstrap is not seen.bootstrap
        ):
            self._system_seen = system
            with self.store.snapshot() as views:
                self.engine.registry = registry.read(views(SYSTEM))
            self._tell_beyond()
            if may_be_mended and not self.engine.registry.is_damaged:
                self.engine.close_all("the registry can be read again: who may be linked is looked at anew")
            self.names = self._names()
            self._hasten()
        booting = {
            name: state
            for name in self.store.keyspaces()
            if (state := self.store.state(name)).bootstrap is not None
        }
        self._unready = {
            name
            for name, state in booting.items()
            if state.bootstrap is not None and state.bootstrap.is_first and not state.is_whole
        }
        if any(state.is_applying and name not in self._upkeep.held_up for name, state in booting.items()):
            self._hasten()  # the parts that are here are applied step by step
        self._wake_followers()

    def _hasten(self) -> None:
        """Have the next step of the upkeep at once."""
        self._upkeep.wake_at = self.wake_at = 0.0

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
        self._hasten()

    # Sending

    def outbox(self, now: Instant) -> list[Effect]:
        """What to send now, all of it committed; ask again until it is empty."""
        self.engine.wall_ahead = now.wall - int(now.mono * 1e6)
        with self.store.snapshot() as views:
            effects = self.engine.outbox(views, self.store.keyspaces(), now.mono)
        self.counts.sent_bytes += sum(len(one.body) for one in effects if isinstance(one, Send))
        self._scrub.step(now.mono)
        self._readers.step(now.mono)
        self._room.step(now.mono)
        self.wake_at = min(
            self.engine.wake_at, self._upkeep.wake_at, self._rights.wake_at(), self._scrub.wake_at()
        )
        if self.engine.is_departing:
            self._departure.look()
            self.wake_at = min(self.wake_at, now.mono + LEAVE_STEP_S)
        if self.engine.receiver.has_late_shares:
            self.wake_at = 0.0
        return effects

    def addresses(self) -> list[str]:
        """Whom to dial: the members, of many only the neighbours, and the configured ones that are no member's yet."""
        me, members = self.engine.identity, self.engine.registry.remaining
        wanted = self.engine.wanted()
        others = [m for m in members if m.address and m.name != me.name]
        near = {m.address for m in others if wanted is None or m.name in wanted}
        return sorted({*near, *(self.engine.peers if wanted is None else self.engine.unmet())})

    def name_at(self, address: str) -> str | None:
        """The name of the member at an address: as it is registered, or as it called itself when it was dialed."""
        registered = [m.name for m in self.engine.registry.remaining if m.address == address]
        return registered[0] if registered else self.engine.claimed.get(address)

    def wants(self, address: str) -> bool:
        """Whether dialing an address would help: not if it is this node, or a peer that is linked already."""
        if self.is_gone:
            return False
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

    def page(
        self, keyspace: str, prefix: bytes, after: bytes | None, limit: int, bytes_max: int | None = None
    ) -> list[tuple[bytes, Cell]]:
        """Up to ``limit`` cells under a prefix, past ``after``, in path order, from one snapshot; the last one is that
        which fills ``bytes_max`` of payload."""
        if keyspace in self._unready:
            raise NotReady(f"keyspace {keyspace!r}: its first bootstrap is under way")
        return self.store.page(keyspace, prefix, after, limit, bytes_max)

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
