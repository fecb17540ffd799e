"""The byte format of a cell, version 1: msgpack, in normal form, so that equal cells are equal bytes.

::

    cell   [live] or [live, dead]                each list sorted by replica
    live   [replica, seq, payload]               or […, generation] or […, generation, [rival payload, …]]
    dead   [replica, seq]                        or […, generation, floor]

A replica is 8 bytes, or, inside a message, its number in the message's table of replicas. Payload bytes are
opaque here: they are checked by the type that wrote them and copied from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec

from .cell import Cell, Dead, Entry
from .errors import MalformedError
from .values import PAYLOAD_BYTES_MAX
from .vector import REPLICA_BYTES, SEQ_MAX

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Cell)


def encode(cell: Cell) -> bytes:
    """The bytes of a cell as they are stored."""
    if not cell.dead and len(cell.live) == 1 and not cell.live[0].generation and not cell.live[0].others:
        entry = cell.live[0]
        return _ENCODER.encode((((entry.replica, entry.seq, entry.payload),),))  # the same, in half the time
    return _ENCODER.encode(shape(cell, None))


def decode(data: bytes) -> Cell:
    """A cell from bytes that ``encode`` gave: for the store, whose checksum has vouched for them."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise MalformedError(f"cell: {error}") from None


def shape(cell: Cell, number: Callable[[bytes], int] | None) -> list[Any]:
    """A cell as plain lists, its replicas numbered by ``number`` if given."""
    live: list[Any] = []
    for e in cell.live:
        replica = e.replica if number is None else number(e.replica)
        if e.others:
            live.append((replica, e.seq, e.payload, e.generation, e.others))
        elif e.generation:
            live.append((replica, e.seq, e.payload, e.generation))
        else:
            live.append((replica, e.seq, e.payload))
    if not cell.dead:
        return [live]
    dead: list[Any] = []
    for d in cell.dead:
        replica = d.replica if number is None else number(d.replica)
        dead.append((replica, d.seq, d.generation, d.floor) if d.generation else (replica, d.seq))
    return [live, dead]


def of_shape(shaped: object, replica_of: Callable[[object], bytes]) -> Cell:
    """A cell from a peer's lists, checked in every part. `MalformedError` names the part."""
    if not isinstance(shaped, list) or len(shaped) not in (1, 2):
        raise MalformedError("cell: not a list of live and dead")
    if len(shaped) == 1 and len(_list(shaped[0], "live")) == 1:
        return Cell((_entry(shaped[0][0], replica_of),))  # most cells: there is no order to check
    live = tuple(_entry(item, replica_of) for item in _list(shaped[0], "live"))
    dead = tuple(_dead(item, replica_of) for item in (_list(shaped[1], "dead") if len(shaped) == 2 else ()))
    _ascending([e.replica for e in live], "live")
    _ascending([d.replica for d in dead], "dead")
    entries = {e.replica: e for e in live}
    for d in dead:
        entry = entries.get(d.replica)
        if entry is not None and not (
            d.seq < entry.seq and d.generation and d.generation == entry.generation
        ):
            raise MalformedError("cell: dead context that a live entry of the same replica rules out")
    return Cell(live, dead)


def by_eight_bytes(replica: object) -> bytes:
    """The ``replica_of`` for cells that spell their replicas out."""
    if not isinstance(replica, bytes) or len(replica) != REPLICA_BYTES:
        raise MalformedError("cell: a replica is not eight bytes")
    return replica


def _list(item: object, what: str) -> list[Any]:
    if not isinstance(item, list):
        raise MalformedError(f"cell: {what} is not a list")
    return item


def _ascending(replicas: list[bytes], what: str) -> None:
    if any(a >= b for a, b in pairwise(replicas)):
        raise MalformedError(f"cell: {what} is not sorted by replica")


def _seq(item: object, least: int = 1) -> int:
    if type(item) is not int or not least <= item <= SEQ_MAX:
        raise MalformedError("cell: a seq or generation is out of range")
    return item


def _payload(item: object) -> bytes:
    if not isinstance(item, bytes) or len(item) > PAYLOAD_BYTES_MAX:
        raise MalformedError(f"cell: a payload is not bytes, or more than {PAYLOAD_BYTES_MAX} of them")
    return item


def _entry(item: object, replica_of: Callable[[object], bytes]) -> Entry:
    fields = _list(item, "an entry")
    if len(fields) not in (3, 4, 5):
        raise MalformedError("cell: an entry has not three to five fields")
    if len(fields) == 3:
        return Entry(replica_of(fields[0]), _seq(fields[1]), _payload(fields[2]))
    generation = _seq(fields[3], 0)
    if (len(fields) == 4 and not generation) or generation > _seq(fields[1]):
        raise MalformedError("cell: an entry's generation is out of range")
    others = tuple(_payload(other) for other in _list(fields[4], "rivals")) if len(fields) == 5 else ()
    if len(fields) == 5 and (not others or list(others) != sorted(set(others))):
        raise MalformedError("cell: an entry's rivals are not a sorted list")
    return Entry(replica_of(fields[0]), _seq(fields[1]), _payload(fields[2]), generation, others)


def _dead(item: object, replica_of: Callable[[object], bytes]) -> Dead:
    fields = _list(item, "dead context")
    if len(fields) not in (2, 4):
        raise MalformedError("cell: dead context has not two or four fields")
    seq = _seq(fields[1])
    if len(fields) == 2:
        return Dead(replica_of(fields[0]), seq)
    generation = _seq(fields[2])
    if generation > seq:
        raise MalformedError("cell: a floor's generation is out of range")
    return Dead(replica_of(fields[0]), seq, generation, _payload(fields[3]))
