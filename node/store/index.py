"""Keys and rows of the *changes* index: which cells an event touched.

A row is ``replica + seq (big endian) -> flag + path``. The flag tells an event over several cells: its rows are
not replaced by newer ones and stay until stable. *groups* is the same for those, the other way round:
``path -> replica + seq``.

*expiries* says what is to be swept, and when: ``replica + expires_at (big endian) -> path``, for each live entry that
expires. By replica first, since each sweeps its own at once, and those of others after a while.
"""

from __future__ import annotations

from gossamer.crdt import Dot

SINGLE, GROUPED = b"\x00", b"\x01"


def key(replica: bytes, seq: int) -> bytes:
    """The key of an event's rows; sorts by replica, then seq."""
    return replica + seq.to_bytes(8, "big")


def dot(raw: bytes) -> Dot:
    """The event of a key."""
    return raw[:8], int.from_bytes(raw[8:16], "big")
