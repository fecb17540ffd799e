"""What an iterator over a feed stands on: a stream of a node here, or of a remote one."""

from __future__ import annotations

from typing import Protocol

from ..store.feed import Place
from .change import Source
from .tray import Tray


class Stream(Protocol):
    """For one thread; `close` from any."""

    @property
    def tray(self) -> Tray:
        """What it has read."""

    @property
    def source(self) -> Source:
        """Where that comes from."""

    def begin(self) -> None:
        """Begin, if it has not."""

    def more(self) -> bool:
        """Wait for more; False if the iteration is over, for now or for ever."""

    def acknowledge(self, place: Place) -> None:
        """Remember, durably, that its subscription has come so far."""

    def begin_again(self) -> None:
        """From a snapshot; a subscription forgets how far it was."""

    def close(self) -> None:
        """End it. Again: does nothing."""


class AsyncStream(Protocol):
    """`Stream` for one task."""

    @property
    def tray(self) -> Tray:
        """As a `Stream`'s."""

    @property
    def source(self) -> Source:
        """As a `Stream`'s."""

    async def begin(self) -> None:
        """As a `Stream`'s."""

    async def more(self) -> bool:
        """As a `Stream`'s."""

    async def acknowledge(self, place: Place) -> None:
        """As a `Stream`'s."""

    async def begin_again(self) -> None:
        """As a `Stream`'s."""

    async def close(self) -> None:
        """As a `Stream`'s."""
