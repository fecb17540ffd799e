"""The history of a schedule: every write there was, and what its writer could see. The oracle reads nothing else.

A write is one bit. An event is the bits of the writes that it made, one a cell. So a set of events is a number, and what
a node holds is a handful of numbers.
"""

from __future__ import annotations

CELLS = 3
REPLICAS_MAX = 8
WRITES_MAX = 48
"""A machine word holds one bit a write."""


class History:
    """What was written: the facts of each write, by its bit's number."""

    def __init__(self) -> None:
        self.count = 0
        self.of_replica: list[int] = [0] * REPLICAS_MAX
        self.of_cell: list[int] = [0] * CELLS
        self.of_both: list[int] = [0] * (REPLICAS_MAX * CELLS)
        """By replica and cell."""
        self.place: list[int] = []
        """Where in `of_both` a write is."""
        self.upto: list[int] = []
        """The same replica's writes to the same cell up to this one: a newer one stands for the older ones."""
        self.saw: list[int] = []
        """The writes to its cell that its writer could see."""
        self.event: list[int] = []
        """All writes of its event."""
        self.grouped = 0
        """Writes of events over several cells."""
        self.sets = 0
        """Writes that leave an entry; the others only remove."""
        self.firsts = 0
        """One write of each event."""
        self.made: list[int] = [0] * REPLICAS_MAX
        """How many events each replica id has made."""
        self._values: dict[int, int] = {}
        self._shown: dict[int, int] = {}

    def add(self, replica: int, cell: int, saw: int, is_set: bool) -> int:
        """One write; its bit. The event is said afterwards."""
        at = self.count
        bit = 1 << at
        self.count = at + 1
        both = replica * CELLS + cell
        self.of_replica[replica] |= bit
        self.of_cell[cell] |= bit
        self.of_both[both] |= bit
        self.place.append(both)
        self.upto.append(self.of_both[both])
        self.saw.append(saw)
        self.event.append(bit)
        if is_set:
            self.sets |= bit
        return bit

    def close(self, replica: int, writes: int) -> None:
        """These writes are one event."""
        self.made[replica] += 1
        self.firsts |= writes & -writes
        if writes & (writes - 1):
            self.grouped |= writes
        left = writes
        while left:
            bit = left & -left
            left ^= bit
            self.event[bit.bit_length() - 1] = writes

    def shown(self, delivered: int) -> int:
        """The writes that a node with these events has: of each replica and cell, all up to the last."""
        known = self._shown.get(delivered, -1)
        if known >= 0:
            return known
        found, left = 0, delivered
        while left:
            at = left.bit_length() - 1
            found |= self.upto[at]
            left &= ~self.upto[at]
        self._shown[delivered] = found
        return found

    def value(self, delivered: int) -> int:
        """The entries that a node with these events reads: those that no other write has seen."""
        known = self._values.get(delivered, -1)
        if known >= 0:
            return known
        shown = self.shown(delivered)
        dead, left = 0, shown
        while left:
            at = left.bit_length() - 1
            left ^= 1 << at
            dead |= self.saw[at]
        found = shown & self.sets & ~dead
        self._values[delivered] = found
        return found

    def prefix(self, events: int) -> int:
        """Of each replica the events before the first that is missing."""
        out = 0
        for mine in self.of_replica:
            missing = mine & ~events
            if missing:
                mine &= (missing & -missing) - 1
            out |= mine
        return out

    def below(self, events: int) -> int:
        """Of each replica all events up to its last one here."""
        out = 0
        for mine in self.of_replica:
            last = mine & events
            if last:
                out |= mine & ((1 << last.bit_length()) - 1)
        return out


def popcount(bits: int) -> int:
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count
