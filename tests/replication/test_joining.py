"""A node that joins several at once takes all there is from one of them, however long that takes."""

from __future__ import annotations

import pytest

from gossamer.replication import limits
from gossamer.simulation.network import CALM, Weather
from gossamer.testing import Cluster

CELLS = 6_000
SLOW = Weather(delay=(0.2, 0.2))
"""So slow that links end and are dialed again several times before all cells are over."""


def grown(cluster: Cluster) -> None:
    """Cells that are collected everywhere, so that a newcomer needs a full exchange."""
    for at in range(0, CELLS, 500):
        with cluster.nodes[0].transaction() as tx:
            for number in range(at, at + 500):
                tx.register(f"r{number}").set(number.to_bytes(4, "big") * 25)
    cluster.settle()
    cluster.advance(5)


def test_what_one_sends_is_not_begun_anew_because_others_send_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 8 * 1024)
    monkeypatch.setattr(limits, "WINDOW_BYTES", 16 * 1024)
    with Cluster(4, seed=1) as cluster:
        grown(cluster)
        cluster.weather(SLOW)
        joiner = cluster.add()
        assert cluster.settle(timeout=60) < 60
        assert joiner.core.store.count("default")[0] == CELLS


def test_another_one_goes_on_where_the_first_sender_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 8 * 1024)
    monkeypatch.setattr(limits, "WINDOW_BYTES", 16 * 1024)
    with Cluster(4, seed=2) as cluster:
        grown(cluster)
        cluster.weather(SLOW)
        joiner = cluster.add()
        cluster.advance(4)
        under_way = joiner.core.state("default").bootstrap
        assert under_way is not None
        first = next(node for node in cluster.nodes if node.core.replica == under_way.sender)
        cluster.kill(first)
        cluster.advance(60)
        assert joiner.core.state("default").bootstrap is None
        assert joiner.core.store.count("default")[0] == CELLS
        cluster.weather(CALM)
        cluster.restart(first)
        cluster.settle()
