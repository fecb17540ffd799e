"""The log of changes that a keyspace keeps while somebody follows it: its records on disk.

The question this answers: *what did a reader of this node see change, and in which order?* The log is written in the
transaction that changes the cells, so it says neither more nor less than they do. ::

    <keyspace>/feed   position (8 bytes, big endian) -> CRC-32 of the position and the record, the record
    record            [wall time of the commit, path, cell before, cell after, dots that the cells do not name]   msgpack; b"" is no cell
    <keyspace>/meta   feed -> FeedState                  subscription:NAME -> Subscribed

Positions count up from 1 and never start over, even if the log is dropped and begun anew.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import lmdb
import msgspec

from ..errors import Damaged

FEED, SUBSCRIPTION = b"feed", b"subscription:"
_CHECKSUM_BYTES = 4


class FeedState(msgspec.Struct, frozen=True, array_like=True):
    """The log as a whole, as of one commit."""

    is_on: bool = False
    first: int = 1
    """No position below is in the log any more."""
    next: int = 1
    """The position that the next change gets."""
    size: int = 0
    """Bytes of its records."""
    used_at: int = 0
    """Microseconds since 1970: when somebody is known to have followed it last."""


class Logged(msgspec.Struct, frozen=True, array_like=True):
    """One change of one cell by one commit."""

    wall: int
    path: bytes
    old: bytes
    new: bytes
    dots: tuple[tuple[bytes, int], ...] = ()
    """Writes that the cells do not name: a counter's additions with an ``op_id``."""


class Place(NamedTuple):
    """How far a reader has come: everything up to a position and, in a snapshot, up to a path."""

    position: int
    reached: bytes | None = None
    """Of a snapshot under way: the path that it has come to. None: it is done, or there is none."""

    @property
    def order(self) -> tuple[bool, int, bytes]:
        """What makes a later place the greater one, along one reader's way."""
        return self.reached is None, self.position, self.reached or b""


AT_END = -1
"""As a position: the end of the log at the moment of the first read."""


class Subscribed(msgspec.Struct, frozen=True, array_like=True):
    """A named subscription as it is remembered: what it follows, and how far it was acknowledged."""

    prefix: str
    inside: bytes
    position: int
    reached: bytes | None
    acked_at: int
    """Microseconds since 1970; when it was made, if nothing was acknowledged yet."""

    @property
    def place(self) -> Place:
        """How far it was acknowledged."""
        return Place(self.position, self.reached)


def key(position: int) -> bytes:
    """The key of a position; sorts as it does."""
    return position.to_bytes(8, "big")


def pack(position: int, logged: Logged) -> bytes:
    """The stored bytes of a record."""
    fields = (logged.wall, logged.path, logged.old, logged.new)
    body = msgspec.msgpack.encode((*fields, logged.dots) if logged.dots else fields)
    return _checksum(position, body) + body


_LOGGED = msgspec.msgpack.Decoder(Logged)


def unpack(position: int, stored: bytes) -> Logged:
    """The record of stored bytes. `Damaged` if they are not what was written at this position."""
    body = stored[_CHECKSUM_BYTES:]
    if _checksum(position, body) != stored[:_CHECKSUM_BYTES]:
        raise Damaged(f"feed: the record at position {position} has a wrong checksum")
    try:
        return _LOGGED.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Damaged(f"feed: the record at position {position}: {error}") from None


def _checksum(position: int, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(key(position))).to_bytes(_CHECKSUM_BYTES, "big")


_STATE = msgspec.msgpack.Decoder(FeedState)
_SUBSCRIBED = msgspec.msgpack.Decoder(Subscribed)


def load_state(txn: lmdb.Transaction[bytes], meta: Any) -> FeedState:
    """The log's state in a transaction."""
    raw = txn.get(FEED, db=meta)
    return FeedState() if raw is None else _STATE.decode(raw)


def load_subscription(txn: lmdb.Transaction[bytes], meta: Any, name: str) -> Subscribed | None:
    """A subscription by its name."""
    raw = txn.get(SUBSCRIPTION + name.encode(), db=meta)
    return None if raw is None else _SUBSCRIBED.decode(raw)


def load_subscriptions(txn: lmdb.Transaction[bytes], meta: Any) -> dict[str, Subscribed]:
    """Every subscription, by name."""
    found: dict[str, Subscribed] = {}
    cursor = txn.cursor(db=meta)
    more = cursor.set_range(SUBSCRIPTION)
    while more and cursor.key().startswith(SUBSCRIPTION):
        found[cursor.key()[len(SUBSCRIPTION) :].decode()] = _SUBSCRIBED.decode(cursor.value())
        more = cursor.next()
    return found
