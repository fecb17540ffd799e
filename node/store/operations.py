"""The table *operations* of a keyspace: what is derived from the cells of writes with an ``op_id``, and the attempts.

The question this answers: *what would else take a look at every operation of the window?* A counter's tally, so that it
is read at once; the operations that are only pending, for a reset; when an operation may go. All of it changes in the
transaction that changes the cells, and could be made anew from them. Keys begin with a letter::

    n                     how many are pending, done (or cancelled), and markers
    s counter             the tally of its operations, with a checksum
    p path                an operation that is only pending
    e due path            an operation that is settled, or a marker; it may go from then on (8 bytes, microseconds)
    a turn id             an attempt of a remote client, and the dot of its write
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gossamer.crdt import EMPTY, Cell, Dot, operation, path, tally

from ..errors import Damaged
from .record import CHECKSUM_BYTES

_COUNTS, _TALLY, _PENDING, _DUE, _ATTEMPT = b"n", b"s", b"p", b"e", b"a"
_TIME_BYTES = 8

if TYPE_CHECKING:
    import lmdb

    Txn = lmdb.Transaction[bytes]


class Counts(NamedTuple):
    """How many cells of each sort there are."""

    pending: int = 0
    done: int = 0
    markers: int = 0


def sort_of(cell_path: bytes, cell: Cell) -> int | None:
    """Which of `Counts` a cell is; None if nothing stands there."""
    if not cell.live:
        return None
    if path.kind_of(cell_path) == "op_id":
        return 2
    return 0 if operation.is_pending(cell) else 1


def is_pending(cell_path: bytes, cell: Cell) -> bool:
    """Whether it is an operation that is only pending."""
    return sort_of(cell_path, cell) == 0


def read_tally(txn: Txn, db: Any, counter: bytes) -> tally.Tally | None:
    """What a counter's operations add to it, None if that is nothing. `Damaged` if the checksum is wrong."""
    stored = txn.get(_TALLY + counter, db=db)
    if stored is None:
        return None
    encoded = stored[CHECKSUM_BYTES:]
    if _checksum(counter, encoded) != stored[:CHECKSUM_BYTES]:
        raise Damaged(f"cell {path.to_text(counter)}: the checksum of its operations' tally is wrong")
    return tally.decode(encoded)


def _checksum(counter: bytes, encoded: bytes) -> bytes:
    return zlib.crc32(encoded, zlib.crc32(counter)).to_bytes(CHECKSUM_BYTES, "big")


def counts(txn: Txn, db: Any) -> Counts:
    """How many there are."""
    stored = txn.get(_COUNTS, db=db)
    return Counts() if stored is None else msgspec.msgpack.decode(stored, type=Counts)


class Derived:
    """What the table should hold of some cells, made anew from them."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0]
        self._tallies: dict[bytes, tally.Tally] = {}
        self._pending: list[bytes] = []

    def add(self, cell_path: bytes, cell: Cell) -> None:
        """One more cell, in path order; only those of operations and markers matter."""
        sort = sort_of(cell_path, cell) if path.is_operation(cell_path) else None
        if sort is None:
            return
        self._counts[sort] += 1
        if sort == 0:
            self._pending.append(cell_path)
        if sort < 2:
            counter = path.counter_of(cell_path)
            was = self._tallies.get(counter, tally.NONE)
            self._tallies[counter] = was.changed(cell_path[len(counter) :], EMPTY, cell)

    def tally(self, counter: bytes) -> tally.Tally:
        """Of one counter."""
        return self._tallies.get(counter, tally.NONE)

    def differences(self, txn: Txn, db: Any) -> Iterator[str]:
        """What the table has otherwise."""
        if list(counts(txn, db)) != self._counts:
            yield "the counts are not those of the cells"
        if list(pending_after(txn, db, b"")) != self._pending:
            yield "the index of what is pending is not that of the cells"
        stored = {key[1:] for key, _ in _from(txn, db, _TALLY)}
        for counter in sorted(stored | {c for c, made in self._tallies.items() if not made.is_empty}):
            try:
                is_same = read_tally(txn, db, counter) == self.tally(counter)
            except Damaged:
                is_same = False
            if not is_same:
                yield f"the tally of {path.to_text(counter)} is not that of its operations"


def _from(txn: Txn, db: Any, letter: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = txn.cursor(db=db)
    found = cursor.set_range(letter)
    while found and cursor.key()[:1] == letter:
        yield cursor.item()
        found = cursor.next()


def note(
    txn: Txn,
    db: Any,
    cell_path: bytes,
    old: Cell,
    new: Cell,
    *,
    due: int,
    anew: Callable[[bytes], tally.Tally],
) -> None:
    """An operation's cell, or a marker's, changed. ``due``: when it may go, if it is settled by this.

    ``anew`` makes a counter's tally from its operations as they were before, should the stored one be damaged.
    """
    before, after = sort_of(cell_path, old), sort_of(cell_path, new)
    if path.kind_of(cell_path) == "op":
        _retally(txn, db, cell_path, old, new, anew)
    if before == after:
        return
    many = list(counts(txn, db))
    for sort, step in ((before, -1), (after, 1)):
        if sort is not None:
            many[sort] += step
    txn.put(_COUNTS, msgspec.msgpack.encode(many), db=db)
    if before == 0:
        txn.delete(_PENDING + cell_path, db=db)
    if after == 0:
        txn.put(_PENDING + cell_path, b"", db=db)
    elif after is not None:
        set_due(txn, db, cell_path, due)


def forget(txn: Txn, db: Any, cell_path: bytes, anew: Callable[[bytes], tally.Tally]) -> None:
    """A damaged cell is taken away: what it was can only be told from this table. ``anew`` is of what is left."""
    was_pending = bool(txn.delete(_PENDING + cell_path, db=db))
    many = list(counts(txn, db))
    many[2 if path.kind_of(cell_path) == "op_id" else 0 if was_pending else 1] -= 1
    txn.put(_COUNTS, msgspec.msgpack.encode(many), db=db)
    if path.kind_of(cell_path) == "op":
        counter = path.counter_of(cell_path)
        _put_tally(txn, db, counter, anew(counter))


def _retally(
    txn: Txn, db: Any, cell_path: bytes, old: Cell, new: Cell, anew: Callable[[bytes], tally.Tally]
) -> None:
    counter = path.counter_of(cell_path)
    stored: tally.Tally | None = None
    try:
        was = stored = read_tally(txn, db, counter) or tally.NONE
    except Damaged:
        was = anew(counter)
    now = was.changed(cell_path[len(counter) :], old, new)
    if now != stored:
        _put_tally(txn, db, counter, now)


def _put_tally(txn: Txn, db: Any, counter: bytes, now: tally.Tally) -> None:
    if now.is_empty:
        txn.delete(_TALLY + counter, db=db)
    else:
        encoded = tally.encode(now)
        txn.put(_TALLY + counter, _checksum(counter, encoded) + encoded, db=db)


def pending(txn: Txn, db: Any, prefix: bytes) -> Iterator[bytes]:
    """The paths at or under ``prefix`` of operations that are only pending."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(_PENDING + prefix)
    while found and (key := cursor.key()).startswith(_PENDING + prefix):
        yield key[1:]
        found = cursor.next()


