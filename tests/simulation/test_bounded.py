"""Bounded counters on simulated clusters: rights that run out, are asked for, evened out and inherited."""

from __future__ import annotations

import pytest

from gossamer.backend import Op, make_op
from gossamer.errors import InsufficientRights
from gossamer.replication import registry
from gossamer.simulation import Cluster, SimulatedNode
from gossamer.turns import Write

NAME = "stock"


def available(*nodes: SimulatedNode) -> list[int]:
    return [node.bounded_counter(NAME).available() for node in nodes]


def system(node: SimulatedNode, ops: list[Op]) -> None:
    """An operator's request, as `gossamer members` makes it."""
    node.write(registry.SYSTEM, ops)


def test_more_than_is_here_and_less_than_there_is() -> None:
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        cluster.partition([a], [b])
        a.bounded_counter(NAME).mint(10)
        assert (a.bounded_counter(NAME).value(), a.bounded_counter(NAME).available()) == (10, 10)
        cluster.heal()
        cluster.advance(0.9)
        with pytest.raises(InsufficientRights, match="11 wanted, and the rights here are 10") as raised:
            a.bounded_counter(NAME).spend(11)
        assert raised.value.available == 10
        assert b.bounded_counter(NAME).value() == 10


def test_a_spend_that_waits_gets_the_rights_of_others() -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(9)
        cluster.advance(0.05)
        b.bounded_counter(NAME).spend(9, wait=1.0)
        assert b.bounded_counter(NAME).value() == 0
        cluster.settle()
        assert [node.bounded_counter(NAME).value() for node in (a, b, c)] == [0, 0, 0]
        with pytest.raises(InsufficientRights):
            c.bounded_counter(NAME).spend(1, wait=0.5)


def test_rights_are_evened_out_and_then_nothing_more_is_written() -> None:
    with Cluster(3, seed=3) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        a.bounded_counter(NAME).mint(90)
        cluster.advance(5)
        assert available(a, b, c) == [30, 30, 30]
        events = a.core.state("default").delivered.count()
        cluster.advance(60)
        assert a.core.state("default").delivered.count() == events
        b.bounded_counter(NAME).spend(20)
        cluster.advance(5)
        assert available(a, b, c) == [30, 10, 30]
        b.bounded_counter(NAME).spend(10)
        cluster.advance(5)
        assert sorted(available(a, b, c)) == [10, 20, 30]
        assert available(b) == [10]


def test_an_heir_spends_what_an_old_id_had() -> None:
    with Cluster(3, seed=4) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        a.bounded_counter(NAME).spend(1)
        cluster.advance(0.2)
        cluster.kill(a)
        a.take_new_identity()
        cluster.restart(a)
        cluster.settle()
        assert available(a) == [0]
        cluster.advance(700)
        cluster.settle()
        cluster.advance(10)
        assert sum(available(a, b, c)) == 9


def test_rights_of_a_forgotten_member_are_locked_until_it_is_confirmed_dead() -> None:
    with Cluster(3, seed=5) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(9)
        cluster.advance(3)
        assert available(a, b, c) == [3, 3, 3]
        cluster.kill(c)
        cluster.advance(3)
        gone = a.core.engine.registry.members[c.name]
        system(a, registry.forget_ops(gone))
        cluster.advance(1500)
        assert gone.replica in a.core.engine.registry.sealed
        assert available(a, b) == [3, 3]
        with pytest.raises(InsufficientRights):
            a.bounded_counter(NAME).spend(7, wait=1)
        system(a, registry.forget_ops(gone, is_dead=True))
        cluster.advance(5)
        assert sum(available(a, b)) == 9
        a.bounded_counter(NAME).spend(9, wait=1)
        cluster.settle()
        assert [node.bounded_counter(NAME).value() for node in (a, b)] == [0, 0]


