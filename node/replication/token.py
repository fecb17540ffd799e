"""Tokens: what a node has delivered in one keyspace, as a string that fits a header.

The question this answers: *has this node everything that the token's node had?* Another node answers it by its own
vector. A token is base64url without padding, of::

    version (1) | replica bytes p, +128 if something is left out (1) | place (4)
    check of the ids (4), if p < 8 | check of the members (8), if something is left out
    replica's first p bytes | interval count and how they begin | steps …      for each replica, in order

A vector that is too long is said in fewer bytes, in two steps:

- replica ids by their first bytes, as many as tell those that are known apart. A reader may know another replica that
  begins alike and not know the one that is meant, so a check over the whole ids is there to be met;
- without the replicas all of whose events every member has. That says something only to those very members, so the
  reader must count the same members as the writer did, itself among them: a check over their ids is there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise, product

from gossamer.crdt import Vector, vector

from . import limits

VERSION = 1
_PLACE, _IDS, _MEMBERS = 4, 4, 8
"""Bytes of the checks: a mistaken place, ids that begin alike, and members, which are trusted with data."""
_PREFIX_MIN = 2
"""Bytes of a replica id at the least; fewer save little."""
_LEFT_OUT = 0x80
_GUESSES_MAX = 256
"""Combinations of ids that are tried where several begin alike; beyond, the token counts as not covered."""


@dataclass
class Token:
    """A token, taken apart."""

    prefixes: tuple[bytes, ...]
    intervals: tuple[vector.Intervals, ...]
    ids: bytes
    """Check over the whole replica ids, if ``prefixes`` are not whole."""
    members: bytes
    """Check over the members all of whom have what is left out; empty if nothing is."""
    _whole: Vector | None = None

    def vector(self, known: Iterable[bytes]) -> Vector | None:
        """The events it names, among the replica ids that are known here; None if an id is not."""
        if self._whole is None:
            replicas = self._resolved(known) if self.ids else self.prefixes
            if replicas is not None:
                self._whole = Vector(dict(zip(replicas, self.intervals, strict=True)))
        return self._whole

    def _resolved(self, known: Iterable[bytes]) -> tuple[bytes, ...] | None:
        if not self.prefixes:
            return ()
        alike: dict[bytes, list[bytes]] = {prefix: [] for prefix in self.prefixes}
        for replica in sorted(known):
            alike.get(replica[: len(self.prefixes[0])], []).append(replica)
        guesses = islice(product(*alike.values()), _GUESSES_MAX)
        return next((guess for guess in guesses if _hash(guess, _IDS) == self.ids), None)

    def lacks(self, has: Vector, known: Iterable[bytes], counted: Collection[bytes]) -> str | None:
        """What a replica with the vector ``has``, one of the ``counted``, lacks of it; None: nothing."""
        if self.members and self.members != _members(counted):
            return "the token leaves out what all members had, and the members are not the same any more"
        wanted = self.vector(known)
        if wanted is None:
            return "events of a replica that is not known here"
        missing = wanted.minus(has)
        return f"{missing.count()} events ({missing!s:.200})" if missing else None


def encode(
    delivered: Vector,
    cluster: str,
    keyspace: str,
    known: Iterable[bytes] = (),
    spare: tuple[Vector, Collection[bytes]] | None = None,
) -> str | None:
    """The token of a vector; None if it does not fit.

    ``known`` are further replica ids, to be told apart from. ``spare`` are the events that all members have, and the
    members, the writer among them: the replicas that it covers may be left out.
    """
    kept, members = delivered, b""
    if spare is not None:
        stable, counted = spare
        unstable = delivered.minus(stable)
        kept = Vector({r: delivered.intervals(r) for r in unstable.replicas()})
        members = _members(counted)
    for size in dict.fromkeys((vector.REPLICA_BYTES, _apart({*kept.replicas(), *known}))):
        raw = _pack(kept, place(cluster, keyspace), size, members)
        if _length(raw) <= limits.TOKEN_CHARS_MAX:
            return _text(raw)
    return None


def decode(text: str, cluster: str, keyspace: str) -> Token:
    """The token of `encode`. `TypeError` or `ValueError` for anything else, or one of another place."""
    raw = _bytes(text)
    if len(raw) < 2 + _PLACE or raw[0] != VERSION:
        raise ValueError("token: not one of this version")
    size, rest = raw[1] & ~_LEFT_OUT, _Reader(raw, 2)
    if not _PREFIX_MIN <= size <= vector.REPLICA_BYTES:
        raise ValueError("token: not a token")
    if rest.take(_PLACE) != place(cluster, keyspace):
        raise ValueError(f"token: of another keyspace than {keyspace!r}, or of another cluster")
    ids = rest.take(_IDS) if size < vector.REPLICA_BYTES else b""
    members = rest.take(_MEMBERS) if raw[1] & _LEFT_OUT else b""
    entries = list(_entries(rest, size))
    prefixes = tuple(prefix for prefix, _ in entries)
    if any(a >= b for a, b in pairwise(prefixes)):
        raise ValueError("token: its replicas are not in order")
    return Token(prefixes, tuple(intervals for _, intervals in entries), ids, members)


def place(cluster: str, keyspace: str) -> bytes:
    """A check that a token is of this cluster and keyspace."""
    return _hash((cluster.encode(), keyspace.encode()), _PLACE)


def _members(ids: Collection[bytes]) -> bytes:
    return _hash(sorted(ids), _MEMBERS)


def _hash(parts: Iterable[bytes], size: int) -> bytes:
    found = hashlib.blake2b(digest_size=size)
    for part in parts:
        found.update(len(part).to_bytes(2, "big") + part)
    return found.digest()


def _apart(ids: Collection[bytes]) -> int:
    """How many first bytes tell the ids apart."""
    sizes = range(_PREFIX_MIN, vector.REPLICA_BYTES)
    return next((n for n in sizes if len({r[:n] for r in ids}) == len(ids)), vector.REPLICA_BYTES)


def _pack(delivered: Vector, place_: bytes, size: int, members: bytes) -> bytes:
    replicas = delivered.replicas()
    out = bytearray((VERSION, size | (_LEFT_OUT if members else 0)))
    out += place_
    if size < vector.REPLICA_BYTES:
        out += _hash(replicas, _IDS)
    out += members
    for replica in replicas:
        out += replica[:size]
        out += b"".join(map(_varint, _steps(delivered.intervals(replica))))
    return bytes(out)


def _steps(intervals: vector.Intervals) -> Iterator[int]:
    """The count, doubled, plus one if the first begins with the first event; then each bound less the one before."""
    from_start = intervals[0] == 1
    yield len(intervals) // 2 * 2 + from_start
    at = 1 if from_start else 0
    for bound in intervals[1:] if from_start else intervals:
        yield bound - at
        at = bound


def _entries(rest: _Reader, size: int) -> Iterator[tuple[bytes, vector.Intervals]]:
    while not rest.is_at_end:
        prefix, head = rest.take(size), rest.varint()
        bounds = [1] if head % 2 else []
        while len(bounds) < head // 2 * 2:  # each costs a byte at least, or it is cut short
            bounds.append((bounds[-1] if bounds else 0) + rest.varint())
        yield prefix, _checked(tuple(bounds), head)


def _checked(bounds: vector.Intervals, head: int) -> vector.Intervals:
    """The intervals, if they are canonical: not empty, disjoint, not touching, and begun as ``head`` says."""
    gaps = [b - a for a, b in zip(bounds[1::2], bounds[2::2], strict=False)]
    is_whole = len(bounds) == head // 2 * 2 > 0
    if (
        not is_whole
        or min(gaps, default=2) < 2
        or bounds[-1] > vector.SEQ_MAX
        or (bounds[0] == 1) != head % 2
    ):
        raise ValueError("token: its intervals are not in order, or out of range")
    if bounds[0] < 1:
        raise ValueError("token: an event 0")
    return bounds


class _Reader:
    """What is left of the bytes. Nothing is trusted."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw, self._at = raw, at

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._raw)

    @property
    def left(self) -> int:
        return len(self._raw) - self._at

    def take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._raw):
            raise ValueError("token: it is cut short")
        return self._raw[self._at - size : self._at]

    def varint(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if number > vector.SEQ_MAX or (byte == 0 and shift > 7):
            raise ValueError("token: a number is too large, or longer than it must be")
        return number


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _length(raw: bytes) -> int:
    return (len(raw) * 4 + 2) // 3


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"token: a str is wanted, not {type(text).__name__}")
    if len(text) > limits.TOKEN_CHARS_MAX:
        raise ValueError(f"token: {len(text)} characters, at most {limits.TOKEN_CHARS_MAX} are possible")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("token: not base64url") from None
    if _text(raw) != text:
        raise ValueError("token: not base64url without padding")
    return raw
