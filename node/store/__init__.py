"""The LMDB store: cells, the changes index, the vector and the digest, all in one transaction; and its directory."""

from .directory import Directory
from .keyspace import Draft, View
from .operations import is_pending
from .store import Store

__all__ = ["Directory", "Draft", "Store", "View", "is_pending"]
