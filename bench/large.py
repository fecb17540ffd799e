"""P15: how does a cluster grow? Links, rounds, bytes, vectors and the table of peers, for 8 to 1,024 nodes.

Who is linked with whom is decided by the node's own code (`replication/neighbours.py`), messages are its own messages, and
vectors its own vectors. What is simulated is the order of events alone: in a round everybody sends each neighbour what
that one lacked when the round began. So two neighbours of one node may send it the same in one round, which real nodes
mostly avoid, since they are never quite in step: the bytes are an upper bound. A round is a hop. It takes real nodes 0.1 to 0.2 s
and the network's delay (`FORWARD_AFTER_LARGE_S`).

    python bench/large.py [--nodes 8 64 512 1024] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from gossamer.crdt import Vector, path, vector
from gossamer.crdt.cell import Cell, Entry
from gossamer.replication import batch, messages
from gossamer.replication.neighbours import Neighbours, is_mesh

NODES = (8, 64, 512, 1024)
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
    rounds_wanted: float
    """2 log2 n."""
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


def ids(count: int) -> list[bytes]:
    """Replica ids."""
    return [(i * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") for i in range(1, count + 1)]


def batch_bytes(replicas: list[bytes]) -> int:
    """Of a batch that carries one change of a register to a third node."""
    cell = Cell(live=(Entry(replicas[0], 2, PAYLOAD),))
    numbering = messages.Numbering(replicas[1], replicas[2])
    at = path.of_text("map:cart/register:note")
    cells, groups = batch.pack(batch.Content({at: cell}, {}), numbering)
    gained = numbering.flat(Vector({replicas[0]: (2, 2)}))
    return len(messages.encode(messages.Batch(0, 1, gained, True, cells, numbering.table(), groups)))


def tell_bytes(replicas: list[bytes]) -> int:
    """Of the news of one event."""
    numbering = messages.Numbering(replicas[1], replicas[2])
    gained = numbering.flat(Vector({replicas[0]: (2, 2)}))
    return len(messages.encode(messages.Tell(0, 1, numbering.table(), gained)))


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
    return Figures(
        count,
        max(map(len, links)),
        round(pairs / count, 1),
        rounds,
        rounds_all,
        round(2 * math.log2(count), 1),
        batches,
        batches * batch_bytes(replicas) + pairs * tell_bytes(replicas),
        len(encoded),
        memory_of(lambda: vector.decode(encoded)),
        memory_of(lambda: {replica: vector.decode(encoded) for replica in replicas}),
        (count - 2) * (len(encoded) + 12),
    )


def main(arguments: list[str]) -> int:
    """The table; 1 if it took more rounds than wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=list(NODES))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found = [figures(count) for count in asked.nodes]
    print("  nodes  links  rounds  2 log2 n  batches  bytes a write  vector  its memory  table of peers")
    for f in found:
        print(
            f"{f.nodes:7,}{f.links_max:7}{max(f.rounds, f.rounds_all):8}{f.rounds_wanted:10}{f.batches:9,}"
            f"{f.write_bytes:15,}{f.vector_bytes:8,}{f.vector_memory:12,}{f.table_memory:16,}"
        )
    if asked.json:
        asked.json.write_text(json.dumps([f._asdict() for f in found], indent=1) + "\n")
    return int(any(max(f.rounds, f.rounds_all) > f.rounds_wanted for f in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
