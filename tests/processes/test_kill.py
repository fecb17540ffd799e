"""A node that is killed keeps what it acknowledged, and comes back as the one it was."""

from pathlib import Path

from . import kills


def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    figures = kills.run(tmp_path, 30)
    print(figures)
    assert figures.kills == 30
    assert figures.acknowledged > 100
    assert figures.reads > 10
