"""Add-wins set, one cell an element: of a concurrent add and remove the add wins.

A remove supersedes the adds it saw; one it did not see survives it. After Bieniusa et al. (2012).
"""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell, Event, assign
from .celltype import ON, Args, CellType, Write, on_or_off, remove


def _add(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, ON)


class SetAW(CellType):
    kind = "set"
    _methods: Mapping[str, Write] = {"add": _add, "discard": remove, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> bool:
        """Whether the element is in the set."""
        return any(entry.payload == ON for entry in cell.live)

    def check(self, payload: bytes) -> None:
        on_or_off(self.kind, payload)
