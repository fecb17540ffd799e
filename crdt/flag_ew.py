"""Enable-wins flag: off at first; of a concurrent enable and disable the enable wins.

A disable supersedes the enables it saw and writes nothing of its own, so one it did not see survives it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell, Event, assign
from .celltype import ON, Args, CellType, Write, on_or_off, remove


def _enable(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, ON)


class FlagEW(CellType):
    kind = "flag"
    _methods: Mapping[str, Write] = {"enable": _enable, "disable": remove, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> bool:
        return any(entry.payload == ON for entry in cell.live)

    def check(self, payload: bytes) -> None:
        on_or_off(self.kind, payload)
