"""A short run of the nemesis; ``make nemesis`` has the long one."""

from pathlib import Path

from . import nemesis


def test_real_nodes_keep_their_promises_under_all_faults_at_once(tmp_path: Path) -> None:
    figures = nemesis.run(tmp_path, 12, seed=3)
    print(figures)
    assert figures.acknowledged > 100 and figures.reads > 10 and figures.spent > 0
    assert len(figures.faults) >= 4
