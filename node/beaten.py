"""Beaten values: what a register held, or was told, and does not show, since a concurrent write stands.

What is worth a note? An entry that loses to the one that stands and says something else, when a merge, or a write
that had not seen it, makes it lose. Equal values are no conflict, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from gossamer.crdt import Cell, Dot, Entry, path, register_lww

KIND = "register"
"""The one kind whose entries are beaten. The others count, keep or join whatever is concurrent."""

OPEN, REINSTATED, DISMISSED = range(3)
"""What became of one."""


class Written(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One write: who, which, and its payload."""

    replica: bytes
    seq: int
    payload: bytes

    @property
    def dot(self) -> Dot:
        """The event."""
        return self.replica, self.seq

    def entry(self) -> Entry:
        """As it was in the cell."""
        return Entry(self.replica, self.seq, self.payload)


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value that was beaten, and by what."""

    path: bytes
    beaten: Written
    by: Written
    seen_at: int
    """By this node's clock, in microseconds since 1970."""
    state: int = OPEN

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.path) + len(self.beaten.payload) + len(self.by.payload) + 64


def newly_beaten(cell_path: bytes, old: Cell, new: Cell, now: int) -> Iterator[Record]:
    """What ``new`` shows as beaten and ``old`` did not."""
    if len(new.live) < 2 or path.kind_of(cell_path) != KIND:
        return
    winner = register_lww.winner(new)
    assert winner is not None, "it has live entries"
    by = Written(winner.replica, winner.seq, winner.payload)
    known = {(entry.replica, entry.seq) for entry in register_lww.beaten(old)}
    for entry in register_lww.beaten(new):
        if (entry.replica, entry.seq) not in known:
            yield Record(cell_path, Written(entry.replica, entry.seq, entry.payload), by, now)


def reinstated(
    cell_path: bytes, old: Cell, new: Cell, is_delivered: Callable[[bytes, int], bool]
) -> Iterator[Dot]:
    """The beaten writes of ``old`` whose value ``new`` shows, since somebody who had seen them wrote it again.

    The write that shows superseded both the beaten value and what beat it, so its writer knew of both. The cell does not say
    which write superseded what: so it must be the only one that is new here. Of two that came together one may have
    superseded them, or a removal, and the other may say the same by chance.
    """
    if len(old.live) < 2 or path.kind_of(cell_path) != KIND:
        return
    before, now, seen = register_lww.winner(old), register_lww.winner(new), old.context()
    standing = {(entry.replica, entry.seq) for entry in new.live}
    if before is None or now is None or (before.replica, before.seq) in standing:
        return
    came = {r for r, seq in new.context().items() if seq > seen.get(r, 0) and not is_delivered(r, seq)}
    if not came <= {now.replica} or now.seq <= seen.get(now.replica, 0):
        return
    for entry in register_lww.beaten(old):
        dot = entry.replica, entry.seq
        if dot not in standing and register_lww.said(entry) == register_lww.said(now):
            yield dot
