"""The LMDB store: cells, the changes index, the vector and the digest, all in one transaction."""

from .keyspace import Draft, State, View
from .store import Store

__all__ = ["Draft", "State", "Store", "View"]
