"""A keyspace inside the writer's transaction: reads that see the writes before them, and the writes.

The question this answers: *what does a turn change on disk?* A draft keeps what it changed in memory until `flush`,
sorted, so that a group commit is a few ordered passes over the tree and a write that turns out to be wrong has
touched nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import lmdb
import msgspec

from gossamer.crdt import EMPTY, Cell, Dot, Vector, codec, expiry, path, vector
from gossamer.crdt.tally import Tally

from .. import beaten
from ..errors import Damaged
from ..replication import bases
from . import index, ledger, operations, record
from .audit import Audit, false_groups, missing_rows
from .feedlog import FeedDraft
from .tables import BASE, PEER, STATE, Tables
from .view import View

_BOUNDED = path.CELLS["bounded_counter"]  # most paths do not even have its code in them


class Draft(View):
    """A keyspace inside the writer's transaction. ``state`` is its own copy; nothing counts until committed."""

    def __init__(self, tables: Tables, txn: lmdb.Transaction[bytes]) -> None:
        super().__init__(tables, txn, tables.state.copy())
        self._cells: dict[bytes, Cell] = {}
        self._weights: dict[bytes, int] = {}  # of what is in _cells
        self._dirty: dict[bytes, bytes | None] = {}  # path -> stored bytes, None to delete
        self._rows: dict[tuple[bytes, bytes], bool] = {}  # (key, value) -> put, or delete
        self._groups: dict[tuple[bytes, bytes], bool] = {}
        self._expiries: dict[tuple[bytes, bytes], bool] = {}
        self._peers: set[bytes] = set()
        self._grown: set[bytes] = set()
        self.audited = 0
        """What this draft adds to the total of the audit."""
        self.spoils_audit = False
        """It took away a cell of which that total may have a part."""
        self.may_return: frozenset[bytes] = frozenset()
        """Replicas that may come back with writes that nobody here has seen."""
        self.bounded: set[bytes] = set()
        """Bounded counters that were changed: their rights may have to be moved."""
        self.wall = 0
        """Microseconds since 1970: when this transaction is."""
        self._feed = FeedDraft(tables, txn) if tables.feed.is_on else None
        self._beaten: list[beaten.Record] = []
        self._reinstated: list[tuple[Dot, bytes]] = []
        self._noted_before = tables.tally.last
        self._ledger = ledger.Ledger(txn, tables.ledger, tables.tally, tables.bounds)
        self.due_at: Callable[[bytes], int] = lambda cell_path: 0
        """When the window of the ``op_id`` in a path is over, if it begins now; microseconds since 1970."""
        self.has_changed = False

    @property
    def feed(self) -> FeedDraft:
        """The keyspace's feed in this transaction; `touch` the draft after a change of it."""
        if self._feed is None:
            self._feed = FeedDraft(self.tables, self.txn)
        return self._feed

    @property
    def has_noted(self) -> bool:
        """Whether it has noted beaten values."""
        return self.tally.last > self._noted_before

    @property
    def tally(self) -> ledger.Tally:
        """What the ledger of beaten values holds now."""
        return self._ledger.tally

    def settle_note(self, number: int, state: int) -> None:
        """Note what became of a beaten value."""
        self._ledger.settle(number, state)
        self.has_changed = True

    def trim_notes(self, most: int) -> bool:
        """Drop notes that are too old; whether there may be more."""
        before = self.tally
        more = self._ledger.trim(self.wall, most)
        self.has_changed |= self.tally != before
        return more

    def cell(self, cell_path: bytes) -> Cell:
        known = self._cells.get(cell_path)
        return self._load(cell_path) if known is None else known

    def is_damaged(self, cell_path: bytes) -> bool:
        return cell_path not in self._cells and super().is_damaged(cell_path)

    def _load(self, cell_path: bytes) -> Cell:
        stored = self.txn.get(cell_path, db=self.tables.cells)
        if stored is None:
            cell, weight = EMPTY, 0
        else:
            cell = self.tables.unpack(cell_path, stored)
            weight = record.weight(cell_path, cell, stored[record.CHECKSUM_BYTES :])
        self._cells[cell_path], self._weights[cell_path] = cell, weight
        return cell

    def put(self, cell_path: bytes, new: Cell, grouped: Iterable[Dot] = ()) -> None:
        """Replace a cell, and with it its rows: one row a replica that the cell's context names.

        ``grouped`` are events over several cells; their rows are added by `add_group` and replace none.
        """
        old = self.cell(cell_path)
        if new is old:
            return
        if self._feed is not None:
            self._note_in_feed(cell_path, old, new)
        self._index(cell_path, old, new, grouped)
        if not (expiry.is_plain(old) and expiry.is_plain(new)):
            self._index_expiries(cell_path, old, new)
        if len(new.live) > 1 and self.tables.keeps_notes:
            self._beaten += beaten.newly_beaten(cell_path, old, new, self.wall)
        if len(old.live) > 1 and self.tables.keeps_notes and self.state.is_whole:
            # Else the sender's cells take values away by themselves, and what superseded them may be collected.
            again = beaten.reinstated(cell_path, old, new, self.state.delivered.has)
            self._reinstated += ((dot, cell_path) for dot in again)
        if new.live or new.dead:
            encoded = codec.encode(new)
            weight = record.weight(cell_path, new, encoded)
            self._dirty[cell_path] = record.pack(cell_path, encoded)
        else:
            weight = 0
            self._dirty[cell_path] = None
        if path.is_operation(cell_path):
            self.tables.has_operations = True
            table, due = self.tables.operations, self.due_at(cell_path)
            operations.note(self.txn, table, cell_path, old, new, due=due, anew=self._tally_anew)
        self._weigh(cell_path, weight)
        self._cells[cell_path] = new
        if _BOUNDED in cell_path and path.kind_of(cell_path) == "bounded_counter":
            self.bounded.add(cell_path)
        self.has_changed = True

    def _weigh(self, cell_path: bytes, weight: int) -> None:
        change = weight - self._weights[cell_path]
        self.state.digest = (self.state.digest + change) % record.DIGEST_MOD
        if self.tables.audit.has_passed(cell_path):
            self.audited += change
        self._weights[cell_path] = weight

    def drop_damaged(self, cell_path: bytes) -> None:
        """Take damaged bytes away, to put in their place what is known elsewhere, or to leave it empty.

        What they weighed is not known, so the digest is not known either until `recount`.
        """
        for key, value in self.txn.cursor(
            db=self.tables.expiries
        ):  # all of them: what was in the cell is not known
            if value == cell_path:
                self._expiries[key, value] = False
        self._cells[cell_path], self._weights[cell_path], self._dirty[cell_path] = EMPTY, 0, None
        if path.is_operation(cell_path):
            operations.forget(self.txn, self.tables.operations, cell_path, self._tally_anew)
        self.state.is_counted = False
        self.spoils_audit = self.spoils_audit or self.tables.audit.may_include(cell_path)
        self.tables.damaged.discard(cell_path)
        self.has_changed = True

    def recount(self) -> bool:
        """Take the audit's total for the digest, if it is over and none is damaged; whether it was another."""
        audit = self.tables.audit
        total = (audit.total + self.audited) % record.DIGEST_MOD
        if not audit.is_over or self.tables.damaged or (self.state.is_counted and total == self.state.digest):
            return False
        self.state.digest, self.state.is_counted, self.has_changed = total, True, True
        return True

    def reindex(self, cell_path: bytes) -> None:
        """Mend the index of one cell: rows that it lacks, events noted there by mistake, rows that no cell shows."""
        self.spill()
        for dot in list(false_groups(self, cell_path)):
            if self.has_row(dot, cell_path):  # as an event over this cell alone
                self.drop_row(dot, False, cell_path)
                self.add_group(dot, [cell_path])
            else:
                self._groups[cell_path, index.key(*dot)] = False
                self._note_groups(cell_path)
        for replica, seq in list(missing_rows(self, cell_path, self.cell(cell_path))):
            rows = self.event_rows((replica, seq))
            if (replica, seq) in self.groups(cell_path) or any(grouped for grouped, _ in rows):
                self.add_group((replica, seq), [cell_path])
            else:
                self._rows[index.key(replica, seq), index.SINGLE + cell_path] = True
            for grouped, other in rows:
                if not self.is_damaged(other) and self.cell(other).context().get(replica, 0) < seq:
                    self.drop_row((replica, seq), grouped, other)
        self.has_changed = True

    def _note_groups(self, cell_path: bytes) -> None:
        """Note anew at a cell which events over several cells have a row for it: the whole index is read."""
        row = index.GROUPED + cell_path
        for key, value in self.txn.cursor(db=self.tables.changes):
            if value == row:
                self._groups[cell_path, key] = True

    def _note_in_feed(self, cell_path: bytes, old: Cell, new: Cell) -> None:
        """What is about to change for a reader: of an operation its counter, of a marker nothing."""
        assert self._feed is not None
        if path.is_operation(cell_path):
            if path.kind_of(cell_path) == "op_id":
                return
            cell_path, seen = path.counter_of(cell_path), old.context()
            self._feed.note_dots(cell_path, (d for d in new.dots() if d[1] > seen.get(d[0], 0)))
        if not self._feed.has_noted(cell_path):
            self._feed.note(cell_path, self._as_read(cell_path))

    def _as_read(self, cell_path: bytes) -> Cell:
        """A cell as the feed tells it: a damaged tally does not hold up a write."""
        try:
            return self.read(cell_path)
        except Damaged:
            return self.cell(cell_path)

    def _tally_anew(self, counter: bytes) -> Tally:
        """A counter's tally from its operations as this draft has them; what is damaged adds nothing."""
        derived, prefix = operations.Derived(), path.operations_of(counter)
        stored = self.txn.cursor(db=self.tables.cells)
        found = {at for at in self._cells if at.startswith(prefix)}
        is_more = stored.set_range(prefix)
        while is_more and stored.key().startswith(prefix):
            found.add(stored.key())
            is_more = stored.next()
        for cell_path in sorted(found):
            with suppress(Damaged):
                derived.add(cell_path, self.cell(cell_path))
        return derived.tally(counter)

    def _index(self, cell_path: bytes, old: Cell, new: Cell, grouped: Iterable[Dot]) -> None:
        row = index.SINGLE + cell_path
        before = old.context()
        for replica, seq in new.context().items():
            last = before.get(replica, 0)
            if new.dead and self.state.debt.has(replica, seq):
                self._index_owed((replica, seq), cell_path)
            if seq <= last:
                continue
            if last and last > self.state.horizon.prefix(replica):
                self._rows[index.key(replica, last), row] = False
            if (replica, seq) not in grouped and not self.is_collected(replica, seq):
                self._rows[index.key(replica, seq), row] = True

    def _index_owed(self, dot: Dot, cell_path: bytes) -> None:
        """A row by which dead context that is owed is found, once it may go."""
        if not self.has_row(dot, cell_path, (index.GROUPED,)):
            self._rows[index.key(*dot), index.SINGLE + cell_path] = True

    def _index_expiries(self, cell_path: bytes, old: Cell, new: Cell) -> None:
        before, after = expiry.carried_by(old), expiry.carried_by(new)
        for replica, expires_at in before ^ after:
            is_put = (replica, expires_at) in after
            self._expiries[index.key(replica, expires_at), cell_path] = is_put

    def add_group(self, dot: Dot, paths: Iterable[bytes]) -> None:
        """The rows of an event over several cells, as it was made."""
        if self.is_collected(*dot):
            return
        key = index.key(*dot)
        for cell_path in paths:
            self._rows[key, index.GROUPED + cell_path] = True
            self._groups[cell_path, key] = True
        self.has_changed = True

    def drop_row(self, dot: Dot, grouped: bool, cell_path: bytes) -> None:
        """Remove one row: it is collected, or stale."""
        key = index.key(*dot)
        self._rows[key, (index.GROUPED if grouped else index.SINGLE) + cell_path] = False
        if grouped:
            self._groups[cell_path, key] = False
        self.has_changed = True

    def set_peer(self, replica: bytes, had: Vector | None) -> None:
        """Remember, or forget, what a replica had delivered.

        That one has more than we knew is stored with the next other change: messages that say no more need no commit. A
        crash before that forgets what will be told again; whatever is collected because of it is such a change.
        """
        is_known = replica in self.state.peers
        if had is None:
            self.state.peers.pop(replica, None)
        else:
            self.state.peers[replica] = had
        if is_known and had is not None:
            self._grown.add(replica)
        else:
            self._peers.add(replica)
            self.has_changed = True

    def rebase(self, base: Vector) -> None:
        """Store the vectors as what they have beyond ``base``, of which all is delivered."""
        assert self.state.delivered.covers(base), "a base beyond what is delivered"
        self.state.base = base
        self.txn.put(BASE, record.closed(vector.encode(base)), db=self.tables.meta)
        self._peers.update(self.state.peers)
        self.has_changed = True

    def stage(self, key: bytes, raw: bytes) -> None:
        """Keep a part of a large batch until the rest of it is here."""
        if self.tables.has_leftovers:  # there was no space to drop them in when the store was opened
            self.txn.drop(self.tables.staged, delete=False)
            self.tables.has_leftovers = False
        self.txn.put(key, record.closed(raw), db=self.tables.staged)
        self.has_changed = True

    def staged(self, prefix: bytes) -> Iterator[bytes]:
        """The parts kept under a prefix, in order of their keys. `MalformedError` for one that is not what was kept."""
        cursor = self.txn.cursor(db=self.tables.staged)
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            yield record.opened(cursor.value())
            found = cursor.next()

    def unstage(self, prefix: bytes) -> bool:
        """Drop the parts kept under a prefix; whether there were any."""
        cursor, is_any = self.txn.cursor(db=self.tables.staged), False
        while cursor.set_range(prefix) and cursor.key().startswith(prefix):
            cursor.delete()
            self.has_changed = is_any = True
        return is_any

    def spill(self) -> None:
        """Hand what is staged in memory to LMDB, and forget what was read: a large batch must not grow memory."""
        self._flush_cells()
        self._flush_pairs(self.tables.changes, self._rows)
        self._flush_pairs(self.tables.groups, self._groups)
        if self._feed is not None:
            self._feed.spill(self._as_read, self.wall)
        self._flush_pairs(self.tables.expiries, self._expiries)
        self._flush_notes()
        self._cells.clear()
        self._weights.clear()

    def touch(self) -> None:
        """The state was changed in place and must be stored."""
        self.has_changed = True

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        """The visible cells at or under a path, with what this draft changed; a list, since the caller writes meanwhile."""
        self._flush_cells()
        return iter(list(self.visible(prefix, path.prefix_end(prefix))))

    def put_off(self, when: int, cell_path: bytes, until: int | None) -> None:
        """Look again at a cell that was due, or never, with None."""
        operations.drop_due(self.txn, self.tables.operations, when, cell_path)
        if until is not None:
            operations.set_due(self.txn, self.tables.operations, cell_path, until)
        self.has_changed = True

    def attempt(self, turn: int, attempt: bytes) -> tuple[Dot | None] | None:
        """What came of an attempt that was noted in this turn of the notes, or the one before, in a tuple."""
        return operations.get_attempt(self.txn, self.tables.operations, turn, attempt)

    def note_attempt(self, turn: int, attempt: bytes, dot: Dot | None) -> None:
        """Note what came of an attempt."""
        operations.put_attempt(self.txn, self.tables.operations, turn, attempt, dot)
        self.has_changed = True

    def last_turn(self) -> int:
        """The turn of the newest attempt noted."""
        return operations.last_turn(self.txn, self.tables.operations)

    def drop_attempts(self, before: int, most: int) -> int:
        """Forget up to ``most`` attempts of turns below ``before``; how many it forgot."""
        dropped = operations.drop_attempts(self.txn, self.tables.operations, before, most)
        self.has_changed = self.has_changed or dropped > 0
        return dropped

    def flush(self) -> None:
        """Hand all that is staged to LMDB."""
        if not self.has_changed:
            return
        self.spill()
        self._flush_state()

    def _flush_cells(self) -> None:
        puts: list[tuple[bytes, bytes]] = []
        for cell_path, stored in sorted(self._dirty.items()):
            if stored is None:
                self.txn.delete(cell_path, db=self.tables.cells)
            else:
                puts.append((cell_path, stored))
        if puts:
            self.txn.cursor(db=self.tables.cells).putmulti(puts)
        self._dirty.clear()

    def _flush_notes(self) -> None:
        for one in self._beaten:
            self._ledger.add(one)
        self._beaten.clear()
        for dot, cell_path in self._reinstated:
            self._ledger.reinstate(dot, cell_path)
        self._reinstated.clear()

    def _flush_pairs(self, db: Any, pairs: dict[tuple[bytes, bytes], bool]) -> None:
        puts: list[tuple[bytes, bytes]] = []
        for pair, is_put in sorted(pairs.items()):
            if is_put:
                puts.append(pair)
            else:
                self.txn.delete(pair[0], pair[1], db=db)
        if puts:
            self.txn.cursor(db=db).putmulti(puts)
        pairs.clear()

    def _flush_state(self) -> None:
        state = self.state
        state.adopt_debt()
        packed = (
            _stored(state.delivered, state.base),
            state.digest.to_bytes(16, "big") if state.is_counted else b"",
            _stored(state.horizon, state.base),
            _stored(state.debt, state.base),
            state.bootstrap,
        )
        self.txn.put(STATE, record.closed(msgspec.msgpack.encode(packed)), db=self.tables.meta)
        for replica in self._peers | self._grown | self.tables.unsaved_peers:
            had = state.peers.get(replica)
            if had is None:
                self.txn.delete(PEER + replica, db=self.tables.meta)
            else:
                packed_peer = record.closed(bases.pack(had, state.base))
                self.txn.put(PEER + replica, packed_peer, db=self.tables.meta)
        if self._feed is not None:
            self._feed.flush()

    def committed(self) -> None:
        """The transaction stands: what is kept in memory of the last commit is this."""
        if not self.has_changed:
            if self._grown:  # the state stays the same one, as nothing of it changes that is to be sent
                self.tables.state.peers = self.state.peers
                self.tables.unsaved_peers |= self._grown
            return
        self.tables.unsaved_peers.clear()
        self.tables.state, self.tables.tally = self.state, self.tally
        if self.spoils_audit:
            self.tables.audit = Audit()
        else:
            self.tables.audit.total += self.audited
        if self._feed is not None:
            self.tables.feed = self._feed.state


def _stored(of: Vector, base: Vector) -> Any:
    return bases.pack(of, base) if base and of.covers(base) else of.flat()
