"""Remove-wins set, one cell an element: of a concurrent add and remove the remove wins.

A remove of an element that is known here writes *removed*, so an add that it did not see finds it and loses.
Removing the map around the set is no such statement: it supersedes what it saw, and a concurrent add survives.
"""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell, Event, assign, supersede
from .celltype import OFF, ON, Args, CellType, Write, on_or_off


def _add(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, ON)


def _remove(cell: Cell, event: Event, _args: Args) -> Cell:
    is_known = cell.is_conflicted or any(entry.payload == ON for entry in cell.live)
    return assign(cell, event, OFF) if is_known else cell


def _supersede(cell: Cell, event: Event, _args: Args) -> Cell:
    return supersede(cell, event) if cell.live else cell


class SetRW(CellType):
    kind = "set_rw"
    _methods: Mapping[str, Write] = {"add": _add, "discard": _remove, "remove": _supersede}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> bool:
        """Whether the element is in the set."""
        return bool(cell.live) and all(entry.payload == ON for entry in cell.live)

    def present(self, cell: Cell) -> bool:
        return self.value(cell)

    def check(self, payload: bytes) -> None:
        on_or_off(self.kind, payload)
