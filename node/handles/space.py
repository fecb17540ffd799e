"""What a keyspace and a transaction have beside the constructors: the paths that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gossamer.crdt import Cell, path, type_at

from ..apply import shows
from .constructors import Handles
from .prefix import ranges_of_text
from .reading import readable, visible

Pairs = Iterable[tuple[bytes, Cell]]
Found = Iterator[tuple[str, bytes, Cell]]


def _matching(prefix: str, cells: Pairs) -> Found:
    for cell_path, cell in cells:
        if shows(cell_path, cell) and (text := path.to_text(cell_path)).startswith(prefix):
            yield text, cell_path, cell


def shown_under(space: Space, prefix: str) -> Iterator[tuple[str, Any, int | None]]:
    """Text, value, and until when it holds if it expires, of what ``space.items(prefix)`` names."""
    return _shown(space, _matching(prefix, space._scan(ranges_of_text(prefix))))


def _shown(space: Space, found: Found) -> Iterator[tuple[str, Any, int | None]]:
    resolved = space._backend.resolvers.cell
    for text, cell_path, cell in found:
        cell_type = type_at(cell_path)
        if cell_type is not None:
            whole = readable(cell_path, resolved(space._keyspace, cell_path, cell))
            yield text, cell_type.value(whole), cell_type.until(cell)


class Space(Handles):
    """The handles at the top of a keyspace, and its paths."""

    def _scan(self, ranges: list[bytes]) -> Iterator[tuple[bytes, Cell]]:
        for inner in ranges:
            yield from visible(self._backend.scan(self._keyspace, inner), self._backend)

    async def _ascan(self, ranges: list[bytes]) -> Pairs:
        found = [pair for inner in ranges for pair in await self._backend.ascan(self._keyspace, inner)]
        return visible(found, self._backend)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The paths, as text and in path order, of the cells that are there and whose text begins so.

        ``keys("map:cart%3A")`` are the cells of every map whose name begins with ``cart:``; each element of
        a set is a cell. `TypeError` if ``prefix`` is not a str.
        """
        return (text for text, _, _ in _matching(prefix, self._scan(ranges_of_text(prefix))))

    async def akeys(self, prefix: str = "") -> list[str]:
        """`keys`, awaited, as a list."""
        return [text for text, _, _ in _matching(prefix, await self._ascan(ranges_of_text(prefix)))]

    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """``(path, value)`` of the cells that ``keys(prefix)`` names; an element's value is True.

        A cell of a kind unknown to this build has a key, and no value here.
        """
        return ((text, value) for text, value, _ in shown_under(self, prefix))

    async def aitems(self, prefix: str = "") -> list[tuple[str, Any]]:
        """`items`, awaited, as a list."""
        found = _matching(prefix, await self._ascan(ranges_of_text(prefix)))
        return [(text, value) for text, value, _ in _shown(self, found)]
