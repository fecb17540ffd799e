"""The handle of a last-writer-wins register."""

from __future__ import annotations

from typing import Any

from gossamer.crdt import Cell, Entry, register_lww

from .handle import Handle
from .reading import Reading, reading


def _get(cell: Cell, default: Any) -> Any:
    entry = register_lww.winner(cell)
    return default if entry is None else register_lww.value_of(entry)


def _read(cell: Cell) -> Reading:
    entry = register_lww.winner(cell)
    return reading(cell, None, None) if entry is None else _sibling(cell, entry)


def _sibling(cell: Cell, entry: Entry) -> Reading:
    return reading(cell, entry, register_lww.value_of(entry), register_lww.stamp_of(entry))


def _siblings(cell: Cell) -> list[Reading]:
    ranked = sorted(cell.live, key=lambda e: (register_lww.stamp_of(e), e.replica), reverse=True)
    return [_sibling(cell, entry) for entry in ranked]


class Register(Handle):
    """One value; the last write stands. Causality decides first, the clock only between concurrent writes."""

    __slots__ = ()

    def get(self, default: Any = None) -> Any:
        """The value, ``default`` if it was never set or was removed."""
        return _get(self._read(), default)

    async def aget(self, default: Any = None) -> Any:
        """`get`, awaited."""
        return _get(await self._aread(), default)

    def read(self) -> Reading:
        """The value with its version, time and writer."""
        return _read(self._read())

    async def aread(self) -> Reading:
        """`read`, awaited."""
        return _read(await self._aread())

    def siblings(self) -> list[Reading]:
        """Every concurrent write that nobody has superseded, the one that stands first."""
        return _siblings(self._read())

    async def asiblings(self) -> list[Reading]:
        """`siblings`, awaited."""
        return _siblings(await self._aread())

    def set(self, value: Any) -> None:
        """Replace what is there. `TypeError` or `ValueError` for what is not a value; nothing is written then."""
        self._write("set", value)

    async def aset(self, value: Any) -> None:
        """`set`, awaited."""
        await self._awrite("set", value)

    def remove(self) -> None:
        """Remove what is there; a concurrent write survives."""
        self._write("remove")

    async def aremove(self) -> None:
        """`remove`, awaited."""
        await self._awrite("remove")
