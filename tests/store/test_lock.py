"""One node in one process has a directory open."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen

import pytest

from gossamer.errors import DirectoryInUse
from gossamer.store import Directory

from .helpers import line, made, opened, python

HOLD = """
import sys
from gossamer.store import Directory
directory = Directory.open(sys.argv[1])
print("open")
sys.stdin.readline()
directory.close()
"""

FORK = """
import os, sys
from gossamer.errors import DirectoryInUse
from gossamer.store import Directory
directory = Directory.open(sys.argv[1])
directory.store.put_meta("before", b"1")
witness = (directory.path / "witness").read_bytes()
child = os.fork()
if child == 0:
    directory.close()
    try:
        Directory.open(sys.argv[1])
    except DirectoryInUse as error:
        assert str(os.getppid()) in str(error), error
        sys.exit(7)
    sys.exit(1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7, status
assert (directory.path / "witness").read_bytes() == witness
directory.store.put_meta("after", b"1")
print("open")
sys.stdin.readline()
assert directory.store.get_meta("after") == b"1"
directory.close()
again = Directory.open(sys.argv[1])
assert again.doubt is None, again.doubt
again.close()
print("closed")
"""


def finish(process: Popen[str]) -> str:
    out, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 0, errors
    return out


def test_a_second_open_in_this_process_is_refused_by_name(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(DirectoryInUse, match=f"this process .pid {os.getpid()}"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_another_name_for_it_does_not_help(tmp_path: Path) -> None:
    first = opened(tmp_path / "data")
    (tmp_path / "link").symlink_to("data")
    for other in (tmp_path / "link", tmp_path / "x" / ".." / "data"):
        with pytest.raises(DirectoryInUse):
            opened(other)
    first.close()


def test_a_refused_open_does_not_let_go_of_the_lock(tmp_path: Path) -> None:
    """The kernel drops a process's lock with the first descriptor that it closes."""
    first = opened(tmp_path)
    with pytest.raises(DirectoryInUse):
        opened(tmp_path)
    other = python(HOLD, str(tmp_path))
    _, errors = other.communicate("\n", timeout=60)
    assert "DirectoryInUse" in errors and f"process {os.getpid()} has it open" in errors
    first.close()


def test_a_second_open_from_another_process_names_the_first(tmp_path: Path) -> None:
    other = python(HOLD, str(tmp_path))
    assert line(other) == "open\n"
    with pytest.raises(DirectoryInUse, match=f"process {other.pid} has it open"):
        opened(tmp_path)
    finish(other)
    opened(tmp_path).close()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    other = python(HOLD, str(tmp_path))
    assert line(other) == "open\n"
    other.kill()
    other.communicate(timeout=60)
    directory = opened(tmp_path, boot=None)
    assert directory.doubt is None
    directory.close()


def test_a_forked_child_neither_uses_nor_harms_it(tmp_path: Path) -> None:
    parent = python(FORK, str(tmp_path))
    assert line(parent) == "open\n", parent.communicate("\n")
    with pytest.raises(DirectoryInUse, match=str(parent.pid)):  # the child's end let go of nothing
        opened(tmp_path)
    assert finish(parent) == "closed\n"


def test_of_many_threads_one_gets_it(tmp_path: Path) -> None:
    made(tmp_path)

    def attempt(_: int) -> Directory | None:
        try:
            return opened(tmp_path)
        except DirectoryInUse:
            return None

    with ThreadPoolExecutor(8) as pool:
        got = [found for found in pool.map(attempt, range(8)) if found is not None]
    assert len(got) == 1
    got[0].close()
