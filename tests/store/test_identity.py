"""When a directory keeps its replica id, and when it must take another."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .helpers import BOOT, OTHER_BOOT, crashed, made, op, opened, replica_in, write

Stop = Callable[..., bytes]


def is_new(where: Path, words: str, old: bytes, durability: str = "commit", boot: str = BOOT) -> None:
    """The next open takes another id for this reason, names the old one, and the open after it keeps that."""
    directory = opened(where, durability, boot)
    assert directory.doubt is not None and words in directory.doubt
    assert directory.replica != old
    assert directory.old_ids[-1] == old
    directory.close()
    is_kept(where, directory.replica, durability, boot)


def is_kept(where: Path, replica: bytes, durability: str = "commit", boot: str | None = BOOT) -> None:
    directory = opened(where, durability, boot)
    assert (directory.replica, directory.doubt) == (replica, None)
    directory.close()


def advance(where: Path) -> None:
    """Commit something, as a node of the same machine does, and close."""
    directory = opened(where)
    directory.store.put_meta("something", os.urandom(8))
    directory.close()


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def test_reopening_keeps_the_id(tmp_path: Path) -> None:
    replica = made(tmp_path)
    for _ in range(3):
        is_kept(tmp_path, replica)
        advance(tmp_path)


def test_a_node_with_keyspaces_keeps_the_id(tmp_path: Path) -> None:
    """Also when opening clears away what a large batch left half received, which is a write."""
    with replica_in(tmp_path) as node:
        replica = node.replica
    is_kept(tmp_path, replica)
    directory = opened(tmp_path)
    with directory.store.transaction() as drafts:
        drafts("default").stage(b"part", b"of a batch")
    directory.close()
    is_kept(tmp_path, replica)
    directory = opened(tmp_path)
    with directory.store.transaction() as drafts:
        assert not list(drafts("default").staged(b""))
    directory.close()


def test_a_move_within_the_volume_keeps_the_id(tmp_path: Path) -> None:
    replica = made(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    is_kept(tmp_path / "b", replica)


def test_a_clean_stop_survives_a_restart_of_the_machine(tmp_path: Path) -> None:
    replica = made(tmp_path)
    is_kept(tmp_path, replica, boot=OTHER_BOOT)


def test_a_crash_of_the_process_keeps_the_id(tmp_path: Path) -> None:
    replica = crashed(tmp_path)
    is_kept(tmp_path, replica)


def test_a_crash_and_a_restart_of_the_machine_take_another(tmp_path: Path) -> None:
    replica = crashed(tmp_path)
    is_new(tmp_path, "restarted after a stop that was not clean", replica, boot=OTHER_BOOT)


def test_a_machine_that_cannot_be_told_counts_as_restarted(tmp_path: Path) -> None:
    replica = crashed(tmp_path, boot="")
    directory = opened(tmp_path, boot="")
    assert directory.replica != replica
    directory.close()


def test_the_machine_of_this_test_can_be_told(tmp_path: Path) -> None:
    replica = crashed(tmp_path, boot=None)
    is_kept(tmp_path, replica, boot=None)


@pytest.mark.parametrize("stop", [made, crashed])
def test_relaxed_durability_is_not_believed_after_a_restart_of_the_machine(
    tmp_path: Path, stop: Stop
) -> None:
    replica = stop(tmp_path, "relaxed")
    is_kept(tmp_path, replica, "relaxed")
    stop(tmp_path, "relaxed")
    is_new(tmp_path, "restarted", replica, "relaxed", OTHER_BOOT)


def test_it_counts_how_durable_the_last_session_was_and_not_this_one(tmp_path: Path) -> None:
    replica = made(tmp_path, "relaxed")
    is_new(tmp_path, "relaxed", replica, "commit", OTHER_BOOT)


def test_an_id_whose_events_were_safe_from_a_power_cut_is_not_used_for_others(tmp_path: Path) -> None:
    replica = made(tmp_path)
    is_new(tmp_path, "lowered", replica, "relaxed")
    replica = made(tmp_path, "relaxed")
    is_kept(tmp_path, replica, "relaxed")
    is_kept(tmp_path, replica, "commit")


def test_a_copy_is_another_replica_and_the_original_is_not(tmp_path: Path) -> None:
    replica = made(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "b")
    is_new(tmp_path / "b", "copied", replica)
    is_kept(tmp_path / "a", replica)


def test_a_copy_of_a_crashed_directory_is_another_replica(tmp_path: Path) -> None:
    replica = crashed(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "b")
    is_new(tmp_path / "b", "copied", replica)


def test_two_copies_are_two_replicas(tmp_path: Path) -> None:
    made(tmp_path / "a")
    for name in ("b", "c"):
        copy(tmp_path / "a", tmp_path / name)
    assert made(tmp_path / "b") != made(tmp_path / "c")


def test_a_copy_of_a_copy_names_all_that_came_before(tmp_path: Path) -> None:
    first = made(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "b")
    second = made(tmp_path / "b")
    copy(tmp_path / "b", tmp_path / "c")
    directory = opened(tmp_path / "c")
    assert directory.old_ids == [first, second]
    directory.close()


def test_a_restored_backup_is_another_replica(tmp_path: Path) -> None:
    replica = made(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "backup")
    advance(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    copy(tmp_path / "backup", tmp_path / "a")
    is_new(tmp_path / "a", "restored", replica)


def test_a_backup_restored_over_the_directory_is_another_replica(tmp_path: Path) -> None:
    """Every file keeps its inode."""
    replica = made(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "backup")
    advance(tmp_path / "a")
    for file in ("gossamer", "witness", "store/data.mdb"):
        subprocess.run(["cp", "-p", str(tmp_path / "backup" / file), str(tmp_path / "a" / file)], check=True)
    is_new(tmp_path / "a", "restored", replica)


def test_an_older_store_in_place_is_behind_its_witness(tmp_path: Path) -> None:
    """Only data.mdb is put back, into the same inode."""
    replica = made(tmp_path)
    data = tmp_path / "store" / "data.mdb"
    older = data.read_bytes()
    advance(tmp_path)
    data.write_bytes(older)
    is_new(tmp_path, "rolled back", replica)


def test_an_older_store_with_its_witness_in_place_is_noticed(tmp_path: Path) -> None:
    """What a restore of only the files that differ does, into the same inodes: the sentinel does not change."""
    replica = made(tmp_path)
    files = [tmp_path / "witness", tmp_path / "store" / "data.mdb"]
    older = [file.read_bytes() for file in files]
    advance(tmp_path)
    for file, content in zip(files, older, strict=True):
        file.write_bytes(content)
    is_new(tmp_path, "changed after it was closed", replica)


@pytest.mark.parametrize("stop", [made, crashed])
def test_an_older_store_as_another_file_is_noticed(tmp_path: Path, stop: Stop) -> None:
    """The same, as rsync does it: a new file takes the name."""
    replica = stop(tmp_path)
    files = {tmp_path / "witness": tmp_path / "one", tmp_path / "store" / "data.mdb": tmp_path / "two"}
    for file, backup in files.items():
        copy(file, backup)
    crashed(tmp_path)
    for file, backup in files.items():
        backup.rename(file)
    is_new(tmp_path, "replaced by another file", replica)


def test_a_crash_right_after_many_commits_is_no_doubt(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    for i in range(10):
        directory.store.put_meta("something", b"%d" % i)
    directory.close(clean=False)
    is_kept(tmp_path, directory.replica)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"txn": "1"}'])
def test_a_witness_that_is_missing_or_damaged_is_doubt(tmp_path: Path, content: bytes | None) -> None:
    replica = made(tmp_path)
    if content is None:
        (tmp_path / "witness").unlink()
    else:
        (tmp_path / "witness").write_bytes(content)
    is_new(tmp_path, "witness", replica)


def test_an_id_given_while_running_is_kept(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    first = directory.replica
    directory.keep_identity(b"newid678", [first], "a peer proved it")
    assert (directory.replica, directory.old_ids) == (b"newid678", [first])
    directory.close(clean=False)
    is_kept(tmp_path, b"newid678")


def test_a_new_id_is_durable_before_the_open_returns(tmp_path: Path) -> None:
    """A second crash follows at once; the id of the first open is not used a second time, nor lost."""
    first = made(tmp_path / "a")
    copy(tmp_path / "a", tmp_path / "b")
    second = crashed(tmp_path / "b")
    directory = opened(tmp_path / "b")
    assert (directory.replica, directory.old_ids) == (second, [first])
    directory.close()


def test_the_events_before_a_new_id_stay(tmp_path: Path) -> None:
    with replica_in(tmp_path / "a") as replica:
        first = replica.replica
        assert write(replica, op("counter:c", "add", 1)) == (first, 1)
    copy(tmp_path / "a", tmp_path / "b")
    with replica_in(tmp_path / "b") as replica:
        assert write(replica, op("counter:c", "add", 1)) == (replica.replica, 1)
        delivered = replica.state("default").delivered
        assert delivered.has(first, 1) and delivered.has(replica.replica, 1)
