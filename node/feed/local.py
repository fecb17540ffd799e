"""Streams of a node in this process: pages read in the consumer's own thread or task, and a bell to wait for more.

A lost wake-up? The bell is hushed first, then the log is read, then the bell is waited for: what is committed after
the read rings it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from ..errors import CursorExpired, SubscriptionInUse
from ..limits import SKIP_CHANGES
from ..store.feed import AT_END, Place, Subscribed
from ..turns import Acknowledge, FeedInput, Subscribe, UseFeed
from . import cursor
from .change import Source
from .hub import Bell, Consumer, LoopBell, ThreadBell
from .tray import Tray
from .wanted import Wanted

if TYPE_CHECKING:
    from .feeds import Feeds


class Follower:
    """What both kinds of stream share: where it is, and the next page without waiting."""

    def __init__(self, feeds: Feeds, keyspace: str, wanted: Wanted, name: str | None, owner: bytes) -> None:
        feeds.check_open()
        self.feeds, self.keyspace, self.wanted, self._name = feeds, keyspace, wanted, name
        self.tray = Tray(Place(AT_END, b"" if wanted.snapshot else None))
        self.is_closed = False
        self._told = AT_END
        self._consumer: Consumer | None = None
        if name is not None:
            self._consumer = feeds.core.hub.claim(keyspace, name, owner)

    @property
    def source(self) -> Source:
        """Where its changes come from."""
        core = self.feeds.core
        return Source(self.keyspace, core.replica, self.wanted.scope, core.names, self.feeds.resolvers)

    @property
    def is_over(self) -> bool:
        """Whether it, or the node, was closed. `Closed` in a forked child, `SubscriptionInUse` if it was taken over."""
        if self.is_closed or self.feeds.core.hub.is_closed:
            return True
        self.feeds.check_open()
        if self._consumer is not None and self._consumer.is_lost:
            raise SubscriptionInUse(f"subscription {self._name!r}: its consumer has come back elsewhere")
        return False

    def opening(self, *, anew: bool = False) -> FeedInput:
        """What the writer is asked at the beginning."""
        if self._name is None:
            return UseFeed(self.keyspace)
        scope = self.wanted.scope
        snapshot = anew or self.wanted.snapshot
        return Subscribe(self.keyspace, self._name, scope.text, scope.inside, snapshot, anew)

    def opened(self, found: object, bell: Bell) -> None:
        """The writer has answered."""
        self.feeds.core.hub.add(self.keyspace, bell)
        places = [cast(Subscribed, found).place] if self._name is not None else []
        if self.wanted.since is not None:
            scope = self.wanted.scope
            places.append(cursor.decode(self.wanted.since, self.keyspace, self.feeds.core.replica, scope))
        if places:  # a subscriber that comes back after a cut has both
            self.tray.restart(max(places, key=lambda place: place.order))
        self._told = self.tray.place.position
        if self._name is None:
            self.read()  # so that from now on is from now on, and a cursor that has expired is told at once

    def acknowledgement(self, place: Place) -> FeedInput:
        """What the writer is asked to remember."""
        assert self._name is not None, "only a subscription is acknowledged"
        return Acknowledge(self.keyspace, self._name, place)

    def read(self) -> bool:
        """Read the next page; False if there is nothing more now, nor much that was passed over."""
        try:
            page = self.feeds.core.feed_page(self.keyspace, self.tray.place, self.wanted.scope)
        except KeyError:
            raise ValueError(f"keyspace {self.keyspace!r}: this node does not host it") from None
        if page is None:
            return False
        self.tray.fill(page.items, page.after)
        return bool(page.items) or not page.is_end or self._has_passed(page.after.position)

    def _has_passed(self, position: int) -> bool:
        if self._told == AT_END:
            self._told = position
        is_far = position - self._told >= SKIP_CHANGES
        if is_far:
            self._told = position
        return is_far

    @property
    def begins_again(self) -> bool:
        """Whether an expired cursor is no error."""
        return self.wanted.expired == "snapshot"

    def close(self) -> None:
        """Let go."""
        self.is_closed = True
        if self._consumer is not None:
            self.feeds.core.hub.release(self._consumer)


class LocalStream:
    """A `Stream`."""

    def __init__(
        self, feeds: Feeds, keyspace: str, wanted: Wanted, name: str | None = None, owner: bytes = b""
    ) -> None:
        self._feeds = feeds
        self._bell = ThreadBell()
        self._has_begun = False
        self._follower = Follower(feeds, keyspace, wanted, name, owner)

    @property
    def tray(self) -> Tray:
        return self._follower.tray

    @property
    def source(self) -> Source:
        return self._follower.source

    def begin(self) -> None:
        if not self._has_begun:
            found = self._feeds.perform(self._follower.opening())
            try:
                self._follower.opened(found, self._bell)
            except CursorExpired:
                if not self._follower.begins_again:
                    raise
                self.begin_again()
            self._has_begun = True

    def begin_again(self) -> None:
        found = self._feeds.perform(self._follower.opening(anew=True))
        self._follower.tray.restart(found.place if isinstance(found, Subscribed) else Place(AT_END, b""))

    def more(self) -> bool:
        until: float | None = None
        while not self._follower.is_over:
            self._bell.hush()
            try:
                if self._follower.read():
                    return True
            except CursorExpired:
                if not self._follower.begins_again:
                    raise
                self.begin_again()
                continue
            if until is None:
                until = self._feeds.deadline(self._follower.wanted.timeout)
            if self._follower.is_over or not self._wait(until):
                return False
        return False

    def _wait(self, until: float | None) -> bool:
        self._feeds.check()
        left = None if until is None else until - self._feeds.mono()
        return (left is None or left > 0) and self._bell.wait(left)

    def acknowledge(self, place: Place) -> None:
        self._feeds.perform(self._follower.acknowledgement(place))

    def close(self) -> None:
        self._follower.close()
        self._bell.ring()


class LocalAsyncStream:
    """An `AsyncStream`."""

    def __init__(
        self, feeds: Feeds, keyspace: str, wanted: Wanted, name: str | None = None, owner: bytes = b""
    ) -> None:
        self._feeds = feeds
        self._bell: LoopBell | None = None
        self._follower = Follower(feeds, keyspace, wanted, name, owner)

    @property
    def tray(self) -> Tray:
        return self._follower.tray

    @property
    def source(self) -> Source:
        return self._follower.source

    async def begin(self) -> None:
        if self._bell is None:
            found = await self._feeds.aperform(self._follower.opening())
            self._bell = LoopBell()
            try:
                self._follower.opened(found, self._bell)
            except CursorExpired:
                if not self._follower.begins_again:
                    self._bell = None
                    raise
                await self.begin_again()

    async def begin_again(self) -> None:
        found = await self._feeds.aperform(self._follower.opening(anew=True))
        self._follower.tray.restart(found.place if isinstance(found, Subscribed) else Place(AT_END, b""))

    async def more(self) -> bool:
        assert self._bell is not None, "it has begun"
        until: float | None = None
        while not self._follower.is_over:
            self._bell.hush()
            try:
                if self._follower.read():
                    await asyncio.sleep(
                        0
                    )  # however much there is to read, others get their turn between pages
                    return True
            except CursorExpired:
                if not self._follower.begins_again:
                    raise
                await self.begin_again()
                continue
            if until is None:
                until = self._feeds.deadline(self._follower.wanted.timeout)
            if self._follower.is_over or not await self._wait(self._bell, until):
                return False
        return False

    async def _wait(self, bell: LoopBell, until: float | None) -> bool:
        self._feeds.check()
        left = None if until is None else until - self._feeds.mono()
        return (left is None or left > 0) and await bell.wait(left)

    async def acknowledge(self, place: Place) -> None:
        await self._feeds.aperform(self._follower.acknowledgement(place))

    async def close(self) -> None:
        self._follower.close()
        if self._bell is not None:
            self._bell.ring()
