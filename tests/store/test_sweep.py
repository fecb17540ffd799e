"""A few of the calls at which a commit can be struck; ``python -m tests.store.sweep`` takes each of them."""

from pathlib import Path

import pytest

from . import sweep
from .test_failed_disk import can_inject

pytestmark = pytest.mark.skipif(not can_inject(), reason="strace is not installed, or may not trace here")


@pytest.mark.parametrize(
    ("call", "when"), [("pwrite64", 3), ("pwrite64", 9), ("pwrite64", 14), ("fdatasync", 7), ("fsync", 5)]
)
def test_a_node_killed_in_the_middle_of_a_commit_loses_nothing(tmp_path: Path, call: str, when: int) -> None:
    assert sweep.survives(tmp_path, call, "signal=SIGKILL", when).was_killed


@pytest.mark.parametrize(("call", "when"), [("pwrite64", 2), ("pwrite64", 10), ("fdatasync", 6)])
def test_no_space_at_any_call_is_called_that(tmp_path: Path, call: str, when: int) -> None:
    assert sweep.survives(tmp_path, call, "error=ENOSPC", when).was_struck


def test_a_life_that_is_not_struck_ends_the_sweep(tmp_path: Path) -> None:
    lived = sweep.survives(tmp_path, "pwrite64", "error=EIO", 1_000)
    assert not lived.was_struck and len(lived.done) == sweep.TURNS
