"""Nodes in network namespaces, and when they are equal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from .net import Net
from .process import Serve, options
from .trio import difference, lacks_links, linked_with
from .waiting import DEADLINE_S, until

NAMES = "abcde"


class Fleet:
    """A context manager: started and linked inside, and gone afterwards."""

    def __init__(self, folder: Path, count: int = 3, net: Net | None = None) -> None:
        """With ``net``, one that is there already, and stays."""
        self.names = NAMES[:count]
        self.nodes = {name: Serve(name, folder) for name in self.names}
        self.net = net or Net(self.names)
        self._owns_net = net is None

    def __enter__(self) -> Self:
        if self._owns_net:
            self.net.__enter__()
        try:
            for name, node in self.nodes.items():
                node.under = [*self.net.under(name), *node.under]
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.start, self.names))
            self.linked()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes.values():
            node.__exit__(None, None, None)
        if self._owns_net:
            self.net.__exit__(None, None, None)

    @property
    def all(self) -> list[Serve]:
        """The nodes."""
        return list(self.nodes.values())

    def others(self, name: str) -> list[Serve]:
        """The nodes but one."""
        return [node for node in self.all if node.name != name]

    def start(self, name: str) -> Serve:
        """Start a node on its directory, new or not."""
        return self.nodes[name].start(*options(self.net.peers(name)), listen=self.net.address(name))

    def linked(self, seconds: float = DEADLINE_S) -> float:
        """Wait until every node is linked with every other one."""
        return until(lambda: "".join(lacks_links(node, self.others(node.name)) for node in self.all), seconds)

    def away(self, name: str) -> float:
        """Wait until all the others say of a node that it is away."""
        return until(lambda: linked_with(self.others(name), name))

    def equal(self, seconds: float) -> float:
        """Wait until all are equal; the seconds that took. `AssertionError` says how they differ after so many."""
        return until(lambda: difference(self.all), seconds)
