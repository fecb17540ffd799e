"""`MapOf`: a map whose names are free and whose things are all of one kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from gossamer.crdt import path

from ..backend import Backend
from ..handles import ranges, tree
from ..handles.handle import checked
from ..handles.typed import Reads
from .fields import Each, Field
from .whole import Whole

H_co = TypeVar("H_co", covariant=True)
V = TypeVar("V")


class MapOf(Whole, Reads[dict[str, Any]], Generic[H_co]):
    """Name -> handle: ``lines: MapOf[Counter]`` gives ``cart.lines["sku-1"].add(2)``.

    A name is there as long as something under it is; asking for a handle makes nothing. Things of another kind
    that untyped handles have put into the same map are not seen here.
    """

    __slots__ = ("_backend", "_each", "_keyspace", "_path")

    def __init__(self, backend: Backend, keyspace: str, map_path: bytes, each: Field) -> None:
        self._backend, self._keyspace, self._path = backend, keyspace, path.check(map_path)
        self._each = each

    def __repr__(self) -> str:
        return f"<MapOf {path.to_text(self._path)}>"

    def __getitem__(self, name: str) -> H_co:
        handle: H_co = self._each.handle(self._backend, self._keyspace, self._at(name))
        return handle

    def _at(self, name: str) -> bytes:
        return path.check(self._path + self._each.component(name))

    @property
    def _depth(self) -> int:
        return len(path.decode(self._path))

    def _value(self, found: Iterator[tree.Leaf]) -> dict[str, Any]:
        value: dict[str, Any] = Each("", "", self._each).value(self._path, self._depth, list(found))
        return value

    def _keys(self, found: Iterator[tree.Leaf]) -> list[str]:
        return [name for kind, name in tree.children(self._depth, found) if kind == self._each.kind]

    def value(self: MapOf[Reads[V]]) -> dict[str, V]:
        """Name -> plain value."""
        return self._value(
            tree.leaves(self._backend.scan(self._keyspace, self._path), self._backend, self._keyspace)
        )

    async def avalue(self: MapOf[Reads[V]]) -> dict[str, V]:
        """`value`, awaited."""
        return self._value(
            tree.leaves(await self._backend.ascan(self._keyspace, self._path), self._backend, self._keyspace)
        )

    def keys(self) -> list[str]:
        """The names, in order."""
        return self._keys(tree.leaves(self._backend.scan(self._keyspace, self._path), self._backend))

    async def akeys(self) -> list[str]:
        """`keys`, awaited."""
        return self._keys(tree.leaves(await self._backend.ascan(self._keyspace, self._path), self._backend))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def remove(self, name: str, *, op_id: str | None = None) -> None:
        """Remove what is there under a name; a concurrent write inside survives alone."""
        ranges.clear(self._backend, self._keyspace, [self._at(name)], checked(op_id))

    async def aremove(self, name: str, *, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await ranges.aclear(self._backend, self._keyspace, [self._at(name)], checked(op_id))
