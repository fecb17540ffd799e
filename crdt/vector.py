"""Delivered vectors: which events a node holds, as intervals a replica.

The question it answers: *is this event's effect in my state?* A version vector that may have holes, since a
half-received exchange leaves some. Intervals are closed and kept as one flat tuple
``(start, end, start, end, …)``: sorted, disjoint, and never touching, so that equal sets are equal tuples.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import MalformedError

Intervals = tuple[int, ...]

REPLICA_BYTES = 8
SEQ_MAX = 2**63 - 1
REPLICAS_MAX = 30_000
"""Replicas in one vector. Closed ids stay in it, though they are rarely told: room for ten restarts in doubt every day for eight
years. A link opens with two vectors, which have to fit into one message."""
INTERVALS_MAX = 64_000
"""Intervals in one vector: about 1 MB decoded, the most that a hostile message may cost."""


def contains(intervals: Intervals, seq: int) -> bool:
    """Whether ``seq`` lies in one of the intervals. An odd insertion point is inside one."""
    if not intervals or seq > intervals[-1]:
        return False  # what arrives is mostly new
    at = bisect_right(intervals, seq)
    return at % 2 == 1 or (at > 0 and intervals[at - 1] == seq)


def insert(intervals: Intervals, start: int, end: int) -> Intervals:
    """The intervals with ``start`` to ``end`` (both included) added.

    >>> insert((1, 3, 6, 9), 4, 4)
    (1, 4, 6, 9)
    >>> insert((1, 3, 6, 9), 4, 5)
    (1, 9)
    """
    if not intervals:
        return (start, end)
    if intervals[-1] + 1 == start:  # by far the commonest: the next event of a replica
        return (*intervals[:-1], end)
    first, last = bisect_left(intervals, start - 1), bisect_right(intervals, end + 1)
    if first % 2:  # inside, or just after the end of, an interval: it grows
        first -= 1
    if last % 2:
        last += 1
    if last > first:
        start, end = min(start, intervals[first]), max(end, intervals[last - 1])
    return (*intervals[:first], start, end, *intervals[last:])


def union(a: Intervals, b: Intervals) -> Intervals:
    """The intervals of both."""
    if not a or a == b:
        return b
    if len(b) == 2:  # one event, as most messages tell
        return insert(a, b[0], b[1])
    for start, end in pairs(b):
        a = insert(a, start, end)
    return a


def minus(a: Intervals, b: Intervals) -> Intervals:
    """What ``a`` has and ``b`` has not."""
    if not b or not a:
        return a
    if a == b:
        return ()
    out: list[int] = []
    for start, end in pairs(a):
        at = bisect_left(b, start) // 2 * 2
        while at < len(b) and b[at] <= end:
            if b[at] > start:
                out += (start, b[at] - 1)
            start = max(start, b[at + 1] + 1)
            at += 2
        if start <= end:
            out += (start, end)
    return tuple(out)


def pairs(intervals: Intervals) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of each interval."""
    return zip(intervals[::2], intervals[1::2], strict=True)


