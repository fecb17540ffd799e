"""Enable-wins flag: off at first; of a concurrent enable and disable the enable wins.

A disable supersedes the enables it saw and writes nothing of its own, so one it did not see survives it.
"""

from __future__ import annotations

from .cell import Cell
from .celltype import remove
from .expiring import Switch, turn_on


class FlagEW(Switch):
    kind = "flag"
    adds = "enable"

    def __init__(self) -> None:
        super().__init__(enable=turn_on, disable=remove)

    def value(self, cell: Cell) -> bool:
        return self.is_on(cell)
