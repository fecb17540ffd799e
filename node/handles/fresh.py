"""A backend whose reads are bounded in their staleness; everything else is the other one's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from gossamer.crdt import Cell, Dot

from ..backend import Backend, Change
from ..waiting import Fresh


def bounded(inner: Backend, max_staleness: float, timeout: float) -> Backend:
    """``inner``, but each read begins with a wait until the node is fresh. `TooStale` if it is not in time."""
    return cast(Backend, _Bounded(inner, max_staleness, timeout))


class _Bounded:
    def __init__(self, inner: Backend, max_staleness: float, timeout: float) -> None:
        self._inner, self._wait, self._timeout = inner, Fresh(max_staleness), timeout

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._inner, verb)

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        self._inner.wait_until(keyspace, self._wait, self._timeout)
        return self._inner.cell(keyspace, cell_path)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        await self._inner.await_until(keyspace, self._wait, self._timeout)
        return await self._inner.acell(keyspace, cell_path)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        self._inner.wait_until(keyspace, self._wait, self._timeout)
        return self._inner.scan(keyspace, prefix)

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        await self._inner.await_until(keyspace, self._wait, self._timeout)
        return await self._inner.ascan(keyspace, prefix)

    def update(self, keyspace: str, cell_path: bytes, change: Change) -> Dot | None:
        self._inner.wait_until(keyspace, self._wait, self._timeout)
        return self._inner.update(keyspace, cell_path, change)

    async def aupdate(self, keyspace: str, cell_path: bytes, change: Change) -> Dot | None:
        await self._inner.await_until(keyspace, self._wait, self._timeout)
        return await self._inner.aupdate(keyspace, cell_path, change)
