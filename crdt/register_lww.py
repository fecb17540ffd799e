"""Last-writer-wins register: causality first, clock second.

Which of two values stands? A write supersedes what its writer had seen, however wrong the clocks are; only
between concurrent writes does the higher stamp win, and between equal stamps the higher replica id.

    A (clock 100) sets x; B, having seen it, (clock 7) sets y   -> y, stamped 101
    A (clock 100) sets x while B (clock 7) sets y               -> x, and y is its loser

After Johnson and Thomas, RFC 677 (1975), with the dotted context of Preguiça et al. (2010) for causality.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import values
from .cell import Cell, Entry, Event, assign
from .celltype import Args, CellType, Write, one_value, remove
from .errors import MalformedError

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
    highest = 0
    for entry in cell.live:
        highest = max(highest, stamp_of(entry))
    stamp = min(max(event.now, highest + 1), STAMP_MAX)
    return assign(cell, event, stamp.to_bytes(STAMP_BYTES, "big", signed=True) + args[0])


class RegisterLWW(CellType):
    kind = "register"
    _methods: Mapping[str, Write] = {"set": _set, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        return one_value(self.kind, method, args) if method == "set" else super().prepare(method, args)

    def value(self, cell: Cell) -> Any:
        entry = winner(cell)
        return None if entry is None else value_of(entry)

    def check(self, payload: bytes) -> None:
        if len(payload) <= STAMP_BYTES:
            raise MalformedError("register: a payload has no stamp and value")
        values.decode(payload[STAMP_BYTES:])
