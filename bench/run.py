"""All benches in one command: what do we cost, beside what stands next to us in the same run?

    python bench/run.py [--smoke] [--only reads …] [--json FILE] [--page FILE]

One table at the end: ours, the other, the ratio, and the goal for it. Figures are medians, with the least and the
greatest of the rounds. With ``--json`` each bench's result replaces its own in the file and the others stay, so that a
long set can be run in parts; ``--page`` writes what the file holds into the page, with plots beside it (``page.py``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

import apply_change
import bootstrap
import catch_up
import churn
import etcd_peer
import growth
import large
import many
import mesh
import message_bytes
import nats_peer
import reads
import redis_peer
import replicate
import results
import scales
import sqlite_peer
import visible
import writes
from measure import Curve, Figure, Load, fsync_floor, show
from results import Result


class Size(NamedTuple):
    """How much each bench does."""

    reads: int
    """Of each kind, a round."""
    seconds: float
    """Of writing, a round."""
    writes: int
    """Seen at the other node, a round."""
    fields: int
    """Of the map in which one changes."""
    cells: int
    """Of the store that is caught up."""
    bumps: int
    """Of the counter, behind the partition."""
    maps: Sequence[int]
    """Fields of the maps in memory."""
    changes: int
    """Applied to them, a round."""
    bootstrap: int
    """Cells that a new node takes over."""
    mesh: Sequence[int]
    """Nodes that gossip."""
    gossip: int
    """Rounds that they write for."""
    grown: Sequence[int]
    """Cells of the node that grows."""
    caught_up: Sequence[int]
    """Cells of the stores that are caught up beside it."""
    values: Sequence[int]
    """Bytes of the values."""
    writers: Sequence[int]
    scale_seconds: float
    """Of writing each size of a value, and with each number of writers, a round."""
    large: Sequence[int]
    """Nodes of the clusters that are simulated."""
    restarts: Sequence[int]
    many: int
    """Nodes that run on loopback, a process each."""
    many_writes: int
    """Of each of them."""
    idle_s: float
    """For which they are watched while nothing is written."""


FULL = Size(
    reads=100_000,
    seconds=3.0,
    writes=300,
    fields=10_000,
    cells=300_000,
    bumps=1_000_000,
    maps=(10, 1_000, 10_000, 100_000),
    changes=1_000,
    bootstrap=1_000_000,
    mesh=(8, 16),
    gossip=50,
    grown=(1_000, 10_000, 100_000, 1_000_000, 5_000_000),
    caught_up=(1_000, 10_000, 100_000, 1_000_000),
    values=(8, 64, 512, 4_096, 32_768, 262_144),
    writers=(1, 4, 16, 64, 256, 1_000),
    scale_seconds=1.0,
    large=(2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    restarts=(1, 10, 100, 1_000, 10_000),
    many=30,
    many_writes=20,
    idle_s=10.0,
)
SMOKE = Size(
    reads=1_000,
    seconds=0.05,
    writes=5,
    fields=1_000,
    cells=3_000,
    bumps=5_000,
    maps=(10, 100, 1_000),
    changes=20,
    bootstrap=2_000,
    mesh=(3,),
    gossip=4,
    grown=(100, 1_000),
    caught_up=(100, 300),
    values=(8, 262_144),
    writers=(1, 16),
    scale_seconds=0.02,
    large=(8, 17),
    restarts=(1, 100),
    many=4,
    many_writes=3,
    idle_s=0.5,
)


class Bench(NamedTuple):
    """One question."""

    about: str
    measure: Callable[[Size, Path], Iterator[Figure | Curve]]
    peers: tuple[Callable[[], str], ...] = ()
    """What stands beside us: version and settings, or why it is not there."""


BENCHES: dict[str, Bench] = {
    "reads": Bench(
        "reading one's own node", lambda size, at: reads.measure(size.reads, at), (redis_peer.words,)
    ),
    "writes": Bench(
        "durable writes, alone and together, and the event loop meanwhile",
        lambda size, at: writes.measure(size.seconds, at),
        (redis_peer.words, sqlite_peer.words),
    ),
    "visible": Bench(
        "from a write here to a read there",
        lambda size, at: visible.measure(size.writes, at),
        (nats_peer.words, etcd_peer.words),
    ),
    "replicate": Bench(
        "writes replicated for seconds on end",
        lambda size, at: replicate.measure(size.seconds, at),
        (etcd_peer.words, nats_peer.words),
    ),
    "apply": Bench(
        "applying one remote change in memory",
        lambda size, at: apply_change.measure(size.maps, size.changes, at),
        (apply_change.words,),
    ),
    "bytes": Bench(
        "bytes of a changed field",
        lambda size, at: message_bytes.measure(size.fields, at),
        (message_bytes.words,),
    ),
    "catch_up": Bench(
        "coming back after a cut", lambda size, at: catch_up.measure(size.cells, size.bumps, at)
    ),
    "bootstrap": Bench("a new node takes over all", lambda size, at: bootstrap.measure(size.bootstrap, at)),
    "mesh": Bench(
        "bytes that a mesh gossips", lambda size, at: mesh.measure(size.mesh, size.gossip, at), (mesh.words,)
    ),
    "growth": Bench(
        "cost by the number of cells", lambda size, at: growth.measure(size.grown, size.caught_up, at)
    ),
    "scales": Bench(
        "cost by the size of a value, and by the number of writers",
        lambda size, at: scales.measure(size.values, size.writers, size.scale_seconds, at),
    ),
    "large": Bench("clusters of many nodes, simulated", lambda size, at: large.measure(size.large)),
    "churn": Bench(
        "members that restart under new replica ids", lambda size, at: churn.measure(size.restarts)
    ),
    "many": Bench(
        "many real nodes on loopback",
        lambda size, at: many.measure(size.many, size.many_writes, size.idle_s, at),
    ),
}


def main() -> int:
    """Run what is asked for; the exit code is 0, whatever the figures."""
    parser = argparse.ArgumentParser(
        description="what we cost, beside what stands next to us",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {bench.about}" for name, bench in BENCHES.items()),
    )
    parser.add_argument("--smoke", action="store_true", help="small sizes: whether it runs, not how fast")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="BENCH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results there")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write what --json holds into this page")
    options = parser.parse_args()
    if options.page and not options.json:
        parser.error("--page shows what --json holds: name both")
    console = Console()
    for name in options.only:
        console.print(f"{name}: {BENCHES[name].about} …", highlight=False)
        result = run(name, SMOKE if options.smoke else FULL, options.smoke)
        if result.figures:
            show(result.figures, console)
        for line in (*result.machine, *(f"plot: {curve.what}" for curve in result.curves)):
            console.print(line, highlight=False)
        if options.json:
            results.keep(options.json, name, result)
    if options.page:
        import page  # which draws: matplotlib takes longer to import than some benches to run

        page.write(options.page, results.load(options.json))
    return 0


def run(name: str, size: Size, is_smoke: bool) -> Result:
    """One bench, in a directory of its own, with the disk's floor and the machine's load beside it."""
    bench, began = BENCHES[name], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gossamer-bench-") as scratch:
        load, floor = Load(), fsync_floor(Path(scratch))
        taken = list(bench.measure(size, Path(scratch)))
    return Result(
        about=bench.about,
        at=time.strftime("%Y-%m-%d %H:%M"),
        seconds=round(time.monotonic() - began, 1),
        is_smoke=is_smoke,
        machine=[
            results.hardware(),
            f"append of 4 KiB and fdatasync: {floor}",
            str(load),
            *(words() for words in bench.peers),
        ],
        figures=[one for one in taken if isinstance(one, Figure)],
        curves=[one for one in taken if isinstance(one, Curve)],
    )


if __name__ == "__main__":
    sys.exit(main())
