"""Whether a directory may keep its replica id, or must take a new one.

The question this answers: *could some event of this id be made twice?* A copy of the directory would make the
same dots as its original; a store that went back in time would make again what it had made and sent. So on any
doubt the node goes on under a new random id, and its earlier events are simply another replica's. That is always
safe; it costs the members one more id to agree on.

What this cannot see: a snapshot of the whole disk put back under a running kernel. Peers prove that one.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .witness import Witness


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What a copy, a restore or another volume changes: no ordinary tool can set all of these."""

    sentinel: tuple[int, int, int]
    """Device, inode and ctime (ns) of the sentinel file, which is written once."""
    data: tuple[int, int]
    """Device and inode of data.mdb: tools that restore only what differs leave the sentinel as it is."""


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What the store keeps of the node's identity, in one record."""

    replica: bytes
    old_ids: list[bytes]
    facts: Facts
    """As they were when the id was made."""


def facts(sentinel: Path, data: Path) -> Facts:
    """As they are now."""
    mark, store = os.stat(sentinel), os.stat(data)
    return Facts((mark.st_dev, mark.st_ino, mark.st_ctime_ns), (store.st_dev, store.st_ino))


def doubt(
    kept: Facts,
    now: Facts,
    witness: Witness | None,
    *,
    txn: int,
    changed_at: int,
    boot: str,
    is_relaxed: bool = False,
) -> str | None:
    """Why the replica id must not be used again; None if it may. ``txn`` and ``changed_at`` are the store's.

    ``is_relaxed``: the durability that it is opened with now.
    """
    if now.sentinel != kept.sentinel:
        return "the directory was copied, restored or moved to another volume: its marker is another file now"
    if now.data != kept.data:
        return "store/data.mdb was replaced by another file"
    if witness is None:
        return "the witness file is missing or unreadable, so the store may have been rolled back"
    if witness.txn > txn:
        return f"the store was rolled back: it had reached transaction {witness.txn} and is at {txn}"
    if witness.is_clean and (witness.txn, witness.changed_at) != (txn, changed_at):
        return "the store was changed after it was closed"
    if is_relaxed and not witness.is_relaxed:
        return (
            "its durability was lowered, and others take what this id says it has for safe from a power cut"
        )
    if boot and witness.boot == boot:
        return None
    if not witness.is_clean:
        return "the machine was restarted after a stop that was not clean, which may have undone commits"
    if witness.is_relaxed:
        return "the machine was restarted after relaxed durability, which may have undone commits"
    return None
