"""Cells of a range as the nested dict that a map's reader wants. Pure: cells in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from gossamer.crdt import Cell, path, type_at

from ..apply import shows
from ..backend import Backend
from .reading import readable, visible

Leaf = tuple[path.Path, bytes, Cell]
Item = tuple[str, str, Any]


def leaves(
    cells: Iterable[tuple[bytes, Cell]], backend: Backend, keyspace: str | None = None
) -> Iterator[Leaf]:
    """The cells that show now, with their paths taken apart. ``keyspace``: their values are wanted, as they are there."""
    found = visible(cells, backend)
    if keyspace is not None:
        found = backend.resolvers.cells(keyspace, found)
    return ((path.decode(cell_path), cell_path, cell) for cell_path, cell in found if shows(cell_path, cell))


def items(depth: int, found: Iterable[Leaf]) -> Iterator[Item]:
    """``(kind, name, value)`` of each child at ``depth``, for leaves in path order.

    A child of a kind unknown to this build has no value that could be read here, and is left out.
    """
    inside = (leaf for leaf in found if len(leaf[0]) > depth)
    for (kind, name), group in groupby(inside, key=lambda leaf: leaf[0][depth]):
        if type_at(path.encode(((kind, name),))) is not None:
            yield kind, name, value(kind, depth + 1, group)


def children(depth: int, found: Iterable[Leaf]) -> list[tuple[str, str]]:
    """``(kind, name)`` of each child at ``depth``."""
    return list(dict.fromkeys(leaf[0][depth] for leaf in found if len(leaf[0]) > depth))


def keys(named: Iterable[tuple[str, str]]) -> list[str]:
    """One key a child: its name, or ``kind:name`` where the name alone would stand for two."""
    pairs = list(named)
    plain = [name for _, name in pairs]
    while True:
        taken = Counter(plain)
        clashing = [taken[key] > 1 and key == name for key, (_, name) in zip(plain, pairs, strict=True)]
        if not any(clashing):
            return plain
        plain = [
            f"{kind}:{name}" if clash else key
            for clash, key, (kind, name) in zip(clashing, plain, pairs, strict=True)
        ]


def as_dict(found: Iterable[Item]) -> dict[str, Any]:
    """The children as a dict by `keys`."""
    children = list(found)
    names = keys((kind, name) for kind, name, _ in children)
    return {name: value for name, (_, _, value) in zip(names, children, strict=True)}


def value(kind: str, depth: int, group: Iterator[Leaf]) -> Any:
    """The value of what is at a path of ``depth`` components, from the leaves at and under it."""
    if kind == "map":
        return as_dict(items(depth, group))
    if kind in ("set", "set_rw"):
        return frozenset(element for element, _ in elements(depth, group))
    return _read(next(group))


def elements(depth: int, group: Iterable[Leaf]) -> Iterator[tuple[Any, Leaf]]:
    """The elements of a set whose path has ``depth`` components, each with its leaf."""
    return ((leaf[0][depth][1], leaf) for leaf in group if len(leaf[0]) > depth and _read(leaf))


def _read(leaf: Leaf) -> Any:
    _, cell_path, cell = leaf
    cell_type = type_at(cell_path)
    assert cell_type is not None, cell_path
    return cell_type.value(readable(cell_path, cell))
