"""What a peer has of this node's own newest event: proof, if it is another event than was made here.

The question this answers: *did the same id make another event under one of my dots?* A peer that has more of them than were
made proves it by its vector alone. After a rollback that was followed by as many writes again, the numbers agree and the
events do not. So whoever opens a keyspace says which event of the other it has last: hashes of a cell it touched and of
what it left there. Only what both still have is compared: a row that was collected, or replaced by a newer one, and an
entry that was superseded since, say nothing.
"""

from __future__ import annotations

import hashlib

from gossamer.crdt import Cell, Entry

from .messages import Event
from .view import View

HASH_BYTES = 8


def of(view: View, replica: bytes) -> Event | None:
    """The newest event of a replica that is delivered here, if its rows are not collected."""
    seq = view.state.delivered.last(replica)
    for grouped, cell_path in _rows(view, replica, seq) if seq else ():
        entry = _entry(view.cell(cell_path), replica, seq)
        return Event(seq, grouped, _hash(cell_path), _left(entry) if entry else b"")
    return None


def contradicts(view: View, me: bytes, theirs: Event) -> bool:
    """Whether the event that a peer has under one of our dots cannot be the one that was made here."""
    rows = _rows(view, me, theirs.seq)
    if any(grouped != theirs.grouped for grouped, _ in rows):
        return True
    same = [cell_path for _, cell_path in rows if _hash(cell_path) == theirs.path]
    if rows and not same:
        return not theirs.grouped  # of an event over several cells some rows may be gone
    readable = [cell_path for cell_path in same if not view.is_damaged(cell_path)]
    entries = [_entry(view.cell(cell_path), me, theirs.seq) for cell_path in readable]
    return bool(theirs.left) and any(entry and _left(entry) != theirs.left for entry in entries)


def _rows(view: View, replica: bytes, seq: int) -> list[tuple[bool, bytes]]:
    """The rows that an event was made with. After a full exchange one over several cells has others, too."""
    is_collected = view.is_collected(replica, seq)
    return [(grouped, at) for grouped, at in view.event_rows((replica, seq)) if grouped or not is_collected]


def _entry(cell: Cell, replica: bytes, seq: int) -> Entry | None:
    found = [e for e in cell.live if (e.replica, e.seq) == (replica, seq) and not e.others]
    return found[0] if found else None


def _left(entry: Entry) -> bytes:
    return _hash(entry.generation.to_bytes(8, "big") + entry.payload)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()
