"""What a directory may be, and what is said of one that cannot be used."""

import json
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import lmdb
import pytest

from gossamer.crdt import Vector
from gossamer.errors import DirectoryUnusable, StoreError
from gossamer.store import directory as layout
from gossamer.store import record

from .helpers import at, made, op, opened, raw, replica_in, snapshot, value, write


def unusable(where: Path, words: str) -> None:
    """It is refused in these words, and left as it was, but for who signed the lock last."""
    before = content(where)
    with pytest.raises(DirectoryUnusable, match=words) as found:
        opened(where)
    assert str(where) in str(found.value)
    assert content(where) == before


def content(where: Path) -> dict[str, bytes]:
    files = snapshot(where)
    if "gossamer" in files:
        files.pop("lock", None)
    return files


def test_an_absent_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    directory = opened(tmp_path / "a" / "b")
    assert len(directory.replica) == 8
    assert (directory.old_ids, directory.doubt) == ([], None)
    directory.close()
    assert {f.name for f in (tmp_path / "a" / "b").iterdir()} == {"gossamer", "lock", "store", "witness"}


@pytest.mark.parametrize("inside", [[], ["lost+found"], ["lock"]])
def test_an_empty_directory_is_taken(tmp_path: Path, inside: list[str]) -> None:
    for name in inside:
        (tmp_path / name).touch()
    opened(tmp_path).close()
    assert (tmp_path / "gossamer").exists()


def test_two_directories_get_two_ids(tmp_path: Path) -> None:
    assert made(tmp_path / "a") != made(tmp_path / "b")


def test_chance_is_an_argument(tmp_path: Path) -> None:
    with_chance = opened(tmp_path / "a", entropy=lambda n: b"x" * n)
    assert with_chance.replica == b"x" * 8
    with_chance.close()


@pytest.mark.parametrize("name", ["notes.txt", "data.mdb", ".hidden", "witness", "store"])
def test_a_foreign_directory_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    unusable(tmp_path, "foreign.*" + name)


def test_a_lock_file_of_somebody_else_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("precious")
    unusable(tmp_path, "foreign.*lock")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("precious")
    unusable(file, "not a directory")
    assert file.read_text() == "precious"
    with pytest.raises(DirectoryUnusable, match="[Nn]ot a directory"):
        opened(file / "below")


@pytest.mark.parametrize("content", [b"", b"{", b'"text"', b'{"gossamer": "x"}', b"\xff\xfe"])
def test_a_damaged_sentinel_is_named(tmp_path: Path, content: bytes) -> None:
    made(tmp_path)
    (tmp_path / "gossamer").write_bytes(content)
    unusable(tmp_path, "gossamer is damaged.*backup")


def test_a_newer_format_asks_for_a_newer_version(tmp_path: Path) -> None:
    made(tmp_path)
    mark = json.loads((tmp_path / "gossamer").read_text())
    (tmp_path / "gossamer").write_text(json.dumps(mark | {"format": layout.FORMAT + 1, "more": 1}))
    unusable(tmp_path, "newer version")


def test_an_unknown_older_format_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "gossamer").write_text('{"gossamer": "x", "format": 0}')
    unusable(tmp_path, "format is 0")


def test_a_missing_store_is_damage_and_not_a_new_node(tmp_path: Path) -> None:
    made(tmp_path)
    for file in (tmp_path / "store").iterdir():
        file.unlink()
    unusable(tmp_path, r"data\.mdb is damaged: it is missing.*backup")
    (tmp_path / "store").rmdir()
    unusable(tmp_path, r"data\.mdb is damaged: it is missing")


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 5000])
def test_a_store_without_its_beginning_is_damaged(tmp_path: Path, size: int) -> None:
    made(tmp_path)
    os.truncate(tmp_path / "store" / "data.mdb", size)
    unusable(tmp_path, r"data\.mdb is damaged")


def test_garbage_is_damaged(tmp_path: Path) -> None:
    made(tmp_path)
    file = tmp_path / "store" / "data.mdb"
    file.write_bytes(os.urandom(file.stat().st_size))
    unusable(tmp_path, r"data\.mdb is damaged")


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_store_cut_short_is_damaged_before_it_kills_the_process(tmp_path: Path, kept: float) -> None:
    with replica_in(tmp_path) as replica:
        for i in range(100):
            write(replica, op(f"register:r{i}", "set", "x" * 3000), op(f"register:big{i}", "set", "x" * 9000))
    file = tmp_path / "store" / "data.mdb"
    os.truncate(file, int(file.stat().st_size * kept))
    unusable(tmp_path, r"data\.mdb is damaged: it is cut short")


