"""The LMDB databases of one keyspace, and what is kept in memory of its last commit.

The question this answers: *where does what a keyspace holds lie?* `View` reads it, `Draft` changes it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import lmdb
import msgspec

from gossamer.crdt import Cell, MalformedError, Vector, vector

from ..errors import Damaged
from ..replication import bases
from ..replication.state import Bootstrap, State
from . import feed, ledger, operations, record
from .audit import Audit

STATE, PEER, BASE = b"state", b"peer:", b"base"
"""Keys of the database ``meta``; a peer's replica id follows the second."""
_EMPTY = vector.encode(Vector())


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
        self.unsaved_peers: set[bytes] = set()
        """Replicas of which the state knows more than the disk: it is stored with the next change of anything else."""
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
    raw = txn.get(STATE, db=meta)
    if raw is not None:
        delivered, digest, horizon, debt, bootstrap = msgspec.msgpack.decode(record.opened(raw))
        state.base = vector.decode(record.opened(txn.get(BASE, db=meta) or _EMPTY))
        state.delivered, state.digest = _read(delivered, state.base), int.from_bytes(digest, "big")
        state.is_counted = bool(digest)
        state.horizon, state.debt = _read(horizon, state.base), _read(debt, state.base)
        state.bootstrap = msgspec.convert(bootstrap, Bootstrap | None)
    for key, value in txn.cursor(db=meta):
        if key.startswith(PEER):
            with suppress(MalformedError):
                state.peers[key[len(PEER) :]] = bases.unpack(record.opened(value), state.base)
    return state


def _read(stored: Any, base: Vector) -> Vector:
    """A vector of the state: a list, or bytes if it stands on the base."""
    return bases.unpack(stored, base) if isinstance(stored, bytes) else Vector.of_flat(stored)
