"""Disable-wins flag: off at first; of a concurrent enable and disable the disable wins.

A disable writes an *off* of its own, so an enable that it did not see finds it there and loses.
"""

from __future__ import annotations

from .cell import Cell, Event, assign
from .celltype import OFF, Args
from .expiring import Switch, turn_on


def _disable(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, OFF)


class FlagDW(Switch):
    kind = "flag_dw"
    adds = "enable"
    on_wins = False

    def __init__(self) -> None:
        super().__init__(enable=turn_on, disable=_disable)

    def is_on(self, cell: Cell) -> bool:
        return bool(cell.live) and all(entry.payload != OFF for entry in cell.live)

    def value(self, cell: Cell) -> bool:
        return self.is_on(cell)
