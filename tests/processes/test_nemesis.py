"""A short run of the nemesis; ``make nemesis`` has the long one."""

from pathlib import Path

import pytest

from . import nemesis, net, wired

LACKING = net.lacking()


@pytest.mark.skipif(bool(LACKING), reason=LACKING or "it is here")
def test_real_nodes_keep_their_promises_under_all_faults(tmp_path: Path) -> None:
    report = nemesis.run(tmp_path, 5, seed=5)
    print(report)
    assert report.acknowledged > 100 and report.reads > 10 and report.spent > 0
    assert report.faults.total() >= 5 and len(report.equal_s) == report.rounds


@pytest.mark.skipif(not LACKING, reason="the same with more faults runs here, in network namespaces")
def test_real_nodes_keep_their_promises_behind_proxies(tmp_path: Path) -> None:
    figures = wired.run(tmp_path, 12, seed=3)
    print(figures)
    assert figures.acknowledged > 100 and figures.reads > 10 and figures.spent > 0
    assert len(figures.faults) >= 4
