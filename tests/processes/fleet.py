"""Three to five nodes, each in a network namespace of its own."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from .group import Group
from .net import Net
from .process import Serve, options

NAMES = "abcde"


class Fleet(Group):
    """They hear each other over the `Net` between the namespaces."""

    def __init__(self, folder: Path, count: int = 3, net: Net | None = None) -> None:
        """With ``net``, one that is there already, and stays."""
        self.net = net or Net(NAMES[:count])
        super().__init__(folder, NAMES[:count], self.net if net is None else nullcontext())
        for name, node in self.nodes.items():
            node.under = self.net.under(name)

    def start(self, name: str) -> Serve:
        return self.nodes[name].start(*options(self.net.peers(name)), listen=self.net.address(name))
