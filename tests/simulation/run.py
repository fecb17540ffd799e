"""As many random schedules as one likes: ``make simulate SEEDS=100000``.

A failure prints its seed, its steps and the command that replays it; the first one is shrunk to the steps that are
enough. The exit code is then 1. ``--endless`` (``make endless``) goes on without end.
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
from itertools import count

from .kinds import KINDS
from .schedule import Outcome
from .shrinking import replay, shortest

CHUNK = 10
SHRINK_RUNS = 300
SAYS_EVERY_S = 60.0


def run(seed: int, kind: str = "core") -> Outcome:
    """One schedule. An `AssertionError` carries its steps and how to replay it."""
    schedule = KINDS[kind](seed)
    try:
        return schedule.run()
    except Exception as error:
        steps = "\n".join(schedule.outcome.steps)
        raise AssertionError(
            f"{error}\n\nThe steps of seed {seed}:\n{steps}\n\nReplay: {_replay(kind, seed)}"
        ) from error


def _replay(kind: str, seed: int) -> str:
    return f"python -m tests.simulation.run --kind {kind} --seeds 1 --start {seed}"


def attempt(seed: int, kind: str) -> tuple[int, Counter[str], str | None]:
    """What a schedule has seen, and how it failed, if it did."""
    try:
        return seed, Counter(run(seed, kind).seen), None
    except AssertionError:
        return seed, Counter(), traceback.format_exc()


def _outcomes(seeds: range, kind: str, processes: int) -> Iterator[tuple[int, Counter[str], str | None]]:
    one = partial(attempt, kind=kind)
    if processes == 1 or len(seeds) == 1:
        yield from map(one, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(one, seeds, chunksize=CHUNK)


def _report(seed: int, kind: str, shrink_runs: int) -> None:
    """Of a failed seed what is left of it once it is shrunk, and how to replay that."""
    found = shortest(seed, kind, shrink_runs)
    if found is None:
        print(f"seed {seed} does not fail again: it depends on more than the seed")
        return
    print(f"{len(found.kept)} of its steps are enough:")
    print("\n".join("    " + step for step in found.steps))
    print(f"    {found.why}")
    print(f"Replay: {_replay(kind, seed)} --only {','.join(map(str, found.kept))}", flush=True)


def endless(start: int) -> int:
    """Every kind in turn, on and on; one line a minute, and the end at the first failure."""
    began = said = time.monotonic()
    done: Counter[str] = Counter()
    for seed in count(start):
        for kind in KINDS:
            _, _, failure = attempt(seed, kind)
            done[kind] += 1
            if failure is not None:
                print(failure)
                _report(seed, kind, SHRINK_RUNS)
                return 1
            if time.monotonic() - said >= SAYS_EVERY_S:
                said = time.monotonic()
                rate = done.total() / (said - began)
                print(
                    f"{done.total():,} schedules, {rate:.1f} a second, seeds {start} to {seed}: all pass",
                    flush=True,
                )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--start", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--kind", choices=KINDS, default="core", help="which kind (default core)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help="of one seed the steps with these numbers alone, like 0,3,7")
    parser.add_argument("--shrink-runs", type=int, default=SHRINK_RUNS, help="runs to shrink a failure with")
    parser.add_argument(
        "--endless", action="store_true", help="every kind in turn, from --start, without end"
    )
    given = parser.parse_args()
    if given.endless:
        return endless(given.start)
    if given.only is not None:
        only = [int(at) for at in given.only.split(",") if at]
        found = replay(given.start, given.kind, only)
        print("passes" if found is None else "\n".join([*found.steps, found.why]))
        return 0 if found is None else 1
    began, done, seen = time.monotonic(), 0, Counter[str]()
    failed: list[int] = []
    seeds = range(given.start, given.start + given.seeds)
    for seed, counts, failure in _outcomes(seeds, given.kind, given.processes):
        done += 1
        seen += counts
        if failure is not None:
            failed.append(seed)
            print(failure, flush=True)
            if len(failed) == 1:  # the others are often the same
                _report(seed, given.kind, given.shrink_runs)
        if done % 100 == 0 and sys.stderr.isatty():
            print(f"\r{done}/{given.seeds}, {len(failed)} failed", end="", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    print(f"{done} schedules in {took:.1f} s, {done / took:.1f} a second; failed seeds: {failed or 'none'}")
    print(", ".join(f"{what} {count}" for what, count in sorted(seen.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
