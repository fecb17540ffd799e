"""Real nodes under every fault, in an order that a seed decides, while all of them are written to.

``python -m tests.processes.nemesis --faults 200 --seed 1 --nodes 4``. Each node is a ``serve`` process in a network
namespace of its own. In rounds, lasting faults stand (partitions full, one-way, of halves; a slow line, a bad one; a frozen
node; a full disk) while others strike (SIGKILL, also in the middle of a commit; EIO; restarts; clocks that jump); or one comes
alone (a power cut, an old backup, a clone, a line that flaps, a member that is removed and comes back, one that leaves). After each round all heals, the writers pause, and then

- all nodes have the same digest within seconds;
- every acknowledged write is there, once, and no sum of a transaction's two counters differs, at any time for any reader;
- of a stock just so much is left as was minted and not spent.

The order of the faults is the seed's, their timing the machine's; a failure prints both. Where a machine lacks the means for
a fault, the report says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from . import net, stock
from .fleet import Fleet
from .load import Load, Worker
from .resting import resting
from .stock import Trader
from .strikes import Strike, Strikes, name_of, pause

EQUAL_S = 5.0
"""From the heal, or from the end of the last write under way then, to equality."""
BEARABLE_S = 3.0
"""A lasting fault lasts up to so long, besides what strikes meanwhile."""
ALONE = 0.3
"""Share of rounds with a fault that comes alone."""
KILLS = ("kill", "kill_in_commit")
"""Faults that are a SIGKILL, and nothing else."""
PACE_S = 0.01
"""Between two writes of a writer: the machine has faults to make as well."""


@dataclass
class Report:
    """What a run came to."""

    seed: int
    nodes: int
    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    acknowledged: int = 0
    unknown: int = 0
    kills: int = 0
    """Of the faults: SIGKILLs under load."""
    lost: int = 0
    """Always 0: a write that is lost ends the run."""
    reads: int = 0
    """Of transactions, none of a half."""
    spent: int = 0
    left: int = 0
    equal_s: list[float] = field(default_factory=list)
    """From the heal to equality, after each round; with the end of the last write that was under way."""

    def share(self, percent: float) -> float:
        """So many percent of the rounds were equal within this."""
        ordered = sorted(self.equal_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        skipped = "".join(f"\nnot done here: {name}, as {why}" for name, why in sorted(self.skipped.items()))
        return (
            f"seed {self.seed}, {self.nodes} nodes, {self.rounds} rounds, {sum(self.faults.values())} faults, {self.kills} of them "
            f"SIGKILLs: {faults}\n"
            f"{self.acknowledged} writes acknowledged, {self.lost} lost; {self.unknown} with unknown outcome, each there "
            f"once or not at all\n{self.reads} readings of transactions, none of a half\n"
            f"{self.spent} spent of a stock, {self.left} left: none sold twice\n"
            f"equal after the heal within {self.share(50):.2f} s (median), {self.share(99):.2f} s (99 %), "
            f"{max(self.equal_s, default=0):.2f} s (all){skipped}"
        )


class Nemesis:
    """One run, of nodes that are up."""

    def __init__(
        self, fleet: Fleet, strikes: Strikes, rng: Random, report: Report, equal_s: float = EQUAL_S
    ) -> None:
        self._fleet, self._strikes, self._rng, self.report = fleet, strikes, rng, report
        self._equal_s = equal_s
        self.load = Load(fleet.all, writers=1, seed=report.seed, pace_s=PACE_S)
        self.traders = [Trader(node, 7 * report.seed + at) for at, node in enumerate(fleet.all)]
        self.log: list[str] = []

    @property
    def workers(self) -> list[Worker]:
        """All that write and read."""
        return [*self.load.workers, *self.traders]

    def round(self) -> None:
        """Faults, and their end; then all is as it must be."""
        if self._rng.random() < ALONE:
            self._strike(self._rng.choice(self._strikes.alone))
        else:
            self._storm()
        self._strikes.heal()
        self._settle()

    def _storm(self) -> None:
        if self._rng.random() < 0.8:
            self._strike(self._rng.choice(self._strikes.lasting))
        strikes = self._rng.randint(2, 6)
        for _ in range(strikes):
            pause(self._rng.uniform(0.0, BEARABLE_S / strikes))
            self._strike(self._rng.choice(self._strikes.instant))

    def _strike(self, strike: Strike) -> None:
        name = self._rng.choice(self._fleet.names)
        self.log.append(f"{time.monotonic():.2f} {name_of(strike)} {name}")
        strike(name)
        self.report.faults[name_of(strike)] += 1
        self.report.kills += name_of(strike) in KILLS

    def _settle(self) -> None:
        healed = time.monotonic()
        with resting(self.workers):
            still = time.monotonic()
            self._fleet.equal(self._equal_s)
            self.report.equal_s.append(time.monotonic() - healed)
            self.log.append(f"{healed:.2f} healed, at rest {still - healed:.2f} s later")
            stock.check(self.traders, self._fleet.all)
            self.load.check(self._rng.choice(self._fleet.all))
        self.report.rounds += 1

    def check(self) -> None:
        """With all workers stopped: everything, on every node."""
        self._fleet.linked()
        self._fleet.equal(self._equal_s)  # what was written after the last round is on its way
        stock.check(self.traders, self._fleet.all)
        strikes, report = self._strikes, self.report
        for node in self._fleet.all:
            self.load.check(node)
            cloned = node.client.counter("cloned").value()
            assert strikes.cloned <= cloned <= strikes.cloned + strikes.cloned_maybe, cloned
        report.acknowledged, report.unknown = self.load.acknowledged(), self.load.unknown
        report.reads = sum(reader.reads for reader in self.load.readers)
        report.spent = sum(trader.spent for trader in self.traders)
        report.left = self._fleet.all[0].client.bounded_counter(stock.NAME).value()


def run(
    folder: Path,
    faults: int,
    seed: int,
    nodes: int = 3,
    progress: bool = False,
    equal_s: float = EQUAL_S,
) -> Report:
    """Strike at least so often; all are equal within ``equal_s`` of each heal. `AssertionError` says what was broken, and what had happened."""
    rng, report = Random(seed), Report(seed, nodes)
    with ExitStack() as stack:
        fleet = Fleet(folder, nodes)
        strikes = Strikes(folder, fleet, rng, stack)
        report.skipped = strikes.skipped
        stack.enter_context(fleet)
        nemesis = Nemesis(fleet, strikes, rng, report, equal_s)
        strikes.workers = nemesis.workers
        try:
            _run(nemesis, faults, progress)
        except BaseException as error:
            what = "\n".join(nemesis.log[-40:])
            raise AssertionError(
                f"seed {seed}: {error}\nThe last of {len(nemesis.log)} events:\n{what}"
            ) from error
    return report


def _run(nemesis: Nemesis, faults: int, progress: bool) -> None:
    with nemesis.load:
        for trader in nemesis.traders:
            trader.start()
        try:
            while nemesis.report.faults.total() < faults:
                nemesis.round()
                if progress:
                    done, writes = nemesis.report.faults.total(), nemesis.load.acknowledged()
                    print(f"\r{done}/{faults} faults, {writes} writes", end="", file=sys.stderr, flush=True)
        finally:
            for trader in nemesis.traders:
                trader.stop()
    nemesis.check()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=200, help="how many, at least")
    parser.add_argument("--seed", type=int, default=1, help="of their order, and of the writes")
    parser.add_argument("--nodes", type=int, default=4, choices=(3, 4, 5))
    parser.add_argument(
        "--equal-s", type=float, default=EQUAL_S, help="more where other work takes the processors"
    )
    parser.add_argument("--report", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    if lack := net.lacking():
        sys.exit(f"{lack}; python -m tests.processes.wired needs nothing of the kind")
    with tempfile.TemporaryDirectory(prefix="gossamer-nemesis-") as folder:
        report = run(Path(folder), given.faults, given.seed, given.nodes, sys.stderr.isatty(), given.equal_s)
    print(report)
    if given.report is not None:
        given.report.parent.mkdir(exist_ok=True)
        given.report.write_text(json.dumps(vars(report) | {"p99_s": report.share(99)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
