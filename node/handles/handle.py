"""What every handle of one cell is made of: where the cell is, and one read and one write, each with its twin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import UNSET

from gossamer.crdt import Cell, path

from ..backend import Backend, Op, make_op
from ..op_id import check_op_id
from ..waiting import Fresh, check, check_timeout
from . import expiring
from .reading import read
from .typed import Reads, Typed, V_co


class Handle(Reads[V_co]):
    """One cell of a keyspace. A handle holds no value: each read is a fresh look.

    ``typed`` is the type of a document's field; without one any value goes in and comes out as it is.
    """

    __slots__ = ("_backend", "_keyspace", "_path", "_typed")

    def __init__(self, backend: Backend, keyspace: str, cell_path: bytes, typed: Typed | None = None) -> None:
        self._backend = backend
        self._keyspace = keyspace
        self._path = path.check(cell_path)
        self._typed = typed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {path.to_text(self._path)}>"

    @property
    def path(self) -> str:
        """The path as text, as ``keys()`` and the command line have it."""
        return path.to_text(self._path)

    def _read(self) -> Cell:
        return read(self._path, self._backend.cell(self._keyspace, self._path), self._backend)

    async def _aread(self) -> Cell:
        return read(self._path, await self._backend.acell(self._keyspace, self._path), self._backend)

    def _wait_fresh(self, max_staleness: float | None, timeout: float) -> None:
        """Return once a read is as fresh as it is to be; at once where nothing was asked for."""
        if max_staleness is not None:
            self._backend.wait_until(self._keyspace, check(Fresh(max_staleness)), check_timeout(timeout))

    async def _await_fresh(self, max_staleness: float | None, timeout: float) -> None:
        if max_staleness is not None:
            wait = check(Fresh(max_staleness))
            await self._backend.await_until(self._keyspace, wait, check_timeout(timeout))

    def _given(self, plain: Any) -> Any:
        """A stored value as the handle's reader wants it."""
        return plain if self._typed is None else self._typed.of_plain(plain, self._path)

    def _absent(self, default: Any) -> Any:
        """What is read where there is nothing; ``default`` is `UNSET` if the reader named none."""
        if default is not UNSET:
            return default
        return None if self._typed is None else self._typed.absent(self._path)

    def _op(self, method: str, args: tuple[Any, ...] = ()) -> Op:
        """A checked write. Of a typed handle's methods, those with arguments take a value first."""
        if self._typed is None or not args:
            return make_op(self._path, method, args)
        plain = self._typed.plain(args[0])
        try:
            return make_op(self._path, method, (plain, *args[1:]))
        except (TypeError, ValueError) as error:
            # Of the type, and not for this kind: None in a max register, say.
            raise self._typed.refused(args[0], error) from None

    def _write(self, method: str, *args: Any, op_id: str | None = None) -> None:
        self._backend.write(self._keyspace, (self._op(method, args),), checked(op_id))

    async def _awrite(self, method: str, *args: Any, op_id: str | None = None) -> None:
        await self._backend.awrite(self._keyspace, (self._op(method, args),), checked(op_id))


class ExpiringHandle(Handle[V_co]):
    """A cell that may be hidden from some moment on."""

    __slots__ = ()

    def expire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """Let what is there go after ``ttl`` seconds, or at ``expires_at``; nothing happens if nothing is there.

        It changes the moment and not the value: of a register, a concurrent ``set`` beats it. Of two the longer one
        stands.
        """
        self._backend.write(self._keyspace, (self._expires(ttl, expires_at),), checked(op_id))

    async def aexpire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """`expire`, awaited."""
        await self._backend.awrite(self._keyspace, (self._expires(ttl, expires_at),), checked(op_id))

    def persist(self, *, op_id: str | None = None) -> None:
        """Let what is there stay; nothing happens if nothing is, or it does not expire."""
        self._write("persist", op_id=op_id)

    async def apersist(self, *, op_id: str | None = None) -> None:
        """`persist`, awaited."""
        await self._awrite("persist", op_id=op_id)

    def _expires(self, ttl: float | None, expires_at: datetime | None) -> Op:
        return make_op(self._path, "expire", (expiring.wanted(ttl, expires_at),))


class Changed:
    """What a user's function makes of a cell, for `Backend.update`; it keeps the new value for the caller."""

    def __init__(
        self, handle: Handle[Any], change: Callable[[Any], Any], reads: Callable[[Cell], Any]
    ) -> None:
        """``reads`` gives the function its argument; the handle makes the write of what it returns."""
        if not callable(change):
            raise TypeError(f"change: a function is wanted, not {type(change).__name__}")
        self._path, self._backend = handle._path, handle._backend
        self._change, self._read, self._op = change, reads, handle._op
        self.value: Any = None

    def __call__(self, cell: Cell) -> tuple[Op]:
        self.value = self._change(self._read(read(self._path, cell, self._backend)))
        return (self._op("set", (self.value,)),)


def checked(op_id: str | None) -> str | None:
    """The ``op_id``, if there is one. `TypeError` or `ValueError` says why it cannot be one."""
    return None if op_id is None else check_op_id(op_id)
