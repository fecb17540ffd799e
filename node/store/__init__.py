"""The LMDB store: cells, the changes index, the vector and the digest, all in one transaction; and its directory."""

from .directory import Directory
from .draft import Draft
from .operations import is_pending
from .store import Store
from .view import View

__all__ = ["Directory", "Draft", "Store", "View", "is_pending"]
