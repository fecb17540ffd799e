"""Three nodes joined by wires, and when they are equal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gossamer import RemoteError

from .process import Serve, options
from .waiting import until
from .wires import Wires

NAMES = ("a", "b", "c")


class Trio:
    """A context manager: started and linked inside, and gone afterwards."""

    def __init__(self, folder: Path, doors: bool = True) -> None:
        self.nodes = {name: Serve(name, folder) for name in NAMES}
        self.wires = Wires(NAMES, doors)

    def __enter__(self) -> Self:
        self.wires.__enter__()
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.start, NAMES))
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
        self.wires.__exit__(None, None, None)

    @property
    def all(self) -> list[Serve]:
        """The nodes."""
        return list(self.nodes.values())

    def others(self, name: str) -> list[Serve]:
        """The nodes but one."""
        return [node for node in self.all if node.name != name]

    def start(self, name: str) -> Serve:
        """Start a node on its directory, new or not."""
        node = self.nodes[name].start(*options(self.wires.peers(name), self.wires.door(name)))
        self.wires.lead(name, node.address)
        return node

    def linked(self) -> float:
        """Wait until every node is linked with every other one."""
        return until(lambda: "".join(lacks_links(node, self.others(node.name)) for node in self.all))

    def away(self, name: str) -> float:
        """Wait until both the others say of a node that it is away."""
        return until(lambda: linked_with(self.others(name), name))

    def equal(self, seconds: float) -> float:
        """Wait until all are equal; the seconds that took. `AssertionError` says how they differ after so many."""
        return until(lambda: difference(self.all), seconds)


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
