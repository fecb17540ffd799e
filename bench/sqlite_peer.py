"""SQLite beside us, from Python's own library: in the same process, as we are, and syncing every commit.

How is it set? WAL and ``synchronous=FULL``: a commit returns when the log is synced, and survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def words() -> str:
    """Its version and fsync setting."""
    return f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL"


@contextmanager
def table(directory: Path) -> Iterator[Callable[[list[str], str], None]]:
    """A table of names and values; what is given writes a value under some names, as one commit."""
    directory.mkdir()
    base = sqlite3.connect(directory / "base", isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE cells (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")

    def put(names: list[str], value: str) -> None:
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?)", [(name, value) for name in names])
        base.execute("COMMIT")

    try:
        yield put
    finally:
        base.close()
