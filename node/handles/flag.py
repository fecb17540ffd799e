"""The handle of a flag, of either policy."""

from __future__ import annotations

from gossamer.crdt import Cell, type_at

from .handle import Handle

KINDS = {"enable-wins": "flag", "disable-wins": "flag_dw"}
"""Policy -> kind. They are two kinds, so one name with both policies is two flags."""


class Flag(Handle[bool]):
    """On or off, off at first. The policy says which of a concurrent enable and disable wins."""

    __slots__ = ()

    def _is_on(self, cell: Cell) -> bool:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return bool(cell_type.value(cell))

    def value(self) -> bool:
        """Whether it is on."""
        return self._is_on(self._read())

    async def avalue(self) -> bool:
        """`value`, awaited."""
        return self._is_on(await self._aread())

    def __bool__(self) -> bool:
        return self.value()

    def enable(self) -> None:
        """Switch it on."""
        self._write("enable")

    async def aenable(self) -> None:
        """`enable`, awaited."""
        await self._awrite("enable")

    def disable(self) -> None:
        """Switch it off."""
        self._write("disable")

    async def adisable(self) -> None:
        """`disable`, awaited."""
        await self._awrite("disable")
