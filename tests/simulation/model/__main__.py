"""Schedules of the set model: ``python -m tests.simulation.model --schedules 1000000 --start 0 --processes 2``.

A failure is shrunk, and printed with the command that replays it; the exit code is then 1. With ``--compiled`` the very
same files run as a C extension, made by mypyc in ``build/``, which takes a C compiler and is six times as fast.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from ..ddmin import ddmin
from . import world as plain
from .mutants import CAUGHT
from .rules import ORPHANS
from .runs import CHUNK, chunks, compiled, run


def shrink(seed: int, mutants: int = 0) -> bytes:
    """The fewest steps of a seed that still fail."""
    steps = plain.steps_of(seed)
    parts = [steps[at : at + 3] for at in range(0, len(steps), 3)]
    return b"".join(ddmin(parts, lambda some: bool(plain.fails(b"".join(some), mutants))))


def told(seed: int, why: str, mutants: int = 0) -> str:
    least = shrink(seed, mutants)
    lines = [f"seed {seed}: {why}", *("    " + line for line in plain.told(least))]
    left_out = f" --without {mutants}" if mutants else ""
    return "\n".join([*lines, f"Replay: python -m tests.simulation.model --steps {least.hex()}{left_out}"])


def first_failure(mutants: int, most: int, is_compiled: bool) -> int | None:
    """After how many schedules that pass."""
    first = plain.SETBACKS if mutants & ORPHANS else 0
    for at in range(0, most, CHUNK):
        _, _, failed = run(first + at, min(CHUNK, most - at), is_compiled, mutants)
        if failed:
            return min(failed) - first
    return None


def print_mutants(most: int, is_compiled: bool) -> int:
    """Each rule left out: after how many schedules that is noticed."""
    caught = 0
    for mutant, (what, _) in CAUGHT.items():
        seed = first_failure(mutant, most, is_compiled)
        caught += seed is not None
        print(f"{what:70} {'NOT CAUGHT' if seed is None else f'after {seed + 1:,} schedules'}", flush=True)
    print(f"{caught} of {len(CAUGHT)} caught within {most:,} schedules")
    return 0 if caught == len(CAUGHT) else 1


def print_steps(steps: bytes, mutants: int) -> int:
    """Replay a schedule given as its steps."""
    print("\n".join(plain.told(steps)))
    why = plain.fails(steps, mutants)
    print(why or "passes")
    return 1 if why else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.model", description=__doc__)
    parser.add_argument("--schedules", type=int, default=60_000, help="how many (default 60,000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="as a C extension")
    parser.add_argument("--mutants", action="store_true", help="leave out each rule and count the schedules")
    parser.add_argument("--steps", help="replay the steps that a failure was shrunk to")
    parser.add_argument(
        "--without", type=int, default=0, help="with --steps: the number of a rule to leave out"
    )
    given = parser.parse_args()
    if given.steps is not None:
        return print_steps(bytes.fromhex(given.steps), given.without)
    if given.compiled:
        compiled()  # once, before the processes do
    if given.mutants:
        return print_mutants(given.schedules, given.compiled)
    began, used, done, seen = time.monotonic(), time.process_time(), 0, Counter[str]()
    failed: dict[int, str] = {}
    for count, names, bad in chunks(given.start, given.schedules, given.processes, given.compiled):
        done, seen = done + count, seen + names
        for seed, why in bad.items():
            print(told(seed, why), flush=True)
        failed |= bad
        if done % (50 * CHUNK) == 0:
            print(f"{done:,} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    took, used = time.monotonic() - began, time.process_time() - used
    print(f"{done:,} schedules in {took:.1f} s, {done / took:,.0f} a second", end="")
    print(f" ({done / used:,.0f} a second of processor time)" if given.processes == 1 else "", end="; ")
    print(f"failed seeds: {sorted(failed) or 'none'}")
    print(", ".join(f"{name} {times:,}" for name, times in sorted(seen.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
