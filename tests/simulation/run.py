"""As many random schedules as one likes: ``make simulate SEEDS=100000``.

A failure prints its seed, its steps and the command that replays it; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from functools import partial

from .kinds import KINDS
from .schedule import Outcome

CHUNK = 10


def run(seed: int, kind: str = "core") -> Outcome:
    """One schedule. An `AssertionError` carries its steps and how to replay it."""
    schedule = KINDS[kind](seed)
    try:
        return schedule.run()
    except Exception as error:
        steps = "\n".join(schedule.outcome.steps)
        replay = f"python -m tests.simulation.run --kind {kind} --seeds 1 --start {seed}"
        raise AssertionError(f"{error}\n\nThe steps of seed {seed}:\n{steps}\n\nReplay: {replay}") from error


def _attempt(seed: int, kind: str) -> tuple[int, Counter[str], str | None]:
    try:
        return seed, Counter(run(seed, kind).seen), None
    except AssertionError:
        return seed, Counter(), traceback.format_exc()


def _outcomes(seeds: range, kind: str, processes: int) -> Iterator[tuple[int, Counter[str], str | None]]:
    attempt = partial(_attempt, kind=kind)
    if processes == 1 or len(seeds) == 1:
        yield from map(attempt, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(attempt, seeds, chunksize=CHUNK)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--start", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--kind", choices=KINDS, default="core", help="which kind (default core)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began, done, seen = time.monotonic(), 0, Counter[str]()
    failed: list[int] = []
    seeds = range(given.start, given.start + given.seeds)
    for seed, counts, failure in _outcomes(seeds, given.kind, given.processes):
        done += 1
        seen += counts
        if failure is not None:
            failed.append(seed)
            print(failure, flush=True)
        if done % 100 == 0 and sys.stderr.isatty():
            print(f"\r{done}/{given.seeds}, {len(failed)} failed", end="", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    print(f"{done} schedules in {took:.1f} s, {done / took:.1f} a second; failed seeds: {failed or 'none'}")
    print(", ".join(f"{what} {count}" for what, count in sorted(seen.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
