"""Every message of a simulated cluster, as it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gossamer.replication import messages
from gossamer.replication.messages import Batch, Message, Part
from gossamer.testing import Cluster


class Heard(NamedTuple):
    """One message on its way."""

    at: float
    sender: str
    receiver: str
    message: Message
    size: int
    body: bytes


class Listener:
    """Listens to a cluster from when it is made."""

    def __init__(self, cluster: Cluster) -> None:
        self.heard: list[Heard] = []
        self._parts: dict[tuple[int, int], bytearray] = {}
        self._cluster, self._honest = cluster, cluster._send
        cluster._send = self._send  # type: ignore[method-assign]  # this cluster alone

    def _send(self, wire: Any, index: int, body: bytes) -> None:
        other = wire.ends[1 - wire.ends.index(index)]
        nodes = self._cluster.nodes
        message = messages.plain(messages.decode(body))
        at = self._cluster.clock.now
        self.heard.append(Heard(at, nodes[index].name, nodes[other].name, message, len(body), body))
        self._honest(wire, index, body)

    def of(self, kind: type[Any]) -> list[Heard]:
        return [h for h in self.heard if isinstance(h.message, kind)]

    def batches(self, keyspace: int = 1) -> list[tuple[Heard, Batch]]:
        """Batches of one keyspace, by its number; those in parts excepted."""
        return [
            (h, h.message)
            for h in self.heard
            if isinstance(h.message, Batch) and h.message.keyspace == keyspace
        ]

    def full(self) -> list[Heard]:
        """Parts of full exchanges of the default keyspace."""
        return [h for h, batch in self.batches() if batch.full is not None]

    def parts(self) -> Iterator[Heard]:
        return (h for h in self.heard if isinstance(h.message, Part))

    def forget(self) -> None:
        """Begin anew."""
        self.heard.clear()