def test_pages_never_written_at_the_end_are_no_damage(tmp_path: Path) -> None:
    """A transaction that takes pages and gives them back can leave the file shorter than its pages."""
    made(tmp_path)
    file, rng = tmp_path / "store" / "data.mdb", Random(2)
    for _ in range(100):
        with raw(tmp_path, "node") as (txn, _):
            keys = [b"filler" + rng.randbytes(100) for _ in range(rng.randint(1, 300))]
            for key in keys:
                txn.put(key, bytes(rng.choice([10, 1500, 5000, 20_000])))
            for key in rng.sample(keys, len(keys) // rng.choice([1, 2])):
                txn.delete(key)
        if file.stat().st_size < whole_size(tmp_path):
            break
    else:
        pytest.fail("LMDB has written every page")
    opened(tmp_path).close()
    os.truncate(file, file.stat().st_size // 2)
    unusable(tmp_path, "cut short")


def whole_size(where: Path) -> int:
    with lmdb.open(str(where / "store"), readonly=True, max_dbs=64) as env:
        size: int = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        return size


def test_another_database_in_its_place_is_damage(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "store" / "data.mdb").unlink()
    with lmdb.open(str(tmp_path / "store"), max_dbs=4) as env, env.begin(write=True) as txn:
        txn.put(b"somebody", b"else's")
    with pytest.raises(DirectoryUnusable, match="does not say which replica"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_a_damaged_identity_is_damage(tmp_path: Path, content: bytes) -> None:
    made(tmp_path)
    with raw(tmp_path, "node") as (txn, _):
        txn.put(b"identity", content)
    with pytest.raises(DirectoryUnusable, match=r"data\.mdb is damaged"):
        opened(tmp_path)


def test_a_damaged_state_of_a_keyspace_is_damage(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
    with raw(tmp_path, "default/meta") as (txn, _):
        txn.put(b"state", b"\xc1")
    for _ in range(2):  # the environment was closed after the first failure
        with pytest.raises(DirectoryUnusable, match=r"data\.mdb is damaged"):
            opened(tmp_path)


def test_a_read_only_file_system_is_said_in_one_sentence(tmp_path: Path) -> None:
    """A real one: a tmpfs mounted read-only, which takes root."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    made(tmp_path / "there" / "data")
    bind = ["mount", "--bind", str(tmp_path / "there"), str(tmp_path / "there")]
    if subprocess.run(bind, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(tmp_path / "there")], check=True)
        unusable(tmp_path / "there" / "data", "Read-only file system")
        unusable(tmp_path / "there" / "new", "Read-only file system")
    finally:
        subprocess.run(["umount", str(tmp_path / "there")], check=True)
    opened(tmp_path / "there" / "data").close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_said_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        unusable(tmp_path, "Permission denied")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("stop", ["_lay_out", "_load", "_settle_identity", "_witness_open"])
def test_a_first_open_that_was_interrupted_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    """After each of its steps, and with what the step left behind."""
    step = getattr(layout.Directory, stop)

    def interrupted(self: layout.Directory, *args: Any) -> None:
        step(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(layout.Directory, stop, interrupted)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path / "data")
    monkeypatch.undo()
    directory = opened(tmp_path / "data")
    assert (directory.old_ids, directory.doubt) == ([], None)
    directory.close()
    assert made(tmp_path / "data") == directory.replica


def test_a_failed_open_lets_others_in(tmp_path: Path) -> None:
    made(tmp_path)
    mark = (tmp_path / "gossamer").read_bytes()
    (tmp_path / "gossamer").write_bytes(b"")
    with pytest.raises(StoreError):
        opened(tmp_path)
    (tmp_path / "gossamer").write_bytes(mark)
    opened(tmp_path).close()


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 7))
        before = replica.cell("default", at("counter:c"))
    with replica_in(tmp_path) as replica:
        assert replica.cell("default", at("counter:c")) == before


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    directory.close()
    other = opened(tmp_path)
    directory.close()
    with pytest.raises(StoreError):
        opened(tmp_path)
    other.close()


def test_a_bit_that_flips_in_a_keyspace_s_state_is_damage(tmp_path: Path) -> None:
    """Else a number of events that is wrong would be believed, and numbers used twice."""
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
    with raw(tmp_path, "default/meta") as (txn, _):
        state = bytes(txn.get(b"state") or b"")
    for place in range(len(state)):
        with raw(tmp_path, "default/meta") as (txn, _):
            txn.put(b"state", state[:place] + bytes((state[place] ^ 4,)) + state[place + 1 :])
        with pytest.raises(DirectoryUnusable, match=r"data\.mdb is damaged.*restore the directory"):
            opened(tmp_path)


def test_a_state_from_before_it_had_a_checksum_is_read(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
    with raw(tmp_path, "default/meta") as (txn, _):
        txn.put(b"state", record.opened(bytes(txn.get(b"state") or b"")))
    with replica_in(tmp_path) as replica:
        assert value(replica, "counter:c") == 1


def test_what_a_peer_had_is_forgotten_if_it_is_damaged(tmp_path: Path) -> None:
    peer = b"\x07" * 8
    had = Vector({peer: (1, 9)})
    with replica_in(tmp_path) as replica, replica.store.transaction() as drafts:
        drafts("default").set_peer(peer, had)
    with replica_in(tmp_path) as replica:
        assert replica.state("default").peers == {peer: had}
    with raw(tmp_path, "default/meta") as (txn, _):
        stored = bytearray(txn.get(b"peer:" + peer) or b"")
        stored[-1] ^= 1
        txn.put(b"peer:" + peer, bytes(stored))
    with replica_in(tmp_path) as replica:
        assert replica.state("default").peers == {}
