"""The handle of a counter."""

from __future__ import annotations

from gossamer.crdt import Cell, type_at

from .handle import Handle


class Counter(Handle[int]):
    """An int of any size that every node may add to at any time; no addition is ever lost or counted twice."""

    __slots__ = ()

    def _sum(self, cell: Cell) -> int:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return int(cell_type.value(cell))

    def value(self) -> int:
        """The sum, 0 if nothing was added."""
        return self._sum(self._read())

    async def avalue(self) -> int:
        """`value`, awaited."""
        return self._sum(await self._aread())

    def add(self, n: int = 1) -> None:
        """Add ``n``, which may be negative or 0."""
        self._write("add", n)

    async def aadd(self, n: int = 1) -> None:
        """`add`, awaited."""
        await self._awrite("add", n)

    def reset(self) -> None:
        """Take away exactly what the node has seen: +2 concurrent with a reset of 4 leaves 2."""
        self._write("reset")

    async def areset(self) -> None:
        """`reset`, awaited."""
        await self._awrite("reset")
