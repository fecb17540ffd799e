"""One conversation of two nodes as text: ``python -m tests.replication.conversation`` writes conversation.txt anew.

A change of that file is a change of the protocol, or of when a node speaks; it belongs in a review.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gossamer.crdt import codec, path, vector
from gossamer.replication.batch import gained_of, unpack
from gossamer.replication.messages import (
    Ack,
    Ask,
    Batch,
    Hello,
    Message,
    Open,
    Part,
    Refuse,
    Tell,
    of_flat,
    replica_ids,
)
from gossamer.testing import Cluster

from .listening import Heard, Listener

FILE = Path(__file__).with_name("conversation.txt")
HEADER = """\
Two nodes meet, one of them writes, both fall silent; then they are connected anew.
Each line: seconds, sender > receiver, #number of the message on its link, bytes, what it says.
Replica ids are shown as the names of their nodes; node.1-4 are the node's events 1 to 4.
Written by python -m tests.replication.conversation.
"""


class Reader:
    """Messages as text, in the words of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._names = {node.core.replica: node.name for node in cluster.nodes}
        self._ids = {node.name: node.core.replica for node in cluster.nodes}
        self._keyspaces: dict[tuple[str, str, int], str] = {}

    def line(self, heard: Heard) -> str:
        text = self._text(heard, heard.message)
        ends = f"{heard.sender} > {heard.receiver}"
        return f"{heard.at:7.3f}  {ends}  #{heard.message.number:<3} {heard.size:4}  {text}"

    def _text(self, heard: Heard, message: Message) -> str:
        match message:
            case Hello():
                pair = (heard.sender, heard.receiver)
                self._keyspaces = {k: name for k, name in self._keyspaces.items() if k[:2] != pair}
                return f"hello: version {message.version}, cluster {message.cluster}, {message.name} at {message.address}"
            case Open():
                number = sum(k[:2] == (heard.sender, heard.receiver) for k in self._keyspaces)
                self._keyspaces[heard.sender, heard.receiver, number] = message.keyspace
                has, gone = vector.decode(message.delivered), vector.decode(message.horizon)
                return f"open {number} {message.keyspace}: I have {self._vector(has)}, collected {self._vector(gone)}"
            case Batch() | Ack() | Tell():
                return self._news(heard, message)
            case Ask():
                return f"ask for all of {self._keyspace(heard, message.keyspace)}"
            case Refuse():
                return f"refuse: {message.code}"
            case Part():
                return f"part of {len(message.data)} bytes"
        raise AssertionError(message)

    def _keyspace(self, heard: Heard, number: int) -> str:
        return self._keyspaces[heard.sender, heard.receiver, number]

    def _news(self, heard: Heard, message: Batch | Ack | Tell) -> str:
        sender, receiver = self._ids[heard.sender], self._ids[heard.receiver]
        ids = replica_ids(sender, receiver, message.replicas)
        where = self._keyspace(heard, message.keyspace)
        gained = f"gained {self._vector(self._gained(message, ids))}"
        match message:
            case Ack():
                return f"ack {where}: {message.batches} more, {gained}"
            case Tell():
                digest = f", digest {message.digest.hex()[:8]}" if message.digest else ""
                peers = [f"{self._names[r]} has {self._vector(vector.decode(v))}" for r, v in message.peers]
                asked = f", answer {message.answer}" if message.answer else ""
                asked += f", question {message.question}" if message.question else ""
                return f"tell {where}: {gained}{digest}{''.join(', ' + p for p in peers)}{asked}"
        return f"batch {where}: {gained}, claims {self._claim(message, ids)}" + self._content(message, ids)

    def _gained(self, message: Batch | Ack | Tell, ids: list[bytes]) -> vector.Vector:
        if isinstance(message, Batch):
            return gained_of(message, unpack(message, ids), ids)
        return of_flat(message.gained, ids)

    def _claim(self, message: Batch, ids: list[bytes]) -> str:
        if isinstance(message.claim, bool):
            return "what it gained" if message.claim else "nothing yet"
        return self._vector(of_flat(message.claim, ids))

    def _content(self, message: Batch, ids: list[bytes]) -> str:
        content = unpack(message, ids)
        full = message.full
        lines = (
            [
                f"all cells from {full.after.hex() or 'the first'} to {full.upto.hex() if full.upto else 'the last'}"
            ]
            if full
            else []
        )
        for cell_path, cell in content.cells.items():
            shape: Any = codec.shape(cell, lambda r: list(self._names).index(r))
            lines.append(f"{self._named(path.to_text(cell_path))}  {self._named(str(shape))}")
        for (replica, seq), paths in content.groups.items():
            lines.append(f"one event, {self._names[replica]}.{seq}, over {len(paths)} cells")
        return "".join(f"\n{'':33}{text}" for text in lines)

    def _named(self, text: str) -> str:
        for replica, name in self._names.items():
            text = text.replace(replica.hex(), f"<{name}>")
        return text

    def _vector(self, of: vector.Vector) -> str:
        spans = [
            f"{self._names[r]}.{a}" if a == b else f"{self._names[r]}.{a}-{b}"
            for r in sorted(of.replicas(), key=lambda r: self._names[r])
            for a, b in vector.pairs(of.intervals(r))
        ]
        return " ".join(spans) or "nothing"


def conversation() -> str:
    """The text, from a cluster of two that a seed decides."""
    out: list[str] = []
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        listener, reader = Listener(cluster), Reader(cluster)

        def chapter(title: str, seconds: float) -> None:
            cluster.advance(seconds)
            out.extend(["", title, "", *(reader.line(heard) for heard in listener.heard)])
            listener.forget()

        chapter("The nodes connect and register", 4.0)
        a.counter("c").add(5)
        chapter("n0 adds 5 to a counter", 4.0)
        with b.transaction() as tx:
            tx.register("r").set("x")
            tx.set("s").add(1)
        chapter("n1 sets a register and adds to a set, in one transaction", 4.0)
        cluster.cut(a, b)
        cluster.advance(3.0)
        a.counter("c").reset()
        b.counter("c").add(2)
        cluster.heal()
        chapter("Apart, n0 resets the counter and n1 adds 2 to it; they are connected anew", 4.0)
        cluster.settle()
        assert a.counter("c").value() == b.counter("c").value() == 2
    return HEADER + "\n".join(out) + "\n"


if __name__ == "__main__":
    FILE.write_text(conversation())
