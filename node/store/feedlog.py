"""The writer's side of the feed: what a draft adds to the log, and what goes from it.

Which changes are in the log? Those that a reader could notice: live entries, or floors that count, are other than
before the commit, and the cell shows before or after it. Collection changes a cell's bytes and is none. A cell that
a commit changes several times is one change, from what it was before the commit to what it is after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import lmdb
import msgspec

from gossamer.crdt import EMPTY, TYPES, Cell, Dot, codec, tally

from ..apply import shows
from ..errors import Damaged
from . import feed
from .feed import FeedState, Logged, Subscribed

if TYPE_CHECKING:
    from .tables import Tables


class FeedDraft:
    """The feed of one keyspace inside the writer's transaction."""

    def __init__(self, tables: Tables, txn: lmdb.Transaction[bytes]) -> None:
        self._tables, self._txn = tables, txn
        self.state: FeedState = tables.feed
        self._olds: dict[bytes, Cell] = {}  # of the cells changed since the last spill, in order
        self._dots: dict[bytes, set[Dot]] = {}  # of the same: writes that their cells do not name
        self._spilled: dict[bytes, int] = {}  # path -> position, of what this commit has logged so far

    def has_noted(self, cell_path: bytes) -> bool:
        """Whether `note` would change nothing."""
        return not self.state.is_on or cell_path in self._olds

    def note(self, cell_path: bytes, old: Cell) -> None:
        """A cell is about to change; only the first time since the last spill counts."""
        if self.state.is_on and cell_path not in self._olds:
            self._olds[cell_path] = old

    def note_dots(self, cell_path: bytes, dots: Iterable[Dot]) -> None:
        """Writes that changed a cell, and that it does not name."""
        self._dots.setdefault(cell_path, set()).update(dots)

    def spill(self, read: Callable[[bytes], Cell], wall: int) -> None:
        """Log what was noted; ``read`` gives each as it is now."""
        for cell_path, old in self._olds.items():
            at, new = self._spilled.get(cell_path), read(cell_path)
            if at is not None:
                self._amend(at, cell_path, new)
            elif is_visible(cell_path, old, new):
                dots = tuple(sorted(self._dots.get(cell_path, ())))
                self._append(cell_path, Logged(wall, cell_path, _encoded(old), _encoded(new), dots))
        self._olds.clear()
        self._dots.clear()

    def _append(self, cell_path: bytes, logged: Logged) -> None:
        position = self.state.next
        stored = feed.pack(position, logged)
        self._txn.put(feed.key(position), stored, db=self._tables.feed_log, append=True)
        self._spilled[cell_path] = position
        self._change(next=position + 1, size=self.state.size + len(stored))

    def _amend(self, position: int, cell_path: bytes, new: Cell) -> None:
        """The commit changes a cell again that it has logged: from where it began to where it is now."""
        before = self._txn.get(feed.key(position), db=self._tables.feed_log)
        assert before is not None, position
        logged = feed.unpack(position, before)
        if not is_visible(cell_path, _decoded(logged.old), new):  # it came and went; the position is left out
            self._txn.delete(feed.key(position), db=self._tables.feed_log)
            del self._spilled[cell_path]
            self._change(size=self.state.size - len(before))
            return
        dots = tuple(sorted({*logged.dots, *self._dots.get(cell_path, ())}))
        stored = feed.pack(position, msgspec.structs.replace(logged, new=_encoded(new), dots=dots))
        self._txn.put(feed.key(position), stored, db=self._tables.feed_log)
        self._change(size=self.state.size + len(stored) - len(before))

    def turn_on(self, wall: int) -> None:
        """Log from now on. One position is left out, so that nobody goes on across what was not logged."""
        begin = self.state.next + 1
        self._change(is_on=True, used_at=wall, first=begin, next=begin, size=0)

    def turn_off(self) -> None:
        """Log no more, and drop what there is."""
        self._txn.drop(self._tables.feed_log, delete=False)
        self._olds.clear()
        self._change(is_on=False, first=self.state.next, size=0)

    def use(self, wall: int) -> None:
        """Somebody follows it now."""
        self._change(used_at=wall)

    def oldest(self) -> tuple[int, Logged | None]:
        """The first record and its position; no record if it is damaged. The next position if there is none."""
        cursor = self._txn.cursor(db=self._tables.feed_log)
        if not cursor.first():
            return self.state.next, None
        position = int.from_bytes(cursor.key(), "big")
        try:
            return position, feed.unpack(position, cursor.value())
        except Damaged:
            return position, None

    def drop_oldest(self) -> None:
        """Forget the first record."""
        cursor = self._txn.cursor(db=self._tables.feed_log)
        if cursor.first():
            position, size = int.from_bytes(cursor.key(), "big"), len(cursor.value())
            cursor.delete()
            self._change(first=position + 1, size=self.state.size - size)

    def subscription(self, name: str) -> Subscribed | None:
        """A subscription by its name."""
        return feed.load_subscription(self._txn, self._tables.meta, name)

    def put_subscription(self, name: str, subscribed: Subscribed) -> None:
        """Make or move a subscription."""
        raw = msgspec.msgpack.encode(subscribed)
        self._txn.put(feed.SUBSCRIPTION + name.encode(), raw, db=self._tables.meta)

    def drop_subscription(self, name: str) -> bool:
        """Forget a subscription; whether there was one."""
        return bool(self._txn.delete(feed.SUBSCRIPTION + name.encode(), db=self._tables.meta))

    def count_subscriptions(self) -> int:
        """How many there are."""
        return len(feed.load_subscriptions(self._txn, self._tables.meta))

    def flush(self) -> None:
        """Store the state, if it has changed."""
        if self.state is not self._tables.feed:
            self._txn.put(feed.FEED, msgspec.msgpack.encode(self.state), db=self._tables.meta)

    def _change(self, **fields: object) -> None:
        self.state = msgspec.structs.replace(self.state, **fields)


def is_visible(cell_path: bytes, old: Cell, new: Cell) -> bool:
    """Whether a reader could tell the two apart."""
    if old.live == new.live and old.floors() == new.floors():
        return False
    if tally.has_share(old) or tally.has_share(new):
        return _sum(cell_path, old) != _sum(cell_path, new)  # a fold moves an amount, and changes no sum
    return shows(cell_path, old) or shows(cell_path, new)


def _sum(cell_path: bytes, counter: Cell) -> int | None:
    return TYPES["counter"].value(counter) if shows(cell_path, counter) else None


def _decoded(data: bytes) -> Cell:
    return codec.decode(data) if data else EMPTY


def _encoded(cell: Cell) -> bytes:
    return b"" if cell is EMPTY or not (cell.live or cell.dead) else codec.encode(cell)
