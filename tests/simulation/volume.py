"""Very many random schedules of several kinds, once, in the background: ``python -m tests.simulation.volume LOG --schedules 100000``.

Each chunk that is done is a line of JSON in the log: its kind, its seeds, the processor seconds, what was seen, and what failed.
A run that was ended goes on where it stopped, with the same log. ``--report`` prints what a log says.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from .kinds import KINDS
from .run import CHUNK, attempt

CHUNKS_A_LINE = 10
SAID_CHARS = 2000
"""Of each failure, from its end."""


class Chunk(NamedTuple):
    """Seeds of one kind, side by side."""

    kind: str
    start: int
    schedules: int


@dataclass
class Done:
    """What came of a chunk."""

    kind: str
    start: int
    count: int
    source: str
    """The commit that ran."""
    cpu_s: float
    seen: dict[str, int]
    failed: dict[str, str]
    """Seed -> why."""


def chunks(kinds: list[str], start: int, schedules: int) -> Iterator[Chunk]:
    """The kinds in turn, each with the same seeds, until there are as many schedules in all."""
    size = CHUNK * CHUNKS_A_LINE
    for at in range(start, start + -(-schedules // len(kinds)), size):
        for kind in kinds:
            yield Chunk(kind, at, size)


def take(chunk: Chunk, source: str) -> Done:
    """Run a chunk; a failure does not end it."""
    began, seen, failed = time.process_time(), Counter[str](), dict[str, str]()
    for seed in range(chunk.start, chunk.start + chunk.schedules):
        _, counts, failure = attempt(seed, chunk.kind)
        seen += counts
        if failure is not None:
            failed[str(seed)] = failure[-SAID_CHARS:]
    return Done(*chunk, source, time.process_time() - began, dict(seen), failed)


def read(log: Path) -> list[Done]:
    """What a log says; the last line may be cut short."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [Done(**json.loads(line)) for line in lines if line.endswith("}")]


def report(done: list[Done]) -> str:
    """By kind and source: the seeds, the rate, what failed, and how often something was seen."""
    lines: list[str] = []
    for kind, source in dict.fromkeys((one.kind, one.source) for one in done):
        mine = [one for one in done if (one.kind, one.source) == (kind, source)]
        count, cpu_s = sum(one.count for one in mine), sum(one.cpu_s for one in mine)
        first, last = min(one.start for one in mine), max(one.start + one.count for one in mine) - 1
        failed = [int(seed) for one in mine for seed in one.failed]
        lines.append(
            f"{kind} at {source}: {count:,} of seeds {first} to {last}, {count / cpu_s:.1f} a second of "
            f"processor time, failed: {sorted(failed) or 'none'}"
        )
        seen: Counter[str] = Counter()
        for one in mine:
            seen.update(one.seen)
        lines.append("    " + ", ".join(f"{what} {times:,}" for what, times in sorted(seen.items())))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--schedules", type=int, default=100_000, help="of all kinds together")
    parser.add_argument("--start", type=int, default=1_000_000, help="the first seed (default 1,000,000)")
    parser.add_argument("--kinds", default="core,swarm", help="which (default core,swarm)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", action="store_true", help="run nothing, and say what there is")
    given = parser.parse_args()
    if not given.report:
        kinds = given.kinds.split(",")
        assert set(kinds) <= KINDS.keys(), f"kinds are {', '.join(KINDS)}"
        before = {Chunk(one.kind, one.start, one.count) for one in read(given.log)}
        left = [c for c in chunks(kinds, given.start, given.schedules) if c not in before]
        source = subprocess.run(
            ["git", "describe", "--always", "--dirty"], check=True, capture_output=True, text=True
        ).stdout.strip()
        with given.log.open("a") as log, multiprocessing.get_context("spawn").Pool(given.processes) as pool:
            jobs = [pool.apply_async(take, (chunk, source)) for chunk in left]
            for job in jobs:
                print(json.dumps(asdict(job.get())), file=log, flush=True)
    done = read(given.log)
    print(report(done))
    return 1 if any(one.failed for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
