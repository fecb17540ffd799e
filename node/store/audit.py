"""An audit of one keyspace: all its cells are read anew, in bounded steps, while writes go on.

What does nobody notice who reads only what he wants? A cell that the disk has changed since, and a digest that is not
the sum over the cells any more. A step reads the next cells in path order; in between, what a commit does to the
cells that were passed is added to the sum. So at the end of a pass the sum is that of the cells as they are then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gossamer.crdt import Cell, Dot

from ..errors import Damaged
from . import index, record

if TYPE_CHECKING:
    from .view import View

UNINDEXED_MAX = 1000
"""Cells with a wrong index that are remembered in one pass; the next one finds the rest."""


class Audit:
    """Where a pass over a keyspace stands. Kept in memory: a restart begins anew."""

    def __init__(self) -> None:
        self.total = 0
        """The weights of the cells that were passed, as they are now; a damaged one weighs nothing."""
        self.is_over = False
        """The pass has come to the end; the next step begins another."""
        self.unindexed: set[bytes] = set()
        """Paths of cells of which the index of changes lacks a row."""
        self._reached = b""
        self._left_out: set[bytes] = set()

    def has_passed(self, cell_path: bytes) -> bool:
        """Whether the cell at a path is in ``total``."""
        return self.is_over or cell_path <= self._reached

    def may_include(self, cell_path: bytes) -> bool:
        """Whether ``total`` has, or may have, what a cell weighed that is damaged now."""
        return self.has_passed(cell_path) and cell_path not in self._left_out

    def step(self, view: View, cells: int, size: int) -> None:
        """Look at the next ``cells`` cells, or at fewer if they have ``size`` bytes, outside of any transaction."""
        if self.is_over:
            self.__init__()  # type: ignore[misc]  # a new pass is a new audit
        for cell_path, stored in view.stored(self._reached + b"\x00" if self._reached else b""):
            if cell_path <= self._reached:
                continue  # a damaged key, out of order
            self._reached = cell_path
            self._look(view, cell_path, stored)
            cells, size = cells - 1, size - len(stored)
            if cells <= 0 or size <= 0:
                return
        self.is_over = True

    def _look(self, view: View, cell_path: bytes, stored: bytes) -> None:
        try:
            cell = view.tables.unpack(cell_path, stored)
        except Damaged:
            self._left_out.add(cell_path)
            return
        self.total += record.weight(cell_path, cell, stored[record.CHECKSUM_BYTES :])
        if len(self.unindexed) < UNINDEXED_MAX and not is_indexed(view, cell_path, cell):
            self.unindexed.add(cell_path)


def is_indexed(view: View, cell_path: bytes, cell: Cell) -> bool:
    """Whether a cell has the rows that it should have, and what is noted of its events over several cells is so."""
    return not any(missing_rows(view, cell_path, cell)) and not any(false_groups(view, cell_path))


def missing_rows(view: View, cell_path: bytes, cell: Cell) -> Iterator[Dot]:
    """The events in a cell's context that are not collected and have no row for it."""
    for dot in cell.context().items():
        if not view.is_collected(*dot) and not view.has_row(dot, cell_path):
            yield dot


def false_groups(view: View, cell_path: bytes) -> Iterator[Dot]:
    """Events that are noted at a cell as such over several cells, and of which the index does not say so."""
    for dot in view.groups(cell_path):
        if not view.has_row(dot, cell_path, (index.GROUPED,)):
            yield dot
