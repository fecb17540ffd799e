"""How replicas reach each other over gRPC, and clients reach a node."""

from .client import Client, connect
from .shell import Shell

__all__ = ["Client", "Shell", "connect"]
