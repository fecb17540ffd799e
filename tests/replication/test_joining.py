"""A node that joins several at once takes all there is from one of them, however long that takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gossamer.errors import NotReady
from gossamer.replication import limits
from gossamer.simulation.network import CALM, Weather
from gossamer.simulation.node import SimulatedNode
from gossamer.testing import Cluster

CELLS = 6_000
SLOW = Weather(delay=(0.2, 0.2))
"""So slow that links end and are dialed again several times before all cells are over."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 8 * 1024)
    monkeypatch.setattr(limits, "WINDOW_BYTES", 16 * 1024)


@contextmanager
def joined(seed: int) -> Iterator[tuple[Cluster, SimulatedNode]]:
    """Four with cells that are collected everywhere, so that a newcomer needs a full exchange; and one, slowly."""
    with Cluster(4, seed=seed) as cluster:
        for at in range(0, CELLS, 500):
            with cluster.nodes[0].transaction() as tx:
                for number in range(at, at + 500):
                    tx.register(f"r{number}").set(number.to_bytes(4, "big") * 25)
        cluster.settle()
        cluster.advance(5)
        cluster.weather(SLOW)
        yield cluster, cluster.add()


def test_what_one_sends_is_not_begun_anew_because_others_send_it_too() -> None:
    with joined(seed=1) as (cluster, joiner):
        assert cluster.settle(timeout=60) < 60
        assert joiner.core.store.count("default")[0] == CELLS


def test_another_one_goes_on_where_the_first_sender_is_gone() -> None:
    with joined(seed=2) as (cluster, joiner):
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


def test_another_sender_leaves_a_joiner_as_unready_as_the_first_one_did() -> None:
    with Cluster(4, seed=3) as cluster:
        for number in range(1_000):
            cluster.nodes[0].register(f"r{number:03}").set(bytes(100))
        cluster.settle()
        cluster.advance(5)
        cluster.kill(cluster.nodes[3])  # so what follows is not collected, and shows as delivered at once
        cluster.nodes[0].register("a").set(1)
        cluster.settle()
        cluster.weather(SLOW)
        joiner = cluster.add()
        while (begun := joiner.core.state("default").bootstrap) is None or not begun.reached:
            assert cluster.clock.step()
        assert joiner.core.state("default").delivered
        cluster.kill(next(node for node in cluster.nodes if node.core.replica == begun.sender))
        while not joiner.core.state("default").is_whole:
            with pytest.raises(NotReady):
                joiner.register("r999").get()
            assert cluster.clock.step()
        assert joiner.register("r999").get() == bytes(100)
