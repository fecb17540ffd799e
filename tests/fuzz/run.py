"""As many bad inputs as one likes: ``make fuzz``, or ``python -m tests.fuzz.run --inputs 1000000 --seed 1``.

A finding is an exception that is not documented, more than `CPU_S_MAX` for one input, or memory that grows. It is printed with
the target, the seed and the number of the input, and its bytes in hex, which replay it; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from . import surface
from .mutate import mutated
from .targets import Target, targets

CPU_S_MAX = 2.0
"""Of the thread, for one input of at most 64 KiB: the slowest need some milliseconds, and a machine may be slow."""
PEAK_BYTES_MAX = 96 * 1024 * 1024
"""By which one target may raise the most memory that the process ever had."""
ROUND = 200
"""Inputs to a target before the next one has its turn."""


class Finding(NamedTuple):
    """What must not be."""

    target: str
    data: bytes
    what: str


class Fuzz:
    """One run of one seed."""

    def __init__(self, seed: int, found: list[Target]) -> None:
        self.targets, self.findings = found, list[Finding]()
        self.rngs = {target.name: random.Random(f"{seed} {target.name}") for target in found}
        self.counts = dict.fromkeys((target.name for target in found), 0)
        self.taken = dict.fromkeys((target.name for target in found), 0)
        """Inputs that were not refused."""

    def run(self, inputs: int) -> None:
        """So many inputs, shared by all targets."""
        for target in self.targets:  # every one of them as it is: it must be taken
            for data in target.corpus:
                target.read(data)
        shares = sum(target.share for target in self.targets)
        for target in self.targets:
            self._rounds(target, max(1, round(inputs * target.share / shares)))

    def _rounds(self, target: Target, inputs: int) -> None:
        _forget_peak()
        before = _peak()
        for _ in range(inputs):
            self.one(target, mutated(self.rngs[target.name], target.corpus, is_text=target.is_text))
        grown = _peak() - before
        if grown > PEAK_BYTES_MAX:
            self.findings.append(Finding(target.name, b"", f"the process grew by {grown:,} bytes"))

    def one(self, target: Target, data: bytes) -> None:
        """One input to one target."""
        began = time.thread_time()
        self.counts[target.name] += 1
        try:
            target.read(data)
            self.taken[target.name] += 1
        except target.errors:
            pass
        except Exception:  # noqa: BLE001  # that is what is looked for
            self.findings.append(Finding(target.name, data, traceback.format_exc(limit=-4)))
        took = time.thread_time() - began
        if took > CPU_S_MAX:
            self.findings.append(Finding(target.name, data, f"{took:.1f} s for {len(data)} bytes"))


def _forget_peak() -> None:
    """Or what the process once had would hide what it takes now."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most that was resident since then."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def fuzz(inputs: int, seed: int, only: str | None = None) -> Fuzz:
    """Run it; what was found is in the result."""
    memory = Path("/dev/shm")
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        where = Path(stack.enter_context(folder))
        found = [one for one in targets(where, stack) if only in (None, one.name)]
        made = Fuzz(seed, found)
        made.run(inputs)
        return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many in all (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="only this one")
    parser.add_argument(
        "--calls", type=int, default=10_000, help="raw calls to a real node, half with TLS and keys"
    )
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    made = fuzz(given.inputs, given.seed, given.target)
    for name, count in made.counts.items():
        print(f"{name:16} {count:9,} inputs, {made.taken[name]:9,} of them taken")
    for finding in {(one.target, one.what[-100:]): one for one in made.findings}.values():
        print(f"\n{finding.target}: {finding.what}\n{finding.data[:2000].hex()}")
    wrong = 0
    for guarded in (False, True) if given.calls else ():
        with tempfile.TemporaryDirectory() as where:
            found, codes = surface.run(given.calls // 2, given.seed, Path(where), guarded=guarded)
        print(f"calls {'that show no key' if guarded else 'of anybody'}: {codes}")
        print("".join(f"\n{what}\n" for what in found[:20]), end="")
        wrong += len(found)
    took = time.monotonic() - began
    print(
        f"{sum(made.counts.values()):,} inputs and {given.calls:,} calls, seed {given.seed}, {took:.0f} s; {len(made.findings) + wrong} findings"
    )
    return 1 if made.findings or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
