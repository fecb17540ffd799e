"""Last-writer-wins register: causality first, clock second.

Which of two values stands? A write supersedes what its writer had seen, however wrong the clocks are; only
between concurrent writes does the higher stamp win, and between equal stamps the higher replica id.

    A (clock 100) sets x; B, having seen it, (clock 7) sets y   -> y, stamped 101
    A (clock 100) sets x while B (clock 7) sets y               -> x, and y is its loser

A set may also name what it has seen: then it supersedes that alone, and is concurrent with the rest.

After Johnson and Thomas, RFC 677 (1975), with the dotted context of Preguiça et al. (2010) for causality.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import values
from .cell import Cell, Dot, Entry, Event, assign, own_entry
from .celltype import Args, CellType, Write, context, dot, one_value, remove
from .errors import MalformedError, UnseenError

STAMP_BYTES = 8
STAMP_MAX = 2**62
"""Microseconds since 1970; far beyond any clock, and far from overflow. Stamps are bounded where they are made."""


def stamp_of(entry: Entry) -> int:
    """The stamp of an entry: int64 microseconds since 1970."""
    return int.from_bytes(entry.payload[:STAMP_BYTES], "big", signed=True)


def value_of(entry: Entry) -> Any:
    """The value of an entry."""
    return values.read(entry.payload[STAMP_BYTES:])


def winner(cell: Cell) -> Entry | None:
    """The entry that stands, None if the register was never set or was removed."""
    if len(cell.live) == 1:
        return cell.live[0]
    return max(cell.live, key=lambda e: (stamp_of(e), e.replica), default=None)


def _set(cell: Cell, event: Event, args: Args) -> Cell:
    value, *rest = args
    if rest:
        return _set_over(cell, event, value, rest[0])
    return assign(cell, event, _payload(cell.live, event, value))


def _set_over(cell: Cell, event: Event, value: bytes, seen: dict[bytes, int]) -> Cell:
    """Supersede what was seen. The rest stays beside the new value, but for an entry of our own, which cannot:
    a replica has one. To replace it unread would lose a write, so that is refused."""
    own = own_entry(cell, event.replica)
    if own is not None and seen.get(own.replica, 0) < own.seq < event.seq:
        raise UnseenError
    known = [e for e in cell.live if e is own or e.seq <= seen.get(e.replica, 0)]
    return assign(cell, event, _payload(known, event, value), seen)


def _payload(superseded: Iterable[Entry], event: Event, value: bytes) -> bytes:
    highest = 0
    for entry in superseded:
        highest = max(highest, stamp_of(entry))
    stamp = min(max(event.now, highest + 1), STAMP_MAX)
    return stamp.to_bytes(STAMP_BYTES, "big", signed=True) + value


class RegisterLWW(CellType):
    kind = "register"
    _methods: Mapping[str, Write] = {"set": _set, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method != "set":
            return super().prepare(method, args)
        value = one_value(self.kind, method, args[:1])
        if len(args) > 2:
            raise TypeError(f"register.set takes a value and the context read, {len(args)} given")
        return (*value, context(args[1])) if len(args) == 2 else value

    def value(self, cell: Cell) -> Any:
        entry = winner(cell)
        return None if entry is None else value_of(entry)

    def version(self, cell: Cell) -> Dot | None:
        entry = winner(cell)
        return None if entry is None else (entry.replica, entry.seq)

    def expected(self, version: object) -> Dot | None:
        return None if version is None else dot(version)

    def check(self, payload: bytes) -> None:
        if len(payload) <= STAMP_BYTES:
            raise MalformedError("register: a payload has no stamp and value")
        values.decode(payload[STAMP_BYTES:])
