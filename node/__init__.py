"""Gossamer: a replicated data store embedded in Python services.

::

    with gossamer.open("data", listen="127.0.0.1:7400", peers=["127.0.0.1:7401"]) as node:
        node.map("cart:42").counter("items").add(3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    Closed,
    Conflicted,
    Damaged,
    DirectoryInUse,
    DirectoryUnusable,
    GossamerError,
    InsufficientRights,
    LimitExceeded,
    ListenError,
    NotReady,
    OutcomeUnknown,
    Refused,
    RemoteError,
    StateError,
    StoreError,
    StoreFailed,
    StoreFull,
    Unreachable,
    VersionMismatch,
)
from .handles import Keyspace, Transaction
from .limits import LinkTiming
from .node import Node, aopen, open

if TYPE_CHECKING:
    from .rpc import Client

__all__ = [
    "Closed",
    "Conflicted",
    "Damaged",
    "DirectoryInUse",
    "DirectoryUnusable",
    "GossamerError",
    "InsufficientRights",
    "Keyspace",
    "LimitExceeded",
    "LinkTiming",
    "ListenError",
    "Node",
    "NotReady",
    "OutcomeUnknown",
    "Refused",
    "RemoteError",
    "StateError",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "Transaction",
    "Unreachable",
    "VersionMismatch",
    "aopen",
    "connect",
    "open",
]


def connect(target: str, timeout: float = 5.0) -> Client:
    """A client of the node at ``target``, ``host:port``, with a node's handles.

    Each call waits up to ``timeout`` seconds. The connection is made by the first one.
    """
    from . import rpc  # grpc takes longer to import than all the rest

    return rpc.connect(target, timeout)
