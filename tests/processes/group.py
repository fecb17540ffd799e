"""Some nodes that are linked with each other, and when they are equal."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gossamer import RemoteError

from .load import Load
from .process import Serve
from .waiting import DEADLINE_S, until

NOTICED_S = 9.0
"""Three times what is promised, which a quiet machine keeps with 2.3 to 2.6 s (printed): a busy one lets go late."""
CONVERGED_S = 15.0
"""The same."""


class Group(ABC):
    """A context manager: started and linked inside, and gone afterwards."""

    def __init__(self, folder: Path, names: Sequence[str], network: AbstractContextManager[object]) -> None:
        """``network`` joins them; it is entered before they start."""
        self.names = names
        self.nodes = {name: Serve(name, folder) for name in names}
        self._network = network

    def __enter__(self) -> Self:
        self._network.__enter__()
        try:
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
        self._network.__exit__(None, None, None)

    @abstractmethod
    def start(self, name: str) -> Serve:
        """Start a node on its directory, new or not."""

    @property
    def all(self) -> list[Serve]:
        """The nodes."""
        return list(self.nodes.values())

    def others(self, name: str) -> list[Serve]:
        """The nodes but one."""
        return [node for node in self.all if node.name != name]

    def linked(self, seconds: float = DEADLINE_S) -> float:
        """Wait until every node is linked with every other one."""
        return until(lambda: "".join(lacks_links(node, self.others(node.name)) for node in self.all), seconds)

    def away(self, name: str) -> float:
        """Wait until all the others say of a node that it is away."""
        return until(lambda: linked_with(self.others(name), name))

    def equal(self, seconds: float) -> float:
        """Wait until all are equal; the seconds that took. `AssertionError` says how they differ after so many."""
        return until(lambda: difference(self.all), seconds)

    def converge(self, load: Load, seconds: float = CONVERGED_S) -> float:
        """Stop the load, after a last write on each node; all becomes equal in time, and nothing is lost. The seconds."""
        began = time.monotonic()
        load.write_everywhere(1)
        load.stop()
        self.equal(seconds - (time.monotonic() - began))
        took = time.monotonic() - began
        for node in self.all:
            load.check(node)
        return took


def state_of(status: dict[str, Any], name: str) -> str:
    """What a status says of a member."""
    return next((str(m["state"]) for m in status["members"] if m["name"] == name), "unknown")


def difference(nodes: list[Serve]) -> str:
    """How nodes differ in what they have delivered, and in their digests; nothing if they are equal."""
    try:
        found = {node.name: node.client.status()["keyspaces"]["default"] for node in nodes}
    except RemoteError as error:
        return f"not reachable: {error}"
    events = {name: keyspace["events"] for name, keyspace in found.items()}
    if len({str(sorted(keyspace["delivered"].items())) for keyspace in found.values()}) > 1:
        return f"different events are delivered: {events}"
    digests = {name: keyspace["digest"] for name, keyspace in found.items()}
    assert len(set(digests.values())) == 1, f"the same events and different states: {digests}"
    assert not any(keyspace["digest_mismatches"] for keyspace in found.values()), found
    return ""


def lacks_links(node: Serve, others: list[Serve]) -> str:
    """Which of the others a node is not linked with; nothing if with all."""
    status = node.client.status()
    away = [other.name for other in others if state_of(status, other.name) != "linked"]
    return f"{node.name} is not linked with {away}; " if away else ""


def linked_with(nodes: list[Serve], name: str) -> str:
    """Which of these do not say that a node is away; nothing if all do."""
    linked = [node.name for node in nodes if state_of(node.client.status(), name) != "away"]
    return f"{linked} do not say that {name} is away" if linked else ""
