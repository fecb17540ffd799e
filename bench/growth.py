"""P14, and how cost grows: reads, writes, memory, the file and catching up, from 1,000 cells to millions.

One node, in a process of its own, is filled in transactions of 1,000 registers, and measured at each size: reads and
writes of random registers, one thread; the memory that is its own and not the page cache's; the file. P14: what the
cells add to the memory of the empty node. Catching up is that of ``catch_up.py``, in smaller stores, since two are filled.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import gossamer
from catch_up import CHANGED, reconnects
from gossamer.backend import make_op
from gossamer.crdt import path
from measure import ROUNDS, Curve, Figure, Sample, heap_bytes, rate

VALUE = "v" * 64
GROUP = 1000
WRITES, READS = 100, 2000
"""A round, at each size."""
MEMORY_MB_MAX = 100.0
MEMORY_CELLS = (1_000_000, 5_000_000)
MB = 1e6


class Taken(NamedTuple):
    """What one size gave."""

    cells: int
    reads: list[float]
    writes: list[float]
    fill: float
    """Cells a second, since the size before."""
    heap_bytes: int
    """Beyond those of the empty node."""
    file_bytes: int


def measure(sizes: Sequence[int], catch_up: Sequence[int], scratch: Path) -> Iterator[Figure | Curve]:
    """At each of some numbers of cells, ascending; catching up in stores of others."""
    command = [sys.executable, __file__, str(scratch / "node"), *map(str, sizes)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    taken = [Taken(*json.loads(line)) for line in said.splitlines()]
    for one in taken:
        if one.cells in MEMORY_CELLS or one is taken[-1]:
            yield Figure(
                goal="P14",
                what=f"memory that {one.cells:,} cells add, page cache aside",
                ours=Sample([max(one.heap_bytes, 1) / MB], "MB"),
                less_is_better=True,
                wanted=MEMORY_MB_MAX,
            )
    yield from _curves(taken)
    yield _catching_up(catch_up, scratch)


def _curves(taken: list[Taken]) -> Iterator[Curve]:
    def curve(name: str, what: str, unit: str, formula: str, **lines: Callable[[Taken], float]) -> Curve:
        points = {line: [(float(t.cells), of(t)) for t in taken] for line, of in lines.items()}
        return Curve(name=name, what=what, x="cells", unit=unit, lines=points, formula=formula)

    yield curve(
        "reads",
        "reads of random registers, one thread",
        "/s",
        "a walk down a tree: log(cells) pages, of which the upper ones are in the cache",
        reads=lambda t: Sample(t.reads, "").median,
    )
    yield curve(
        "writes",
        "durable writes of random registers, one thread, and cells a second in transactions of 1,000",
        "/s",
        "one thread: the disk's sync; in transactions: log(cells) pages a cell, fewer where neighbours share them",
        **{
            "single writes": lambda t: Sample(t.writes, "").median,
            "in transactions": lambda t: t.fill,
        },
    )
    yield curve(
        "memory",
        "memory beyond that of the empty node, page cache aside",
        "MB",
        "constant: vectors, links and caches of bounded size; cells lie in the file",
        memory=lambda t: t.heap_bytes / MB,
    )
    yield curve(
        "file",
        "the store's file",
        "MB",
        "linear: cells, and at most as much again for rows and free pages",
        file=lambda t: t.file_bytes / MB,
    )


def _catching_up(sizes: Sequence[int], scratch: Path) -> Curve:
    points = {"catch up": [], "bootstrap": []}  # type: dict[str, list[tuple[float, float]]]
    for cells in sizes:
        (whole_s, _), times, _ = reconnects(cells, scratch / f"pair{cells}")
        points["bootstrap"].append((cells, whole_s * 1000))
        points["catch up"].append((cells, Sample(times, "ms").median))
    return Curve(
        name="catch-up",
        what=f"catching up after a cut with {CHANGED} cells changed, and a bootstrap of all",
        x="cells",
        unit="ms",
        lines=points,
        formula="catching up: the changed cells, whatever the store holds; a bootstrap: linear",
    )


def fill(directory: str, sizes: Sequence[int]) -> Iterator[Taken]:
    """In the other process."""
    with gossamer.open(directory) as node:
        node.register(_name(0)).set(VALUE)
        empty, written = heap_bytes(), 0
        for cells in sizes:
            began = time.perf_counter()
            for first in range(written, cells, GROUP):
                ops = [_write(n) for n in range(first, min(first + GROUP, cells))]
                node.backend.write("default", ops)
            spent, added = time.perf_counter() - began, cells - written
            written = cells
            yield _measured(node, cells, added / spent, heap_bytes() - empty)


def _measured(node: gossamer.Node, cells: int, filled: float, heap: int) -> Taken:
    rng = random.Random(cells)

    def read(count: int) -> None:
        for _ in range(count):
            node.register(_name(rng.randrange(cells))).get()

    def write(count: int) -> None:
        for _ in range(count):
            node.register(_name(rng.randrange(cells))).set(VALUE)

    reads = [rate(read, READS) for _ in range(ROUNDS)]
    writes = [rate(write, WRITES) for _ in range(ROUNDS)]
    return Taken(cells, reads, writes, filled, heap, node.status()["store_bytes"])


def _name(n: int) -> str:
    return f"cell {n:08}"


def _write(n: int) -> gossamer.backend.Op:
    return make_op(path.component("register", _name(n)), "set", (VALUE,))


if __name__ == "__main__":
    for one in fill(sys.argv[1], [int(size) for size in sys.argv[2:]]):
        print(json.dumps(one), flush=True)
