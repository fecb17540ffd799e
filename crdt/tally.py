"""What a counter's operations add to it, kept as one small record, so that reading does not visit them all.

The question this answers: *what is the sum of the pending, less what was folded too often?* The record is a function of
the cells of the operations alone. It changes with each of them by what that one was and what it is now, and is
read together with the counter's own cell. Operations that a fold and a reset contest are kept by the fold's event,
since they are in the counter, or are not, together.
"""

from __future__ import annotations

import msgspec

from . import codec, operation
from .cell import Cell, Entry, make
from .counter_pn import number, payload_of

SHARE = bytes(8)
"""Stands for the operations in the cell of a counter as it is read. It is never stored nor sent to a peer."""


class Folded(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One fold: by whom, into which generation of its entry, in which event."""

    folder: bytes
    generation: int
    seq: int


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Of one counter. Without anything pending or contested there is none."""

    count: int = 0
    """Operations that are only pending."""
    total: bytes = b"\x00"
    """The sum of their amounts."""
    cancelled: tuple[tuple[Folded, int, bytes], ...] = ()
    """Folded once, and cancelled by one who had not seen that: how many in a fold, and their sum."""
    several: tuple[tuple[bytes, bytes], ...] = ()
    """Folded more than once: the operation's name, and its cell."""

    @property
    def is_empty(self) -> bool:
        return not (self.count or self.cancelled or self.several)

    def changed(self, name: bytes, old: Cell, new: Cell) -> Tally:
        """The tally after the operation ``name`` became another cell."""
        return self._with(name, old, -1)._with(name, new, 1)

    def _with(self, name: bytes, cell: Cell, sign: int) -> Tally:
        if operation.is_pending(cell):
            total = number(self.total) + sign * operation.pending_amount(cell)
            return msgspec.structs.replace(self, count=self.count + sign, total=payload_of(total))
        if not operation.is_contested(cell):
            return self
        if len(operation.dones(cell)) == 1:
            return self._with_cancelled(operation.dones(cell)[0], sign)
        rest = tuple(pair for pair in self.several if pair[0] != name)
        added = ((name, codec.encode(make(cell.live, ()))),) if sign > 0 else ()
        return msgspec.structs.replace(self, several=tuple(sorted((*rest, *added))))

    def _with_cancelled(self, entry: Entry, sign: int) -> Tally:
        key = Folded(entry.replica, operation.generation(entry), entry.seq)
        folds = {fold: (count, number(total)) for fold, count, total in self.cancelled}
        count, total = folds.get(key, (0, 0))
        folds[key] = (count + sign, total + sign * operation.amount(entry))
        kept = tuple((fold, n, payload_of(sum_)) for fold, (n, sum_) in sorted(folds.items()) if n)
        return msgspec.structs.replace(self, cancelled=kept)

    def share(self, counter: Cell) -> int:
        """What the operations add to the counter's own entries."""
        total = number(self.total)
        for fold, _, sum_ in self.cancelled:
            if operation.is_in(fold.folder, fold.generation, fold.seq, counter):
                total -= number(sum_)
        for _, encoded in self.several:
            total -= operation.surplus(codec.decode(encoded), counter)
        return total

    def over(self, counter: Cell) -> Cell:
        """The counter's cell as a reader gets it: with one more entry, for what its operations add."""
        share = self.share(counter)
        if not share and not self.count:
            return counter
        return make((*counter.live, Entry(SHARE, 1, payload_of(share), 1)), counter.dead)


def has_share(counter: Cell) -> bool:
    """Whether what its operations add is in the cell, which then is one that a reader got."""
    return bool(counter.live) and counter.live[0].replica == SHARE


def apart(counter: Cell) -> tuple[Cell, int]:
    """A counter as a reader got it, as its own cell and what its operations add."""
    if not has_share(counter):
        return counter, 0
    return make(counter.live[1:], counter.dead), number(counter.live[0].payload)


_DECODER = msgspec.msgpack.Decoder(Tally)
NONE = Tally()


def encode(tally: Tally) -> bytes:
    """The tally as it is stored."""
    return msgspec.msgpack.encode(tally)


def decode(data: bytes) -> Tally:
    """The tally of ``encode``."""
    return _DECODER.decode(data)
