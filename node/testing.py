"""For tests, your own and ours: a cluster of real nodes on a simulated network and clock."""

from collections.abc import Sequence
from typing import Protocol

from .limits import OP_WINDOW_S
from .simulation import CALM, Cluster, SimulatedNode, Weather


class ClusterFactory(Protocol):
    """What the fixture ``gossamer_cluster`` gives: a function that makes clusters, closed when the test is over."""

    def __call__(
        self,
        count: int = 3,
        *,
        seed: int | None = None,
        keyspaces: Sequence[str] = ("default",),
        op_window_s: float = OP_WINDOW_S,
    ) -> Cluster:
        """A cluster. Without a ``seed`` it has one of the test's own, which ``--gossamer-seed`` repeats."""


__all__ = ["CALM", "Cluster", "ClusterFactory", "SimulatedNode", "Weather"]
