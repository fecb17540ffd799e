"""Processes that read the store beside its node and die, or hang: the space that they hold comes back."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from gossamer.limits import READERS_CHECK_S
from gossamer.replica import DEFAULT, Replica
from gossamer.turns import Instant, Write

from .helpers import line, op, python, replica_in

READER = """
import sys, lmdb
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=64)
with env.begin():
    print("reading")
    sys.stdin.read()
"""
ROUNDS, LARGE = 100, "x" * 60_000
GROWTH_BYTES_MAX = 10 * len(LARGE)


def growth(replica: Replica, data: Path, mono: float) -> int:
    """Bytes by which the file grows while one value is written over and over."""
    before = data.stat().st_size
    for n in range(ROUNDS):
        now = Instant(1_700_000_000_000_000 + n, mono)
        replica.turn([Write(DEFAULT, (op("register:r", "set", LARGE),))], now)
        replica.outbox(now)
    return data.stat().st_size - before


def reading(data: Path) -> "subprocess.Popen[str]":
    process = python(READER, str(data.parent))
    assert line(process) == "reading\n"
    return process


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_reader_that_was_killed_holds_no_space_for_long(tmp_path: Path, is_stopped: bool) -> None:
    data = tmp_path / "store" / "data.mdb"
    with replica_in(tmp_path) as replica:
        growth(replica, data, 0.0)
        reader = reading(data)
        if is_stopped:
            os.kill(reader.pid, signal.SIGSTOP)
        assert growth(replica, data, READERS_CHECK_S + 1) > ROUNDS * len(LARGE) // 2, "nothing is held"
        reader.kill()
        reader.communicate()
        assert growth(replica, data, 2 * READERS_CHECK_S + 2) < GROWTH_BYTES_MAX


def test_a_reader_that_ended_well_holds_none(tmp_path: Path) -> None:
    data = tmp_path / "store" / "data.mdb"
    with replica_in(tmp_path) as replica:
        growth(replica, data, 0.0)
        reader = reading(data)
        reader.communicate("")
        assert growth(replica, data, 1.0) < GROWTH_BYTES_MAX
