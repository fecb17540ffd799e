"""A host with a damaged cell, or another digest, has every event by its vector: the sound copy stays until it is whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import gossamer
from gossamer.errors import OnlyCopy, WaitTimeout
from gossamer.replication import limits
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster

from .test_damaged import change, flip, put_back

NAME = "orders"
CELLS = 12


def shared(cluster: Cluster, keyspace: str = "default") -> tuple[SimulatedNode, SimulatedNode]:
    """Two hosts, the second of which finds all of its cells damaged, one after another."""
    a, b = cluster.nodes
    for n in range(CELLS):
        a.keyspace(keyspace).register(f"r{n}").set(n)
    cluster.advance(10)
    for n in range(CELLS):
        flip(b, f"register:r{n}", keyspace)
        with pytest.raises(gossamer.Damaged):
            b.keyspace(keyspace).register(f"r{n}").get()
    until(cluster, lambda: any(k.shared[keyspace].fetch_at > 0 for k in b.core.engine.links.values()))
    return a, b


def until(cluster: Cluster, is_so: Callable[[], bool]) -> None:
    """Let as little time pass as that takes."""
    ends = cluster.clock.now + 60
    while not is_so():
        assert cluster.clock.now < ends and cluster.clock.step()


def is_in_doubt(a: SimulatedNode, b: SimulatedNode, keyspace: str) -> bool:
    return bool(a.core.engine.doubt(b.core.replica, keyspace))


def reads_all(node: SimulatedNode, keyspace: str = "default") -> bool:
    return [node.keyspace(keyspace).register(f"r{n}").get() for n in range(CELLS)] == [*range(CELLS)]


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCH_PATHS_MAX", 4)


def drop(node: SimulatedNode) -> None:
    node.drop_keyspace("default", timeout=60)


def leave(node: SimulatedNode) -> None:
    node.leave()


@pytest.mark.parametrize("go", [drop, leave])
def test_it_goes_once_what_was_damaged_there_is_replaced(go: Callable[[SimulatedNode], None]) -> None:
    with Cluster(2, seed=1) as cluster:
        a, b = shared(cluster)
        go(a)
        cluster.advance(10)
        assert reads_all(b) and not b.status()["damaged"]


@pytest.mark.parametrize("go", [drop, leave])
def test_it_stays_while_that_cannot_be_and_says_why(go: Callable[[SimulatedNode], None]) -> None:
    """Its own copy of one cell is damaged as well, so the other host asks in vain."""
    with Cluster(2, seed=2) as cluster:
        a, b = shared(cluster)
        stored = flip(a, "register:r9")
        with pytest.raises((OnlyCopy, WaitTimeout), match="n1 does not count, as it asks for cells"):
            go(a)
        put_back(a, "register:r9", stored)
        cluster.advance(limits.DAMAGED_RETRY_S)
        go(a)
        assert reads_all(b)


def test_one_that_is_restarted_before_it_has_them_is_sent_them_again() -> None:
    with Cluster(2, seed=3) as cluster:
        a, b = shared(cluster)
        cluster.advance(0.1)
        cluster.kill(b)
        with pytest.raises(OnlyCopy, match="n1 does not count"):
            a.drop_keyspace("default")
        cluster.restart(b)
        assert not b.status()["damaged"], "it has not read them yet"
        cluster.advance(0.9)  # less than a pass of the scrub
        a.drop_keyspace("default", timeout=60)
        cluster.advance(10)
        assert reads_all(b)


def test_another_digest_at_an_equal_vector_is_repaired_first() -> None:
    with Cluster(2, seed=4) as cluster:
        a, b = cluster.nodes
        for n in range(CELLS):
            a.register(f"r{n}").set(n)
        cluster.advance(10)
        change(b, "cells", lambda key, stored: (key[:-2] + b"x" + key[-1:], stored) if b"r3" in key else None)
        until(cluster, lambda: is_in_doubt(a, b, "default"))
        a.core.leave("default")
        a.flush()
        until(cluster, lambda: not a.core.hosts("default"))
        cluster.advance(10)
        assert reads_all(b)
