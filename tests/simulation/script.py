"""Schedules written out by hand: the same cluster, oracle and invariants, without chance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.replication import limits
from gossamer.simulation import Cluster, SimulatedNode

from .invariants import Invariants
from .oracle import Oracle
from .schedule import Outcome, Schedule


class Script(Schedule):
    """A cluster of ``count`` nodes; ``write`` records what it does, and every event is checked."""

    def __init__(self, count: int) -> None:
        self.outcome = Outcome(0, seen=Counter())
        self.rng = random.Random(0)
        self.cluster = Cluster(count, seed=0)
        self.founders = count
        self.oracle = Oracle()
        self.invariants = Invariants(self.oracle)
        self.cluster.after_event = self.invariants.check
        self.cluster.skew = dict.fromkeys(range(10), 0.0)
        self.forgotten = set()

    @property
    def nodes(self) -> list[SimulatedNode]:
        return self.cluster.nodes

    def do(self, node: SimulatedNode, *writes: tuple[Any, ...]) -> None:
        """One event: ``("counter:c", "add", 4)``, or several of them as one transaction."""
        self._commit(node, [make_op(path.of_text(text), method, args) for text, method, *args in writes])

    def settle(self) -> None:
        self.wait(1.0)  # empty nodes are equal before they have met
        self.cluster.settle()
        for node in self.alive():
            self.invariants.check(node)

    def wait(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    def cut(self, *groups: list[SimulatedNode]) -> None:
        self.cluster.partition(*groups)


@contextmanager
def script(count: int, **limited: Any) -> Iterator[Script]:
    """A script under other limits, which are as they were afterwards."""
    kept = {name: getattr(limits, name) for name in limited}
    try:
        for name, value in limited.items():
            setattr(limits, name, value)
        run = Script(count)
        with run.cluster:
            yield run
    finally:
        for name, value in kept.items():
            setattr(limits, name, value)