class Vector:
    """Replica -> intervals. Changed in place; ``copy`` is cheap, since intervals are shared."""

    __slots__ = ("_of",)

    def __init__(self, of: Mapping[bytes, Intervals] | None = None) -> None:
        self._of: dict[bytes, Intervals] = {r: i for r, i in of.items() if i} if of else {}

    def __contains__(self, dot: tuple[bytes, int]) -> bool:
        return contains(self._of.get(dot[0], ()), dot[1])

    def has(self, replica: bytes, seq: int) -> bool:
        """Whether the event ``(replica, seq)`` is in the vector."""
        return contains(self._of.get(replica, ()), seq)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self._of == other._of

    def __hash__(self) -> int:
        raise TypeError("a Vector changes in place and cannot be hashed")

    def __bool__(self) -> bool:
        return bool(self._of)

    def __repr__(self) -> str:
        return f"Vector({self})"

    def __str__(self) -> str:
        def spans(intervals: Intervals) -> str:
            return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in pairs(intervals))

        return " ".join(f"{r.hex()[:6]}:{spans(i)}" for r, i in sorted(self._of.items())) or "nothing"

    def copy(self) -> Vector:
        """A vector that later changes to this one do not reach."""
        twin = Vector()
        twin._of = dict(self._of)
        return twin

    def replicas(self) -> list[bytes]:
        """Every replica with at least one event, sorted."""
        return sorted(self._of)

    def intervals(self, replica: bytes) -> Intervals:
        """The intervals of one replica, ``()`` if it has none."""
        return self._of.get(replica, ())

    def last(self, replica: bytes) -> int:
        """The highest seq of ``replica``, 0 if there is none."""
        intervals = self._of.get(replica)
        return intervals[-1] if intervals else 0

    def prefix(self, replica: bytes) -> int:
        """The highest seq below which nothing of ``replica`` is missing, 0 if its first event is."""
        intervals = self._of.get(replica)
        return intervals[1] if intervals and intervals[0] == 1 else 0

    def add(self, replica: bytes, start: int, end: int | None = None) -> None:
        """Add the events ``start`` to ``end`` (or just ``start``) of ``replica``."""
        self._of[replica] = insert(self._of.get(replica, ()), start, start if end is None else end)

    def update(self, other: Vector) -> None:
        """Add every event of ``other``."""
        for replica, intervals in other._of.items():
            mine = self._of.get(replica)
            self._of[replica] = intervals if mine is None else union(mine, intervals)

    def minus(self, other: Vector) -> Vector:
        """The events that are here and not in ``other``."""
        out = Vector()
        if self._of == other._of:  # nearly always; a dictionary is compared without a loop of ours
            return out
        for replica, intervals in self._of.items():
            theirs = other._of.get(replica)
            if theirs is None:
                out._of[replica] = intervals
            elif theirs != intervals and (rest := minus(intervals, theirs)):
                out._of[replica] = rest
        return out

    def intersect(self, other: Vector) -> Vector:
        """The events that are in both."""
        return self.minus(self.minus(other))

    def only(self, replica: bytes) -> Vector:
        """The events of one replica."""
        return Vector({replica: self._of.get(replica, ())})

    def covers(self, other: Vector) -> bool:
        """Whether every event of ``other`` is here."""
        if self._of == other._of:
            return True
        for replica, intervals in other._of.items():
            mine = self._of.get(replica, ())
            if mine != intervals and minus(intervals, mine):
                return False
        return True

    def count(self) -> int:
        """How many events."""
        return sum(end - start + 1 for i in self._of.values() for start, end in pairs(i))

    def flat(self) -> list[bytes | list[int]]:
        """``[replica, [start, end - start, gap, …], …]``: sorted, with small numbers for a small encoding."""
        out: list[bytes | list[int]] = []
        for replica in sorted(self._of):
            steps: list[int] = []
            at = 0
            for bound in self._of[replica]:
                steps.append(bound - at)
                at = bound
            out += (replica, steps)
        return out

    @classmethod
    def of_flat(cls, flat: object) -> Vector:
        """The vector that ``flat`` gave; anything else is a `MalformedError`, and costs bounded memory."""
        if not isinstance(flat, list) or len(flat) % 2 or len(flat) > 2 * REPLICAS_MAX:
            raise MalformedError("vector: not a list of replicas and intervals within limits")
        out = cls()
        total, before = 0, b""
        for replica, steps in zip(flat[::2], flat[1::2], strict=True):
            total += len(steps) // 2 if isinstance(steps, list) else 0
            if total > INTERVALS_MAX:
                raise MalformedError(f"vector: more than {INTERVALS_MAX} intervals")
            if not isinstance(replica, bytes) or len(replica) != REPLICA_BYTES or replica <= before:
                raise MalformedError("vector: replica is not eight bytes, or not above the one before")
            before = replica
            out._of[replica] = _of_steps(steps)
        return out


def _of_steps(steps: object) -> Intervals:
    if not isinstance(steps, list) or not steps or len(steps) % 2:
        raise MalformedError("vector: intervals are not pairs")
    at = 0
    bounds: list[int] = []
    for index, step in enumerate(steps):
        least = 0 if index % 2 else (2 if index else 1)  # touching intervals are not canonical
        if type(step) is not int or step < least or (at := at + step) > SEQ_MAX:
            raise MalformedError("vector: intervals out of order or out of range")
        bounds.append(at)
    return tuple(bounds)


_ENCODER = msgspec.msgpack.Encoder()
_Flat = Annotated[
    list[
        Annotated[bytes, Meta(max_length=REPLICA_BYTES)]
        | Annotated[list[int], Meta(min_length=2, max_length=2 * INTERVALS_MAX)]
    ],
    Meta(max_length=2 * REPLICAS_MAX),
]
_DECODER = msgspec.msgpack.Decoder(
    _Flat
)  # it stops at the first wrong part: a million empty lists cost 70 MB


def encode(vector: Vector) -> bytes:
    """The canonical bytes of a vector: equal vectors give equal bytes."""
    return _ENCODER.encode(vector.flat())


def decode(data: bytes) -> Vector:
    """The vector of ``encode``; anything else is a `MalformedError`, and costs bounded memory."""
    try:
        return Vector.of_flat(_DECODER.decode(data))
    except msgspec.DecodeError as error:
        raise MalformedError(f"vector: {error}") from None
