"""More nodes than a full mesh has: each keeps a few links, and everything that holds in a mesh holds over hops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gossamer.errors import InsufficientRights
from gossamer.replication import limits
from gossamer.replication.neighbours import rings
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster

COUNT = 18
HELD_MAX = 2 * rings(COUNT) + limits.SURPLUS_MAX


def until(cluster: Cluster, what: Callable[[], bool], seconds: float) -> None:
    """Looks now and then: to look after each event would take longer than the events."""
    end = cluster.clock.now + seconds
    while not what():
        assert cluster.clock.now < end, f"not within {seconds} simulated seconds\n{cluster.describe()[:2000]}"
        cluster.advance(0.25)


def settle(cluster: Cluster, seconds: float = 30.0) -> None:
    until(cluster, cluster.is_settled, seconds)


def states(node: SimulatedNode) -> Counter[str]:
    return Counter(member["state"] for member in node.status()["members"])


def links(cluster: Cluster) -> list[int]:
    return [len(node.core.engine.links) for node in cluster.nodes if node.is_alive]


def rows(cluster: Cluster) -> set[int]:
    return {node.core.store.count("default")[1] for node in cluster.nodes if node.is_alive}


def far_from(cluster: Cluster, node: SimulatedNode) -> SimulatedNode:
    """A node that it is not linked with."""
    near = {link.name for link in node.core.engine.links.values()}
    return next(other for other in cluster.nodes if other is not node and other.name not in near)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    kept = {name: getattr(limits, name) for name in ("AWAY_AFTER_S", "DIGEST_EVERY_S", "GUEST_S")}
    limits.AWAY_AFTER_S, limits.DIGEST_EVERY_S, limits.GUEST_S = 8.0, 1.0, 5.0
    try:
        with Cluster(COUNT, seed=11) as cluster:
            until(
                cluster,
                lambda: all(len(n.core.engine.registry.remaining) == COUNT for n in cluster.nodes),
                30,
            )
            settle(cluster)
            until(cluster, lambda: max(links(cluster)) <= HELD_MAX, 30)
            yield cluster
    finally:
        for name, value in kept.items():
            setattr(limits, name, value)


def test_a_write_reaches_all_and_is_collected_everywhere(cluster: Cluster) -> None:
    a = cluster.nodes[0]
    assert max(links(cluster)) < COUNT - 1, "else it is a mesh"
    a.register("gone").set(1)
    a.register("gone").remove()
    settle(cluster, 2.0)
    until(cluster, lambda: rows(cluster) == {0}, 30)
    until(cluster, lambda: all(states(n)["away"] == 0 for n in cluster.nodes), 30)
    assert states(a)["linked"] + states(a)["reached"] == len(cluster.nodes) - 1
    assert states(a)["reached"] > 0


def test_copies_on_all_are_known_within_a_default_wait(cluster: Cluster) -> None:
    a = cluster.nodes[1]
    a.register("r").set("everywhere")
    a.wait_replicated(a.token(), peers="all", timeout=5)


def test_rights_of_one_that_is_not_linked_are_found(cluster: Cluster) -> None:
    rich = cluster.nodes[2]
    poor = far_from(cluster, rich)
    rich.bounded_counter("stock").mint(5)
    settle(cluster)
    poor.bounded_counter("stock").spend(4, wait=10)
    with pytest.raises(InsufficientRights):
        poor.bounded_counter("stock").spend(9)
    assert poor.bounded_counter("stock").value() == 1


def test_parts_go_on_and_become_one(cluster: Cluster) -> None:
    left, right = cluster.nodes[: COUNT // 2], cluster.nodes[COUNT // 2 :]
    cluster.partition(left, right)
    cluster.advance(10)
    left[0].counter("c").add(1)
    right[0].counter("c").add(2)
    until(cluster, lambda: all(n.counter("c").value() == 1 for n in left), 30)
    until(cluster, lambda: all(n.counter("c").value() == 2 for n in right), 30)
    cluster.heal()
    until(cluster, lambda: all(n.counter("c").value() == 3 for n in cluster.nodes), 30)
    settle(cluster)
    until(cluster, lambda: rows(cluster) == {0} and max(links(cluster)) <= HELD_MAX, 60)


def test_a_kill_is_seen_by_neighbours_and_by_all(cluster: Cluster) -> None:
    victim = cluster.nodes[5]
    cluster.kill(victim)

    def seen_by(node: SimulatedNode) -> Any:
        return next(m["state"] for m in node.status()["members"] if m["name"] == victim.name)

    alive = [node for node in cluster.nodes if node is not victim]
    assert {seen_by(node) for node in alive} >= {"reached"}, "not at once"
    until(cluster, lambda: {seen_by(node) for node in alive} == {"away"}, 60)
    alive[0].register("meanwhile").set(1)
    settle(cluster)
    assert min(rows(cluster)) > 0, "a member that is away holds collection back"
    cluster.restart(victim)
    until(cluster, lambda: victim.register("meanwhile").get() == 1, 30)
    until(cluster, lambda: rows(cluster) == {0}, 60)
    until(cluster, lambda: "away" not in {seen_by(node) for node in alive}, 30)


def test_a_newcomer_has_few_links_and_everything(cluster: Cluster) -> None:
    cluster.nodes[3].register("here").set("before")
    joiner = cluster.add()
    until(cluster, lambda: _reads(joiner) and joiner.register("here").get() == "before", 30)
    settle(cluster)
    until(cluster, lambda: len(joiner.core.engine.links) <= HELD_MAX, 30)


def _reads(node: SimulatedNode) -> bool:
    return "default" not in node.core._unready
