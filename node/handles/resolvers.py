"""Resolvers: an application's own rule for what a register reads while concurrent values stand.

Where does it come in? Between the cell and whoever reads its value, at each read: nothing is written and nothing is
told to anybody. The cells are the same on all nodes, and so is the order of the readings; so nodes that have the same
function read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gossamer.crdt import Cell, Entry, expiry, path, register_lww, values

from ..beaten import KIND
from ..errors import ResolverFailed
from .reading import Reading, reading

Resolver = Callable[[Sequence[Reading]], Any]


class Resolvers:
    """The resolvers of a backend. Any thread reads; a change counts for reads that begin later."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[tuple[str, Resolver], ...]] = {}  # by keyspace, the longest prefix first

    def set(self, keyspace: str, prefix: str, resolve: Resolver | None) -> None:
        """Add, replace, or with None take away."""
        if not isinstance(prefix, str):
            raise TypeError(f"prefix {prefix!r}: a str is wanted, not {type(prefix).__name__}")
        if resolve is not None and not callable(resolve):
            raise TypeError(f"resolve: a function is wanted, not {type(resolve).__name__}")
        kept = {p: r for p, r in self._of.get(keyspace, ()) if p != prefix}
        if resolve is not None:
            kept[prefix] = resolve
        self._of[keyspace] = tuple(sorted(kept.items(), key=lambda item: len(item[0]), reverse=True))

    def cell(self, keyspace: str, cell_path: bytes, cell: Cell) -> Cell:
        """The cell as a reader of values should see it: with one entry, where a resolver says which value it has."""
        if len(cell.live) < 2 or not self._of:
            return cell
        resolve = self._resolver(keyspace, cell_path)
        return cell if resolve is None or cell.is_quarantined else _resolved(cell_path, cell, resolve)

    def cells(self, keyspace: str, cells: Iterable[tuple[bytes, Cell]]) -> Iterator[tuple[bytes, Cell]]:
        """`cell` of each."""
        return ((cell_path, self.cell(keyspace, cell_path, cell)) for cell_path, cell in cells)

    def _resolver(self, keyspace: str, cell_path: bytes) -> Resolver | None:
        if not self._of.get(keyspace) or path.kind_of(cell_path) != KIND:
            return None
        text = path.to_text(cell_path)
        return next((r for prefix, r in self._of[keyspace] if text.startswith(prefix)), None)


def _resolved(cell_path: bytes, cell: Cell, resolve: Resolver) -> Cell:
    alone = Cell(cell.live)  # of the dead context one node may have collected what another still has
    ranked = register_lww.ranked(cell)
    first = ranked[0]
    try:
        value = resolve([_reading(alone, entry) for entry in ranked])
        stamp = expiry.plain(first.payload)[: register_lww.STAMP_BYTES]
        payload = stamp + values.encode(value)
    except Exception as error:  # whatever it is, it is the application's, and the reader must know
        raise ResolverFailed(
            f"{path.to_text(cell_path)}: the resolver failed on {len(cell.live)} values: "
            f"{type(error).__name__}: {error}"
        ) from error
    return Cell((Entry(first.replica, first.seq, payload),), cell.dead)


def _reading(cell: Cell, entry: Entry) -> Reading:
    return reading(cell, entry, register_lww.value_of(entry), register_lww.stamp_of(entry))
