"""Verification: everything in a stopped or running node's store, or in a backup, is looked at once.

The question this answers: *is every byte here what was written, and does all of it fit together?* Cells against their
checksums, paths and cells as the format has them, the digest against the cells, contexts against the vector, the index
of changes against the contexts. Nothing is written; a running node is read as of its last commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from gossamer.crdt import Cell, MalformedError, check_cell, expiry, path

from ..errors import Damaged, DirectoryInUse, DirectoryUnusable
from ..replication.state import State
from ..store import environment, index, operations, pages, record
from ..store.directory import FORMAT
from ..store.lock import is_open_here
from ..store.tables import read_state
from . import snapshot
from .backup import MANIFEST, check

FINDINGS_MAX = 1000
"""Findings kept a keyspace: what is wrong with so many more is wrong with the disk."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be."""

    keyspace: str
    where: str
    """A path as text, or what else it is about."""
    what: str


class Report(msgspec.Struct, frozen=True):
    """What was looked at, and what was found."""

    directory: str
    keyspaces: dict[str, int]
    """Name -> cells looked at."""
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Nothing was found."""
        return not self.findings


def verify(where: Path) -> Report:
    """Look at all of a data directory or backup. `DirectoryUnusable` if it cannot even be opened."""
    is_copy = (where / MANIFEST).exists()
    if is_copy:
        if check(where).format != FORMAT:
            raise DirectoryUnusable(
                f"{where}: its format is older than {FORMAT}: restore it, and verify the directory"
            )
        folder = where
    elif is_open_here(where):
        raise DirectoryInUse(f"{where}: open in this process; verify it from another one")
    else:
        folder = snapshot.store_of(where)
    try:
        with snapshot.reading(folder, is_copy=is_copy) as env:
            names = snapshot.keyspace_names(env)
            looked = {name: _Keyspace(env, name) for name in names}
            findings = [finding for one in looked.values() for finding in one.findings()]
            return Report(str(where), {name: one.cells for name, one in looked.items()}, findings)
    except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise pages.damaged(folder / environment.DATA, f"its pages do not fit together ({error})") from None


class _Keyspace:
    """One keyspace, in one snapshot."""

    def __init__(self, env: lmdb.Environment, name: str) -> None:
        self._env, self._name, self.cells = env, name, 0
        self._dbs: dict[str, Any] = {
            table: snapshot.database(env, name, table) for table in ("cells", "changes", "groups", "meta")
        }
        self._expiries = snapshot.database(env, name, "expiries")
        """None in a directory that only earlier builds have opened, in which nothing expires."""
        self._operations = snapshot.database(env, name, "operations")  # an older build's store has none

    def findings(self) -> list[Finding]:
        missing = [table for table, db in self._dbs.items() if db is None]
        if missing:
            return [self._finding(f"table {missing[0]}", "missing")]
        found: list[Finding] = []
        with self._env.begin() as txn:
            for finding in self._all(txn):
                found.append(finding)
                if len(found) >= FINDINGS_MAX:
                    found.append(self._finding("the rest", f"not looked at after {FINDINGS_MAX} findings"))
                    break
        return found

    def _finding(self, where: str, what: str) -> Finding:
        return Finding(self._name, where, what)

    def _all(self, txn: lmdb.Transaction[bytes]) -> Iterator[Finding]:
        try:
            state = read_state(txn, self._dbs["meta"])
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            yield self._finding("state", f"not what was written ({error})")
            return
        digest, derived = 0, operations.Derived()
        for cell_path, stored in txn.cursor(db=self._dbs["cells"]):
            self.cells += 1
            name = _text(cell_path)
            try:
                cell = record.unpack(cell_path, stored)
                path.decode(cell_path)
                check_cell(cell_path, cell)
            except (Damaged, MalformedError) as error:
                yield self._finding(name, str(error).removeprefix(f"cell {name}: "))
                continue
            digest += record.weight(cell_path, cell)
            derived.add(cell_path, cell)
            yield from self._context(txn, state, cell_path, cell)
            yield from self._moments(txn, cell_path, cell)
        yield from self._rows(txn)
        table = self._operations
        for difference in () if table is None else derived.differences(txn, table):
            yield self._finding("operations", difference)
        if state.is_counted and digest % record.DIGEST_MOD != state.digest:
            yield self._finding("digest", "it is not the sum over the cells that can be read")

    def _context(
        self, txn: lmdb.Transaction[bytes], state: State, cell_path: bytes, cell: Cell
    ) -> Iterator[Finding]:
        for replica, seq in cell.dots():
            if state.is_applying or state.is_replacing:
                break  # its cells show what is delivered, or forgotten, once all of the rest is applied
            if (replica, seq) not in state.delivered and not state.debt.has(replica, seq):
                yield self._finding(
                    _text(cell_path), f"it shows {_dot(replica, seq)}, which was not delivered"
                )
        cursor = txn.cursor(db=self._dbs["changes"])
        for replica, seq in cell.context().items():
            if seq <= state.horizon.last(replica) or state.debt.has(replica, seq):
                continue
            if state.is_replacing and (replica, seq) not in state.delivered:
                continue  # it is forgotten with the cell that shows it
            key = index.key(replica, seq)
            if not any(cursor.set_key_dup(key, flag + cell_path) for flag in (index.SINGLE, index.GROUPED)):
                yield self._finding(_text(cell_path), f"the index of changes lacks {_dot(replica, seq)}")

    def _moments(self, txn: lmdb.Transaction[bytes], cell_path: bytes, cell: Cell) -> Iterator[Finding]:
        carried = expiry.carried_by(cell)
        cursor = None if self._expiries is None or not carried else txn.cursor(db=self._expiries)
        for replica, expires_at in carried:
            if cursor is None or not cursor.set_key_dup(index.key(replica, expires_at), cell_path):
                yield self._finding(_text(cell_path), "the index of what expires lacks it")

    def _rows(self, txn: lmdb.Transaction[bytes]) -> Iterator[Finding]:
        groups = txn.cursor(db=self._dbs["groups"])
        for key, row in txn.cursor(db=self._dbs["changes"]):
            flag, cell_path = row[:1], row[1:]
            try:
                if len(key) != 16 or flag not in (index.SINGLE, index.GROUPED):
                    raise MalformedError("no row of an index")
                path.decode(cell_path)
            except MalformedError as error:
                yield self._finding(f"row {key.hex()}", str(error))
                continue
            if flag == index.GROUPED and not groups.set_key_dup(cell_path, key):
                yield self._finding(
                    _text(cell_path), f"it is not noted as a cell of event {_dot(*index.dot(key))}"
                )


def _text(cell_path: bytes) -> str:
    try:
        return path.to_text(cell_path)
    except MalformedError:
        return cell_path.hex()


def _dot(replica: bytes, seq: int) -> str:
    return f"{replica.hex()}/{seq}"
