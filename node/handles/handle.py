"""What every handle of one cell is made of: where the cell is, and one read and one write, each with its twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gossamer.crdt import Cell, path

from ..backend import Backend, Op, make_op
from .reading import readable


class Handle:
    """One cell of a keyspace. A handle holds no value: each read is a fresh look."""

    __slots__ = ("_backend", "_keyspace", "_path")

    def __init__(self, backend: Backend, keyspace: str, cell_path: bytes) -> None:
        self._backend = backend
        self._keyspace = keyspace
        self._path = path.check(cell_path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {path.to_text(self._path)}>"

    @property
    def path(self) -> str:
        """The path as text, as ``keys()`` and the command line have it."""
        return path.to_text(self._path)

    def _read(self) -> Cell:
        return readable(self._path, self._backend.cell(self._keyspace, self._path))

    async def _aread(self) -> Cell:
        return readable(self._path, await self._backend.acell(self._keyspace, self._path))

    def _write(self, method: str, *args: Any) -> None:
        self._backend.write(self._keyspace, (make_op(self._path, method, args),))

    async def _awrite(self, method: str, *args: Any) -> None:
        await self._backend.awrite(self._keyspace, (make_op(self._path, method, args),))


class Changed:
    """What a user's function makes of a cell, for `Backend.update`; it keeps the new value for the caller."""

    def __init__(self, cell_path: bytes, change: Callable[[Any], Any], read: Callable[[Cell], Any]) -> None:
        if not callable(change):
            raise TypeError(f"change: a function is wanted, not {type(change).__name__}")
        self._path, self._change, self._read = cell_path, change, read
        self.value: Any = None

    def __call__(self, cell: Cell) -> tuple[Op]:
        self.value = self._change(self._read(readable(self._path, cell)))
        return (make_op(self._path, "set", (self.value,)),)