def test_what_was_spent_right_before_a_crash_is_spent() -> None:
    with Cluster(2, seed=6) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        cluster.advance(3)
        spend = Write("default", [make_op(a.bounded_counter(NAME)._path, "spend", (5,))])
        a.core.turn([spend], a._clock())  # committed, and nobody is told
        cluster.kill(a)
        cluster.advance(5)
        assert b.bounded_counter(NAME).value() == 10
        b.bounded_counter(NAME).spend(5)
        with pytest.raises(InsufficientRights):
            b.bounded_counter(NAME).spend(1, wait=1)
        cluster.restart(a)
        cluster.settle()
        assert [node.bounded_counter(NAME).value() for node in (a, b)] == [0, 0]


def test_a_joiner_is_given_some_of_what_was_changed_since_the_others_started() -> None:
    with Cluster(2, seed=7) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        a.bounded_counter(NAME).mint(12)
        cluster.advance(20)
        assert available(a, b) == [6, 6]
        joiner = cluster.add()
        cluster.advance(5)
        assert sum(available(a, b, joiner)) == 12
        joiner.bounded_counter(NAME).spend(2)


def test_a_joiner_fails_once_and_then_has_what_it_asked_for() -> None:
    """Where nobody looks at the counter any more, since it was not changed for long, or all were started anew."""
    with Cluster(2, seed=7) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        a.bounded_counter(NAME).mint(10)
        cluster.advance(20)
        for node in (a, b):
            cluster.kill(node)
            cluster.restart(node)
        joiner = cluster.add()
        cluster.advance(2)
        cluster.settle()
        assert available(joiner) == [0]
        with pytest.raises(InsufficientRights):
            joiner.bounded_counter(NAME).spend(3)
        cluster.advance(0.2)
        joiner.bounded_counter(NAME).spend(3)
        assert joiner.bounded_counter(NAME).value() == 7


def test_two_that_wait_for_each_other_s_rights() -> None:
    with Cluster(2, seed=8) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        cluster.advance(3)
        spends = [
            Write("default", [make_op(a.bounded_counter(NAME)._path, "spend", (7,))], 2.0) for _ in "ab"
        ]
        for node, spend in zip((a, b), spends, strict=True):
            node.turn([spend])
        cluster.advance(3)
        outcomes = [node.settled[id(spend)] for node, spend in zip((a, b), spends, strict=True)]
        assert sorted(isinstance(outcome, InsufficientRights) for outcome in outcomes) == [False, True]
        assert a.bounded_counter(NAME).value() == b.bounded_counter(NAME).value() == 3


def test_rights_go_to_no_stranger_and_to_nobody_removed() -> None:
    with Cluster(2, seed=9) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        with pytest.raises(ValueError, match="member 'nobody': none that counts is called so"):
            a.bounded_counter(NAME).transfer("nobody", 1)
        a.keyspace("orders").bounded_counter(NAME).mint(1)
        with pytest.raises(ValueError, match="member 'n1': it does not host keyspace 'orders'"):
            a.keyspace("orders").bounded_counter(NAME).transfer("n1", 1)
        cluster.kill(b)
        system(a, registry.remove_ops("n1"))
        cluster.advance(1)
        with pytest.raises(ValueError, match="member 'n1': none that counts is called so"):
            a.bounded_counter(NAME).transfer("n1", 1)


def test_a_retry_where_the_first_try_is_not_known_spends_again_and_never_beyond_the_bound() -> None:
    with Cluster(2, seed=3) as cluster:
        a, b = cluster.nodes
        cluster.advance(3)
        a.bounded_counter("n").mint(5)
        a.bounded_counter("n").transfer("n1", 3)
        cluster.settle()
        cluster.partition([a], [b])
        a.bounded_counter("n").spend(2, op_id="order-1")
        a.bounded_counter("n").spend(2, op_id="order-1")
        b.bounded_counter("n").spend(2, op_id="order-1")
        with pytest.raises(InsufficientRights):
            b.bounded_counter("n").spend(2, op_id="order-2")
        cluster.heal()
        cluster.settle()
        for node in (a, b):
            node.bounded_counter("n").spend(2, op_id="order-1")
            assert node.bounded_counter("n").value() == 1
