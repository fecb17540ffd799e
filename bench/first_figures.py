"""The first figures: what do reads, writes, replication and catching up cost, beside what stands next to them?

    python bench/first_figures.py [--smoke] [--only reads …] [--json FILE]

One table at the end: ours, the other, the ratio, and the goal for it. Figures are medians, with the least and the
greatest of the rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console

import catch_up
import message_bytes
import reads
import redis_peer
import visible
import writes
from measure import Figure, Load, fsync_floor, plain, show


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


FULL = Size(reads=100_000, seconds=3.0, writes=300, fields=10_000, cells=300_000, bumps=1_000_000)
SMOKE = Size(reads=1_000, seconds=0.1, writes=10, fields=1_000, cells=3_000, bumps=5_000)

Bench = Callable[[Size, Path], Iterator[Figure]]
BENCHES: dict[str, Bench] = {
    "reads": lambda size, scratch: reads.measure(size.reads, scratch),
    "writes": lambda size, scratch: writes.measure(size.seconds, scratch),
    "visible": lambda size, scratch: visible.measure(size.writes, scratch),
    "bytes": lambda size, scratch: message_bytes.measure(size.fields, scratch),
    "catch_up": lambda size, scratch: catch_up.measure(size.cells, size.bumps, scratch),
}


def main() -> int:
    """Run what is asked for; the exit code is 0, whatever the figures."""
    parser = argparse.ArgumentParser(description="the first figures, beside what stands next to them")
    parser.add_argument("--smoke", action="store_true", help="small sizes: whether it runs, not how fast")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="BENCH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    console = Console()
    load, figures = Load(), []
    with tempfile.TemporaryDirectory(prefix="gossamer-bench-") as scratch:
        floor = fsync_floor(Path(scratch))
        for name in options.only:
            console.print(f"{name} …")
            figures += run(name, SMOKE if options.smoke else FULL, Path(scratch))
    show(figures, console)
    state = [f"append of 4 KiB and fdatasync: {floor}", str(load), redis_peer.words(), message_bytes.words()]
    for line in state:
        console.print(line, highlight=False)
    if options.json:
        said = {"machine": state, "figures": [plain(figure) for figure in figures]}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(said)))
    return 0


def run(name: str, size: Size, scratch: Path) -> list[Figure]:
    """One bench, in a directory of its own."""
    own = scratch / name
    own.mkdir()
    return list(BENCHES[name](size, own))


if __name__ == "__main__":
    sys.exit(main())