def pending_after(txn: Txn, db: Any, after: bytes) -> Iterator[bytes]:
    """The paths past ``after`` of operations that are only pending."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(_PENDING + after + (b"\x00" if after else b""))
    while found and (key := cursor.key())[:1] == _PENDING:
        yield key[1:]
        found = cursor.next()


def set_due(txn: Txn, db: Any, cell_path: bytes, due: int) -> None:
    """Have the cell looked at once more at ``due``."""
    txn.put(_DUE + due.to_bytes(_TIME_BYTES, "big") + cell_path, b"", db=db)


def due(txn: Txn, db: Any, now: int) -> Iterator[tuple[int, bytes]]:
    """When each was due, and the paths of what may go now; the longest due first."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(_DUE)
    while found and (key := cursor.key())[:1] == _DUE:
        when = int.from_bytes(key[1 : 1 + _TIME_BYTES], "big")
        if when > now:
            return
        yield when, key[1 + _TIME_BYTES :]
        found = cursor.next()


def drop_due(txn: Txn, db: Any, when: int, cell_path: bytes) -> None:
    """Look at the cell no more."""
    txn.delete(_DUE + when.to_bytes(_TIME_BYTES, "big") + cell_path, db=db)


# Attempts: a node's own note of what it did for remote clients that may not have got the answer.


def attempt_key(turn: int, attempt: bytes) -> bytes:
    return _ATTEMPT + turn.to_bytes(_TIME_BYTES, "big") + attempt


def get_attempt(txn: Txn, db: Any, turn: int, attempt: bytes) -> tuple[Dot | None] | None:
    """The outcome of an attempt, in a tuple; None if it was never made."""
    for turn_ in (turn, turn - 1):
        stored = None if turn_ < 0 else txn.get(attempt_key(turn_, attempt), db=db)
        if stored is not None:
            return (None,) if not stored else ((stored[:8], int.from_bytes(stored[8:], "big")),)
    return None


def put_attempt(txn: Txn, db: Any, turn: int, attempt: bytes, dot: Dot | None) -> None:
    """Note an attempt's outcome."""
    stored = b"" if dot is None else dot[0] + dot[1].to_bytes(8, "big")
    txn.put(attempt_key(turn, attempt), stored, db=db)


def last_turn(txn: Txn, db: Any) -> int:
    """The turn of the newest attempt noted."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(b"b") and cursor.prev() if cursor.set_range(b"b") else cursor.last()
    if not found or cursor.key()[:1] != _ATTEMPT:
        return 0
    return int.from_bytes(cursor.key()[1 : 1 + _TIME_BYTES], "big")


def drop_attempts(txn: Txn, db: Any, before: int, most: int) -> int:
    """Forget up to ``most`` attempts of turns below ``before``; how many it forgot."""
    cursor, dropped = txn.cursor(db=db), 0
    end = attempt_key(before, b"")
    while dropped < most and cursor.set_range(_ATTEMPT) and cursor.key() < end:
        cursor.delete()
        dropped += 1
    return dropped
