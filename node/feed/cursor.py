"""A reader's place as a string that he may keep anywhere and come back with.

Whose cursor is it? It names the keyspace and the replica id of the node. A replica id is random and made anew on any
doubt about the directory, and positions never start over under one id, so a cursor from before a restore, or from
another node, is told from one that is good. In the middle of a snapshot it also names what is followed.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from ..errors import CursorExpired
from ..store.feed import Place
from ..store.feedpage import ADVICE
from .scope import Scope

_VERSION = 1


def encode(keyspace: str, replica: bytes, place: Place, scope: Scope) -> str:
    """The cursor of a place."""
    fields: list[Any] = [_VERSION, keyspace, replica, place.position]
    if place.reached is not None:
        fields += [place.reached, scope.text, scope.inside]
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(fields)).rstrip(b"=").decode()


def decode(cursor: str, keyspace: str, replica: bytes, scope: Scope) -> Place:
    """The place of a cursor. `ValueError` if it is not of this keyspace, `CursorExpired` if not of this replica."""
    fields = parts(cursor)
    name, of, position = fields[1:4]
    if name != keyspace:
        raise ValueError(f"since: a cursor of keyspace {name!r}, not of {keyspace!r}")
    if of != replica:
        raise CursorExpired(
            f"since: a cursor of replica {of.hex()}, and this is {replica.hex()}: another node, or this one "
            f"before it took a new id; {ADVICE}"
        )
    if len(fields) == 4:
        return Place(position)
    if (fields[5], fields[6]) != (scope.text, scope.inside):
        raise ValueError(
            f"since: a cursor from within the snapshot of the prefix {fields[5]!r}, not of this one"
        )
    return Place(position, fields[4])


def parts(cursor: str) -> list[Any]:
    """Version, keyspace, replica, position, and within a snapshot what it has reached and follows."""
    if not isinstance(cursor, str):
        raise TypeError(f"since: a cursor, which is a str, is wanted, not {type(cursor).__name__}")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        fields = msgspec.msgpack.decode(raw)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        fields = None
    if not isinstance(fields, list) or [type(field) for field in fields] not in _SHAPES:
        raise ValueError(f"since: {cursor[:40]!r} is not a cursor")
    if fields[0] != _VERSION or fields[3] < 0:
        raise ValueError(f"since: {cursor[:40]!r} is not a cursor that this build knows")
    return fields


_SHAPES: list[list[type]] = [[int, str, bytes, int], [int, str, bytes, int, bytes, str, bytes]]
