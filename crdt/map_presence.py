"""A map is the range of paths under it. Only a map that was created empty has a cell of its own: its presence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cell import Cell, Event, assign
from .celltype import ON, Args, CellType, Write, on_or_off, remove


def _create(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, ON)


class MapPresence(CellType):
    kind = "map"
    _methods: Mapping[str, Write] = {"create": _create, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> dict[str, Any]:
        return {}

    def check(self, payload: bytes) -> None:
        on_or_off(self.kind, payload)
