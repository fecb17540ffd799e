"""A map is the range of paths under it. Only a map that was created empty has a cell of its own: its presence."""

from __future__ import annotations

from typing import Any

from .cell import Cell
from .expiring import Switch, turn_on


class MapPresence(Switch):
    kind = "map"
    adds = "create"

    def __init__(self) -> None:
        super().__init__(create=turn_on)

    def value(self, cell: Cell) -> dict[str, Any]:
        return {}
