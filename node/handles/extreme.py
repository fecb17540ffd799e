"""The handles of max and min registers."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from msgspec import UNSET

from gossamer.crdt import Cell, type_at

from .handle import Handle
from .typed import T

D = TypeVar("D")


class ExtremeRegister(Handle[T]):
    """The highest, or the lowest, value ever set and not removed: numbers, str, bytes, or lists of them."""

    __slots__ = ()

    def _extreme(self, cell: Cell, default: Any) -> Any:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return self._given(cell_type.value(cell)) if cell.live else self._absent(default)

    @overload
    def get(self) -> T: ...
    @overload
    def get(self, default: D) -> T | D: ...
    def get(self, default: Any = UNSET) -> Any:
        """The extreme, ``default`` if there is none; None, or the field's own, if not given."""
        return self._extreme(self._read(), default)

    @overload
    async def aget(self) -> T: ...
    @overload
    async def aget(self, default: D) -> T | D: ...
    async def aget(self, default: Any = UNSET) -> Any:
        """`get`, awaited."""
        return self._extreme(await self._aread(), default)

    def set(self, value: T, *, op_id: str | None = None) -> None:
        """Offer a value. `TypeError` if it cannot be compared with what is there."""
        self._write("set", value, op_id=op_id)

    async def aset(self, value: T, *, op_id: str | None = None) -> None:
        """`set`, awaited."""
        await self._awrite("set", value, op_id=op_id)

    def remove(self, *, op_id: str | None = None) -> None:
        """Remove what is there; a concurrent ``set`` brings that replica's earlier extreme back with it."""
        self._write("remove", op_id=op_id)

    async def aremove(self, *, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await self._awrite("remove", op_id=op_id)


class MaxRegister(ExtremeRegister[T]):
    """The highest value ever set and not removed."""

    __slots__ = ()


class MinRegister(ExtremeRegister[T]):
    """The lowest value ever set and not removed."""

    __slots__ = ()
