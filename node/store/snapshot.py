"""A view from which the same is read several times: a change goes to each peer that lacks it, in one go."""

from __future__ import annotations

import lmdb

from gossamer.crdt import Cell, Dot

from ..replication.state import State
from .tables import Tables
from .view import View

KEPT_MAX = 2_000
"""Cells, and sets of events, that are kept: some hundred kilobytes."""


class Snapshot(View):
    """Remembers what was read of cells."""

    def __init__(self, tables: Tables, txn: lmdb.Transaction[bytes], state: State) -> None:
        super().__init__(tables, txn, state)
        self._cells: dict[bytes, Cell] = {}
        self._groups: dict[bytes, list[Dot]] = {}

    def cell(self, cell_path: bytes) -> Cell:
        found = self._cells.get(cell_path)
        if found is None:
            found = super().cell(cell_path)
            if len(self._cells) < KEPT_MAX:
                self._cells[cell_path] = found
        return found

    def groups(self, cell_path: bytes) -> list[Dot]:
        found = self._groups.get(cell_path)
        if found is None:
            found = super().groups(cell_path)
            if len(self._groups) < KEPT_MAX:
                self._groups[cell_path] = found
        return found
