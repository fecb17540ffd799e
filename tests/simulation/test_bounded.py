"""Bounded counters on simulated clusters: rights that run out, are asked for, evened out and inherited."""

from __future__ import annotations

import pytest

from gossamer.errors import InsufficientRights
from gossamer.simulation import Cluster, SimulatedNode

NAME = "stock"


def available(*nodes: SimulatedNode) -> list[int]:
    return [node.bounded_counter(NAME).available() for node in nodes]


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
        print(available(a, b, c))
        assert sum(available(a, b, c)) == 9
