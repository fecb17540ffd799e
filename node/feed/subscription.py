"""A subscription: a feed that remembers, on the node's disk, how far its consumer has come.

What does at least once mean? A change is delivered again after a restart unless it was acknowledged, and
acknowledging one acknowledges all before it. A consumer that was killed between handling a change and its
acknowledgement meets it again, under the same ``change.id``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..errors import Closed, CursorExpired
from ..limits import ACK_EVERY_S, SKIP_CHANGES
from ..store.feed import Place
from .change import Change
from .stream import AsyncStream, Stream


class Acks:
    """Which acknowledgement is due. Pure: the time is an argument."""

    def __init__(self) -> None:
        self.sent: Place | None = None
        """How far is acknowledged, durably."""
        self.noted: Place | None = None
        """How far is handled."""
        self._given: Place | None = None
        self._since = 0.0

    def begin(self, place: Place) -> None:
        """The stream began where the subscription was left."""
        self.sent = self.noted = place
        self._given = None

    def acknowledged(self, place: Place) -> None:
        """So far is acknowledged now."""
        self.sent = self.noted = place
        if self._given is not None and self._given.order <= place.order:
            self._given = None

    def give(self, place: Place) -> None:
        """A change was given to the consumer."""
        self._given = place

    def handled(self, now: float) -> None:
        """The consumer asks for more, so what it was given is handled."""
        if self._given is not None:
            if self.noted == self.sent:
                self._since = now
            self.noted, self._given = self._given, None

    def due(self, now: float) -> Place | None:
        """What to acknowledge while there is more to do: not each change, since each time is a commit."""
        return self.rest() if now - self._since >= ACK_EVERY_S else None

    def rest(self) -> Place | None:
        """What to acknowledge before waiting, or at the end."""
        return self.noted if self.noted is not None and self.noted != self.sent else None

    def skipped(self, read: Place) -> Place | None:
        """How far to move when all is acknowledged and nothing but what is not wanted came since."""
        if (
            self.sent is None
            or self.noted != self.sent
            or self._given is not None
            or read.reached is not None
        ):
            return None
        is_far = self.sent.reached is not None or read.position - self.sent.position >= SKIP_CHANGES
        return read if is_far else None


class Subscription:
    """Changes for one consumer at a time, in a ``for`` or an ``async for``. It begins then, or with ``with``.

    ``ack(change)`` or ``change.ack()`` when it is handled; with ``auto_ack``, asking for the next one does.
    """

    def __init__(
        self,
        name: str,
        open_stream: Callable[[], Stream],
        open_async: Callable[[], AsyncStream],
        mono: Callable[[], float],
        auto_ack: bool,
    ) -> None:
        self.name = name
        self._open_stream, self._open_async, self._mono = open_stream, open_async, mono
        self._auto_ack = auto_ack
        self._stream: Stream | None = None
        self._async_stream: AsyncStream | None = None
        self._acks = Acks()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Subscription {self.name}>"

    @property
    def is_live(self) -> bool:
        """All of the snapshot that it began with was given out."""
        stream = self._stream or self._async_stream
        return stream is not None and stream.tray.is_live

    # For a thread

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        if self._is_closed:
            raise StopIteration
        stream = self._begun()
        self._note()
        while True:
            change = self._next(stream)
            if change is not None:
                self._send(stream, self._acks.due(self._mono()))
                return change
            self._send(stream, self._acks.rest() or self._acks.skipped(stream.tray.given))
            if not stream.more():
                raise StopIteration

    def ack(self, change: Change) -> None:
        """Acknowledge a change, and all before it, durably."""
        self._check(change)
        self._send(self._begun(), change.place)

    def begin_again(self) -> None:
        """From a snapshot: the way on after `CursorExpired`."""
        stream = self._begun()
        stream.begin_again()
        self._acks.begin(stream.tray.place)

    def close(self) -> None:
        """Acknowledge what is handled, and let another consumer have it. Again: does nothing."""
        stream, self._stream, self._is_closed = self._stream, None, True
        if stream is not None:
            try:
                self._send(stream, self._acks.rest())
            except (Closed, CursorExpired):  # it is delivered once more
                pass
            finally:
                stream.close()

    def __enter__(self) -> Self:
        self._begun()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self) -> Stream:
        self._check_open()
        if self._stream is None:
            stream = self._open_stream()
            try:
                stream.begin()
            except BaseException:
                stream.close()
                raise
            self._stream = stream
            self._acks.begin(stream.tray.place)
        return self._stream

    def _send(self, stream: Stream, place: Place | None) -> None:
        if place is not None:
            stream.acknowledge(place)
            self._acks.acknowledged(place)

    # For a task

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        if self._is_closed:
            raise StopAsyncIteration
        stream = await self._abegun()
        self._note()
        while True:
            change = self._next(stream)
            if change is not None:
                await self._asend(stream, self._acks.due(self._mono()))
                return change
            await self._asend(stream, self._acks.rest() or self._acks.skipped(stream.tray.given))
            if not await stream.more():
                raise StopAsyncIteration

    async def aack(self, change: Change) -> None:
        """`ack`, awaited."""
        self._check(change)
        await self._asend(await self._abegun(), change.place)

    async def abegin_again(self) -> None:
        """`begin_again`, awaited."""
        stream = await self._abegun()
        await stream.begin_again()
        self._acks.begin(stream.tray.place)

    async def aclose(self) -> None:
        """`close`, awaited."""
        stream, self._async_stream, self._is_closed = self._async_stream, None, True
        if stream is not None:
            try:
                await self._asend(stream, self._acks.rest())
            except (Closed, CursorExpired):
                pass
            finally:
                await stream.close()

    async def __aenter__(self) -> Self:
        await self._abegun()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _abegun(self) -> AsyncStream:
        self._check_open()
        if self._async_stream is None:
            stream = self._open_async()
            try:
                await stream.begin()
            except BaseException:
                await stream.close()
                raise
            self._async_stream = stream
            self._acks.begin(stream.tray.place)
        return self._async_stream

    async def _asend(self, stream: AsyncStream, place: Place | None) -> None:
        if place is not None:
            await stream.acknowledge(place)
            self._acks.acknowledged(place)

    # For both

    def _note(self) -> None:
        if self._auto_ack:
            self._acks.handled(self._mono())

    def _next(self, stream: Any) -> Change | None:
        change: Change | None = stream.tray.next(stream.source)
        if change is None:
            return None
        self._acks.give(change.place)
        return dataclasses.replace(change, subscription=self)

    def _check(self, change: Change) -> None:
        if change.subscription is not self:
            raise ValueError(f"ack: {change.id} was not given out by this subscription")

    def _check_open(self) -> None:
        if self._is_closed:
            raise Closed(f"subscription {self.name!r}: closed; open it anew")
