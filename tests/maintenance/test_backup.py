"""Backups and what is made of them: consistent under writes, checked before use, and never the same replica twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossamer
from gossamer.errors import DirectoryInUse, DirectoryUnusable, StoreFull
from gossamer.maintenance import backup, read_manifest, restore, verify

from ..rpc.standin import FAST, free_port
from ..rpc.test_node import eventually
from ..small_disk import small_disk
from ..store.helpers import python

WRITER = """
import sys, gossamer
node = gossamer.open(sys.argv[1], name="a")
print("open", flush=True)
n = 0
while True:
    n += 1
    with node.transaction() as tx:
        tx.counter("left").add(1)
        tx.counter("right").add(1)
    if n % 20 == 0:
        print(n, flush=True)
"""


def filled(where: Path, name: str = "a") -> str:
    """A directory with something of each kind in it; its replica id."""
    with gossamer.open(where, name=name) as node:
        node.register("r").set("kept")
        node.counter("c").add(3)
        node.set("s").update(["x", 1])
        with node.transaction() as tx:
            tx.counter("c").add(4)
            tx.map("m").flag("f").enable()
        return str(node.status()["replica"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "256k") as place:
        yield place


def test_a_restored_directory_holds_the_same_under_another_id(tmp_path: Path) -> None:
    before = filled(tmp_path / "a")
    made = backup(tmp_path / "a", tmp_path / "backup")
    assert made == read_manifest(tmp_path / "backup") and made.replica == before and made.name == "a"
    _, replica = restore(tmp_path / "backup", tmp_path / "b")
    assert replica != before
    with gossamer.open(tmp_path / "b") as node:
        status = node.status()
        assert (status["replica"], status["old_replicas"], status["name"]) == (replica, [before], "a")
        assert node.register("r").get() == "kept" and node.counter("c").value() == 7
        assert list(node.set("s")) == [1, "x"] and node.map("m").flag("f").value()
        assert status["keyspaces"]["default"]["digest"] == made.keyspaces["default"].digest


def test_one_backup_restored_twice_is_two_replicas(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "backup")
    ids = {restore(tmp_path / "backup", tmp_path / name)[1] for name in ("b", "c")}
    assert len(ids) == 2


def test_a_backup_of_a_node_that_another_process_writes_to_has_no_half_of_anything(tmp_path: Path) -> None:
    process = python(WRITER, str(tmp_path / "a"))
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        for turn in range(3):
            acknowledged = int(process.stdout.readline())
            backup(tmp_path / "a", tmp_path / f"backup{turn}")
            restore(tmp_path / f"backup{turn}", tmp_path / f"restored{turn}")
            with gossamer.open(tmp_path / f"restored{turn}") as node:
                left, right = node.counter("left").value(), node.counter("right").value()
            assert left == right >= acknowledged
            assert verify(tmp_path / f"restored{turn}").is_sound
    finally:
        process.kill()
        process.communicate()


def test_a_node_backs_itself_up_while_it_writes(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        is_over = threading.Event()

        def writing() -> None:
            while not is_over.is_set():
                with node.transaction() as tx:
                    tx.counter("left").add(1)
                    tx.counter("right").add(1)

        thread = threading.Thread(target=writing)
        thread.start()
        try:
            node.backup(tmp_path / "backup")
        finally:
            is_over.set()
            thread.join()
        with pytest.raises(DirectoryInUse, match="node"):
            backup(tmp_path / "a", tmp_path / "other")
    restore(tmp_path / "backup", tmp_path / "b")
    with gossamer.open(tmp_path / "b") as node:
        assert node.counter("left").value() == node.counter("right").value()


async def test_the_awaited_backup(tmp_path: Path) -> None:
    async with gossamer.aopen(tmp_path / "a") as node:
        await node.counter("c").aadd(2)
        await node.abackup(tmp_path / "backup")
    assert read_manifest(tmp_path / "backup").keyspaces["default"].events == 1


def test_a_node_restored_into_its_cluster_loses_and_doubles_nothing(tmp_path: Path) -> None:
    places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with gossamer.open(tmp_path / "b", name="b", listen=places[1], peers=places[:1], timing=FAST) as b:
        with gossamer.open(tmp_path / "a", name="a", listen=places[0], peers=places[1:], timing=FAST) as a:
            a.counter("c").add(1)
            a.set("gone").add("x")
            eventually(lambda: b.counter("c").value() == 1, "the first addition")
            a.backup(tmp_path / "backup")
            a.counter("c").add(10)
            b.counter("c").add(100)
            a.set("gone").discard("x")
            eventually(lambda: a.counter("c").value() == b.counter("c").value() == 111, "all additions")
            eventually(lambda: not b.set("gone").value(), "the removal")
        restore(tmp_path / "backup", tmp_path / "a2")
        with gossamer.open(
            tmp_path / "a2", name="a", listen=places[0], peers=places[1:], timing=FAST
        ) as again:
            again.counter("c").add(1000)
            eventually(lambda: again.counter("c").value() == b.counter("c").value() == 1111, "the sum")
            eventually(lambda: not again.set("gone").value(), "the removal since the backup")
            assert not b.set("gone").value(), "what was removed does not come back"


def test_a_whole_cluster_is_restored_from_backups_of_different_moments(tmp_path: Path) -> None:
    places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with (
        gossamer.open(tmp_path / "a", name="a", listen=places[0], peers=places[1:], timing=FAST) as a,
        gossamer.open(tmp_path / "b", name="b", listen=places[1], peers=places[:1], timing=FAST) as b,
    ):
        a.counter("c").add(1)
        b.counter("c").add(10)
        eventually(lambda: a.counter("c").value() == b.counter("c").value() == 11, "the sum")
        a.backup(tmp_path / "backup a")
        a.counter("c").add(100)
        eventually(lambda: b.counter("c").value() == 111, "the later addition")
        b.backup(tmp_path / "backup b")
    for name in ("a", "b"):
        restore(tmp_path / f"backup {name}", tmp_path / f"{name}2")
    with (
        gossamer.open(tmp_path / "a2", listen=places[0], peers=places[1:], timing=FAST) as a,
        gossamer.open(tmp_path / "b2", listen=places[1], peers=places[:1], timing=FAST) as b,
    ):
        eventually(lambda: a.counter("c").value() == b.counter("c").value() == 111, "the union")
        eventually(
            lambda: (
                a.status()["keyspaces"]["default"]["digest"] == b.status()["keyspaces"]["default"]["digest"]
            ),
            "equal digests",
        )


def test_a_damaged_backup_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "backup")
    data = tmp_path / "backup" / "data.mdb"
    whole = data.read_bytes()
    for bad in (whole[:-1], whole[:5000] + b"\xff" + whole[5001:], b""):
        data.write_bytes(bad)
        with pytest.raises(DirectoryUnusable, match=r"data\.mdb"):
            restore(tmp_path / "backup", tmp_path / "b")
    data.unlink()
    with pytest.raises(DirectoryUnusable, match="missing"):
        restore(tmp_path / "backup", tmp_path / "b")
    assert not (tmp_path / "b").exists() and not (tmp_path / "b.partial").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\x00\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DirectoryUnusable, match="manifest"):
        restore(tmp_path, tmp_path / "b")


def test_a_backup_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(DirectoryUnusable, match="99"):
        restore(tmp_path / "backup", tmp_path / "b")


def test_only_an_empty_target_is_written_to(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    for target in (tmp_path / "taken", tmp_path / "taken" / "mine"):
        with pytest.raises(DirectoryUnusable, match="not empty"):
            backup(tmp_path / "a", target)
    backup(tmp_path / "a", tmp_path / "backup")
    with pytest.raises(DirectoryUnusable, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "taken")
    assert (tmp_path / "taken" / "mine").read_text() == "mine"


@pytest.mark.parametrize("what", ["absent", "empty", "foreign"])
def test_what_is_no_node_is_not_backed_up(tmp_path: Path, what: str) -> None:
    source = tmp_path / "source"
    if what != "absent":
        source.mkdir()
    if what == "foreign":
        (source / "file").touch()
    with pytest.raises(DirectoryUnusable):
        backup(source, tmp_path / "backup")
    assert not (tmp_path / "backup").exists() and not (tmp_path / "backup.partial").exists()


def test_no_space_leaves_nothing_behind(tmp_path: Path, disk: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        for n in range(10):
            node.register(f"r{n}").set("x" * 100_000)
        with pytest.raises(StoreFull):
            node.backup(disk / "backup")
        assert not list(disk.iterdir())
        node.backup(tmp_path / "backup")
    with pytest.raises(StoreFull):
        restore(tmp_path / "backup", disk / "b")
    assert not list(disk.iterdir())


def test_what_is_somebody_s_beside_the_target_stays(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        mine = tmp_path / "copy.partial" / "mine"
        mine.parent.mkdir()
        mine.write_text("precious")
        with pytest.raises(gossamer.DirectoryUnusable, match="in the way"):
            node.backup(tmp_path / "copy")
    assert mine.read_text() == "precious"


def test_the_folder_one_is_in_and_a_mount_point(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "a")
    with pytest.raises(DirectoryUnusable, match="a mount point"):
        backup(tmp_path / "a", disk)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DirectoryUnusable, match="not empty"):
        backup(Path("a"), Path())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    backup(tmp_path / "a", Path())
    assert read_manifest(tmp_path / "here").name == "a"
