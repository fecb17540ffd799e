"""What is damaged is found and named, and what is sound is called so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

import gossamer
from gossamer.errors import DirectoryInUse, DirectoryUnusable
from gossamer.maintenance import backup, verify
from gossamer.store import index

from ..store.helpers import at, raw, snapshot
from .test_backup import filled


def found(where: Path) -> list[tuple[str, str, str]]:
    return [(one.keyspace, one.where, one.what) for one in verify(where).findings]


def test_a_sound_directory_is_called_sound_and_not_changed(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    before = snapshot(tmp_path / "a")
    report = verify(tmp_path / "a")
    assert report.is_sound and report.keyspaces["default"] == 5
    after = snapshot(tmp_path / "a")
    assert {name: data for name, data in after.items() if "lock" not in name} == {
        name: data for name, data in before.items() if "lock" not in name
    }


def test_a_flipped_bit_is_found_with_its_path(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with raw(tmp_path / "a", "default/cells") as (txn, db):
        stored = txn.get(at("register:r"), db=db)
        assert stored is not None
        txn.put(at("register:r"), stored[:-1] + bytes((stored[-1] ^ 4,)), db=db)
    findings = found(tmp_path / "a")
    assert ("default", "register:r") == findings[0][:2] and "checksum" in findings[0][2]
    assert ("default", "digest") == findings[1][:2]


def test_a_cell_that_is_not_where_it_was_written_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with raw(tmp_path / "a", "default/cells") as (txn, db):
        stored = txn.pop(at("register:r"), db=db) or b""
        txn.put(at("register:q"), stored, db=db)
    assert ("default", "register:q") in [finding[:2] for finding in found(tmp_path / "a")]


def test_a_cell_that_is_gone_shows_in_the_digest(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with raw(tmp_path / "a", "default/cells") as (txn, db):
        txn.delete(at("register:r"), db=db)
    assert [finding[1] for finding in found(tmp_path / "a")] == ["digest"]


def test_a_row_that_is_gone_or_is_none_is_found(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", peers=["127.0.0.1:1"]) as node:  # never met: nothing is collected
        node.register("r").set("kept")
        node.register("q").set("kept")
    with raw(tmp_path / "a", "default/changes") as (txn, _db):
        cursor = txn.cursor()
        assert cursor.first()
        key, row = cursor.item()
        assert row[1:] == at("register:r")
        cursor.delete()
        txn.put(b"short", index.SINGLE + at("register:q"))
        txn.put(key, index.SINGLE + b"\xfe")
    findings = found(tmp_path / "a")
    assert ("default", "register:r") in [one[:2] for one in findings if "lacks" in one[2]]
    assert {one[1] for one in findings if one[1].startswith("row")} == {
        f"row {key.hex()}",
        f"row {b'short'.hex()}",
    }


def test_a_moment_that_is_not_in_its_index_is_found(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        node.register("r").set("kept", ttl=1000)
    assert found(tmp_path / "a") == []
    with raw(tmp_path / "a", "default/expiries") as (txn, db):
        txn.drop(db, delete=False)
    assert found(tmp_path / "a") == [("default", "register:r", "the index of what expires lacks it")]


def test_a_state_that_is_not_what_was_written_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with raw(tmp_path / "a", "default/meta") as (txn, db):
        txn.put(b"state", b"\xc1", db=db)
    assert [finding[1] for finding in found(tmp_path / "a")] == ["state"]


def test_a_backup_is_verified_with_its_checksum(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    backup(tmp_path / "a", tmp_path / "backup")
    assert verify(tmp_path / "backup").is_sound
    with (tmp_path / "backup" / "data.mdb").open("r+b") as file:
        file.seek(9000)
        file.write(b"\xff")
    with pytest.raises(DirectoryUnusable, match="not the file"):
        verify(tmp_path / "backup")


def test_a_node_of_this_process_is_not_opened_a_second_time(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a"), pytest.raises(DirectoryInUse):
        verify(tmp_path / "a")


def gossamer_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gossamer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    done = gossamer_command("backup", tmp_path / "a", tmp_path / "backup")
    assert (done.returncode, done.stderr) == (0, "") and "of node a" in done.stdout
    done = gossamer_command("restore", tmp_path / "backup", tmp_path / "b")
    assert (done.returncode, done.stderr) == (0, "") and "now replica" in done.stdout
    done = gossamer_command("verify", tmp_path / "b")
    assert (done.returncode, done.stderr) == (0, "") and ": sound" in done.stdout
    done = gossamer_command("compact", tmp_path / "b")
    assert (done.returncode, done.stderr) == (0, "") and "bytes before" in done.stdout
    with raw(tmp_path / "b", "default/cells") as (txn, db):
        txn.put(at("register:r"), b"damaged", db=db)
    done = gossamer_command("verify", tmp_path / "b", "--json")
    assert done.returncode == 5 and '"register:r"' in done.stdout
    for wrong in (("verify", tmp_path / "none"), ("restore", tmp_path / "b", tmp_path / "c")):
        done = gossamer_command(*wrong)
        assert done.returncode == 1 and done.stderr.startswith("Error: ") and "Traceback" not in done.stderr


def test_a_store_without_its_roots_is_refused_in_words(tmp_path: Path) -> None:
    """What a disk leaves that flushed the meta page only: the file begins as one does, and leads nowhere."""
    filled(tmp_path / "a")
    data = tmp_path / "a" / "store" / "data.mdb"
    size = data.stat().st_size
    with data.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(size - 2 * 4096))
    for look in (verify, gossamer.open):
        with pytest.raises(DirectoryUnusable, match=r"data\.mdb is damaged: .*restore"):
            look(tmp_path / "a")


def test_an_empty_database_in_place_of_the_store_is_refused_in_words(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with lmdb.open(str(tmp_path / "empty")) as env, env.begin(write=True) as txn:
        txn.put(b"x", b"y")
        txn.delete(b"x")
    shutil.copy(tmp_path / "empty" / "data.mdb", tmp_path / "a" / "store" / "data.mdb")
    for look in (verify, gossamer.open):
        with pytest.raises(DirectoryUnusable, match=r"data\.mdb is damaged: it does not say which replica"):
            look(tmp_path / "a")
