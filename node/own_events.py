"""How does a write become an event of this node's own?

By what the operations make of the cells as they are in the writer's transaction, under the next number of this
replica, once: a retry with the same ``op_id``, or a client's attempt that is known here, gets the event there was.
"""

from __future__ import annotations

from collections.abc import Sequence

from gossamer.crdt import Cell, Dot, Event, expiry, path, register_lww

from . import beaten, idempotent
from .apply import expand
from .backend import EXPECT, Op, make_op
from .errors import AnotherNode, Leaving, ReadOnly
from .op_id import check_op_id
from .remembered import Remembered
from .replication.engine import Engine
from .replication.registry import SYSTEM
from .rights import Rights
from .room import Room
from .store import Draft
from .turns import Instant, Settle, Update, Write


class OwnEvents:
    """Makes them. Called in the writer's turns."""

    def __init__(self, engine: Engine, remembered: Remembered, rights: Rights, room: Room) -> None:
        self._engine, self._remembered, self._rights, self._room = engine, remembered, rights, room

    def write(self, draft: Draft, one: Write, now: Instant) -> Dot | None:
        """A write, unless it is a remote client's attempt that is known here; its event, None if it changed nothing."""
        if one.attempt is None:
            return self._identified(draft, one, now)
        known = self._remembered.attempted(draft, one.attempt)
        if known is not None:
            return known[0]
        if one.attempt.node != self._engine.identity.replica:
            raise AnotherNode(self._engine.identity.replica)
        dot = self._identified(draft, one, now)
        self._remembered.note_attempt(draft, one.attempt, dot)
        return dot

    def _identified(self, draft: Draft, one: Write, now: Instant) -> Dot | None:
        """A write, unless its ``op_id`` says that it was made."""
        if one.op_id is None:
            return self.commit(draft, one.ops, now)
        event = self.next_event(draft, now, one.ops)
        changed, dot = idempotent.expand_once(
            one.ops, one.op_id, draft.scan, draft.cell, event, draft.pending, self._remembered.window
        )
        if changed:
            self._room.check(one.ops)
        self.stand(draft, event, changed)
        return dot

    def update(self, draft: Draft, one: Update, now: Instant) -> Dot | None:
        """A write that depends on a cell, unless its ``op_id`` says that it was made: then nothing is asked."""
        if one.op_id is not None:
            note = draft.cell(path.component("op_id", check_op_id(one.op_id)))
            if idempotent.is_done(note, one.op_id, now.wall, self._remembered.window):
                return idempotent.outcome(note)
        ops = one.change(draft.cell(one.path))
        return self._identified(draft, Write(one.keyspace, ops, op_id=one.op_id), now)

    def next_event(
        self, draft: Draft, now: Instant, ops: Sequence[Op] = (), *, is_gift: bool = False
    ) -> Event:
        """The event that is made next, if one is made. `ReadOnly` or `Leaving` if this node makes none, or only gifts."""
        if not is_gift and not self._engine.may_write(draft.tables.name):
            if self._engine.is_departing or self._engine.has_left:
                raise Leaving("this node leaves the cluster, or has left it, and takes no writes")
            raise ReadOnly(f"keyspace {draft.tables.name!r}: this node only reads it")
        estate = self._rights.needed(ops, draft.tables.name, draft.state.delivered)
        return Event(
            self._engine.identity.replica,
            draft.state.delivered.last(self._engine.identity.replica) + 1,
            now.wall,
            estate,
        )

    def commit(self, draft: Draft, ops: Sequence[Op], now: Instant, *, is_gift: bool = False) -> Dot | None:
        """One event of this node's own, over as many cells as it changes. ``is_gift``: of rights, to another node."""
        event = self.next_event(draft, now, ops, is_gift=is_gift)
        if not is_gift and draft.tables.name != SYSTEM:
            self._room.check(ops)
        changed = expand(ops, draft.scan, draft.cell, event, draft.pending)
        self.stand(draft, event, changed)
        return (event.replica, event.seq) if changed else None

    def stand(self, draft: Draft, event: Event, changed: dict[bytes, Cell]) -> None:
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

    def settle(self, draft: Draft, one: Settle, now: Instant) -> Dot | None:
        """What is to become of a beaten value: the write and the note of it, together."""
        record = draft.note(one.number)
        if record is None or record.beaten.dot != one.dot:
            raise ValueError(f"conflict {one.number}: this node has no note of it, or not any more")
        if one.verb == "dismiss":
            draft.settle_note(one.number, beaten.DISMISSED)
            return None
        unless_moved = () if one.force else (make_op(record.path, EXPECT, (record.by.dot,)),)
        dot = self.commit(draft, (*unless_moved, _again(one.number, record, now)), now)
        draft.settle_note(one.number, beaten.REINSTATED)
        return dot


def _again(number: int, record: beaten.Record, now: Instant) -> Op:
    """The write of a beaten value, which ends when that one would have ended."""
    value, until = register_lww.value_of(record.beaten.entry()), expiry.of(record.beaten.payload)
    if until is None:
        return make_op(record.path, "set", (value,))
    if until <= now.wall:
        raise ValueError(f"conflict {number}: its value has expired meanwhile; set it anew if it is to stand")
    return make_op(record.path, "set", (value, None, (expiry.AT, until)))
