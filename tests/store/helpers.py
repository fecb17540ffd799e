"""What the tests of the store share: opening, writing, other processes, and raw access to what lies on disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from gossamer.backend import Op, make_op
from gossamer.config import of as make_config
from gossamer.crdt import path, type_at
from gossamer.opening import open_replica
from gossamer.replica import DEFAULT, Replica
from gossamer.store import Directory
from gossamer.turns import Instant, Result, Write

NOW = Instant(1_700_000_000_000_000, 0.0)
BOOT, OTHER_BOOT = "boot-1", "boot-2"


def opened(where: Path, durability: str = "commit", boot: str | None = BOOT, **more: Any) -> Directory:
    return Directory.open(where, durability, boot_id=boot, **more)


def made(where: Path, durability: str = "commit", boot: str | None = BOOT) -> bytes:
    """Make a directory, close it cleanly; its replica id."""
    directory = opened(where, durability, boot)
    directory.close()
    return directory.replica


def crashed(where: Path, durability: str = "commit", boot: str | None = BOOT) -> bytes:
    """Open a directory and leave it as a crash does; its replica id."""
    directory = opened(where, durability, boot)
    directory.close(clean=False)
    return directory.replica


@contextmanager
def replica_in(where: Path, **config: Any) -> Iterator[Replica]:
    replica = open_replica(make_config(where, **config))
    try:
        yield replica
    finally:
        replica.close()


def at(text: str) -> bytes:
    return path.of_text(text)


def op(text: str, method: str, *args: Any) -> Op:
    return make_op(at(text), method, args)


def write(replica: Replica, *ops: Op) -> Result:
    """One transaction; its result, an exception included."""
    result: Result = replica.turn([Write(DEFAULT, ops)], NOW)[0]
    return result


def value(replica: Replica, text: str) -> Any:
    """What a cell of the default keyspace reads as."""
    kind = type_at(at(text))
    assert kind is not None
    return kind.value(replica.cell(DEFAULT, at(text)))


def snapshot(where: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(f.relative_to(where)): f.read_bytes() for f in sorted(where.rglob("*")) if f.is_file()}


@contextmanager
def raw(where: Path, database: str) -> Iterator[tuple[lmdb.Transaction[bytes], Any]]:
    """A write transaction on the LMDB environment of a closed directory, past all checks."""
    with lmdb.open(str(where / "store"), max_dbs=64, map_size=1 << 30) as env:
        db = env.open_db(database.encode(), create=False)
        with env.begin(write=True, db=db) as txn:
            yield txn, db


def line(process: subprocess.Popen[str]) -> str:
    """The next line of its output; empty if it has ended."""
    assert process.stdout is not None
    return process.stdout.readline()


def python(script: str, *args: str, **more: Any) -> subprocess.Popen[str]:
    """A Python of its own, its output to be read line by line."""
    command: Sequence[str] = (sys.executable, "-u", "-c", script, *args)
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )
