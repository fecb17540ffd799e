"""For tests, your own and ours: a cluster of real nodes on a simulated network and clock."""

from .simulation import CALM, Cluster, SimulatedNode, Weather

__all__ = ["CALM", "Cluster", "SimulatedNode", "Weather"]
