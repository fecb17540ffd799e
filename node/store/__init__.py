"""The LMDB store: cells, the changes index, the vector and the digest, all in one transaction."""

from .keyspace import Draft, View
from .store import Store

__all__ = ["Draft", "Store", "View"]
