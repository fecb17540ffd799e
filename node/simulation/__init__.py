"""Real nodes on a simulated network and clock."""

from .cluster import Cluster
from .network import CALM, Weather
from .node import SimulatedNode

__all__ = ["CALM", "Cluster", "SimulatedNode", "Weather"]
