"""Compaction gives space back, and keeps the data and the replica id, whatever interrupts it."""

from __future__ import annotations

from pathlib import Path

import pytest

import gossamer
from gossamer.errors import DirectoryInUse, DirectoryUnusable
from gossamer.maintenance import compact, verify
from gossamer.store import Directory

from .test_backup import filled


def grown(where: Path) -> str:
    """A directory most of whose file is free pages; its replica id."""
    with gossamer.open(where, name="a") as node:
        for n in range(20):
            node.register(f"r{n}").set("x" * 50_000)
        for n in range(20):
            node.register(f"r{n}").set("small")
        return str(node.status()["replica"])


def test_free_pages_are_given_back_and_the_id_is_kept(tmp_path: Path) -> None:
    before = grown(tmp_path / "a")
    done = compact(tmp_path / "a")
    assert done.after < done.before / 2
    assert (tmp_path / "a" / "store" / "data.mdb").stat().st_size == done.after
    assert verify(tmp_path / "a").is_sound
    with gossamer.open(tmp_path / "a") as node:
        assert node.status()["replica"] == before and node.register("r7").get() == "small"
        node.register("r7").set("written after")
    with gossamer.open(tmp_path / "a") as node:
        assert node.status()["replica"] == before and node.register("r7").get() == "written after"


def test_a_running_node_is_not_compacted(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a"), pytest.raises(DirectoryInUse):
        compact(tmp_path / "a")


def test_what_is_no_node_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(DirectoryUnusable):
        compact(tmp_path / "none")
    assert not (tmp_path / "none").exists()


class Crash(BaseException):
    """The end of the process, as far as a test can have it."""


@pytest.mark.parametrize("method", ["copy_to", "close"])
def test_a_crash_in_between_loses_nothing(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the new file takes the old one's place, nothing has happened."""
    before = filled(tmp_path / "a")
    directory = Directory.open(tmp_path / "a")

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(directory.store, method, crash)
        with pytest.raises(Crash):
            directory.compact()
    directory.close(clean=False)
    with gossamer.open(tmp_path / "a") as node:
        assert node.status()["replica"] == before and node.counter("c").value() == 7


def test_a_crash_after_the_exchange_of_the_files_takes_a_new_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(tmp_path / "a")
    directory = Directory.open(tmp_path / "a")

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(directory, "keep_identity", crash)
        with pytest.raises(Crash):
            directory.compact()
    directory.close(clean=False)
    with gossamer.open(tmp_path / "a") as node:
        status = node.status()
        assert status["old_replicas"] == [before] and node.counter("c").value() == 7
