"""The handle of a set, of either policy: one cell an element."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, MutableSet
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Self

from gossamer.crdt import Cell, path, type_at

from ..backend import Backend, Op, make_op
from ..errors import InvalidValue
from . import expiring, ranges
from .handle import checked
from .reading import read, readable, visible
from .set_operators import Looked, Operators
from .typed import Reads, T, Typed

KINDS = {"add-wins": "set", "remove-wins": "set_rw"}
"""Policy -> kind. They are two kinds, so one name with both policies is two sets."""


def elements(cells: Iterable[tuple[bytes, Cell]]) -> Iterator[Any]:
    """The elements that are in, of the `visible` cells of one set. `Quarantined` for a cell with two payloads."""
    for cell_path, cell in cells:
        if _is_in(cell_path, cell):
            yield path.decode(cell_path)[-1][1]


def _is_in(cell_path: bytes, cell: Cell) -> bool:
    cell_type = type_at(cell_path)
    return cell_type is not None and bool(cell_type.value(readable(cell_path, cell)))


class Set(Operators, MutableSet[T], Reads[frozenset[T]]):
    """A set of None, bool, int, float, str and bytes, with the operators of Python's own sets.

    Elements are typed: ``1``, ``1.0`` and ``True`` are three, in ``in``, ``len`` and iteration. What operators
    and ``value()`` give are Python sets, in which they are one. ``in`` reads one cell, the rest the whole set.
    """

    __slots__ = ("_backend", "_keyspace", "_path", "_typed")

    def __init__(self, backend: Backend, keyspace: str, set_path: bytes, typed: Typed | None = None) -> None:
        self._backend = backend
        self._keyspace = keyspace
        self._path = path.check(set_path)
        self._typed = typed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {path.to_text(self._path)}>"

    @property
    def path(self) -> str:
        """The path as text; an element's is this, a slash, and its type and value."""
        return path.to_text(self._path)

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)  # what `|`, `&`, `-` and `^` give

    def _op(self, method: str, element: object, *args: Any) -> Op:
        return make_op(self._path_in(element), method, args)

    def _path_in(self, element: object) -> bytes:
        """Where the element's cell is. `TypeError` or `ValueError` for what cannot be in."""
        if self._typed is None:
            return path.check(self._path + path.element(element))
        plain = self._typed.plain(element)
        try:
            return path.check(self._path + path.element(plain))
        except (TypeError, ValueError) as error:
            raise self._typed.refused(element, error) from None

    def _elements(self, cells: Iterable[tuple[bytes, Cell]]) -> Iterator[T]:
        found = elements(cells)
        if self._typed is None:
            return found
        typed = self._typed
        return (typed.of_plain(element, self._path + path.element(element)) for element in found)

    def _path_of(self, element: object) -> bytes | None:
        """Where the element's cell is; None if it is not of the set's type, and so not in."""
        try:
            return self._path_in(element)
        except InvalidValue:
            return None

    def _write(self, method: str, element: object, *args: Any, op_id: str | None = None) -> None:
        self._backend.write(self._keyspace, (self._op(method, element, *args),), checked(op_id))

    async def _awrite(self, method: str, element: object, *args: Any, op_id: str | None = None) -> None:
        await self._backend.awrite(self._keyspace, (self._op(method, element, *args),), checked(op_id))

    def _cells(self) -> Iterator[tuple[bytes, Cell]]:
        return visible(self._backend.scan(self._keyspace, self._path), self._backend)

    async def _acells(self) -> Iterator[tuple[bytes, Cell]]:
        return visible(await self._backend.ascan(self._keyspace, self._path), self._backend)

    def _look(self) -> Looked:
        found = frozenset(cell_path for cell_path, cell in self._cells() if _is_in(cell_path, cell))
        return Looked(found, self._path_of)

    def _holds(self, cell_path: bytes, cell: Cell) -> bool:
        return _is_in(cell_path, read(cell_path, cell, self._backend))

    def __contains__(self, element: object) -> bool:
        cell_path = self._path_of(element)
        return cell_path is not None and self._holds(cell_path, self._backend.cell(self._keyspace, cell_path))

    async def acontains(self, element: object) -> bool:
        """``element in set``, awaited."""
        cell_path = self._path_of(element)
        return cell_path is not None and self._holds(
            cell_path, await self._backend.acell(self._keyspace, cell_path)
        )

    def __iter__(self) -> Iterator[T]:
        return self._elements(self._cells())

    async def __aiter__(self) -> AsyncIterator[T]:
        for element in self._elements(await self._acells()):
            yield element

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AbstractSet):
            return NotImplemented
        own = list(self)  # one look at the set, where the inherited one takes three
        return len(own) == len(other) and all(element in other for element in own)

    def __len__(self) -> int:
        return sum(1 for _ in elements(self._cells()))

    async def alen(self) -> int:
        """``len(set)``, awaited."""
        return sum(1 for _ in elements(await self._acells()))

    def value(self) -> frozenset[T]:
        """The elements as a frozenset, in which Python takes ``1``, ``1.0`` and ``True`` for one."""
        return frozenset(self)

    async def avalue(self) -> frozenset[T]:
        """`value`, awaited."""
        return frozenset(self._elements(await self._acells()))

    def add(
        self,
        element: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """Put it in, for ``ttl`` seconds or until ``expires_at``, an aware datetime, if one of them is given.

        It is a new event even if it is in already, so that it beats a concurrent removal.
        """
        self._write("add", element, *expiring.given(ttl, expires_at), op_id=op_id)

    async def aadd(
        self,
        element: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """`add`, awaited."""
        await self._awrite("add", element, *expiring.given(ttl, expires_at), op_id=op_id)

    def update(
        self,
        elements: Iterable[T],
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """Add all of them, up to 1,000 an event."""
        until = expiring.given(ttl, expires_at)
        ops = [self._op("add", element, *until) for element in elements]
        ranges.update(self._backend, self._keyspace, ops, checked(op_id))

    async def aupdate(
        self,
        elements: Iterable[T],
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """`update`, awaited."""
        until = expiring.given(ttl, expires_at)
        ops = [self._op("add", element, *until) for element in elements]
        await ranges.aupdate(self._backend, self._keyspace, ops, checked(op_id))

    def expire(
        self,
        element: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """Let an element go after ``ttl`` seconds, or at ``expires_at``; nothing happens if it is not in."""
        self._write("expire", element, expiring.wanted(ttl, expires_at), op_id=op_id)

    async def aexpire(
        self,
        element: T,
        *,
        ttl: float | None = None,
        expires_at: datetime | None = None,
        op_id: str | None = None,
    ) -> None:
        """`expire`, awaited."""
        await self._awrite("expire", element, expiring.wanted(ttl, expires_at), op_id=op_id)

    def persist(self, element: T, *, op_id: str | None = None) -> None:
        """Let an element stay; nothing happens if it is not in, or does not expire."""
        self._write("persist", element, op_id=op_id)

    async def apersist(self, element: T, *, op_id: str | None = None) -> None:
        """`persist`, awaited."""
        await self._awrite("persist", element, op_id=op_id)

    def __ior__(self, it: AbstractSet[Any]) -> Self:  # type: ignore[misc]  # one event, not one each
        self.update(it)
        return self

    def __iand__(self, it: AbstractSet[Any]) -> Self:  # type: ignore[override, misc]  # in place, it is a set still
        # The inherited one goes through a Python set, where one of 1 and True would be lost.
        for element in [element for element in self if element not in it]:
            self.discard(element)
        return self

    def discard(self, element: T, *, op_id: str | None = None) -> None:
        """Take it out; nothing happens if the node does not know it to be in."""
        self._write("discard", element, op_id=op_id)

    async def adiscard(self, element: T, *, op_id: str | None = None) -> None:
        """`discard`, awaited."""
        await self._awrite("discard", element, op_id=op_id)

    def remove(self, element: T, *, op_id: str | None = None) -> None:
        """`discard`: unlike a Python set, removing what is absent does nothing."""
        self.discard(element, op_id=op_id)

    async def aremove(self, element: T, *, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await self.adiscard(element, op_id=op_id)

    async def apop(self) -> T:
        """``pop()``, awaited."""
        async for element in self:
            await self.adiscard(element)
            return element
        raise KeyError("pop from an empty set")

    def clear(self, *, op_id: str | None = None) -> None:
        """Remove the elements that the node has seen; a concurrent add survives, whatever the policy.

        Above 1,000 elements, and outside a transaction, this is several events.
        """
        ranges.clear(self._backend, self._keyspace, (self._path,), checked(op_id))

    async def aclear(self, *, op_id: str | None = None) -> None:
        """`clear`, awaited."""
        await ranges.aclear(self._backend, self._keyspace, (self._path,), checked(op_id))
