"""Three nodes joined by wires."""

from __future__ import annotations

from pathlib import Path

from .group import Group
from .process import Serve, options
from .wires import Wires

NAMES = ("a", "b", "c")


class Trio(Group):
    """Their links, and with ``doors`` their clients too, go over the wires."""

    def __init__(self, folder: Path, doors: bool = True) -> None:
        self.wires = Wires(NAMES, doors)
        super().__init__(folder, NAMES, self.wires)

    def start(self, name: str) -> Serve:
        node = self.nodes[name].start(*options(self.wires.peers(name), self.wires.door(name)))
        self.wires.lead(name, node.address)
        return node
