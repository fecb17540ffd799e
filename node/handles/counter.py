"""The handle of a counter."""

from __future__ import annotations

from gossamer.crdt import TYPES, Cell

from . import ranges
from .handle import Handle, checked


class Counter(Handle[int]):
    """An int of any size that every node may add to at any time; no addition is ever lost or counted twice."""

    __slots__ = ()

    def _sum(self, cell: Cell) -> int:
        return int(TYPES["counter"].value(cell))

    def value(self) -> int:
        """The sum, 0 if nothing was added."""
        return self._sum(self._read())

    async def avalue(self) -> int:
        """`value`, awaited."""
        return self._sum(await self._aread())

    def add(self, n: int = 1, *, op_id: str | None = None) -> None:
        """Add ``n``, which may be negative or 0; the sum is not told, see `value`. With an ``op_id``, once, on whatever node and however often it is tried."""
        self._write("add", n, op_id=op_id)

    async def aadd(self, n: int = 1, *, op_id: str | None = None) -> None:
        """`add`, awaited."""
        await self._awrite("add", n, op_id=op_id)

    def reset(self, *, op_id: str | None = None) -> None:
        """Take away exactly what the node has seen: +2 concurrent with a reset of 4 leaves 2.

        Above 1,000 additions with an ``op_id`` that are still pending, and outside a transaction, this is several events.
        """
        ranges.reset(self._backend, self._keyspace, self._path, checked(op_id))

    async def areset(self, *, op_id: str | None = None) -> None:
        """`reset`, awaited."""
        await ranges.areset(self._backend, self._keyspace, self._path, checked(op_id))
