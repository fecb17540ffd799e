"""What was read of a feed and not given out yet: at most a page, however far behind the consumer is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from ..store.feed import AT_END, Place
from ..store.feedpage import Item
from . import cursor
from .change import Change, Source, change_of


class Tray:
    """Items, and the places that go with them. ``place`` is where reading goes on."""

    def __init__(self, place: Place) -> None:
        self.place = place
        """How far was read."""
        self.given = place
        """How far was given out."""
        self._items: deque[Item] = deque()

    @property
    def is_live(self) -> bool:
        """All of the snapshot, if there is one, was given out."""
        return self.given.reached is None

    @property
    def is_empty(self) -> bool:
        """Everything that was read was given out."""
        return not self._items

    def fill(self, items: Iterable[Item], place: Place) -> None:
        """Add what was read, which goes up to ``place``."""
        self._items.extend(items)
        self.place = place
        self._settle()

    def restart(self, place: Place) -> None:
        """Read from another place on."""
        self._items.clear()
        self.place = self.given = place

    def next(self, source: Source) -> Change | None:
        """The next change, if one is here."""
        with suppress(IndexError):
            item = self._items.popleft()
            self.given = item.after
            self._settle()
            return change_of(item, source)
        return None

    def take(self) -> list[Item]:
        """All items as they are, for one who passes them on."""
        items = list(self._items)
        self._items.clear()
        self._settle()
        return items

    def cursor(self, source: Source) -> str | None:
        """The cursor of what was given out; None before anything was read."""
        if self.given.position == AT_END:
            return None
        return cursor.encode(source.keyspace, source.replica, self.given, source.scope)

    def _settle(self) -> None:
        if not self._items:  # what was read beyond the last item is not wanted, and as good as given out
            self.given = self.place
