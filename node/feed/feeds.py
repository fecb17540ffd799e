"""A node's feeds for its consumers: what a backend's ``watch`` and ``subscription`` stand on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..handles.resolvers import Resolvers
from ..limits import SUBSCRIPTION_NAME_BYTES_MAX
from ..turns import FeedCore, FeedInput, Unsubscribe
from .local import LocalAsyncStream, LocalStream
from .subscription import Subscription
from .wanted import Wanted
from .watch import AsyncWatch, Watch


class Held(msgspec.Struct, frozen=True):
    """A subscription as the node remembers it."""

    name: str
    prefix: str
    """What it follows: the paths whose text begins so."""
    behind: int
    """Changes of the keyspace, wanted or not, since the last one acknowledged."""
    oldest_unacked_at: float | None
    """When the first of them became visible here, in seconds since 1970."""
    acked_at: float
    """When it was last moved, in seconds since 1970; when it was made, if it was not yet."""
    is_consumed: bool
    """Somebody consumes it now."""
    is_expired: bool
    """The feed does not reach to where it was: it can only begin again with a snapshot."""


class Feeds:
    """Any thread, any event loop."""

    def __init__(
        self,
        core: FeedCore,
        perform: Callable[[FeedInput], Any],
        aperform: Callable[[FeedInput], Awaitable[Any]],
        check_open: Callable[[], None],
        check: Callable[[], None],
        mono: Callable[[], float],
        resolvers: Resolvers,
        adjust: Callable[[Wanted], Wanted] = lambda wanted: wanted,
    ) -> None:
        """``adjust`` makes of what is wanted what there can be. ``perform`` has the writer do something, durably. ``check_open`` raises if there is nothing to read any
        more, ``check`` also if nothing will be written any more."""
        self.core, self.resolvers = core, resolvers
        self.perform, self.aperform = perform, aperform
        self.check_open, self.check, self.mono, self._adjust = check_open, check, mono, adjust

    def deadline(self, timeout: float | None) -> float | None:
        """When a wait of so many seconds that begins now is over."""
        return None if timeout is None else self.mono() + timeout

    def watch(self, keyspace: str, wanted: Wanted) -> Watch:
        """Follow a keyspace."""
        return Watch(LocalStream(self, keyspace, self._adjust(wanted)))

    def awatch(self, keyspace: str, wanted: Wanted) -> AsyncWatch:
        """`watch`, for an event loop."""
        return AsyncWatch(LocalAsyncStream(self, keyspace, self._adjust(wanted)))

    def subscription(self, keyspace: str, name: str, wanted: Wanted, auto_ack: bool) -> Subscription:
        """Follow a keyspace under a name."""
        check_name(name)
        wanted = self._adjust(wanted)
        owner = os.urandom(8)
        return Subscription(
            name,
            lambda: LocalStream(self, keyspace, wanted, name, owner),
            lambda: LocalAsyncStream(self, keyspace, wanted, name, owner),
            self.mono,
            auto_ack,
        )

    def stream(self, keyspace: str, wanted: Wanted, name: str | None, owner: bytes) -> LocalAsyncStream:
        """What a remote reader is served from; ``name`` is of a subscription, ``owner`` who consumes it."""
        return LocalAsyncStream(self, keyspace, wanted, name, owner)

    def subscriptions(self, keyspace: str) -> list[Held]:
        """The subscriptions of a keyspace."""
        self.check_open()
        try:
            return held(self.core.feed_status(keyspace))
        except KeyError:
            raise ValueError(f"keyspace {keyspace!r}: this node does not host it") from None

    async def asubscriptions(self, keyspace: str) -> list[Held]:
        """`subscriptions`, awaited."""
        return self.subscriptions(keyspace)

    def unsubscribe(self, keyspace: str, name: str) -> bool:
        """Forget a subscription; whether there was one."""
        return bool(self.perform(Unsubscribe(keyspace, check_name(name))))

    async def aunsubscribe(self, keyspace: str, name: str) -> bool:
        """`unsubscribe`, awaited."""
        return bool(await self.aperform(Unsubscribe(keyspace, check_name(name))))


def held(status: dict[str, Any]) -> list[Held]:
    """The subscriptions that a feed's status tells of."""
    return msgspec.convert(status["subscriptions"], list[Held])


def check_name(name: str) -> str:
    """The name itself. `TypeError` or `ValueError` says why a subscription cannot be called so."""
    if not isinstance(name, str):
        raise TypeError(f"subscription {name!r}: a str is wanted, not {type(name).__name__}")
    if not name or not name.isprintable():
        raise ValueError(f"subscription {name!r}: the name is empty, or not printable text")
    size = len(name.encode(errors="replace"))
    if size > SUBSCRIPTION_NAME_BYTES_MAX:
        raise ValueError(
            f"subscription: a name of {size} bytes, at most {SUBSCRIPTION_NAME_BYTES_MAX} are possible"
        )
    return name
