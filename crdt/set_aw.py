"""Add-wins set, one cell an element: of a concurrent add and remove the add wins.

A remove supersedes the adds it saw; one it did not see survives it. After Bieniusa et al. (2012).
"""

from __future__ import annotations

from .cell import Cell
from .celltype import remove
from .expiring import Switch, turn_on


class SetAW(Switch):
    kind = "set"
    adds = "add"

    def __init__(self) -> None:
        super().__init__(add=turn_on, discard=remove)

    def value(self, cell: Cell) -> bool:
        """Whether the element is in the set."""
        return self.is_on(cell)
