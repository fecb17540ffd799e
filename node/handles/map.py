"""The handle of a map: the range of cells under its path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gossamer.crdt import TYPES, path

from ..backend import EXPIRE, PERSIST, make_op
from . import expiring, ranges, tree
from .constructors import Handles
from .following import Following
from .handle import checked


class Map(Following, Handles):
    """Named things of every type, maps too. It is there as long as something in it is, or once created.

    Removing takes away what the node has seen; a concurrent write inside survives alone.
    """

    def __repr__(self) -> str:
        return f"<Map {self.path}>"

    @property
    def path(self) -> str:
        """The path as text."""
        return path.to_text(self._prefix)

    @property
    def _depth(self) -> int:
        return len(path.decode(self._prefix))

    def _leaves(self) -> Iterator[tree.Leaf]:
        return tree.leaves(self._backend.scan(self._keyspace, self._prefix), self._backend, self._keyspace)

    async def _aleaves(self) -> Iterator[tree.Leaf]:
        return tree.leaves(
            await self._backend.ascan(self._keyspace, self._prefix), self._backend, self._keyspace
        )

    def items(self) -> Iterator[tree.Item]:
        """``(kind, name, value)`` of each thing inside, in path order, read as one goes along."""
        return tree.items(self._depth, self._leaves())

    async def aitems(self) -> list[tree.Item]:
        """`items`, awaited, as a list."""
        return list(tree.items(self._depth, await self._aleaves()))

    def keys(self) -> list[str]:
        """The keys of ``value()``: names, or ``kind:name`` for each kind that one name stands for."""
        return tree.keys(
            tree.children(
                self._depth, tree.leaves(self._backend.scan(self._keyspace, self._prefix), self._backend)
            )
        )

    async def akeys(self) -> list[str]:
        """`keys`, awaited."""
        return tree.keys(
            tree.children(
                self._depth,
                tree.leaves(await self._backend.ascan(self._keyspace, self._prefix), self._backend),
            )
        )

    def value(self) -> dict[str, Any]:
        """All that is inside, maps as dicts and sets as frozensets; a name of two kinds as ``kind:name``."""
        return tree.as_dict(self.items())

    async def avalue(self) -> dict[str, Any]:
        """`value`, awaited."""
        return tree.as_dict(await self.aitems())

    def create(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """Make it be there with nothing in it. Two nodes that create one map have created the same.

        With ``ttl`` or ``expires_at`` that ends then; what is put inside does not expire with it: see `expire`.
        """
        op = make_op(self._prefix, "create", expiring.given(ttl, expires_at))
        self._backend.write(self._keyspace, (op,), checked(op_id))

    async def acreate(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """`create`, awaited."""
        op = make_op(self._prefix, "create", expiring.given(ttl, expires_at))
        await self._backend.awrite(self._keyspace, (op,), checked(op_id))

    def expire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """Let all that is inside now go after ``ttl`` seconds, or at ``expires_at``, an aware datetime.

        `ValueError`, and nothing is written, if there is something inside that cannot expire: a counter, a max or
        min register. Above 1,000 cells, and outside a transaction, this is several events.
        """
        until = expiring.wanted(ttl, expires_at)
        ranges.write(self._backend, self._keyspace, (self._prefix,), EXPIRE, until, op_id=checked(op_id))

    async def aexpire(
        self, *, ttl: float | None = None, expires_at: datetime | None = None, op_id: str | None = None
    ) -> None:
        """`expire`, awaited."""
        until = expiring.wanted(ttl, expires_at)
        await ranges.awrite(
            self._backend, self._keyspace, (self._prefix,), EXPIRE, until, op_id=checked(op_id)
        )

    def persist(self, *, op_id: str | None = None) -> None:
        """Let all that is inside stay."""
        ranges.write(self._backend, self._keyspace, (self._prefix,), PERSIST, op_id=checked(op_id))

    async def apersist(self, *, op_id: str | None = None) -> None:
        """`persist`, awaited."""
        await ranges.awrite(self._backend, self._keyspace, (self._prefix,), PERSIST, op_id=checked(op_id))

    def remove(self, name: str, *, op_id: str | None = None) -> None:
        """Remove every thing of that name, of whatever kind, with all that is in it.

        Above 1,000 cells, and outside a transaction, this is several events.
        """
        ranges.clear(self._backend, self._keyspace, self._named(name), checked(op_id))

    async def aremove(self, name: str, *, op_id: str | None = None) -> None:
        """`remove`, awaited."""
        await ranges.aclear(self._backend, self._keyspace, self._named(name), checked(op_id))

    def clear(self, *, op_id: str | None = None) -> None:
        """Remove all that is inside, and the map itself if it was created.

        Above 1,000 cells, and outside a transaction, this is several events.
        """
        ranges.clear(self._backend, self._keyspace, (self._prefix,), checked(op_id))

    async def aclear(self, *, op_id: str | None = None) -> None:
        """`clear`, awaited."""
        await ranges.aclear(self._backend, self._keyspace, (self._prefix,), checked(op_id))

    def _named(self, name: str) -> list[bytes]:
        kinds = [
            k for k in dict.fromkeys((*path.CONTAINERS, *path.CELLS, *TYPES)) if k not in path.OPERATIONS
        ]
        return [self._under(kind, name) for kind in kinds]


Handles._map_type = Map
