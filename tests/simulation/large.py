"""Random schedules of what is too large for one batch: chains of transactions, and cells that go in slices.

The limits are so small that a few writes are large. Many transactions hang together through shared cells, nodes join and
come back from removal, so that full exchanges meet them; and each part of a journal is a commit of its own.
"""

from __future__ import annotations

from gossamer.replication import limits
from gossamer.simulation import SimulatedNode

from .invariants import KEYSPACE
from .schedule import Action, Outcome, Schedule


class Large(Schedule):
    """The same writes and faults, and larger than ever."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.cluster.after_event = self._check

    def work(self) -> list[Action]:
        return [(self.write, 8), (self.transact, 12), (self.join, 2), (self.remove_member, 2)]

    def run(self) -> Outcome:
        drawn = {
            "SLICE_BYTES": self.rng.choice((30, 60, 1024 * 1024)),
            "APPLY_BYTES": self.rng.choice((1, 300)),
        }
        kept = {name: getattr(limits, name) for name in drawn}
        try:
            for name, value in drawn.items():
                setattr(limits, name, value)
            return super().run()
        finally:
            for name, value in kept.items():
                setattr(limits, name, value)

    def _check(self, node: SimulatedNode) -> None:
        self.invariants.check(node)
        if node.core.state(KEYSPACE).is_applying:
            self.outcome.count("applying a journal")
        for link in node.core.engine.links.values():
            shared = link.shared.get(KEYSPACE)
            if shared is not None and shared.exchange is not None and shared.exchange.sliced:
                self.outcome.count("sending slices")
