"""Remove-wins set, one cell an element: of a concurrent add and remove the remove wins.

A remove of an element that is known here writes *removed*, so an add that it did not see finds it and loses.
Removing the map around the set is no such statement: it supersedes what it saw, and a concurrent add survives.
"""

from __future__ import annotations

from .cell import Cell, Event, assign
from .celltype import OFF, Args
from .expiring import Switch, turn_on


def _remove(cell: Cell, event: Event, _args: Args) -> Cell:
    is_known = cell.is_quarantined or any(entry.payload != OFF for entry in cell.live)
    return assign(cell, event, OFF) if is_known else cell


class SetRW(Switch):
    kind = "set_rw"
    adds = "add"
    on_wins = False

    def __init__(self) -> None:
        super().__init__(add=turn_on, discard=_remove)

    def is_on(self, cell: Cell) -> bool:
        return bool(cell.live) and all(entry.payload != OFF for entry in cell.live)

    def value(self, cell: Cell) -> bool:
        """Whether the element is in the set."""
        return self.is_on(cell)

    def present(self, cell: Cell) -> bool:
        return self.is_on(cell)
