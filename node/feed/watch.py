"""Iterators over a feed, for a thread and for a task of an event loop.

When does one end? When it is closed, from whatever thread; when the node is closed; or when nothing came for its
``timeout``. After a timeout it may be iterated again, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self

from .change import Change
from .stream import AsyncStream, Stream


class Watch(Iterator[Change]):
    """Changes as they become visible on the node, in commit order. For one thread; `close` from any."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        stream.begin()

    @property
    def cursor(self) -> str | None:
        """``watch(since=cursor)`` goes on after all that was given out. None until that is known."""
        return self._stream.tray.cursor(self._stream.source)

    @property
    def is_live(self) -> bool:
        """All of the snapshot was given out."""
        return self._stream.tray.is_live

    def __next__(self) -> Change:
        while True:
            change = self._stream.tray.next(self._stream.source)
            if change is not None:
                return change
            if not self._stream.more():
                raise StopIteration

    def close(self) -> None:
        """End the iteration, now or when it is next asked. Again: does nothing."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncWatch(AsyncIterator[Change]):
    """`Watch`, for ``async for``. It begins with the first change that is awaited, or with ``async with``."""

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    @property
    def cursor(self) -> str | None:
        """As a `Watch`'s."""
        return self._stream.tray.cursor(self._stream.source)

    @property
    def is_live(self) -> bool:
        """As a `Watch`'s."""
        return self._stream.tray.is_live

    async def __anext__(self) -> Change:
        await self._stream.begin()
        while True:
            change = self._stream.tray.next(self._stream.source)
            if change is not None:
                return change
            if not await self._stream.more():
                raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration. Again: does nothing."""
        await self._stream.close()

    async def __aenter__(self) -> Self:
        await self._stream.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
