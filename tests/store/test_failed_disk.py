"""A disk that fails a write or an fsync (EIO), by strace in a real process: an error, no crash, nothing lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .helpers import at, replica_in

WRITER = """
import json, sys
from gossamer.backend import make_op
from gossamer.config import of
from gossamer.crdt import path
from gossamer.errors import StoreError
from gossamer.opening import open_replica
from gossamer.turns import Instant, Write
try:
    replica = open_replica(of(sys.argv[1]))
except StoreError as error:
    print(json.dumps(["open", type(error).__name__]))
    sys.exit()
for n in range(1, 7):
    cell = path.of_text(f"register:r{n}")
    try:
        replica.turn([Write("default", [make_op(cell, "set", ("x" * 5000,))])], Instant(n, 0.0))
        result = "done"
    except StoreError as error:
        result = type(error).__name__
    try:
        is_there = bool(replica.cell("default", cell).live)
    except StoreError as error:
        is_there = type(error).__name__
    print(json.dumps([n, result, is_there]))
replica.close()
"""


def can_inject() -> bool:
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_inject(), reason="strace is not installed, or may not trace here")


def with_errors(where: Path, inject: str) -> list[Any]:
    """What the writer reports while the kernel fails its calls as ``inject`` says."""
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={inject}"]
    command = [*trace, sys.executable, "-u", "-c", WRITER, str(where)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (inject, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def holds(where: Path, reported: list[Any]) -> None:
    """All that was acknowledged is there."""
    with replica_in(where) as replica:
        for n, result, _ in reported:
            if result == "done":
                assert replica.cell("default", at(f"register:r{n}")).live


@pytest.mark.parametrize("when", range(1, 9))
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64", "pwritev"])
def test_a_call_that_fails_once_fails_one_commit_or_all_that_follow(
    tmp_path: Path, call: str, when: int
) -> None:
    with replica_in(tmp_path) as replica:
        first = replica.replica
    reported = with_errors(tmp_path, f"{call}:error=EIO:when={when}")
    if reported[0][0] == "open":
        holds(tmp_path, [])
        return
    results = [result for _, result, _ in reported]
    failed = results.index("StoreError") if "StoreError" in results else len(results)
    after = set(results[failed + 1 :])
    assert set(results[:failed]) <= {"done"}
    assert after <= {"done"} or after == {"StoreFailed"}
    for _, result, is_there in reported:
        assert is_there in ((result == "done"), "StoreFailed" if "StoreFailed" in after else None)
    holds(tmp_path, reported)
    with replica_in(tmp_path) as replica:
        assert replica.replica == first


def test_a_disk_that_fails_every_write_is_read_only(tmp_path: Path) -> None:
    with replica_in(tmp_path):
        pass
    reported = with_errors(tmp_path, "fdatasync:error=EIO:when=1+")
    assert {result for _, result, _ in reported} == {"StoreError"}


def test_the_sweep_reaches_both_kinds_of_failure(tmp_path: Path) -> None:
    """A failed fsync aborts its transaction; a failed meta page ends all writing."""
    seen: set[str] = set()
    for when in range(1, 12):
        if {"StoreError", "StoreFailed"} <= seen:
            break
        where = tmp_path / str(when)
        with replica_in(where):
            pass
        seen |= {r[1] for r in with_errors(where, f"pwrite64:error=EIO:when={when}")}
    assert {"StoreError", "StoreFailed"} <= seen
