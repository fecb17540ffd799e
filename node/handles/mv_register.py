"""The handle of a multi-value register, which remembers what it last read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gossamer.crdt import Cell, register_mv, type_at, values

from ..backend import Backend
from ..limits import WAIT_S
from . import expiring
from .handle import Changed, ExpiringHandle, checked
from .reading import Reading, reading
from .typed import T, Typed


class MVRegister(ExpiringHandle[list[T]]):
    """Concurrent writes all stand until somebody resolves them.

    A handle remembers the context of its last ``values()``, ``read()`` or ``siblings()``, so share one between
    threads only if each of them resolves what another may have read.
    """

    __slots__ = ("_seen",)

    def __init__(self, backend: Backend, keyspace: str, cell_path: bytes, typed: Typed | None = None) -> None:
        super().__init__(backend, keyspace, cell_path, typed)
        self._seen: dict[bytes, int] | None = None

    def _values(self, cell: Cell) -> list[T]:
        self._seen = cell.context()
        return self._list(cell)

    def _list(self, cell: Cell) -> list[T]:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return [self._given(found) for found in cell_type.value(cell)]

    def _reading(self, cell: Cell) -> Reading[list[T]]:
        only = cell.live[0] if len(cell.live) == 1 else None
        return reading(cell, only, self._values(cell))

    def _all(self, cell: Cell) -> list[Reading[T]]:
        self._seen = cell.context()
        return [
            reading(cell, entry, self._given(values.read(item)))
            for entry in cell.live
            for item in register_mv.items_of(entry)
        ]

    def values(self) -> list[T]:
        """Every value that stands, equal ones once, in an order that is the same on every node."""
        return self._values(self._read())

    async def avalues(self) -> list[T]:
        """`values`, awaited."""
        return self._values(await self._aread())

    def read(self, *, max_staleness: float | None = None, timeout: float = WAIT_S) -> Reading[list[T]]:
        """``values()`` with the context; version and writer if one write alone stands. ``max_staleness`` is as in
        `Register.read`."""
        self._wait_fresh(max_staleness, timeout)
        return self._reading(self._read())

    async def aread(self, *, max_staleness: float | None = None, timeout: float = WAIT_S) -> Reading[list[T]]:
        """`read`, awaited."""
        await self._await_fresh(max_staleness, timeout)
        return self._reading(await self._aread())

    def siblings(self) -> list[Reading[T]]:
        """Each value of each write that stands: two replicas that wrote the same are two."""
        return self._all(self._read())

    async def asiblings(self) -> list[Reading[T]]:
        """`siblings`, awaited."""
        return self._all(await self._aread())

    def set(
        self,
        value: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """Replace every value that the node has seen, read here or not.

        It is hidden after ``ttl`` seconds, or at ``expires_at``, an aware datetime, if one of them is given.
        """
        self._write("set", value, *expiring.given(ttl, expires_at), op_id=op_id)

    async def aset(
        self,
        value: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """`set`, awaited."""
        await self._awrite("set", value, *expiring.given(ttl, expires_at), op_id=op_id)

    def resolve(self, value: T, *, op_id: str | None = None) -> None:
        """Replace exactly what this handle last read; a value that came since stays beside it.

        A handle that has not read does so first. Resolving is no reading: what one handle resolved, its next
        ``resolve`` leaves beside the new value unless it was read in between.
        """
        self._op("set", (value,))  # a wrong value is told before anything is read
        if self._seen is None:
            self.values()
        self._write("resolve", value, self._seen, op_id=op_id)

    async def aresolve(self, value: T, *, op_id: str | None = None) -> None:
        """`resolve`, awaited."""
        self._op("set", (value,))  # a wrong value is told before anything is read
        if self._seen is None:
            await self.avalues()
        await self._awrite("resolve", value, self._seen, op_id=op_id)

    def update(self, change: Callable[[list[T]], T], *, op_id: str | None = None) -> T:
        """Set it to what ``change`` makes of the list of all its values; the new value. See `Register.update`.

        A retry with the same ``op_id`` gives None.
        """
        changed = Changed(self, change, self._list)
        self._backend.update(self._keyspace, self._path, changed, checked(op_id))
        value: T = changed.value
        return value

    async def aupdate(self, change: Callable[[list[T]], T], *, op_id: str | None = None) -> T:
        """`update`, awaited. ``change`` is a plain function, and is not called in the event loop."""
        changed = Changed(self, change, self._list)
        await self._backend.aupdate(self._keyspace, self._path, changed, checked(op_id))
        value: T = changed.value
        return value

    def remove(self, *, op_id: str | None = None) -> None:
        """Remove every value that the node has seen; a concurrent write survives."""
        self._write("remove", op_id=op_id)

    async def aremove(self, *, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await self._awrite("remove", op_id=op_id)
