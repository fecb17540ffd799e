"""The handle of a last-writer-wins register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, overload

from msgspec import UNSET

from gossamer.crdt import Cell, Dot, Entry, expiry, register_lww

from ..backend import EXPECT, Op, make_op
from ..limits import WAIT_S
from . import expiring
from .handle import Changed, ExpiringHandle, checked
from .reading import Reading, reading, seen
from .typed import T

D = TypeVar("D")


class Anything(Enum):
    """The version that a write expects unless told otherwise; None is one too."""

    ANYTHING = "anything"

    def __repr__(self) -> str:
        return self.value


ANYTHING = Anything.ANYTHING


class Register(ExpiringHandle[T]):
    """One value; the last write stands. Causality decides first, the clock only between concurrent writes.

    ``Register[str]`` is the register of a typed document: it takes and gives str alone.
    """

    __slots__ = ()

    def _get(self, cell: Cell, default: Any) -> Any:
        entry = self._winner(cell)
        return self._absent(default) if entry is None else self._given(register_lww.value_of(entry))

    def _reading(self, cell: Cell) -> Reading[T]:
        entry = self._winner(cell)
        return reading(cell, None, self._absent(UNSET)) if entry is None else self._sibling(cell, entry)

    def _sibling(self, cell: Cell, entry: Entry) -> Reading[T]:
        value = self._given(register_lww.value_of(entry))
        return reading(cell, entry, value, register_lww.stamp_of(entry))

    def _siblings(self, cell: Cell) -> list[Reading[T]]:
        return [self._sibling(cell, entry) for entry in register_lww.ranked(cell)]

    def _winner(self, cell: Cell) -> Entry | None:
        """The entry that stands, with the value that a resolver gives it, if there is one."""
        return register_lww.winner(self._backend.resolvers.cell(self._keyspace, self._path, cell))

    @overload
    def get(self) -> T: ...
    @overload
    def get(self, default: D) -> T | D: ...
    def get(self, default: Any = UNSET) -> Any:
        """The value, ``default`` if it was never set or was removed; None, or the field's own, if not given."""
        return self._get(self._read(), default)

    @overload
    async def aget(self) -> T: ...
    @overload
    async def aget(self, default: D) -> T | D: ...
    async def aget(self, default: Any = UNSET) -> Any:
        """`get`, awaited."""
        return self._get(await self._aread(), default)

    def read(self, *, max_staleness: float | None = None, timeout: float = WAIT_S) -> Reading[T]:
        """The value with its version, time and writer.

        With ``max_staleness`` it is read once the node has all that every member had so many seconds ago: at once, if
        it has, else as soon as it has asked them. `TooStale` if that is not so within ``timeout`` seconds.
        """
        self._wait_fresh(max_staleness, timeout)
        return self._reading(self._read())

    async def aread(self, *, max_staleness: float | None = None, timeout: float = WAIT_S) -> Reading[T]:
        """`read`, awaited."""
        await self._await_fresh(max_staleness, timeout)
        return self._reading(await self._aread())

    def siblings(self) -> list[Reading[T]]:
        """Every concurrent write that nobody has superseded, the one that stands first."""
        return self._siblings(self._read())

    async def asiblings(self) -> list[Reading[T]]:
        """`siblings`, awaited."""
        return self._siblings(await self._aread())

    def set(
        self,
        value: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        seen: Mapping[bytes, int] | None = None,
        expect: Dot | None | Anything = ANYTHING,
        op_id: str | None = None,
    ) -> None:
        """Replace what is there. `TypeError` or `ValueError` for what is not a value; nothing is written then.

        It is hidden after ``ttl`` seconds, or at ``expires_at``, an aware datetime, if one of them is given.

        With ``seen``, the ``context`` of a `read`, it replaces just what was read; what came from other nodes since
        stays as a sibling. With ``expect``, the ``version`` of a `read` (None: nothing was there), it is written
        only if that still stands. `VersionMismatch`, and nothing is written, if something else does, or if this
        node has written since what ``seen`` does not include, as a node keeps one value.
        """
        ops = self._sets(value, expiring.given(ttl, expires_at), seen, expect)
        self._backend.write(self._keyspace, ops, checked(op_id))

    async def aset(
        self,
        value: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        seen: Mapping[bytes, int] | None = None,
        expect: Dot | None | Anything = ANYTHING,
        op_id: str | None = None,
    ) -> None:
        """`set`, awaited."""
        ops = self._sets(value, expiring.given(ttl, expires_at), seen, expect)
        await self._backend.awrite(self._keyspace, ops, checked(op_id))

    @overload
    def update(self, change: Callable[[T], T], *, op_id: str | None = None) -> T: ...
    @overload
    def update(self, change: Callable[[T | D], T], default: D, *, op_id: str | None = None) -> T: ...
    def update(self, change: Callable[[Any], Any], default: Any = UNSET, *, op_id: str | None = None) -> Any:
        """Set it to what ``change`` makes of the value, or of ``default`` if there is none; the new value.

        Nothing comes between the read and the write. An exception in ``change`` writes nothing and is raised here.
        It is called inside the commit, on the thread that all writes wait for, so it must be quick and must not
        write; with a remote node, as often as it takes until no other write came between. In a transaction it
        reads the transaction's own writes, and the whole transaction raises `VersionMismatch` at its end if the
        value was written elsewhere meanwhile. With an ``op_id`` the value that is there then is given, and a retry
        asks for no new one.
        """
        changed = Changed(self, change, lambda cell: self._get(cell, default))
        self._backend.update(self._keyspace, self._path, changed, checked(op_id))
        return changed.value if op_id is None else self.get(default)

    @overload
    async def aupdate(self, change: Callable[[T], T], *, op_id: str | None = None) -> T: ...
    @overload
    async def aupdate(self, change: Callable[[T | D], T], default: D, *, op_id: str | None = None) -> T: ...
    async def aupdate(
        self, change: Callable[[Any], Any], default: Any = UNSET, *, op_id: str | None = None
    ) -> Any:
        """`update`, awaited. ``change`` is a plain function, and is not called in the event loop."""
        changed = Changed(self, change, lambda cell: self._get(cell, default))
        await self._backend.aupdate(self._keyspace, self._path, changed, checked(op_id))
        return changed.value if op_id is None else await self.aget(default)

    def settle(self) -> T:
        """Write what is read while concurrent values stand, over exactly those; the value.

        It ends when the value that stood would have ended; what a resolver made lasts.

        `VersionMismatch` if this node has written since it was read here.
        """
        cell = self._read()
        value: T = self._get(cell, UNSET)
        if len(cell.live) > 1:
            self._backend.write(self._keyspace, self._settles(cell, value))
        return value

    async def asettle(self) -> T:
        """`settle`, awaited."""
        cell = await self._aread()
        value: T = self._get(cell, UNSET)
        if len(cell.live) > 1:
            await self._backend.awrite(self._keyspace, self._settles(cell, value))
        return value

    def _settles(self, cell: Cell, value: T) -> tuple[Op, ...]:
        entry = self._winner(cell)
        assert entry is not None, "it has live entries"
        until = expiry.of(entry.payload)
        return self._sets(value, () if until is None else ((expiry.AT, until),), seen(cell), ANYTHING)

    def remove(self, *, expect: Dot | None | Anything = ANYTHING, op_id: str | None = None) -> None:
        """Remove what is there; a concurrent write survives. ``expect`` is as in `set`."""
        self._backend.write(self._keyspace, (*self._expects(expect), self._op("remove")), checked(op_id))

    async def aremove(self, *, expect: Dot | None | Anything = ANYTHING, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await self._backend.awrite(
            self._keyspace, (*self._expects(expect), self._op("remove")), checked(op_id)
        )

    def _sets(
        self,
        value: T,
        until: tuple[expiry.Expiry, ...],
        seen: Mapping[bytes, int] | None,
        expect: Dot | None | Anything,
    ) -> tuple[Op, ...]:
        context = dict(seen) if isinstance(seen, Mapping) else seen
        given = (value, context, *until) if until or seen is not None else (value,)
        return (*self._expects(expect), self._op("set", given))

    def _expects(self, expect: Dot | None | Anything) -> tuple[Op, ...]:
        return () if isinstance(expect, Anything) else (make_op(self._path, EXPECT, (expect,)),)
