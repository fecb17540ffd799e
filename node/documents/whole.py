"""A document, and a `MapOf`, as the map that it is: emptied, made to expire, followed.

What is said of all that is inside needs no types: it is the map's own doing, and what it says of concurrent writes
holds here too.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Unpack

from gossamer.crdt import path

from ..backend import Backend
from ..handles import Map
from ..handles.following import Wishes

if TYPE_CHECKING:
    from ..feed import AsyncWatch, Subscription, Watch


class Whole:
    """Mixed into handles of a map of which more is known."""

    __slots__ = ()

    _backend: Backend
    _keyspace: str
    _path: bytes

    @property
    def path(self) -> str:
        """The path of its map, as text."""
        return path.to_text(self._path)

    @property
    def _map(self) -> Map:
        return Map(self._backend, self._keyspace, self._path)

    def clear(self, *, op_id: str | None = None) -> None:
        """Remove all that is stored there; a concurrent write inside survives alone."""
        self._map.clear(op_id=op_id)

    async def aclear(self, *, op_id: str | None = None) -> None:
        """`clear`, awaited."""
        await self._map.aclear(op_id=op_id)

    def expire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """Let all that is stored there now go after ``ttl`` seconds, or at ``expires_at``, an aware datetime.

        `ValueError`, and nothing is written, if a counter, a max or min register is among it: they cannot expire.
        What is written later does not expire with the rest.
        """
        self._map.expire(ttl=ttl, expires_at=expires_at, op_id=op_id)

    async def aexpire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """`expire`, awaited."""
        await self._map.aexpire(ttl=ttl, expires_at=expires_at, op_id=op_id)

    def persist(self, *, op_id: str | None = None) -> None:
        """Let all that is stored there stay."""
        self._map.persist(op_id=op_id)

    async def apersist(self, *, op_id: str | None = None) -> None:
        """`persist`, awaited."""
        await self._map.apersist(op_id=op_id)

    def watch(self, since: str | None = None, **wishes: Unpack[Wishes]) -> Watch:
        """Changes of its cells, as `Map.watch` tells them: with paths and plain values, a cell at a time.

        To have them as the class says, read the document again, or its field, when one comes.
        """
        return self._map.watch(since=since, **wishes)

    def awatch(self, since: str | None = None, **wishes: Unpack[Wishes]) -> AsyncWatch:
        """`watch`, for ``async for``."""
        return self._map.awatch(since=since, **wishes)

    def subscription(self, name: str, *, auto_ack: bool = False, **wishes: Unpack[Wishes]) -> Subscription:
        """`watch` that remembers under ``name`` what was acknowledged, as `Map.subscription` does."""
        return self._map.subscription(name, auto_ack=auto_ack, **wishes)
