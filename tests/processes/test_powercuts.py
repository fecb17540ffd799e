"""A few power cuts; ``python -m tests.processes.powercuts`` has the many."""

from pathlib import Path

import pytest

from . import disk, powercuts
from .inject import NO_STRACE, can_inject

LACKING = {kind: disk.lacking(kind) for kind in disk.KINDS}
on_ext4 = pytest.mark.skipif(bool(LACKING["ext4"]), reason=LACKING["ext4"] or "it is here")
on_xfs = pytest.mark.skipif(bool(LACKING["xfs"]), reason=LACKING["xfs"] or "it is here")


@pytest.mark.parametrize("kind", [pytest.param("ext4", marks=on_ext4), pytest.param("xfs", marks=on_xfs)])
def test_nothing_acknowledged_is_lost_when_the_power_goes(tmp_path: Path, kind: str) -> None:
    figures = powercuts.alone(tmp_path, kind, 1, seed=2)
    print(figures)
    assert figures.cuts == 1 and figures.acknowledged > 0


@on_ext4
def test_relaxed_commits_that_were_undone_come_back_from_a_peer_once(tmp_path: Path) -> None:
    figures = powercuts.with_a_peer(tmp_path, "ext4", "relaxed", 1, seed=3)
    print(figures)
    assert figures.cuts == 1 and figures.acknowledged > 0


@on_ext4
@pytest.mark.skipif(not can_inject(), reason=NO_STRACE)
def test_a_disk_that_lied_about_flushing_is_refused_or_sound(tmp_path: Path) -> None:
    print(powercuts.lying(tmp_path, "ext4", 1))
