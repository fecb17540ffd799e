"""Tokens and waiting on a simulated cluster, case by case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gossamer import LimitExceeded, TooStale, WaitTimeout
from gossamer.replication import limits
from gossamer.replication.registry import SYSTEM, remove_ops
from gossamer.testing import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(3, seed=5) as cluster:
        cluster.advance(3)  # they have met
        yield cluster


def test_a_wait_lets_the_time_pass_as_far_as_it_takes_and_no_further(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    a.counter("x").add(1)
    began = cluster.clock.now
    b.wait_for(a.token(), 10)
    assert cluster.clock.now - began < 0.1
    assert b.counter("x").value() == 1
    cluster.partition([a], [b, c])
    a.counter("x").add(1)
    began = cluster.clock.now
    with pytest.raises(WaitTimeout):
        b.wait_for(a.token(), 10)
    assert cluster.clock.now == began + 10


def test_a_token_that_leaves_out_what_all_had_is_good_for_those_members_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = cluster.nodes
    for node in cluster.nodes:
        node.counter("x").add(1)
    cluster.advance(12)  # each knows what the others have
    monkeypatch.setattr(limits, "TOKEN_CHARS_MAX", 10)
    with pytest.raises(LimitExceeded, match="token: .* for 10 characters"):
        a.token()
    monkeypatch.setattr(limits, "TOKEN_CHARS_MAX", 24)
    token = a.token()
    for node in cluster.nodes:
        node.wait_for(token, 0)
    joiner = cluster.add()
    with pytest.raises(WaitTimeout):
        joiner.wait_for(token, 0)
    cluster.advance(12)
    cluster.settle()
    with pytest.raises(WaitTimeout, match="the members are not the same any more"):
        b.wait_for(token, 1)
    joiner.wait_for(c.token(), 1)
    cluster.kill(b)
    b.take_new_identity()
    cluster.restart(b)
    with pytest.raises(WaitTimeout):
        b.wait_for(token, 0)


def test_a_majority_is_one_of_all_members_also_of_those_that_are_away(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.kill(c)
    a.counter("x").add(1)
    a.wait_replicated(a.token(), "majority", 10)
    with pytest.raises(
        WaitTimeout, match=r"2 of 3 .* \(n0, n1\); not known to have it \(n2\); the write stands here"
    ):
        a.wait_replicated(a.token(), "all", 10)
    cluster.kill(b)
    a.counter("x").add(1)
    with pytest.raises(WaitTimeout, match="1 of 2 members"):
        a.wait_replicated(a.token(), "majority", 10)
    cluster.restart(b)
    cluster.restart(c)
    a.wait_replicated(a.token(), "all", 10)


def test_a_copy_that_a_power_cut_may_take_does_not_count(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    cluster.kill(b)
    b.take_new_identity()
    b.durability = "relaxed"
    cluster.restart(b)
    cluster.advance(3)
    a.counter("x").add(1)
    a.wait_replicated(a.token(), 1, 10)
    with pytest.raises(
        WaitTimeout, match=r"1 of 2 members are known to have it durably \(n2\); not durably \(n1\)"
    ):
        a.wait_replicated(a.token(), 2, 10)
    with pytest.raises(WaitTimeout, match=r"not durably \(n1\)"):
        b.wait_replicated(a.token(), "all", 10)  # its own copy neither


def test_a_node_knows_that_it_is_stale_before_it_knows_that_it_is_cut_off(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    a.wait_fresh(0.1, 5)
    cluster.partition([a], [b, c])
    b.counter("x").add(1)
    cluster.advance(0.2)
    with pytest.raises(TooStale):
        a.wait_fresh(0.1, 0)
    with pytest.raises(TooStale, match=r"it may be: n1 was last caught up with .* s ago, n2 was last"):
        a.fresh(0.1, 10).counter("x").value()
    cluster.heal()
    assert a.fresh(0.1, 10).counter("x").value() == 1


def test_a_member_that_is_removed_makes_nobody_stale(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    a.wait_fresh(1.0, 5)
    cluster.kill(c)
    cluster.advance(5)
    with pytest.raises(TooStale, match="n2 was last caught up with"):
        a.wait_fresh(1.0, 5)
    a.write(SYSTEM, remove_ops("n2"))
    a.wait_fresh(1.0, 5)
    b.wait_replicated(a.token(), "all", 5)
