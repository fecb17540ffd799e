"""A note beside the store, of what the store had reached: how a store that went back in time is noticed.

It is written at each open and each close, never by a commit, and it is not in the store, so a store that is older
than its witness was restored, or lost commits it had acknowledged.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """What the witness file holds."""

    txn: int
    """LMDB's last transaction."""
    is_clean: bool
    """Written by a close; an open, or a crash after it, leaves False."""
    boot: str
    """Of the machine, since it was last started; empty if it cannot be told."""
    is_relaxed: bool
    """Durability of that session: the machine's end may have undone commits even after a close."""
    changed_at: int = 0
    """When data.mdb last changed, by its file system: nanoseconds. Only after a clean close."""


def read(file: Path) -> Witness | None:
    """The witness, or None if there is none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Witness)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write(file: Path, witness: Witness) -> None:
    """Replace the witness, durably. `OSError` leaves the one before."""
    replace(file, msgspec.json.encode(witness))


def replace(file: Path, content: bytes) -> None:
    """Write a file anew, durably: it holds the old content or the new, whatever happens."""
    draft = file.with_name(file.name + ".new")
    try:
        with draft.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def boot_id() -> str:
    """Of the machine, since it was last started; empty if it cannot be told."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
