"""P12: how many bytes does a mesh of nodes gossip for the same writes, beside classic delta replication?

Real nodes on a simulated network, every two of them linked; counted is every message of the engine, with vectors,
acknowledgements and news. Each node writes once a round, and a round is a second. Three kinds of load: *set*, an element
of its own each; *map 10 %*, together a tenth of 1,000 registers; *Zipf 1.5*, ten registers of 10,000, some of them far more
often than others. What it stands beside is a model: see ``classic.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from classic import Classic
from gossamer.apply import expand
from gossamer.backend import Op, make_op
from gossamer.crdt import EMPTY, Event, codec, path
from gossamer.testing import Cluster
from measure import Curve, Figure, Sample

SEED = 1
"""One is enough: bytes depend on the load alone, and on no machine."""
ROUND_S = 1.0
MAP_KEYS = 1_000
ZIPF_KEYS, ZIPF_A, ZIPF_WRITES = 10_000, 1.5, 10
VALUE_CHARS = 32
LESS = 30.0
"""So many times fewer bytes."""

Writes = Callable[[random.Random, int, int, int], list[Op]]
"""Of one node in one round: the generator, nodes, the node, the round."""


def words() -> str:
    """What stands beside us."""
    return "classic delta replication: a model without loss, of which only the cells' bytes count, deflated"


def measure(nodes: Sequence[int], rounds: int, scratch: Path) -> Iterator[Figure | Curve]:
    """``rounds`` of writes in meshes of so many nodes."""
    ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for count in nodes:
        for kind in KINDS:
            ours, theirs = (Sample([sent], "B") for sent in _both(kind, count, rounds, SEED))
            ratios[kind].append((count, theirs.median / ours.median))
            yield Figure(
                goal="P12",
                what=f"gossiped in a mesh of {count}, {kind}, {rounds} rounds",
                ours=ours,
                against="classic deltas, a model",
                theirs=theirs,
                less_is_better=True,
                wanted=1 / LESS,
            )
    yield Curve(
        name="mesh",
        what="bytes of classic delta replication, times ours",
        x="nodes of the mesh",
        unit="times",
        lines=ratios,
        formula="ours: each write once to each node; classic: whatever is new drags along what is not, to everybody again",
    )


def _both(kind: str, nodes: int, rounds: int, seed: int) -> tuple[int, int]:
    """Bytes of the same writes: ours, and classic ones."""
    write, rng = KINDS[kind], random.Random(seed)
    load = [[write(rng, nodes, node, turn) for node in range(nodes)] for turn in range(rounds)]
    return _ours(load, nodes, seed), _classic(load, nodes)


def _ours(load: list[list[list[Op]]], nodes: int, seed: int) -> int:
    with Cluster(nodes, seed=seed) as cluster:
        cluster.settle()
        before = cluster.network.bytes_sent
        for turn in load:
            for node, ops in zip(cluster.nodes, turn, strict=True):
                node.write("default", ops)
            cluster.advance(ROUND_S)
        cluster.settle()
        return cluster.network.bytes_sent - before


def _classic(load: list[list[list[Op]]], nodes: int) -> int:
    mesh = Classic(nodes)
    for number, turn in enumerate(load):
        for node, ops in enumerate(turn):
            mesh.write(node, (number, node), _cells(ops, node, number))
        mesh.gossip()
    while mesh.gossip():
        pass
    if not mesh.is_settled():
        raise AssertionError("the model does not converge")
    return mesh.bytes_sent


def _cells(ops: list[Op], node: int, number: int) -> dict[bytes, bytes]:
    """What a write leaves where nothing was: as many bytes as a delta of ours has for it."""
    event = Event(b"replica%d" % (node % 10), number + 1)
    return {at: codec.encode(cell) for at, cell in expand(ops, lambda _: [], lambda _: EMPTY, event).items()}


def _set(rng: random.Random, nodes: int, node: int, turn: int) -> list[Op]:
    element = path.component("set", "s") + path.element(f"{node}:{turn}:{_text(rng, 8)}")
    return [make_op(element, "add")]


def _map(rng: random.Random, nodes: int, node: int, turn: int) -> list[Op]:
    own = range(node, MAP_KEYS, nodes)  # no two nodes write the same at once, as in the published workload
    return [_register(f"k{key}", rng) for key in rng.sample(own, max(1, MAP_KEYS // 10 // nodes))]


def _zipf(rng: random.Random, nodes: int, node: int, turn: int) -> list[Op]:
    keys = set(rng.choices(range(ZIPF_KEYS), cum_weights=_WEIGHTS, k=ZIPF_WRITES))
    return [_register(f"k{key}", rng) for key in sorted(keys)]


_WEIGHTS = list(accumulate(1 / rank**ZIPF_A for rank in range(1, ZIPF_KEYS + 1)))


def _register(name: str, rng: random.Random) -> Op:
    return make_op(path.encode((("map", "m"), ("register", name))), "set", (_text(rng, VALUE_CHARS),))


def _text(rng: random.Random, chars: int) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=chars))


KINDS: dict[str, Writes] = {"set": _set, "map 10 %": _map, "Zipf 1.5": _zipf}
