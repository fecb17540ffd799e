"""The nemesis where network namespaces cannot be made: real nodes under the faults that need no rights, in an order that a
seed decides: kills, freezes, partitions of every kind, links that wear out, clean restarts, while all are written to.

``python -m tests.processes.wired --faults 200 --seed 1``. What must hold: every acknowledged write is there, once; no
reader ever sees half of a transaction; no stock is oversold; all are equal within seconds of the heal. The order of
the faults is the seed's, their timing the machine's; a failure prints both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import gossamer

from .load import Load, Worker
from .process import Serve
from .trio import NAMES, Trio
from .waiting import LOOK_EVERY_S, so
from .wires import Wires

EQUAL_S = 5.0
"""From the heal to equality."""
STOCK = 30_000
"""Minted at the beginning, a third on each node."""
BEARABLE_S = 3.0
"""A fault lasts up to so long."""


class Spender(Worker):
    """Spends from one stock on one node, and keeps the book."""

    def __init__(self, node: Serve, seed: int) -> None:
        super().__init__(node, f"spender {node.name}")
        self._rng = Random(seed)
        self.sure = self.maybe = 0

    def step(self) -> None:
        self.told.wait(LOOK_EVERY_S)
        n = self._rng.randint(1, 3)
        try:
            self.node.client.bounded_counter("stock").spend(n, wait=self._rng.choice((None, 0.2)))
            self.sure += n
        except gossamer.OutcomeUnknown:
            self.maybe += n
        except (gossamer.Unreachable, gossamer.InsufficientRights):
            pass


class Figures(NamedTuple):
    """What a run came to."""

    faults: Counter[str]
    acknowledged: int
    unknown: int
    reads: int
    spent: int
    equal_s: float

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{sum(self.faults.values())} faults ({faults}); {self.acknowledged} writes acknowledged and "
            f"{self.unknown} with unknown outcome, all found as they must be; {self.reads} readings of transactions, "
            f"none of a half; {self.spent} of {STOCK} sold, none twice; equal {self.equal_s:.2f} s after the heal"
        )


class Nemesis:
    """One run."""

    def __init__(self, trio: Trio, seed: int) -> None:
        self._trio, self._rng = trio, Random(seed)
        self._frozen: set[str] = set()
        self.done: Counter[str] = Counter()
        self.log: list[str] = []

    def strike(self) -> None:
        """One fault, of one node, and after a while its end."""
        name = self._rng.choice(NAMES)
        fault = self._rng.choice(
            (self._kill, self._kill, self._freeze, self._restart, self._part, self._wear)
        )
        self._note(fault.__name__.strip("_"), name)
        fault(name)

    def _note(self, what: str, name: str) -> None:
        self.done[what] += 1
        self.log.append(f"{time.monotonic():.2f} {what} {name}")

    def _a_while(self) -> None:
        time_out = self._rng.uniform(0.05, BEARABLE_S)
        until = time.monotonic() + time_out
        so(lambda: time.monotonic() >= until, "time does not pass", BEARABLE_S + 1)

    def _kill(self, name: str) -> None:
        self._trio.nodes[name].kill()
        if self._rng.random() < 0.5:
            self._a_while()
        self._trio.start(name)

    def _restart(self, name: str) -> None:
        assert self._trio.nodes[name].stop() == 0
        self._trio.start(name)

    def _freeze(self, name: str) -> None:
        self._trio.nodes[name].freeze()
        try:
            self._a_while()
        finally:
            self._trio.nodes[name].thaw()

    def _part(self, name: str) -> None:
        cuts: tuple[Callable[[Wires, str], None], ...] = (
            Wires.cut,
            Wires.swallow,
            Wires.silence,
            Wires.deafen,
        )
        cut = self._rng.choice(cuts)
        self._note(f"({cut.__name__})", name)
        cut(self._trio.wires, name)
        self._a_while()
        if self._rng.random() < 0.3:  # one more fault while it lasts
            other = self._rng.choice([n for n in NAMES if n != name])
            self._note("kill", other)
            self._kill(other)
        self._trio.wires.heal()

    def _wear(self, name: str) -> None:
        self._trio.wires.wear_out(name, self._rng.choice((2_000, 20_000)))
        self._a_while()
        self._trio.wires.heal()


def run(folder: Path, faults: int, seed: int, progress: bool = False) -> Figures:
    """Strike so often. `AssertionError` says what was broken, and what had happened."""
    with Trio(folder) as trio:
        for node in trio.all:
            node.client.bounded_counter("stock").mint(STOCK // 3 + (node.name == "a") * (STOCK % 3))
        spenders = [Spender(node, 7 * seed + at) for at, node in enumerate(trio.all)]
        nemesis = Nemesis(trio, seed)
        try:
            return _run(trio, spenders, nemesis, faults, seed, progress)
        except BaseException as error:
            what = "\n".join(nemesis.log[-40:])
            raise AssertionError(
                f"seed {seed}: {error}\nThe last of {len(nemesis.log)} faults:\n{what}"
            ) from error


def _run(
    trio: Trio, spenders: list[Spender], nemesis: Nemesis, faults: int, seed: int, progress: bool
) -> Figures:
    with Load(trio.all, seed=seed) as load:
        for spender in spenders:
            spender.start()
        try:
            for at in range(faults):
                nemesis.strike()
                load.reach("a", load.acknowledged("a") + 1)
                if progress:
                    print(
                        f"\r{at + 1}/{faults} faults, {load.acknowledged()} writes", end="", file=sys.stderr
                    )
        finally:
            for spender in spenders:
                spender.stop()
    healed = time.monotonic()
    trio.linked()
    trio.equal(EQUAL_S + healed - time.monotonic())
    equal_s = time.monotonic() - healed
    sure, maybe = sum(s.sure for s in spenders), sum(s.maybe for s in spenders)
    for node in trio.all:
        load.check(node)
        left = node.client.bounded_counter("stock").value()
        assert max(0, STOCK - sure - maybe) <= left <= STOCK - sure, (
            f"{left} left of {STOCK}, {sure} sold, perhaps {maybe}"
        )
    reads = sum(reader.reads for reader in load.readers)
    return Figures(nemesis.done, load.acknowledged(), load.unknown, reads, sure, equal_s)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of their order, and of the writes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gossamer-wired-") as folder:
        print(run(Path(folder), given.faults, given.seed, sys.stderr.isatty()))


if __name__ == "__main__":
    main()
