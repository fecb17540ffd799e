"""Three replicas of one cell and a history of what each has seen: what did a schedule of writes and merges do?

The model beside the cells is sets of events, where each event knows the events it observed. A type's spec
(`specs.py`) is a function of that history alone, and `World` holds every replica to it after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from gossamer.crdt import (
    EMPTY,
    TYPES,
    Cell,
    Dot,
    Event,
    RightsError,
    UnseenError,
    Vector,
    cell,
    check_cell,
    codec,
    expiry,
    join,
    path,
)

REPLICAS = [bytes([n]) * 8 for n in (3, 1, 2)]
"""Not in ascending order, so that the first to write is not also the lowest."""

PATHS = {kind: path.encode(((kind, "x"),)) for kind in TYPES if not kind.startswith("set")}
PATHS |= {kind: path.encode(((kind, "x"), ("str", "e"))) for kind in ("set", "set_rw")}
PATHS["op"] = path.encode((("counter", "x"), ("op", "e")))
"""Kind -> the path of the one cell that a test is about."""


@dataclass(frozen=True, eq=False)
class Did:
    """An event as the model knows it: what was done, by whom, at what time, having observed what."""

    replica: bytes
    seq: int
    method: str
    args: tuple[Any, ...]
    now: int
    saw: frozenset[Did]

    def __repr__(self) -> str:
        return f"{self.replica[0]}.{self.seq}:{self.method}{self.args}"


History = frozenset[Did]


@dataclass
class Copy:
    """One replica's copy of the cell, and the events whose effect is in it."""

    kind: str
    replica: bytes
    cell: Cell = EMPTY
    seen: History = frozenset()
    seq: int = 0
    past: list[tuple[Cell, History]] = field(default_factory=lambda: [(EMPTY, frozenset())])

    def write(self, method: str, *args: Any, now: int = 0) -> bool:
        """One event; False if the type had nothing to write."""
        return self.transact((method, args), now=now)[0]

    def transact(self, *writes: tuple[str, tuple[Any, ...]], now: int = 0) -> list[bool]:
        """Several writes as one event, each seeing the ones before it; which of them wrote anything."""
        cell_type, event = TYPES[self.kind], Event(self.replica, self.seq + 1, now)
        after, seen, wrote = self.cell, self.seen, []
        for method, args in writes:
            before = after
            try:
                after = cell_type.write(before, method, cell_type.prepare(method, args), event)
            except RightsError:  # one refusal, and nothing of the event is written
                return [False] * len(writes)
            wrote.append(after is not before)
            if after is not before:
                seen |= {Did(self.replica, event.seq, method, args, now, seen)}
        if any(wrote):
            self.seq += 1
            self._become(after, seen)
        return wrote

    def sweep(self, now: int, whose: frozenset[bytes]) -> bool:
        """Sweep what of the entries of ``whose`` has expired by ``now``; False if there was nothing to do."""
        event = Event(self.replica, self.seq + 1, now)
        after = TYPES[self.kind].sweep(
            self.cell, event, lambda e: e.replica in whose and expiry.is_over(e, now)
        )
        if after is self.cell:
            return False
        self.seq += 1
        did = Did(self.replica, event.seq, "sweep", (now, whose), now, self.seen)
        self._become(after, self.seen | {did})
        return True

    def merge(self, incoming: Cell, seen: History) -> None:
        """Take a cell that showed ``seen``, as one does that came over the network."""
        arriving = cell.arriving(incoming, self.cell, self.vector().has)
        self._become(join(self.cell, arriving), self.seen | seen)

    def take(self, *others: Copy) -> None:
        """Merge what each of the others has now."""
        for other in others:
            self.merge(other.cell, other.seen)

    def collect(self, stable: Vector, keep: bytes = b"") -> None:
        """Drop the dead context if all that the cell names is stable; floors of ``keep`` stay."""
        if all(stable.has(*dot) for dot in self.cell.dots()):
            floors = self.cell.floors()
            kept = [d for d in self.cell.dead if d in floors or (d.generation and d.replica == keep)]
            self._become(cell.make(self.cell.live, kept), self.seen)

    def value(self) -> Any:
        return TYPES[self.kind].value(self.cell)

    def vector(self) -> Vector:
        """What is delivered here."""
        return vector_of((e.replica, e.seq) for e in self.seen)

    def _become(self, after: Cell, seen: History) -> None:
        self.cell, self.seen = after, seen
        self.past.append((after, seen))


def copies(kind: str, count: int = 2) -> list[Copy]:
    """So many replicas' copies of one cell, the lowest replica id first."""
    return [Copy(kind, replica) for replica in sorted(REPLICAS)[:count]]


def vector_of(dots: Iterable[Dot]) -> Vector:
    vector = Vector()
    for replica, seq in dots:
        vector.add(replica, seq)
    return vector


class World:
    """Three copies under a schedule of ``(verb, …)`` steps, checked by ``check`` after every one."""

    def __init__(self, kind: str, check: Callable[[Copy], None] = lambda copy: None) -> None:
        self.kind = kind
        self.copies = [Copy(kind, replica) for replica in REPLICAS]
        self.check = check

    def run(self, schedule: Iterable[tuple[Any, ...]]) -> Self:
        for verb, at, *rest in schedule:
            copy = self.copies[at]
            getattr(self, "_" + verb)(copy, *rest)
            self.check(copy)
        return self

    def settle(self) -> None:
        """Until all have seen everything: twice round is enough."""
        for copy in self.copies * 2:
            copy.take(*self.copies)
            self.check(copy)

    def cells(self) -> list[Cell]:
        """Every cell that any of the replicas ever held."""
        return [state for copy in self.copies for state, _ in copy.past]

    def _write(self, copy: Copy, method: str, args: tuple[Any, ...], now: int) -> None:
        copy.write(method, *args, now=now)

    def _transact(self, copy: Copy, writes: list[tuple[str, tuple[Any, ...]]], now: int) -> None:
        copy.transact(*writes, now=now)

    def _resolve(self, copy: Copy, value: Any, source: int, age: int) -> None:
        """Resolve with a context read here or elsewhere, now or long ago."""
        past = self.copies[source].past
        copy.write("resolve", value, tuple(past[-1 - age % len(past)][0].context().items()))

    def _set_over(self, copy: Copy, value: Any, source: int, age: int, now: int) -> None:
        """Set a register over what was read here or elsewhere, now or long ago; it may be refused."""
        past = self.copies[source].past
        with suppress(UnseenError):
            copy.write("set", value, tuple(past[-1 - age % len(past)][0].context().items()), now=now)

    def _merge(self, copy: Copy, source: int, age: int) -> None:
        """Merge what ``source`` had ``age`` states ago: late, repeated, out of order."""
        past = self.copies[source].past
        copy.merge(*past[-1 - age % len(past)])

    def _meet(self, copy: Copy, other: int) -> None:
        """Each takes what the other has."""
        copy.take(self.copies[other])
        self.copies[other].take(copy)
        self.check(self.copies[other])

    def _collect(self, copy: Copy) -> None:
        stable = self.copies[0].vector()
        for other in self.copies[1:]:
            stable = stable.intersect(other.vector())
        copy.collect(stable)


def check_bytes(kind: str, state: Cell) -> None:
    """The cell goes through its stored form and through a message and comes back the same."""
    data = codec.encode(state)
    assert codec.decode(data) == state
    received = codec.of_shape(msgspec.msgpack.decode(data), codec.by_eight_bytes)
    assert received == state
    assert codec.encode(received) == data
    check_cell(PATHS[kind], received)
