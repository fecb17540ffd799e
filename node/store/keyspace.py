"""One keyspace on disk: cells, changes, groups and state, seen from one LMDB transaction.

The question this answers: *what did this node hold at that commit?* `View` reads; `Draft` also writes. A draft
keeps what it changed in memory until `flush`, sorted, so that a group commit is a few ordered passes over the
tree and a write that turns out to be wrong has touched nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import lmdb
import msgspec

from gossamer.crdt import EMPTY, Cell, Dot, MalformedError, Vector, codec, expiry, path, vector
from gossamer.crdt.tally import Tally

from .. import beaten
from ..errors import Damaged
from ..replication import bases
from ..replication.state import Bootstrap, State
from . import feed, index, ledger, operations, record
from .audit import Audit, false_groups, missing_rows
from .feedlog import FeedDraft

_STATE, _PEER, _BASE = b"state", b"peer:", b"base"
_EMPTY = vector.encode(Vector())
_BOUNDED = path.CELLS["bounded_counter"]  # most paths do not even have its code in them


class Tables:
    """The LMDB databases of one keyspace, and its state as of the last commit."""

    def __init__(
        self, env: lmdb.Environment, name: str, txn: lmdb.Transaction[bytes], bounds: ledger.Bounds
    ) -> None:
        self.name = name
        self.cells = env.open_db(f"{name}/cells".encode(), txn=txn)
        self.changes = env.open_db(f"{name}/changes".encode(), txn=txn, dupsort=True)
        self.groups = env.open_db(f"{name}/groups".encode(), txn=txn, dupsort=True)
        self.expiries = env.open_db(f"{name}/expiries".encode(), txn=txn, dupsort=True)
        self.meta = env.open_db(f"{name}/meta".encode(), txn=txn)
        self.staged = env.open_db(f"{name}/staged".encode(), txn=txn)
        self.feed_log = env.open_db(f"{name}/feed".encode(), txn=txn)
        self.operations = env.open_db(f"{name}/operations".encode(), txn=txn)
        self.has_operations = operations.counts(txn, self.operations) != operations.Counts()
        """Whether there may be a tally. True before the first commit that makes it so, hence no reader misses one; where
        no ``op_id`` is used, reads cost what they did without (2.5 us; else 0.5 more, and a counter's 1.5)."""
        self.state = read_state(txn, self.meta)
        self.has_leftovers = not self.state.is_applying and txn.stat(self.staged)["entries"] > 0
        """Parts of a batch are staged that no link will complete any more."""
        self.feed = feed.load_state(txn, self.meta)
        self.ledger = env.open_db(f"{name}/ledger".encode(), txn=txn)
        self.tally = ledger.load(txn, self.ledger)
        self.bounds = bounds
        self.audit = Audit()
        self.damaged: set[bytes] = set()
        """Paths at which the bytes on disk were found not to be what was written; any thread adds to it."""

    @property
    def keeps_notes(self) -> bool:
        """Whether beaten values are noted: not the registry's."""
        return self.bounds.records > 0 and not self.name.startswith("$")

    def unpack(self, cell_path: bytes, stored: bytes) -> Cell:
        """The cell of stored bytes. `Damaged`, and noted, if they are not what was written."""
        try:
            return record.unpack(cell_path, stored)
        except Damaged:
            self.damaged.add(cell_path)
            raise

    def databases(self) -> list[Any]:
        """All of them."""
        return [found for found in vars(self).values() if isinstance(found, lmdb._Database)]


def read_state(txn: lmdb.Transaction[bytes], meta: Any) -> State:
    """The state in a keyspace's database ``meta``. `ValueError` or `TypeError` if it is not what was written.

    What a peer had, if it is damaged, is not known any more, and will be told again.
    """
    state = State()
    raw = txn.get(_STATE, db=meta)
    if raw is not None:
        delivered, digest, horizon, debt, bootstrap = msgspec.msgpack.decode(record.opened(raw))
        state.base = vector.decode(record.opened(txn.get(_BASE, db=meta) or _EMPTY))
        state.delivered, state.digest = _read(delivered, state.base), int.from_bytes(digest, "big")
        state.is_counted = bool(digest)
        state.horizon, state.debt = _read(horizon, state.base), _read(debt, state.base)
        state.bootstrap = msgspec.convert(bootstrap, Bootstrap | None)
    for key, value in txn.cursor(db=meta):
        if key.startswith(_PEER):
            with suppress(MalformedError):
                state.peers[key[len(_PEER) :]] = bases.unpack(record.opened(value), state.base)
    return state


def _read(stored: Any, base: Vector) -> Vector:
    """A vector of the state: a list, or bytes if it stands on the base."""
    return bases.unpack(stored, base) if isinstance(stored, bytes) else Vector.of_flat(stored)


def _stored(of: Vector, base: Vector) -> Any:
    return bases.pack(of, base) if base and of.covers(base) else of.flat()


class View:
    """A keyspace as of one transaction. Cells are copied out; nothing keeps the transaction's pages."""

    def __init__(self, tables: Tables, txn: lmdb.Transaction[bytes], state: State) -> None:
        self.tables, self.txn, self.state = tables, txn, state

    def cell(self, cell_path: bytes) -> Cell:
        """The cell at a path, the empty cell if there is none. `Damaged` if its checksum is wrong."""
        stored = self.txn.get(cell_path, db=self.tables.cells)
        return EMPTY if stored is None else self.tables.unpack(cell_path, stored)

    def cells(self, start: bytes, end: bytes | None = None) -> Iterator[tuple[bytes, Cell]]:
        """The stored cells with ``start <= path < end``, in path order."""
        for cell_path, stored in self.stored(start, end):
            yield cell_path, self.tables.unpack(cell_path, stored)

    def readable(self, start: bytes, end: bytes | None = None) -> Iterator[tuple[bytes, Cell]]:
        """As `cells`, without those that are damaged."""
        for cell_path, stored in self.stored(start, end):
            with suppress(Damaged):
                yield cell_path, self.tables.unpack(cell_path, stored)

    def stored(self, start: bytes, end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The bytes of those cells as they lie on disk, damaged or not."""
        cursor = self.txn.cursor(db=self.tables.cells)
        found = cursor.set_range(start) if start else cursor.first()
        while found:
            cell_path = cursor.key()
            if end is not None and cell_path >= end:
                return
            yield cell_path, cursor.value()
            found = cursor.next()

    def damaged(self) -> list[bytes]:
        """The paths of cells that were found damaged and still are, sorted."""
        for cell_path in self.tables.damaged.copy():
            if not self.is_damaged(cell_path):
                self.tables.damaged.discard(cell_path)
        return sorted(self.tables.damaged.copy())

    def is_damaged(self, cell_path: bytes) -> bool:
        """Whether there are bytes at a path which are not what was written."""
        stored = self.txn.get(cell_path, db=self.tables.cells)
        if stored is None:
            return False
        try:
            self.tables.unpack(cell_path, stored)
        except Damaged:
            return True
        return False

    def damaged_in(self, after: bytes, upto: bytes | None) -> Iterator[bytes]:
        """The paths of damaged cells with ``after < path <= upto``."""
        end = None if upto is None else upto + b"\x00"
        for cell_path, _ in self.stored(after + b"\x00" if after else b"", end):
            if self.is_damaged(cell_path):
                yield cell_path

    def visible(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, Cell]]:
        """As `cells`, for writers: without those that the node keeps for writes with an ``op_id``, which it skips."""
        for cell_path, is_stored in self._visible(start, end):
            if is_stored:
                yield cell_path, self.cell(cell_path)

    def as_read(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, Cell]]:
        """As `visible`, for readers: what its operations add is in the cell of a counter."""
        for cell_path, _ in self._visible(start, end):
            yield cell_path, self.read(cell_path)

    def shown_paths(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        """The paths that `as_read` looks at."""
        return (cell_path for cell_path, _ in self._visible(start, end))

    def _visible(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bool]]:
        """Paths, and whether a cell is stored there: a counter may have operations and nothing of its own."""
        cursor = self.txn.cursor(db=self.tables.cells)
        found = cursor.set_range(start) if start else cursor.first()
        last = b""
        while found:
            cell_path = cursor.key()
            if end is not None and cell_path >= end:
                return
            if not path.is_operation(cell_path):
                yield cell_path, True
                last = cell_path
                found = cursor.next()
            elif path.kind_of(cell_path) == "op":
                counter = path.counter_of(cell_path)
                if counter != last and counter >= start:
                    yield counter, False
                found = cursor.set_range(path.prefix_end(path.operations_of(counter)))
            else:
                found = cursor.set_range(path.prefix_end(cell_path[:1]))

    def read(self, cell_path: bytes) -> Cell:
        """The cell at a path as a reader gets it: that of a counter with what its operations add."""
        cell = self.cell(cell_path)
        if not self.tables.has_operations or path.kind_of(cell_path) != "counter":
            return cell
        found = operations.read_tally(self.txn, self.tables.operations, cell_path)
        return cell if found is None else found.over(cell)

    def pending(self, prefix: bytes) -> list[tuple[bytes, Cell]]:
        """The operations at or under a path that are only pending."""
        found = operations.pending(self.txn, self.tables.operations, prefix)
        return [(cell_path, self.cell(cell_path)) for cell_path in found]

    def pending_after(self, after: bytes) -> Iterator[bytes]:
        """The paths past ``after`` of operations that are only pending."""
        return operations.pending_after(self.txn, self.tables.operations, after)

    def operation_counts(self) -> operations.Counts:
        """How many cells it keeps for writes with an ``op_id``."""
        return operations.counts(self.txn, self.tables.operations)

    def due(self, now: int) -> Iterator[tuple[int, bytes]]:
        """Cells of such writes whose window is over: when it was, and the path."""
        return operations.due(self.txn, self.tables.operations, now)

    def rows(self, replica: bytes, start: int) -> Iterator[tuple[int, bool, bytes]]:
        """``(seq, grouped, path)`` of the rows of ``replica`` from seq ``start`` on, in order of seq."""
        cursor = self.txn.cursor(db=self.tables.changes)
        found = cursor.set_range(index.key(replica, start))
        while found:
            key, value = cursor.item()
            if key[:8] != replica:
                return
            yield int.from_bytes(key[8:], "big"), value[:1] == index.GROUPED, value[1:]
            found = cursor.next()

    def first_row(self, key: bytes) -> Dot | None:
        """The first event with a row at or above a key of the index, of whatever replica."""
        cursor = self.txn.cursor(db=self.tables.changes)
        return index.dot(cursor.key()) if cursor.set_range(key) else None

    def event_rows(self, dot: Dot) -> list[tuple[bool, bytes]]:
        """``(grouped, path)`` of an event's rows, sorted."""
        cursor = self.txn.cursor(db=self.tables.changes)
        if not cursor.set_key(index.key(*dot)):
            return []
        return [(value[:1] == index.GROUPED, value[1:]) for value in cursor.iternext_dup()]

    def has_row(
        self, dot: Dot, cell_path: bytes, flags: Sequence[bytes] = (index.SINGLE, index.GROUPED)
    ) -> bool:
        """Whether the index says that an event touched a cell."""
        cursor, key = self.txn.cursor(db=self.tables.changes), index.key(*dot)
        return any(cursor.set_key_dup(key, flag + cell_path) for flag in flags)

    def is_collected(self, replica: bytes, seq: int) -> bool:
        """Whether an event may be without rows here."""
        return seq <= self.state.horizon.last(replica) or self.state.debt.has(replica, seq)

    def event_paths(self, dot: Dot) -> list[bytes]:
        """The paths of an event over several cells, sorted."""
        return [cell_path for grouped, cell_path in self.event_rows(dot) if grouped]

    def groups(self, cell_path: bytes) -> list[Dot]:
        """The events over several cells, not yet collected, that touched ``cell_path``."""
        cursor = self.txn.cursor(db=self.tables.groups)
        if not cursor.set_key(cell_path):
            return []
        return [index.dot(value) for value in cursor.iternext_dup()]

    def expiries(self, start: bytes, path_after: bytes = b"") -> Iterator[tuple[bytes, int, bytes]]:
        """``(replica, expires_at, path)`` of the entries that expire, in order, from a key of the index on.

        ``path_after``: at that very key, only paths after this one.
        """
        cursor = self.txn.cursor(db=self.tables.expiries)
        found = cursor.set_range(start)
        while found:
            key, cell_path = cursor.item()
            if key > start or cell_path > path_after:
                replica, expires_at = index.dot(key)
                yield replica, expires_at, cell_path
            found = cursor.next()

    def expiry_count(self) -> int:
        """Live entries that expire."""
        return int(self.txn.stat(db=self.tables.expiries)["entries"])

    def note(self, number: int) -> beaten.Record | None:
        """The note of a beaten value."""
        return ledger.get(self.txn, self.tables.ledger, number)

    def notes(self, below: int | None = None) -> Iterator[ledger.Numbered]:
        """The notes of beaten values, the newest first."""
        return ledger.newest(self.txn, self.tables.ledger, below)

    def notes_above(self, number: int) -> Iterator[ledger.Numbered]:
        """The notes of beaten values above a number, the oldest first."""
        return ledger.above(self.txn, self.tables.ledger, number)

    def count(self) -> int:
        """Stored cells, empty ones included."""
        return int(self.txn.stat(db=self.tables.cells)["entries"])

    def row_count(self) -> int:
        """Rows in *changes*."""
        return int(self.txn.stat(db=self.tables.changes)["entries"])


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
            if seq <= last:
                continue
            if last and last > self.state.horizon.prefix(replica):
                self._rows[index.key(replica, last), row] = False
            if (replica, seq) not in grouped and not self.is_collected(replica, seq):
                self._rows[index.key(replica, seq), row] = True

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
        """Remember, or forget, what a replica had delivered."""
        if had is None:
            self.state.peers.pop(replica, None)
        else:
            self.state.peers[replica] = had
        self._peers.add(replica)
        self.has_changed = True

    def rebase(self, base: Vector) -> None:
        """Store the vectors as what they have beyond ``base``, of which all is delivered."""
        assert self.state.delivered.covers(base), "a base beyond what is delivered"
        self.state.base = base
        self.txn.put(_BASE, record.closed(vector.encode(base)), db=self.tables.meta)
        self._peers.update(self.state.peers)
        self.has_changed = True

    def stage(self, key: bytes, raw: bytes) -> None:
        """Keep a part of a large batch until the rest of it is here."""
        if self.tables.has_leftovers:  # there was no space to drop them in when the store was opened
            self.txn.drop(self.tables.staged, delete=False)
            self.tables.has_leftovers = False
        self.txn.put(key, raw, db=self.tables.staged)
        self.has_changed = True

    def staged(self, prefix: bytes) -> Iterator[bytes]:
        """The parts kept under a prefix, in order of their keys."""
        cursor = self.txn.cursor(db=self.tables.staged)
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            yield cursor.value()
            found = cursor.next()

    def unstage(self, prefix: bytes) -> None:
        """Drop the parts kept under a prefix."""
        cursor = self.txn.cursor(db=self.tables.staged)
        while cursor.set_range(prefix) and cursor.key().startswith(prefix):
            cursor.delete()
            self.has_changed = True

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
        self.txn.put(_STATE, record.closed(msgspec.msgpack.encode(packed)), db=self.tables.meta)
        for replica in self._peers:
            had = state.peers.get(replica)
            if had is None:
                self.txn.delete(_PEER + replica, db=self.tables.meta)
            else:
                packed_peer = record.closed(bases.pack(had, state.base))
                self.txn.put(_PEER + replica, packed_peer, db=self.tables.meta)
        self._peers.clear()
        if self._feed is not None:
            self._feed.flush()

    def committed(self) -> None:
        """The transaction stands: what is kept in memory of the last commit is this."""
        self.tables.state, self.tables.tally = self.state, self.tally
        if self.spoils_audit:
            self.tables.audit = Audit()
        else:
            self.tables.audit.total += self.audited
        if self._feed is not None:
            self.tables.feed = self._feed.state
