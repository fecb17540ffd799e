"""More real nodes than a full mesh may have: few streams each, and all that is written everywhere all the same.

Eighteen processes, which is where it begins, take a minute or two of processor time. So these have smaller limits, and are nine:
everything is as it is, but the numbers. `bench/many.py` runs thirty, as they are.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gossamer.replication import limits
from many import Crowd, streams_max

COUNT = 9
WRITES = 3
SMALLER = {"MESH_MAX": 4, "RINGS_MIN": 1, "SURPLUS_MAX": 1}
PROGRAM = f"""
from gossamer.cli import main
from gossamer.replication import limits
vars(limits).update({SMALLER})
main()
"""


def test_beyond_a_mesh_nodes_keep_few_streams_and_converge_though_one_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALLER.items():
        monkeypatch.setattr(limits, name, value)
    assert streams_max(COUNT) < COUNT - 1, "else nothing would bound them"
    with Crowd(COUNT, tmp_path, ("-c", PROGRAM)) as crowd:
        crowd.met()
        crowd.shed()  # until no node has more than streams_max(COUNT)
        crowd.storm(WRITES)
        crowd.agreed()
        killed = crowd.kill()
        assert 0 < len(killed.near) < COUNT - 1
        crowd.cut(killed)  # that all take it for away needs a minute more, so it is the bench's to see
        crowd.storm(1)
        assert set(crowd.values()) == {COUNT * WRITES + COUNT - 1}
