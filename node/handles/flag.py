"""The handle of a flag, of either policy."""

from __future__ import annotations

from datetime import datetime

from gossamer.crdt import Cell, type_at

from ..backend import Op, make_op
from . import expiring
from .handle import ExpiringHandle, checked

KINDS = {"enable-wins": "flag", "disable-wins": "flag_dw"}
"""Policy -> kind. They are two kinds, so one name with both policies is two flags."""


class Flag(ExpiringHandle[bool]):
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

    def enable(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """Switch it on, for ``ttl`` seconds or until ``expires_at``, an aware datetime, if one of them is given."""
        self._backend.write(self._keyspace, (self._enables(ttl, expires_at),), checked(op_id))

    async def aenable(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """`enable`, awaited."""
        await self._backend.awrite(self._keyspace, (self._enables(ttl, expires_at),), checked(op_id))

    def _enables(self, ttl: float | None, expires_at: datetime | None) -> Op:
        return make_op(self._path, "enable", expiring.given(ttl, expires_at))

    def disable(self, *, op_id: str | None = None) -> None:
        """Switch it off."""
        self._write("disable", op_id=op_id)

    async def adisable(self, *, op_id: str | None = None) -> None:
        """`disable`, awaited."""
        await self._awrite("disable", op_id=op_id)
