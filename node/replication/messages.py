"""What two nodes say to each other: eleven messages, as msgpack arrays, numbered a link.

The question this answers: *are these bytes a message, and what does it say?* Decoding is typed and bounded, so
that hostile bytes cost at most a few times their own size. The number of a message counts up mod 128: a
repeated message is ignored and a gap ends the link, so the state machine sees an ordered prefix of what was
sent whatever the network does.
"""

from __future__ import annotations

import zlib
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from gossamer.crdt import MalformedError, Vector, vector

from . import limits

VERSION = 1
"""Of this protocol. A peer of another one is refused at hello."""
DIGEST_BYTES = 16
NUMBERS = 128
"""Message numbers; they fit one byte, and no window is near that long."""


class Hello(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """First on every link, both ways: who I am."""

    number: int
    version: int
    cluster: str
    name: str
    address: str
    replica: bytes
    fingerprint: bytes
    """Random, made when the directory was opened: two of them alive under one replica id are a clone."""
    wall: int = 0
    """My clock, in microseconds since 1970, when I said this; 0 if I do not say."""
    closed: bytes = b""
    """The name of my base: what I know of ids that are over for good."""


class Event(msgspec.Struct, array_like=True, frozen=True):
    """An event as one peer has it, for the one who made it to recognize."""

    seq: int
    grouped: bool
    """It is over several cells."""
    path: bytes
    """Hash of the path of a cell that it touched."""
    left: bytes
    """Hash of what it left there; empty if that is superseded."""


class Open(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """I host this keyspace, and this is what I have delivered. Keyspaces are numbered in the order of these."""

    number: int
    keyspace: str
    delivered: bytes
    horizon: bytes
    digest: bytes
    whole: bool
    resume: tuple[bytes, bytes] | None = None
    """Of an unfinished bootstrap: the replica id that was sending it, and the path reached."""
    yours: Event | None = None
    """Your newest event that I have, unless I have collected it."""


class Batch(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """Cells of some of my rows, from one snapshot; applied whole, in one transaction."""

    number: int
    keyspace: int
    gained: list[int] | bool
    """What my delivered vector gained since I last told it: every context here lies within the sum. True: the one
    event of mine that the one cell here shows, which is what most messages say."""
    claim: list[int] | bool
    """At the end of an exchange, what you have delivered now beside what the cells show; True: `gained`."""
    cells: list[bytes]
    """path, cell, path, cell, …"""
    replicas: bytes = b""
    """Replica ids, eight bytes each, that numbers from 2 up stand for; 0 is the sender, 1 the receiver."""
    groups: list[Annotated[list[int], Meta(min_length=3)]] = []
    """Events over several cells: ``[replica, seq, index of a cell here, …]``."""
    full: Full | None = None
    staged: int | None = None
    """Not None: this is part of a batch too large for one, to be kept and applied whole when the claim comes; 0 for its
    first part. ``groups`` then names those cells of an event that are here."""
    asked: bool = False
    """Cells of a Fetch, all that I have of them, and no part of an exchange: not acknowledged."""
    sliced: bool = False
    """Of a staged batch: the one cell here goes on in the next part."""


class Full(msgspec.Struct, array_like=True, frozen=True):
    """This batch is part of a full exchange: it holds *all* my cells with ``after < path <= upto``."""

    after: bytes
    upto: bytes | None
    """None: to the end of the keyspace."""
    horizon: bytes
    """In the first batch of an exchange, my horizon; empty in the others."""


class Ack(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """I have committed that many more of your batches; and what my vector gained.

    With none, while a full exchange is under way: I am here, so that a loss before this is noticed.
    """

    number: int
    keyspace: int
    replicas: bytes
    gained: list[int]
    batches: int
    whole: bool
    answer: int = 0
    """As in `Tell`."""


class Tell(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """What my vector gained, unasked, so that you need not forward it to me; now and then with my digest."""

    number: int
    keyspace: int
    replicas: bytes
    gained: list[int]
    digest: bytes = b""
    peers: Annotated[list[tuple[bytes, bytes]], Meta(max_length=vector.REPLICAS_MAX)] = []
    """Replica id -> vector: what others had at a moment whose whole state I include."""
    wall: int = 0
    """With a digest: my clock, as in hello."""
    closed: bytes = b""
    """The name of my base, if it is another one than I told before."""
    answer: int = 0
    """The number of your last question: what I tell is what I had after it. 0: there was none, or it is answered."""
    question: int = 0
    """To be repeated with your next news; with an odd one, say them at once. 0: no question."""
    alive: Annotated[list[tuple[bytes, int]], Meta(max_length=vector.REPLICAS_MAX)] = []
    """Replica id -> seconds since 1970 on its own clock: the last sign of life of members who may be no neighbours of yours."""


class Part(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """A slice of a message that is larger than one may be; the last one says so."""

    number: int
    data: bytes
    is_last: bool


class Ask(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """Send me a full exchange of this keyspace: our vectors are equal and our digests are not."""

    number: int
    keyspace: int


class Refuse(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """I will not talk to you, and why. ``code`` is one of `REFUSALS`."""

    number: int
    code: str
    reason: str


class Deflated(msgspec.Struct, array_like=True, frozen=True, tag=8):
    """A batch, deflated (RFC 1951, in the wrapping of RFC 1950): paths, stamps and frames of many cells are alike."""

    number: int
    size: int
    """Bytes of the batch's message once inflated; checked before and after."""
    data: bytes


class Want(msgspec.Struct, array_like=True, frozen=True, tag=9):
    """A spend here lacks so many rights of a bounded counter: transfer to me what you can spare of them."""

    number: int
    keyspace: int
    path: bytes
    amount: int


class Fetch(msgspec.Struct, array_like=True, frozen=True, tag=10):
    """These cells are damaged here: send me what you have at their paths, even if it is nothing."""

    number: int
    keyspace: int
    paths: Annotated[list[bytes], Meta(max_length=limits.FETCH_PATHS_MAX)]


REFUSALS = ("version", "cluster", "clone", "forgotten", "rollback", "name")

Message: TypeAlias = Hello | Open | Batch | Ack | Tell | Part | Ask | Refuse | Deflated | Want | Fetch

_DEFLATE_LEVEL = 1
"""Level 9 is no smaller on cells, and takes several times as long."""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


_REST: dict[type, tuple[int, tuple[object, ...]]] = {
    Batch: (2, (b"", [], None, None, False, False)),
    Ack: (3, (0,)),
    Tell: (4, (b"", [], 0, b"", 0, 0)),
}
"""Tags, and defaults of the last fields. They are left out: in a message about one small cell they are a tenth of it."""


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    if type(message) not in _REST:
        return _ENCODER.encode(message)
    tag, rest = _REST[type(message)]
    fields = [tag, *msgspec.structs.astuple(message)]
    for default in reversed(rest):
        if fields[-1] != default:
            break
        del fields[-1]
    return _ENCODER.encode(fields)


def deflate(batch: Batch, encoded: bytes) -> Deflated | None:
    """A batch in fewer bytes; None if it is too short for that, or random throughout."""
    if len(encoded) < limits.DEFLATE_BYTES_MIN:
        return None
    data = zlib.compress(encoded, _DEFLATE_LEVEL)
    return Deflated(batch.number, len(encoded), data) if len(data) + 16 < len(encoded) else None


def inflate(message: Deflated) -> Batch:
    """The batch of `deflate`. `MalformedError` for anything else, after at most ``size`` bytes of work."""
    if not 0 < message.size <= limits.PARTS_BYTES_MAX:
        raise MalformedError(f"deflated: {message.size} bytes, at most {limits.PARTS_BYTES_MAX} are possible")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(message.data, message.size)
    except zlib.error as error:
        raise MalformedError(f"deflated: {error}") from None
    if len(data) != message.size or not inflater.eof or inflater.unused_data:
        raise MalformedError("deflated: not as long as it says")
    batch = decode(data)
    if not isinstance(batch, Batch):
        raise MalformedError("deflated: only a batch may be")
    return batch


def decode(data: bytes) -> Message:
    """The message of bytes from a peer. `MalformedError` for any others."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedError(f"message: {error}") from None


def plain(message: Message) -> Message:
    """The message itself, or the batch that was deflated in it."""
    return inflate(message) if isinstance(message, Deflated) else message


class Numbering:
    """Replica ids as small numbers within one message: the sender is 0, the receiver 1."""

    def __init__(self, sender: bytes, receiver: bytes) -> None:
        self._numbers = {sender: 0, receiver: 1}
        self._ids: list[bytes] = []

    def number(self, replica: bytes) -> int:
        """The number of a replica id, a new one if it has none yet."""
        found = self._numbers.get(replica)
        if found is None:
            found = self._numbers[replica] = 2 + len(self._ids)
            self._ids.append(replica)
        return found

    def table(self) -> bytes:
        """What `replica_ids` needs to read the numbers."""
        return b"".join(self._ids)

    def flat(self, vector_: Vector) -> list[int]:
        """A vector as ``[replica, steps, step, …]``, small numbers all."""
        out: list[int] = []
        for replica in vector_.replicas():
            at = 0
            bounds = vector_.intervals(replica)
            out += (self.number(replica), len(bounds))
            for bound in bounds:
                out.append(bound - at)
                at = bound
        return out


def replica_ids(sender: bytes, receiver: bytes, table: bytes) -> list[bytes]:
    """The replica ids that a message's numbers stand for. `MalformedError` unless they are distinct."""
    if not table and sender != receiver:
        return [sender, receiver]
    size = vector.REPLICA_BYTES
    if len(table) % size or len(table) > size * vector.REPLICAS_MAX:
        raise MalformedError("replicas: not a table of ids")
    ids = [sender, receiver, *(table[at : at + size] for at in range(0, len(table), size))]
    if len(set(ids)) != len(ids):
        raise MalformedError("replicas: an id is there twice")
    return ids


def of_flat(flat: list[int], ids: list[bytes]) -> Vector:
    """The vector of `Numbering.flat`. `MalformedError` for anything else."""
    items: list[bytes | list[int]] = []
    at = 0
    while at < len(flat):
        if len(items) > 2 * vector.REPLICAS_MAX:
            raise MalformedError(f"vector: more than {vector.REPLICAS_MAX} replicas")
        steps = flat[at + 2 : at + 2 + flat[at + 1]] if at + 1 < len(flat) else []
        if not 0 <= flat[at] < len(ids) or not steps or len(steps) != flat[at + 1]:
            raise MalformedError("vector: a replica or its intervals are missing")
        items += (ids[flat[at]], steps)
        at += 2 + len(steps)
    return Vector.of_flat(items)
