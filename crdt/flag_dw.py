"""Disable-wins flag: off at first; of a concurrent enable and disable the disable wins.

A disable writes an *off* of its own, so an enable that it did not see finds it there and loses.
"""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell, Event, assign
from .celltype import OFF, ON, Args, CellType, Write, on_or_off, remove


def _enable(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, ON)


def _disable(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, OFF)


class FlagDW(CellType):
    kind = "flag_dw"
    _methods: Mapping[str, Write] = {"enable": _enable, "disable": _disable, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> bool:
        return bool(cell.live) and all(entry.payload == ON for entry in cell.live)

    def check(self, payload: bytes) -> None:
        on_or_off(self.kind, payload)
