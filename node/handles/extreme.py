"""The handles of max and min registers."""

from __future__ import annotations

from typing import Any

from gossamer.crdt import Cell, type_at

from .handle import Handle


class ExtremeRegister(Handle):
    """The highest, or the lowest, value ever set and not removed: numbers, str, bytes, or lists of them."""

    __slots__ = ()

    def _extreme(self, cell: Cell, default: Any) -> Any:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return cell_type.value(cell) if cell.live else default

    def get(self, default: Any = None) -> Any:
        """The extreme, ``default`` if there is none."""
        return self._extreme(self._read(), default)

    async def aget(self, default: Any = None) -> Any:
        """`get`, awaited."""
        return self._extreme(await self._aread(), default)

    def set(self, value: Any) -> None:
        """Offer a value. `TypeError` if it cannot be compared with what is there."""
        self._write("set", value)

    async def aset(self, value: Any) -> None:
        """`set`, awaited."""
        await self._awrite("set", value)

    def remove(self) -> None:
        """Remove what is there; a concurrent ``set`` brings that replica's earlier extreme back with it."""
        self._write("remove")

    async def aremove(self) -> None:
        """`remove`, awaited."""
        await self._awrite("remove")


class MaxRegister(ExtremeRegister):
    """The highest value ever set and not removed."""

    __slots__ = ()


class MinRegister(ExtremeRegister):
    """The lowest value ever set and not removed."""

    __slots__ = ()
