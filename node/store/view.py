"""One keyspace on disk as of one LMDB transaction: cells, changes, groups and state.

The question this answers: *what did this node hold at that commit?*
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import lmdb

from gossamer.crdt import EMPTY, Cell, Dot, path

from .. import beaten
from ..errors import Damaged
from ..replication.state import State
from . import index, ledger, operations
from .tables import Tables


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
