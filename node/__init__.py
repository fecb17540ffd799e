"""Gossamer: a replicated data store embedded in Python services.

::

    with gossamer.open("data", listen="127.0.0.1:7400", peers=["127.0.0.1:7401"]) as node:
        node.map("cart:42").counter("items").add(3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .documents import Document, MapOf, field
from .errors import (
    Closed,
    CursorExpired,
    Damaged,
    Denied,
    DirectoryInUse,
    DirectoryUnusable,
    DocumentError,
    FieldUnset,
    GossamerError,
    InsufficientRights,
    InvalidValue,
    Leaving,
    LimitExceeded,
    ListenError,
    NotReady,
    OnlyCopy,
    OperationExpired,
    OutcomeUnknown,
    Quarantined,
    ReadOnly,
    Refused,
    RemoteError,
    ResolverFailed,
    SchemaMismatch,
    StateError,
    StoreError,
    StoreFailed,
    StoreFull,
    SubscriptionInUse,
    TooStale,
    UnfitData,
    Unreachable,
    VersionMismatch,
    WaitTimeout,
)
from .feed import AsyncWatch, Change, Subscription, Watch
from .handles import (
    BoundedCounter,
    Conflict,
    Counter,
    Flag,
    Keyspace,
    Map,
    MaxRegister,
    MinRegister,
    MVRegister,
    Reading,
    Register,
    Set,
    Transaction,
)
from .limits import LinkTiming
from .node import Node, aopen, open
from .op_id import new_op_id
from .tls import TLS

if TYPE_CHECKING:
    from .rpc import Client

__all__ = [
    "TLS",
    "AsyncWatch",
    "BoundedCounter",
    "Change",
    "Client",
    "Closed",
    "Conflict",
    "Counter",
    "CursorExpired",
    "Damaged",
    "Denied",
    "DirectoryInUse",
    "DirectoryUnusable",
    "Document",
    "DocumentError",
    "FieldUnset",
    "Flag",
    "GossamerError",
    "InsufficientRights",
    "InvalidValue",
    "Keyspace",
    "Leaving",
    "LimitExceeded",
    "LinkTiming",
    "ListenError",
    "MVRegister",
    "Map",
    "MapOf",
    "MaxRegister",
    "MinRegister",
    "Node",
    "NotReady",
    "OnlyCopy",
    "OperationExpired",
    "OutcomeUnknown",
    "Quarantined",
    "ReadOnly",
    "Reading",
    "Refused",
    "Register",
    "RemoteError",
    "ResolverFailed",
    "SchemaMismatch",
    "Set",
    "StateError",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "Subscription",
    "SubscriptionInUse",
    "TooStale",
    "Transaction",
    "UnfitData",
    "Unreachable",
    "VersionMismatch",
    "WaitTimeout",
    "Watch",
    "aopen",
    "connect",
    "field",
    "new_op_id",
    "open",
]


def connect(
    target: str, timeout: float = 5.0, tls: TLS | dict[str, Any] | None = None, access_key: str | None = None
) -> Client:
    """A client of the node at ``target``, ``host:port``, with a node's handles.

    Each call waits up to ``timeout`` seconds. The connection is made by the first one. ``tls`` says where the client's
    certificate is, for a node that has one; ``access_key`` is for one that wants to see it.
    """
    from . import rpc  # grpc takes longer to import than all the rest

    return rpc.connect(target, timeout, tls, access_key)


def __getattr__(name: str) -> Any:
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import rpc  # as above

    return rpc.Client
