"""Compaction: a store file that grew gives its free pages back to the disk.

LMDB uses freed pages again and never shrinks its file. So after much was deleted the file is written anew, in order,
beside the old one, and takes its place. That takes as much free space as the data needs, and a stopped node.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import DirectoryUnusable
from ..store import Directory
from ..store.directory import Condition, inspect


class Compacted(msgspec.Struct, frozen=True):
    """Bytes of the store file."""

    before: int
    after: int


def compact(directory: Path) -> Compacted:
    """Compact a stopped node's directory. `DirectoryInUse` if it runs; a full disk leaves all as it was."""
    if inspect(directory) not in (Condition.READY, Condition.OLDER):
        raise DirectoryUnusable(f"{directory}: no node has data here")
    opened = Directory.open(directory)
    try:
        return Compacted(*opened.compact())
    finally:
        opened.close()
