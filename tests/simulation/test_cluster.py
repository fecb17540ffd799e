"""The simulated cluster as a user of it sees it."""

from __future__ import annotations

import pytest

from gossamer.errors import Closed, NotReady
from gossamer.replication import limits
from gossamer.replication.registry import SYSTEM, remove_ops
from gossamer.simulation import SimulatedNode
from gossamer.simulation.cluster import WALL_AT_START
from gossamer.testing import Cluster, Weather
from gossamer.turns import Instant, Write


def test_a_partition_stops_nobody_and_a_heal_makes_all_equal() -> None:
    with Cluster(3, seed=7) as cluster:
        a, b, c = cluster.nodes
        cluster.partition([a], [b, c])
        a.counter("x").add(1)
        b.counter("x").add(2)
        cluster.advance(5)
        assert (a.counter("x").value(), c.counter("x").value()) == (1, 2)
        cluster.heal()
        cluster.settle()
        assert [node.counter("x").value() for node in cluster.nodes] == [3, 3, 3]


def test_what_a_killed_node_acknowledged_is_there_when_it_is_back() -> None:
    with Cluster(3, seed=1) as cluster:
        a, b, _ = cluster.nodes
        cluster.settle()
        b.register("r").set("kept")
        cluster.kill(b)
        with pytest.raises(Closed):
            b.register("r").get()
        cluster.advance(5)
        a.counter("n").add(1)
        cluster.restart(b)
        cluster.settle()
        assert a.register("r").get() == "kept"
        assert b.counter("n").value() == 1


def test_bad_weather_only_delays() -> None:
    with Cluster(4, seed=3) as cluster:
        cluster.weather(Weather(delay=(0.01, 0.3), loss=0.1, repeat=0.2, reorder=0.1))
        for round_ in range(20):
            for node in cluster.nodes:
                node.counter("n").add(1)
                node.set("s").add(round_)
            cluster.advance(0.2)
        cluster.heal()
        cluster.settle()
        assert {node.counter("n").value() for node in cluster.nodes} == {80}


def test_a_joiner_gets_everything_and_then_collection_goes_on() -> None:
    with Cluster(2, seed=5) as cluster:
        a, _ = cluster.nodes
        for i in range(300):
            a.map("m").register(f"k{i}").set(i)
        cluster.settle()
        cluster.advance(10)
        assert a.core.store.count("default")[1] == 0, "everything is stable, so no row is left"
        joiner = cluster.add()
        cluster.settle()
        assert len(joiner.map("m").value()) == 300
        a.map("m").clear()
        cluster.settle()
        cluster.advance(60)
        assert [node.core.store.count("default") for node in cluster.nodes] == [(0, 0)] * 3


def test_another_keyspace_is_exchanged_between_its_hosts_only() -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        a.keyspace("orders").counter("n").add(4)
        orders = b.keyspace("orders")
        cluster.advance(5)
        assert orders.counter("n").value() == 4
        assert "orders" not in c.core.store.keyspaces()
        assert a.counter("n").value() == 0


def test_transactions_arrive_whole_through_small_batches() -> None:
    with Cluster(2, seed=4) as cluster:
        a, b = cluster.nodes
        cluster.partition([a], [b])
        for i in range(50):
            with a.transaction() as tx:
                tx.counter("left").add(-1)
                tx.counter("right").add(1)
                tx.register(f"note{i}").set("x" * 10_000)
        cluster.heal()
        while b.counter("right").value() < 50:
            assert cluster.clock.step()
            assert b.counter("left").value() == -b.counter("right").value()


def test_a_counter_bumped_often_behind_a_partition_is_sent_as_one_cell() -> None:
    with Cluster(2, seed=6) as cluster:
        a, b = cluster.nodes
        a.counter("n").add(1)
        cluster.settle()
        cluster.advance(10)
        sent = cluster.network.bytes_sent
        a.counter("n").add(1)
        cluster.settle()
        one = cluster.network.bytes_sent - sent
        cluster.partition([a], [b])
        cluster.advance(5)
        for _ in range(5000):
            a.counter("n").add(1)
        cluster.heal()
        # The reconnect says hello and the vectors; beside that there is one batch and its answers.
        while not cluster._is_connected(0, 1):
            cluster.clock.step()
        sent = cluster.network.bytes_sent
        cluster.settle()
        hello = 2 * 400
        assert cluster.network.bytes_sent - sent < hello + 4 * one
        assert b.counter("n").value() == 5002


def test_settle_waits_for_keyspaces_that_were_hosted_later() -> None:
    with Cluster(3, seed=7) as cluster:
        hosts = [node.keyspace("orders") for node in cluster.nodes]
        cluster.advance(5)
        hosts[0].counter("n").add(1)
        cluster.settle()
        assert [host.counter("n").value() for host in hosts] == [1, 1, 1]


def test_a_node_that_runs_is_not_started_again() -> None:
    with Cluster(2, seed=8) as cluster, pytest.raises(ValueError, match="n0 is running: kill it first"):
        cluster.restart(cluster.nodes[0])


def test_settle_says_what_each_node_lacks() -> None:
    with Cluster(2, seed=8) as cluster:
        a, b = cluster.nodes
        cluster.partition([a], [b])
        a.counter("n").add(1)
        with pytest.raises(AssertionError, match=r"seed 8: not settled after 3 s(.|\n)*n1 default: nothing"):
            cluster.settle(timeout=3)


def test_a_joiner_is_not_ready_and_one_with_data_says_that_it_is_catching_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of a transaction is seen by nobody whom the node has not told that it may be.

    With this seed the joiner hears first from one of whom it needs everything: one that has something of another is not *not ready*.
    """
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 1)
    with Cluster(3, seed=12) as cluster:
        a, _, c = cluster.nodes
        cluster.settle()
        for i in range(20):
            with a.transaction() as tx:
                tx.register(f"a{i}").set(i)
                tx.register(f"z{i}").set(i)
        cluster.settle()
        c.register("own").set(1)
        cluster.settle()
        cluster.kill(c)
        a.core.turn([Write(SYSTEM, remove_ops("n2"))], instant(cluster))
        for i in range(20):
            with a.transaction() as tx:
                tx.register(f"a{i}").set(-i - 1)
                tx.register(f"z{i}").set(-i - 1)
        cluster.advance(30)
        assert a.core.store.count("default")[1] == 0, "collected, so that the others need a full exchange"
        cluster.restart(c)
        joiner = cluster.add()
        seen: set[tuple[str, str]] = set()
        while not cluster.is_settled():
            cluster.clock.step()
            seen |= {(node.name, looked(node)) for node in (c, joiner)}
        assert ("n2", "half") in seen and ("n3", "not ready") in seen and ("n3", "half") not in seen


def instant(cluster: Cluster) -> Instant:
    return Instant(WALL_AT_START, cluster.clock.now)


def looked(node: SimulatedNode) -> str:
    try:
        found = [
            (node.register(f"a{i}").get(default=0), node.register(f"z{i}").get(default=0)) for i in range(20)
        ]
    except NotReady:
        return "not ready"
    if all(left == right for left, right in found):
        return "whole"
    assert node.status()["keyspaces"]["default"]["catching_up"]
    return "half"
