"""What a keyspace and a map have for those who want to be told of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ..backend import Backend, Followable

if TYPE_CHECKING:
    from ..feed import AsyncWatch, Held, Subscription, Wanted, Watch

Expired = Literal["raise", "snapshot"]


class Wishes(TypedDict, total=False):
    """How to follow; what each means is said at `Following.watch`."""

    snapshot: bool
    timeout: float | None
    expired: Expired
    resume: bool


class Following:
    """Mixed into handles that have a backend, a keyspace, and a prefix that they are under."""

    _backend: Backend
    _keyspace: str
    _prefix: bytes

    def watch(self, prefix: str = "", since: str | None = None, **wishes: Unpack[Wishes]) -> Watch:
        """Changes as they become visible on the node, in commit order: first what there is, then what comes.

        ``prefix`` is of the path's text, as ``keys()`` takes it. ``since`` is a cursor, of a change or of an earlier
        watch, to go on after. ``snapshot=False`` begins with what comes from now on. ``timeout`` ends the iteration
        when nothing came for so many seconds; 0 is what there is now. ``expired`` says what happens if the feed does
        not reach back to where the reader was: ``raise`` `CursorExpired`, or begin again with a ``snapshot``.
        ``resume=False`` has a remote watch raise `Unreachable` when it is cut off, in place of going on by itself.
        """
        return _feeds(self._backend).watch(self._keyspace, self._wanted(prefix, since, wishes))

    def awatch(self, prefix: str = "", since: str | None = None, **wishes: Unpack[Wishes]) -> AsyncWatch:
        """`watch`, for ``async for``. From now on is from the first change awaited, or from ``async with``."""
        return _feeds(self._backend).awatch(self._keyspace, self._wanted(prefix, since, wishes))

    def subscription(
        self, name: str, prefix: str = "", *, auto_ack: bool = False, **wishes: Unpack[Wishes]
    ) -> Subscription:
        """`watch` that remembers under ``name``, on the node's disk, what was acknowledged, and goes on after it.

        It is delivered at least once: ``change.ack()`` when one is handled, with all before it, or ``auto_ack`` to
        have asking for the next one do it. One consumer at a time, else `SubscriptionInUse`. For ``for`` and
        ``async for``.
        """
        wanted = self._wanted(prefix, None, wishes)
        return _feeds(self._backend).subscription(self._keyspace, name, wanted, auto_ack)

    def _wanted(self, prefix: str, since: str | None, wishes: Any) -> Wanted:
        from ..feed import wanted  # the feed reads values by the handles' rules; above it would be a circle

        if prefix and self._prefix:
            raise ValueError("prefix: a map is followed whole; follow the keyspace for a part of it")
        return wanted.of(prefix, since, inside=self._prefix, **wishes)


class Subscribing(Following):
    """`Following`, and what the node remembers of its subscribers."""

    def subscriptions(self) -> list[Held]:
        """The subscriptions of this keyspace that the node remembers."""
        return _feeds(self._backend).subscriptions(self._keyspace)

    async def asubscriptions(self) -> list[Held]:
        """`subscriptions`, awaited."""
        return await _feeds(self._backend).asubscriptions(self._keyspace)

    def unsubscribe(self, name: str) -> bool:
        """Forget a subscription; False if there is none of that name."""
        return _feeds(self._backend).unsubscribe(self._keyspace, name)

    async def aunsubscribe(self, name: str) -> bool:
        """`unsubscribe`, awaited."""
        return await _feeds(self._backend).aunsubscribe(self._keyspace, name)


def _feeds(backend: Backend) -> Followable:
    feeds: Followable | None = getattr(backend, "feeds", None)
    if feeds is None:
        raise ValueError("watch: there is no feed inside a transaction, nor of the in-memory twin")
    return feeds
