"""P15: how does a cluster grow? Links, rounds, bytes, vectors and the table of peers, for 8 to 1,024 nodes.

Who is linked with whom is decided by the node's own code (`replication/neighbours.py`), messages are its own messages, and
vectors its own vectors. What is simulated is the order of events alone: in a round everybody sends each neighbour what
that one lacked when the round began. So two neighbours of one node may send it the same in one round, which real nodes
mostly avoid, since they are never quite in step: the bytes are an upper bound. A round is a hop. It takes real nodes 0.1 to 0.2 s
and the network's delay (`FORWARD_AFTER_LARGE_S`).
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from gossamer.crdt import Vector, path, vector
from gossamer.crdt.cell import Cell, Entry
from gossamer.replication import batch, messages
from gossamer.replication.neighbours import Neighbours, is_mesh
from identities import ids, news_bytes
from measure import Curve, Figure, Sample

GOAL_NODES = (8, 64, 512, 1024)
ROUNDS_MAX = 2.0
"""For each doubling of the nodes."""
MB = 1e6
WALL_S = 1_700_000_000.0
PAYLOAD = msgspec.msgpack.encode((1_700_000_000_000_000, "gift wrap"))
"""Like a register's."""


class Figures(NamedTuple):
    """Of a cluster of one size. Bytes are of the engine's messages, or in memory."""

    nodes: int
    links_max: int
    links_mean: float
    rounds: int
    """Until a write of one node is everywhere: the worst of several nodes that wrote."""
    rounds_all: int
    """Until a write of each node is everywhere, all made at once."""
    doublings: float
    """log2 n."""
    batches: int
    """Sent until one write was everywhere; n - 1 would do."""
    write_bytes: int
    """All bytes sent for one write: batches, and the news of it on every link."""
    vector_bytes: int
    """Of a vector in which every node is named, as a link opens with it."""
    vector_memory: int
    table_memory: int
    """Of the table of what all others have, at one node, when no two entries are one object."""
    table_told_bytes: int
    """What a link is told of it at first; then what was gained."""

    @property
    def rounds_worst(self) -> int:
        """Of one write, and of one of each node."""
        return max(self.rounds, self.rounds_all)


def measure(nodes: Sequence[int]) -> Iterator[Figure | Curve]:
    """Clusters of so many nodes, ascending."""
    taken = [figures(count) for count in nodes]
    for one in taken:
        if one.nodes in GOAL_NODES or one is taken[-1]:
            yield Figure(
                goal="P15",
                what=f"rounds until all of {one.nodes:,} nodes have what each of them wrote",
                ours=Sample([one.rounds_worst], "rounds"),
                against="log2 of the nodes",
                theirs=Sample([one.doublings], "rounds"),
                less_is_better=True,
                wanted=ROUNDS_MAX,
            )
    yield from _curves(taken)


def _curves(taken: list[Figures]) -> Iterator[Curve]:
    def curve(name: str, what: str, unit: str, formula: str, **lines: Callable[[Figures], float]) -> Curve:
        points = {
            line: [(float(one.nodes), of(one)) for one in taken if of(one)]  # two nodes tell of no third
            for line, of in lines.items()
        }
        return Curve(name=name, what=what, x="nodes", unit=unit, lines=points, formula=formula)

    yield curve(
        "rounds",
        "rounds until what each node wrote is everywhere",
        "rounds",
        "one while all are linked, to 16; beyond, about log n / log (links - 1), and one or two more",
        rounds=lambda one: one.rounds_worst,
        **{"2 log2 n": lambda one: ROUNDS_MAX * one.doublings},
    )
    yield curve(
        "links",
        "links of a node",
        "links",
        "n - 1 to 16 nodes; beyond, two on each of max(4, half of log2 n) rings",
        most=lambda one: one.links_max,
        mean=lambda one: one.links_mean,
    )
    yield curve(
        "write-bytes",
        "bytes sent by all nodes together until one write is everywhere, for each node",
        "B",
        "links × the news of it, and the batch at most links - 1 times: constant, as links are",
        bytes=lambda one: one.write_bytes / one.nodes,
    )
    yield curve(
        "vector",
        "a vector that names every node, as a link opens with it, and in memory",
        "B",
        "linear: the replicas that write, some 15 bytes each on the wire",
        **{"on the wire": lambda one: one.vector_bytes, "in memory": lambda one: one.vector_memory},
    )
    yield curve(
        "peer-table",
        "the table of what all others have, a keyspace, at one node, and what a new link is told of it",
        "MB",
        "n × a vector, so n²: the worst case, in which all nodes write and no two know the same",
        **{
            "in memory": lambda one: one.table_memory / MB,
            "told to a new link": lambda one: one.table_told_bytes / MB,
        },
    )


def links_of(count: int) -> list[list[int]]:
    """Whom each node is linked with."""
    names = frozenset(f"node-{i}" for i in range(count))
    at = {name: int(name.split("-")[1]) for name in names}
    if is_mesh(count):
        return [[j for j in range(count) if j != i] for i in range(count)]
    wanted = [Neighbours().wanted(f"node-{i}", names, set(), 0.0, WALL_S) for i in range(count)]
    return [sorted({at[name] for name in near}) for near in wanted]


def spread(links: list[list[int]], has: list[int]) -> tuple[int, int]:
    """Rounds until all have all, and how often an event was sent. What a node has is a number, a bit an event."""
    everything = 0
    for bits in has:
        everything |= bits
    rounds = sent = 0
    while any(bits != everything for bits in has):
        before = list(has)
        for one, near in enumerate(links):
            for other in near:
                lacking = before[one] & ~before[other]
                sent += lacking.bit_count()
                has[other] |= lacking
        rounds += 1
        if has == before:
            raise AssertionError("the links do not connect all")
    return rounds, sent


def batch_bytes(replicas: list[bytes]) -> int:
    """Of a batch that carries one change of a register to a third node."""
    cell = Cell(live=(Entry(replicas[0], 2, PAYLOAD),))
    numbering = messages.Numbering(replicas[1], replicas[2])
    at = path.of_text("map:cart/register:note")
    cells, groups = batch.pack(batch.Content({at: cell}, {}), numbering)
    gained = numbering.flat(Vector({replicas[0]: (2, 2)}))
    return len(messages.encode(messages.Batch(0, 1, gained, True, cells, numbering.table(), groups)))


def memory_of(make: Callable[[], object]) -> int:
    """Bytes that are held after a call."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = make()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return after - before


def figures(count: int) -> Figures:
    """Of one size."""
    links, replicas = links_of(count), ids(max(count, 3))
    runs = [
        spread(links, [int(i == writer) for i in range(count)]) for writer in range(0, count, -(-count // 8))
    ]
    rounds_all, _ = spread(links, [1 << i for i in range(count)])
    rounds, batches = max(rounds for rounds, _ in runs), max(sent for _, sent in runs)
    full = Vector({replica: (1, 1000) for replica in replicas})
    encoded = vector.encode(full)
    pairs = sum(map(len, links))
    tell = news_bytes(replicas[1], replicas[2], Vector({replicas[0]: (2, 2)}))
    return Figures(
        count,
        max(map(len, links)),
        round(pairs / count, 1),
        rounds,
        rounds_all,
        math.log2(count),
        batches,
        batches * batch_bytes(replicas) + pairs * tell,
        len(encoded),
        memory_of(lambda: vector.decode(encoded)),
        memory_of(lambda: {replica: vector.decode(encoded) for replica in replicas}),
        max(count - 2, 0) * (len(encoded) + 12),
    )
