"""A reader's side of the feed: the next page of a snapshot and of the log, from one short read transaction.

How can a snapshot in many short transactions be one state? It is not taken at one moment. Behind the path that it has
reached, the reader is told of every change since, before it goes on; ahead of that path the changes are not told,
since the cells themselves will come. So what the reader has is at every page's end the state of one commit, up to the
path reached, and at the snapshot's end the whole of it. Nothing is kept for a reader, however slow it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gossamer.crdt import Dot, codec, path

from ..apply import shows
from ..errors import CursorExpired, Damaged
from ..limits import FEED_PAGE_BYTES, FEED_PAGE_CHANGES, FEED_PAGE_LOOKS
from . import feed
from .feed import AT_END, FeedState, Place

if TYPE_CHECKING:
    from .view import View


class Scope(Protocol):
    """Which paths a reader follows."""

    @property
    def ranges(self) -> Sequence[bytes]:
        """Prefixes of paths, in path order, none inside another, that hold all of them."""

    def holds(self, cell_path: bytes) -> bool:
        """Whether a path is one of them."""


class Item(NamedTuple):
    """One change as a reader gets it: encoded cells, and how far the reader is with it."""

    path: bytes
    old: bytes
    new: bytes
    wall: int | None
    """Of the commit; None for a cell of a snapshot."""
    after: Place
    damage: str | None = None
    """Why the cell cannot be read."""
    dots: tuple[Dot, ...] = ()
    """Writes that the cells do not name."""

    @property
    def size(self) -> int:
        return len(self.path) + len(self.old) + len(self.new)


class Page(NamedTuple):
    """What there is from some place on."""

    items: list[Item]
    after: Place
    """How far the reader is with it; further than the last item, if others followed that it does not want."""
    is_end: bool
    """There was nothing more at that commit."""


def read(view: View, place: Place, scope: Scope) -> Page:
    """The page at a place. `CursorExpired` if the log does not go back so far, or not so far forward."""
    return _Reading(view, place, scope).page()


class _Reading:
    def __init__(self, view: View, place: Place, scope: Scope) -> None:
        self._view, self._tables, self._txn, self._scope = view, view.tables, view.txn, scope
        self._state = feed.load_state(view.txn, view.tables.meta)
        self._place = _checked(view.tables.name, self._state, place)
        self._items: list[Item] = []
        self._room, self._looks = FEED_PAGE_BYTES, FEED_PAGE_LOOKS

    def page(self) -> Page:
        is_end = self._read_log()
        if is_end and self._place.reached is not None:
            is_end = self._read_cells(self._place.reached)
        return Page(self._items, self._place, is_end)

    @property
    def _is_full(self) -> bool:
        return self._room <= 0 or self._looks <= 0 or len(self._items) >= FEED_PAGE_CHANGES

    def _take(self, item: Item) -> None:
        self._items.append(item)
        self._room -= item.size

    def _read_log(self) -> bool:
        """Take changes from the log; whether its end was reached."""
        reached = self._place.reached
        cursor = self._txn.cursor(db=self._tables.feed_log)
        found = cursor.set_range(feed.key(self._place.position + 1))
        while found and not self._is_full:
            self._looks -= 1
            position = int.from_bytes(cursor.key(), "big")
            logged = _sound(position, cursor.value())
            self._place = Place(position, reached)
            if (reached is None or logged.path <= reached) and self._scope.holds(logged.path):
                self._take(_item(logged, self._place))
            found = cursor.next()
        if not found:
            self._place = Place(self._state.next - 1, reached)
        return not found

    def _read_cells(self, reached: bytes) -> bool:
        """Take cells of the snapshot; whether it is over."""
        position = self._place.position
        for start in self._scope.ranges:
            end = path.prefix_end(start) if start else None
            for cell_path in self._view.shown_paths(max(start, reached + b"\x00" if reached else b""), end):
                if self._is_full:
                    return False
                self._looks -= 1
                self._place = Place(position, cell_path)
                if self._scope.holds(cell_path):
                    self._take_cell(cell_path)
        self._place = Place(position)
        return True

    def _take_cell(self, cell_path: bytes) -> None:
        try:
            cell = self._view.read(cell_path)
            if shows(cell_path, cell):
                self._take(Item(cell_path, b"", codec.encode(cell), None, self._place))
        except Damaged as error:
            self._take(Item(cell_path, b"", b"", None, self._place, str(error)))


def _item(logged: feed.Logged, after: Place) -> Item:
    return Item(logged.path, logged.old, logged.new, logged.wall, after, dots=logged.dots)


def _checked(keyspace: str, state: FeedState, place: Place) -> Place:
    if place.position == AT_END and state.is_on:
        return Place(state.next - 1, place.reached)
    if not state.is_on or place.position + 1 < state.first:
        raise CursorExpired(f"keyspace {keyspace!r}: its feed does not go back so far any more; {ADVICE}")
    if place.position >= state.next:
        raise CursorExpired(f"keyspace {keyspace!r}: its feed has not come so far; {ADVICE}")
    return place


def _sound(position: int, stored: bytes) -> feed.Logged:
    try:
        return feed.unpack(position, stored)
    except Damaged as error:
        raise CursorExpired(f"{error}, so the feed cannot be followed across it; {ADVICE}") from None


ADVICE = "begin again with a snapshot, by since=None"
