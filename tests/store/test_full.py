"""No space: a full file system, a full map. Writes are refused, reads go on, and space that returns is used."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gossamer.errors import StoreFull
from gossamer.replica import DEFAULT, Replica
from gossamer.store import Directory

from ..small_disk import small_disk
from .helpers import BOOT, at, op, opened, replica_in, write

KEPT = "register:kept"
LARGE = "x" * 60_000


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "2m") as place:
        yield place


def fill(replica: Replica) -> int:
    """Write until it is refused; how many stood."""
    for done in range(1000):
        try:
            write(replica, op(f"register:fill{done}", "set", LARGE))
        except StoreFull as error:
            assert "reads go on" in str(error)
            return done
    raise AssertionError("it is never full")


def is_read_only(replica: Replica, done: int) -> None:
    """What stood can be read, what was refused left nothing, and more is refused."""
    assert replica.cell(DEFAULT, at(KEPT)).live
    assert replica.cell(DEFAULT, at(f"register:fill{done - 1}")).live
    assert not replica.cell(DEFAULT, at(f"register:fill{done}")).live
    for _ in range(3):
        with pytest.raises(StoreFull):
            write(replica, op(f"register:fill{done}", "set", LARGE))
    assert replica.state(DEFAULT).delivered.last(replica.replica) == done + 1  # with the kept one; no gap


def goes_on(replica: Replica, done: int) -> None:
    assert write(replica, op(f"register:fill{done}", "set", LARGE)) == (replica.replica, done + 2)
    assert replica.cell(DEFAULT, at(f"register:fill{done}")).live


def test_a_full_disk(tiny: Path) -> None:
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes(400_000))
    with replica_in(tiny / "data") as replica:
        write(replica, op(KEPT, "set", 1))
        done = fill(replica)
        is_read_only(replica, done)
        ballast.unlink()
        goes_on(replica, done)
        first = replica.replica
    with replica_in(tiny / "data") as replica:
        assert replica.replica == first


def test_a_node_on_a_full_disk_can_be_opened_and_read(tiny: Path) -> None:
    with replica_in(tiny / "data") as replica:
        write(replica, op(KEPT, "set", 1))
        done = fill(replica)
    (tiny / "ballast").write_bytes(b"")
    with (tiny / "ballast").open("ab", buffering=0) as ballast, pytest.raises(OSError):
        while True:
            ballast.write(bytes(4096))
    with replica_in(tiny / "data") as replica:
        assert replica.cell(DEFAULT, at(KEPT)).live
        with pytest.raises(StoreFull):
            write(replica, op(f"register:fill{done}", "set", LARGE))


def test_there_is_no_space_to_make_a_directory(tiny: Path) -> None:
    with (tiny / "ballast").open("ab", buffering=0) as ballast, pytest.raises(OSError):
        while True:
            ballast.write(bytes(4096))
    with pytest.raises(StoreFull, match="data"):
        opened(tiny / "data")
    (tiny / "ballast").unlink()
    directory = opened(tiny / "data")
    assert directory.doubt is None
    directory.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes: a quota that takes no rights."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op(KEPT, "set", 1))
        with largest_file(1 << 20):
            done = fill(replica)
            is_read_only(replica, done)
        goes_on(replica, done)


def test_a_full_map(tmp_path: Path) -> None:
    directory = opened(tmp_path, map_bytes=1 << 20)
    store, filler = directory.store, bytes(50_000)
    with pytest.raises(StoreFull, match="map is full"):
        for i in range(100):
            store.put_meta(f"filler{i}", filler)
    assert i > 5
    assert store.get_meta("filler0") == filler
    assert store.get_meta(f"filler{i}") is None
    directory.close()
    directory = Directory.open(tmp_path, boot_id=BOOT, map_bytes=1 << 22)
    assert directory.doubt is None
    directory.store.put_meta(f"filler{i}", filler)
    directory.close()


def test_a_keyspace_that_finds_no_space_can_be_made_later(tmp_path: Path) -> None:
    directory = opened(tmp_path, map_bytes=1 << 20)
    store = directory.store
    with pytest.raises(StoreFull):
        for i in range(1000):
            store.host(f"keyspace{i}")
            store.put_meta(f"filler{i}", bytes(9000))
    assert f"keyspace{i}" not in store.keyspaces() or store.get_meta(f"filler{i}") is None
    directory.close()
    directory = opened(tmp_path, map_bytes=1 << 24)
    directory.store.host(f"keyspace{i}")
    assert f"keyspace{i}" in directory.store.keyspaces()
    directory.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "6m") as place:
        yield place


def staged_in(replica: Replica) -> int:
    with replica.store.snapshot() as views:
        view = views(DEFAULT)
        return int(view.txn.stat(view.tables.staged)["entries"])


def test_parts_that_were_left_behind_are_no_reason_not_to_open_on_a_full_disk(disk: Path) -> None:
    """To drop them takes pages. They are dropped once there is space: at the next opening, or with the next part."""
    where = disk / "data"
    with replica_in(where) as replica:
        write(replica, op(KEPT, "set", 1))
        for at_ in range(30):
            with replica.store.transaction() as drafts:
                drafts(DEFAULT).stage(b"\0" * 8 + at_.to_bytes(8, "big"), os.urandom(100_000))
        assert staged_in(replica) == 30
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as handle, pytest.raises(OSError, match="No space left"):
        while True:
            handle.write(bytes(4096))
    with replica_in(where) as replica:
        assert replica.cell(DEFAULT, at(KEPT)).live
    ballast.unlink()
    with replica_in(where) as replica:
        assert staged_in(replica) == 0
        assert write(replica, op(KEPT, "set", 2))
