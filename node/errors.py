"""Every error that Gossamer raises of its own, as one tree.

::

    GossamerError
    ├── StoreError                the directory, or the disk under it
    │   ├── DirectoryInUse        another process, or another node here, has it open
    │   ├── DirectoryUnusable     foreign, damaged, of another format, read-only, on a network file system
    │   ├── StoreFull             no space: the write was refused, reads go on
    │   ├── StoreFailed           the disk failed a write: nothing more is written until it is opened anew
    │   └── Damaged               a cell's checksum is wrong: corrupt is not absent
    ├── StateError                the node cannot do this now
    │   ├── NotReady              its first bootstrap is under way
    │   ├── InsufficientRights    fewer rights of a bounded counter are here than were to be spent
    │   ├── Closed                it is closed, or not opened yet, or this is a forked child
    │   ├── VersionMismatch       it was written since it was read: the conditional write wrote nothing
    │   ├── CursorExpired         the change feed does not reach to where a reader was: begin with a snapshot
    │   ├── SubscriptionInUse     somebody else follows under this name now
    │   ├── WaitTimeout           what was waited for did not come in time (a TimeoutError as well)
    │   ├── TooStale              its state may be older than the reader allows
    │   ├── Leaving               the node leaves the cluster, or has left it: write on another one
    │   ├── ReadOnly              the node only reads this keyspace: write on another one
    │   ├── OnlyCopy              a keyspace is not dropped while nobody else has all of it
    │   └── Quarantined           two payloads under one dot: some identity was used twice
    ├── ResolverFailed            a resolver raised, or returned what is no value: nothing is read
    ├── DocumentError             a typed document, and what is given to it or stored in it, do not agree
    │   ├── InvalidValue          a value that its field does not take: nothing was written (a ValueError as well)
    │   ├── UnfitData             what is stored does not fit the field: another build or an untyped write
    │   ├── FieldUnset            nothing is stored, and the field has no default
    │   └── SchemaMismatch        the class would read what was stored under it wrongly
    ├── OperationExpired          the window of its op_id is over: whether it was done is not known any more
    ├── LimitExceeded             a transaction beyond its limits (a ValueError as well)
    ├── ListenError               the address to listen on is taken or wrong
    └── RemoteError               a remote node, over `connect`
        ├── Unreachable           nothing was sent, or a read: safe to try again
        ├── OutcomeUnknown        a write was sent and no answer came: it may stand or not
        ├── Denied                the client's access key may not do this
        └── Refused               the node answered with an error that has no class here

A wrong argument is a `TypeError` or `ValueError` that names it, and nothing is written. What a peer does
wrong is a `ProtocolError` inside the node: it ends the link to that peer and never reaches a caller.
"""

from __future__ import annotations


class GossamerError(Exception):
    """Base of every error that Gossamer raises of its own."""


class StoreError(GossamerError):
    """The directory, or the disk under it."""


class DirectoryInUse(StoreError):
    """Another process, or another node in this one, has the directory open."""


class DirectoryUnusable(StoreError):
    """The directory is foreign, damaged, of another format, read-only, or on a network file system."""


class StoreFull(StoreError):
    """There is no space: the write was refused and nothing of it stands; reads go on."""


class StoreFailed(StoreError):
    """The disk failed a write; nothing more is written until the directory is opened anew."""


class Damaged(StoreError):
    """A cell's checksum is wrong. It is not absent: reads and writes of it fail until it is replaced."""


class StateError(GossamerError):
    """The node cannot do this now."""


class NotReady(StateError):
    """The node's first bootstrap is under way; it has nothing to read yet."""


class InsufficientRights(StateError):
    """More of a bounded counter was to be spent or transferred than this node has the rights to.

    Nothing was written. ``available`` is what could have been spent; others may hold the rest.
    """

    def __init__(self, message: str, available: int = 0) -> None:
        super().__init__(message)
        self.available = available


class ReadOnly(StateError):
    """This node only reads the keyspace. Nothing was written."""


class Leaving(StateError):
    """This node leaves the cluster, or has left it, and takes no writes. Nothing was written."""


class OnlyCopy(StateError):
    """A keyspace was not dropped, or the node has not left: it holds events that no other host is known to have."""


class Closed(StateError):
    """The node is closed, was not opened yet, or belongs to the parent of this forked process."""


class VersionMismatch(StateError):
    """It was written since it was read, so the conditional write wrote nothing: read again, and decide again."""


class CursorExpired(StateError):
    """The change feed does not reach to the cursor: too old, or of another directory. Begin with a snapshot."""


class SubscriptionInUse(StateError):
    """A subscription has one consumer at a time, and it has one."""


class WaitTimeout(StateError, TimeoutError):
    """What was waited for did not come in time. The message says what is known: who has it, and who does not."""


class TooStale(StateError):
    """The node's state may be older than the reader allows: a member has not been heard for that long."""


class Quarantined(StateError):
    """Two payloads were found under one dot, so some replica id was used twice. ``values`` has both."""

    def __init__(self, message: str, values: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.values = values


class ResolverFailed(GossamerError):
    """A resolver raised, or returned what is no value; siblings can be read and the register written."""


class DocumentError(GossamerError):
    """A typed document, and what is given to it or stored in it, do not agree."""


class InvalidValue(DocumentError, ValueError):
    """A value that its field does not take; nothing was written."""


class UnfitData(DocumentError):
    """What is stored does not fit the field: another build wrote it, or an untyped handle."""


class FieldUnset(DocumentError):
    """Nothing is stored for a field that has no default."""


class SchemaMismatch(DocumentError):
    """A document class would read what was stored under it wrongly."""


class LimitExceeded(GossamerError, ValueError):
    """A transaction with more cells or bytes than one may hold; nothing of it was written."""


class OperationExpired(GossamerError):
    """The window of the write's ``op_id`` is over, so whether it was done is not known; nothing was written now."""


class AnotherNode(GossamerError):
    """An attempt that was meant for another replica id; nothing was written. Never reaches a caller."""

    def __init__(self, replica: bytes) -> None:
        super().__init__(f"this is replica {replica.hex()}")
        self.replica = replica


class ListenError(GossamerError):
    """The address to listen on is taken, or not one of this machine's."""


class RemoteError(GossamerError):
    """A remote node, over `connect`."""


class Unreachable(RemoteError):
    """Nothing was written there: the node could not be reached, or a read got no answer in time."""


class OutcomeUnknown(RemoteError):
    """A write was sent and no answer came: it may stand or not. With an ``op_id`` it is safe to write it again."""


class Denied(RemoteError):
    """The client's access key is not known to the node, or may not do this. Nothing was done."""


class Refused(RemoteError):
    """The node answered with an error that has no class here."""


class ProtocolError(GossamerError):
    """A peer sent what it must not. Ends the link; never reaches a caller."""
