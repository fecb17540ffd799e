"""The store of one node: its environment, its keyspaces, and one writer's transactions over all of them.

Everything that an event changes (cell, row, delivered, digest) commits in one LMDB transaction; there is no
other log. What is kept in memory is a cache of the last commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import lmdb

from gossamer.crdt import EMPTY, Cell, path

from ..counts import Counts
from ..errors import Closed, Damaged, GossamerError, StoreError, StoreFailed, StoreFull
from ..replication.state import State
from . import environment, feed, feedpage, ledger, operations
from .audit import Audit
from .draft import Draft
from .feed import FeedState, Place, Subscribed
from .snapshot import Snapshot
from .tables import Tables
from .view import View

_NODE, _NAMES, _DROPPED = b"node", b"keyspaces", b"dropped:"


class Store:
    """One environment. Any thread reads; one thread at a time writes."""

    def __init__(
        self,
        directory: Path,
        durability: str = "commit",
        *,
        map_bytes: int = environment.MAP_BYTES,
        sync: bool = True,
    ) -> None:
        self._env = environment.open_environment(directory, durability, map_bytes=map_bytes, sync=sync)
        self._is_closed = False
        self.counts = Counts()
        self._tables: dict[str, Tables] = {}
        self._bounds = ledger.BOUNDS
        self.found_txn = self.last_txn()
        """`last_txn` as it was found: opening may write."""
        try:
            self._load()
        except BaseException:
            self._env.close()
            raise

    def _load(self) -> None:
        with environment.translated(self._env), self._env.begin(write=True) as txn:
            self._node = self._env.open_db(_NODE, txn=txn)
            for name in self._names(txn):
                self._tables[name] = Tables(self._env, name, txn, self._bounds)
        with suppress(StoreFull):  # to drop something takes space, and a full disk is no reason not to open
            self._drop_leftovers([tables for tables in self._tables.values() if tables.has_leftovers])

    def _drop_leftovers(self, of: list[Tables]) -> None:
        if not of:
            return
        with environment.translated(self._env), self._env.begin(write=True) as txn:
            for tables in of:
                txn.drop(tables.staged, delete=False)
        for tables in of:
            tables.has_leftovers = False

    def _names(self, txn: lmdb.Transaction[bytes]) -> list[str]:
        raw = txn.get(_NAMES, db=self._node)
        return raw.decode().split("\n") if raw else []

    def keyspaces(self) -> list[str]:
        """Names of the keyspaces here, sorted."""
        return sorted(self._tables)

    def host(self, name: str) -> None:
        """Make a keyspace, if it is not here yet."""
        if name in self._tables:
            return
        with environment.translated(self._env), self._env.begin(write=True) as txn:
            names = sorted({*self._names(txn), name})
            txn.put(_NAMES, "\n".join(names).encode(), db=self._node)
            tables = Tables(self._env, name, txn, self._bounds)
        self._tables[name] = tables

    def drop(self, name: str, replica: bytes) -> None:
        """Remove all of a keyspace, for ever under the id ``replica``; its pages are free again."""
        tables = self._tables[name]
        with environment.translated(self._env), self._env.begin(write=True) as txn:
            left = sorted({*self._names(txn)} - {name})
            txn.put(_NAMES, "\n".join(left).encode(), db=self._node)
            txn.put(_DROPPED + name.encode(), replica, db=self._node)
            for db in tables.databases():
                txn.drop(db, delete=False)  # a reader on another thread may hold the handle
        del self._tables[name]

    def dropped(self) -> dict[str, bytes]:
        """Keyspace -> the replica id under which it was dropped last."""
        with self.reading() as txn:
            found = [(key, value) for key, value in txn.cursor(db=self._node) if key.startswith(_DROPPED)]
        return {key[len(_DROPPED) :].decode(): value for key, value in found}

    def state(self, keyspace: str) -> State:
        """A keyspace's state as of the last commit. `KeyError` if it is not hosted here."""
        return self._tables[keyspace].state

    def count(self, keyspace: str) -> tuple[int, int]:
        """Stored cells and rows of the index."""
        tables = self._tables[keyspace]
        with self.reading() as txn:
            view = View(tables, txn, tables.state)
            return view.count(), view.row_count()

    def operation_counts(self, keyspace: str) -> operations.Counts:
        """How many cells a keyspace keeps for writes with an ``op_id``."""
        tables = self._tables[keyspace]
        with self.reading() as txn:
            return operations.counts(txn, tables.operations)

    def has_due(self, keyspace: str, now: int) -> bool:
        """Whether the window of some ``op_id`` is over."""
        tables = self._tables[keyspace]
        if not tables.has_operations:
            return False
        with self.reading() as txn:
            return next(operations.due(txn, tables.operations, now), None) is not None

    def has_operations(self, keyspace: str) -> bool:
        """Whether a write with an ``op_id``, or a remote one, was ever made here."""
        return self._tables[keyspace].has_operations

    def get_meta(self, key: str) -> bytes | None:
        """A fact about the node itself."""
        with self.reading() as txn:
            return txn.get(key.encode(), db=self._node)

    def put_meta(self, key: str, value: bytes) -> None:
        """Store a fact about the node itself, durably."""
        with environment.translated(self._env), self._env.begin(write=True) as txn:
            txn.put(key.encode(), value, db=self._node)
        with environment.translated(self._env):
            self._env.sync(True)  # in relaxed durability the commit alone is not durable

    def is_sound(self) -> bool:
        """Whether the disk has failed no write so that nothing may be written any more. Not inside a transaction."""
        try:
            with environment.translated(self._env):
                self._env.begin(write=True).abort()
        except StoreFailed:
            return False
        return True

    def last_txn(self) -> int:
        """The id of the last committed transaction."""
        return int(self._env.info()["last_txnid"])

    def size(self) -> int:
        """Bytes of the data file that are in use."""
        info = self._env.info()
        return int((info["last_pgno"] + 1) * self._env.stat()["psize"])

    def used(self) -> int:
        """Bytes of the data file that hold something: without pages that were freed. Some microseconds a table."""
        with self.reading() as txn:
            tables = [db for tables in self._tables.values() for db in tables.databases()]
            stats = [self._env.stat(), *(txn.stat(db) for db in (self._node, *tables))]
        pages = sum(one["branch_pages"] + one["leaf_pages"] + one["overflow_pages"] for one in stats)
        return int(pages * stats[0]["psize"])

    def size_max(self) -> int:
        """Bytes that the data file may come to."""
        return int(self._env.info()["map_size"])

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction[bytes]]:
        """A read transaction: a fresh snapshot, given back at the end."""
        txn = self._begin()
        try:
            yield txn
        except lmdb.Error as error:
            raise self._failed(error) from None
        finally:
            txn.abort()

    def _begin(self) -> lmdb.Transaction[bytes]:
        try:
            return self._env.begin()
        except lmdb.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: lmdb.Error) -> GossamerError:
        """What a failed read is: a reader may be in the middle of one when the store is closed."""
        if isinstance(error, lmdb.PanicError):
            return StoreFailed(f"the disk failed a write; open the directory anew to go on ({error})")
        if self._is_closed:
            return Closed(f"the node is closed ({error})")
        return StoreError(f"the store cannot be read ({error})")

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        """One cell as a reader gets it, as of the last commit; from any thread."""
        tables = self._tables[keyspace]
        self.counts.read[keyspace] += 1
        txn = self._begin()
        try:
            stored = txn.get(cell_path, db=tables.cells)
            added = None
            if tables.has_operations and path.kind_of(cell_path) == "counter":
                added = operations.read_tally(txn, tables.operations, cell_path)
        except lmdb.Error as error:
            raise self._failed(error) from None
        finally:
            txn.abort()
        cell = EMPTY if stored is None else tables.unpack(cell_path, stored)
        return cell if added is None else added.over(cell)

    def page(
        self, keyspace: str, prefix: bytes, after: bytes | None, limit: int, bytes_max: int | None = None
    ) -> list[tuple[bytes, Cell]]:
        """Up to ``limit`` cells under ``prefix`` above ``after``, as a reader gets them, from one short read transaction; the
        last one is that which fills ``bytes_max`` of payload."""
        tables = self._tables[keyspace]
        self.counts.pages[keyspace] += 1
        start = prefix if after is None else after + b"\x00"
        with self.reading() as txn:
            view = View(tables, txn, tables.state)
            end = path.prefix_end(prefix) if prefix else None
            page = zip(view.as_read(start, end), range(limit), strict=False)
            if bytes_max is None:
                return [item for item, _ in page]
            items, room = list[tuple[bytes, Cell]](), bytes_max
            for item, _ in page:
                items.append(item)
                room -= payload_bytes(item[1])
                if room <= 0:
                    break
            return items

    def feed(self, keyspace: str) -> FeedState:
        """The feed of a keyspace as of the last commit. `KeyError` if it is not hosted here."""
        return self._tables[keyspace].feed

    def feed_page(self, keyspace: str, place: Place, scope: feedpage.Scope) -> feedpage.Page:
        """What there is of a feed from a place on; from any thread. `CursorExpired` if that is gone."""
        with self.reading() as txn:
            tables = self._tables[keyspace]
            return feedpage.read(View(tables, txn, tables.state), place, scope)

    def subscriptions(self, keyspace: str) -> dict[str, Subscribed]:
        """The subscriptions of a keyspace, by name."""
        with self.reading() as txn:
            return feed.load_subscriptions(txn, self._tables[keyspace].meta)

    def logged_at(self, keyspace: str, position: int) -> int | None:
        """When the first change at or past a position was committed, in microseconds since 1970; None without one."""
        with self.reading() as txn:
            cursor = txn.cursor(db=self._tables[keyspace].feed_log)
            if not cursor.set_range(feed.key(position)):
                return None
            try:
                return feed.unpack(int.from_bytes(cursor.key(), "big"), cursor.value()).wall
            except Damaged:
                return None

    def bound_ledgers(self, bounds: ledger.Bounds) -> None:
        """How many notes of beaten values to keep, and for how long. Before anything is written."""
        self._bounds = bounds
        for tables in self._tables.values():
            tables.bounds = bounds

    def tally(self, keyspace: str) -> ledger.Tally:
        """What the ledger of beaten values holds."""
        return self._tables[keyspace].tally

    def notes(self, keyspace: str, below: int | None, limit: int) -> list[ledger.Numbered]:
        """Up to ``limit`` notes of beaten values, or those below a number, the newest first; from any thread."""
        tables = self._tables[keyspace]
        with self.reading() as txn:
            return list(islice(View(tables, txn, tables.state).notes(below), limit))

    def notes_above(self, keyspace: str, number: int, limit: int) -> list[ledger.Numbered]:
        """Up to ``limit`` notes of beaten values above a number, the oldest first; from any thread."""
        tables = self._tables[keyspace]
        with self.reading() as txn:
            return list(islice(View(tables, txn, tables.state).notes_above(number), limit))

    @contextmanager
    def snapshot(self) -> Iterator[Callable[[str], View]]:
        """Views of the keyspaces as of the last commit, all of one LMDB snapshot. For the writer's thread."""
        made: dict[str, View] = {}
        with self.reading() as txn:

            def view(name: str) -> View:
                found = made.get(name)
                if found is None:
                    found = made[name] = Snapshot(self._tables[name], txn, self._tables[name].state)
                return found

            yield view

    @contextmanager
    def transaction(self) -> Iterator[Callable[[str], Draft]]:
        """Drafts of the keyspaces in one LMDB transaction, committed durably at the end.

        An exception inside leaves everything as it was. Raises `StoreFull`, `StoreFailed` or `StoreError`.
        """
        drafts: dict[str, Draft] = {}
        with environment.translated(self._env):
            txn = self._env.begin(write=True)

            def draft(name: str) -> Draft:
                if name not in drafts:
                    drafts[name] = Draft(self._tables[name], txn)
                return drafts[name]

            try:
                yield draft
                changed = [d for d in drafts.values() if d.has_changed]
                for d in changed:
                    d.flush()
            except BaseException:
                txn.abort()
                raise
            if changed:
                with self.counts.commits:
                    txn.commit()
            else:
                txn.abort()
        for d in drafts.values():
            d.committed()

    def damaged(self, keyspace: str) -> list[bytes]:
        """Paths of cells that were found damaged. Any thread."""
        return sorted(self._tables[keyspace].damaged.copy())

    def audit(self, keyspace: str) -> Audit:
        """How far all of a keyspace was read anew. For the writer's thread."""
        return self._tables[keyspace].audit

    def audit_step(self, keyspace: str, cells: int, size: int) -> None:
        """Read some more of it; outside of any transaction."""
        tables = self._tables[keyspace]
        with self.reading() as txn:
            tables.audit.step(View(tables, txn, tables.state), cells, size)

    def copy_to(self, folder: Path) -> None:
        """Copy the last commit into an empty folder, without free pages. Any thread; writers go on meanwhile."""
        with environment.translated(self._env):
            self._env.copy(str(folder), compact=True)

    def check_readers(self) -> int:
        """Clear the reader slots of dead processes, which would pin old pages; how many there were."""
        return int(self._env.reader_check())

    def close(self) -> None:
        """Close the environment; reads of other threads raise `Closed` from then on."""
        self._is_closed = True
        self._env.close()


def payload_bytes(cell: Cell) -> int:
    """Bytes of the payloads that a cell keeps: nearly all that it takes in memory, where it is large."""
    return sum(len(entry.payload) for entry in cell.live)
