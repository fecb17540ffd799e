"""The ledger of beaten values: one LMDB database a keyspace, written in the transaction that merges.

How is it bounded? By count and bytes at each note, the oldest going first, and by age on upkeep. One value is noted
once: its event and path are a key of their own, for as long as the note is kept. Keys, by their first byte::

    t                           last number, notes, their bytes
    n, number (8 bytes)         the note
    d, replica, seq, hash of the path (8, 8 and 16 bytes)     its number
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import lmdb
import msgspec
import xxhash

from gossamer.crdt import Dot

from ..beaten import OPEN, REINSTATED, Record
from ..limits import LEDGER_AGE_S, LEDGER_BYTES_MAX, LEDGER_RECORDS

_TALLY, _NUMBER, _DOT = b"t", b"n", b"d"
_LAST = _NUMBER + b"\xff" * 8
_decode = msgspec.msgpack.Decoder(Record).decode
_encode = msgspec.msgpack.Encoder().encode

Numbered = tuple[int, Record]


class Bounds(NamedTuple):
    """What a ledger keeps."""

    records: int = LEDGER_RECORDS
    age_s: float = LEDGER_AGE_S


BOUNDS = Bounds()
"""What a ledger keeps unless told otherwise."""


class Tally(NamedTuple):
    """What a ledger holds."""

    last: int = 0
    """The number of the last note there ever was."""
    notes: int = 0
    size: int = 0


def load(txn: lmdb.Transaction[bytes], db: Any) -> Tally:
    """The tally as of a transaction."""
    raw = txn.get(_TALLY, db=db)
    return Tally() if raw is None else msgspec.msgpack.decode(raw, type=Tally)


def get(txn: lmdb.Transaction[bytes], db: Any, number: int) -> Record | None:
    """The note of a number."""
    raw = txn.get(_key(number), db=db) if 0 < number < 2**63 else None
    return None if raw is None else _decode(raw)


def newest(txn: lmdb.Transaction[bytes], db: Any, below: int | None) -> Iterator[Numbered]:
    """The notes, or those of a number below one, the newest first."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(_LAST if below is None else _key(max(below, 0)))
    found = cursor.prev() if found else cursor.last()
    while found and cursor.key()[:1] == _NUMBER:
        yield _number(cursor.key()), _decode(cursor.value())
        found = cursor.prev()


def above(txn: lmdb.Transaction[bytes], db: Any, number: int) -> Iterator[Numbered]:
    """The notes of a higher number, the oldest first."""
    cursor = txn.cursor(db=db)
    found = cursor.set_range(_key(number + 1))
    while found and cursor.key()[:1] == _NUMBER:
        yield _number(cursor.key()), _decode(cursor.value())
        found = cursor.next()


class Ledger:
    """A keyspace's ledger inside the writer's transaction. ``tally`` counts once that is committed."""

    def __init__(self, txn: lmdb.Transaction[bytes], db: Any, tally: Tally, bounds: Bounds) -> None:
        self._txn, self._db, self.tally, self._bounds = txn, db, tally, bounds

    def add(self, record: Record) -> None:
        """Note a value, unless it is noted already; the oldest notes make room for it."""
        mark = _mark(record)
        if self._txn.get(mark, db=self._db) is not None:
            return
        last, notes, size = self.tally
        self._txn.put(_key(last + 1), _encode(record), db=self._db)
        self._txn.put(mark, _key(last + 1), db=self._db)
        self.tally = Tally(last + 1, notes + 1, size + record.size)
        while self.tally.notes > self._bounds.records or (
            self.tally.size > LEDGER_BYTES_MAX and self.tally.notes > 1
        ):
            self._drop_oldest()
        self._save()

    def settle(self, number: int, state: int) -> None:
        """Note what became of it."""
        record = get(self._txn, self._db, number)
        if record is not None:
            self._txn.put(_key(number), _encode(msgspec.structs.replace(record, state=state)), db=self._db)

    def reinstate(self, dot: Dot, cell_path: bytes) -> None:
        """Note that a beaten value was written again, if there is an open note of it."""
        key = self._txn.get(_mark_of(dot, cell_path), db=self._db)
        record = None if key is None else get(self._txn, self._db, _number(key))
        if key is not None and record is not None and record.state == OPEN:
            self.settle(_number(key), REINSTATED)

    def trim(self, now: int, most: int) -> bool:
        """Drop up to ``most`` notes that are too old; whether there may be more."""
        until = now - int(self._bounds.age_s * 1e6)
        for _ in range(most):
            oldest = next(above(self._txn, self._db, 0), None)
            if oldest is None or oldest[1].seen_at >= until:
                return False
            self._drop_oldest()
            self._save()
        return True

    def _drop_oldest(self) -> None:
        number, record = next(above(self._txn, self._db, 0))
        self._txn.delete(_key(number), db=self._db)
        self._txn.delete(_mark(record), db=self._db)
        self.tally = Tally(self.tally.last, self.tally.notes - 1, self.tally.size - record.size)

    def _save(self) -> None:
        self._txn.put(_TALLY, _encode(self.tally), db=self._db)


def _key(number: int) -> bytes:
    return _NUMBER + number.to_bytes(8, "big")


def _number(key: bytes) -> int:
    return int.from_bytes(key[1:], "big")


def _mark(record: Record) -> bytes:
    return _mark_of(record.beaten.dot, record.path)


def _mark_of(dot: Dot, cell_path: bytes) -> bytes:
    replica, seq = dot
    return _DOT + replica + seq.to_bytes(8, "big") + xxhash.xxh3_128_digest(cell_path)
