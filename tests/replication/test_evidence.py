"""A peer's copy of this node's own newest event: what proves that the id made two, and what proves nothing.

The question this answers: *is a node that was rolled back, and wrote as much again, told so?* And: is no other one?
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from gossamer.backend import make_op
from gossamer.crdt import Dot, Vector, expiry, vector
from gossamer.replication import evidence
from gossamer.replication.messages import Event, Open
from gossamer.simulation import SimulatedNode
from gossamer.store import View
from gossamer.testing import Cluster
from gossamer.turns import Instant, Received, Tick, Write

from .bench import HOSTILE_LINK, ME, NO_DIGEST, PEER, Bench, at, bench, upto

Change = Callable[[Event], Event | None]

OTHERS: dict[str, Change] = {
    "another payload": lambda e: msgspec.structs.replace(e, left=b"otherone"),
    "another cell": lambda e: msgspec.structs.replace(e, path=b"otherone"),
    "over several cells": lambda e: msgspec.structs.replace(e, grouped=not e.grouped),
}
SAME: dict[str, Change] = {
    "the same": lambda e: e,
    "superseded there": lambda e: msgspec.structs.replace(e, left=b""),
    "collected there": lambda e: None,
}


def newest(found: Bench) -> Event:
    with found.store.snapshot() as views:
        event = evidence.of(views("default"), ME)
    assert event is not None
    return event


def gives_up_its_id(found: Bench, event: Event | None) -> bool:
    """When a peer opens with that event of it, and just as many events as it made."""
    nothing, mine = vector.encode(Vector()), found.replica.state("default").delivered.only(ME)
    found.connect(HOSTILE_LINK, PEER, "hostile")
    found.say(HOSTILE_LINK, Open(0, "$system", nothing, nothing, NO_DIGEST, True))
    found.say(HOSTILE_LINK, Open(0, "default", vector.encode(mine), nothing, NO_DIGEST, True, None, event))
    assert (HOSTILE_LINK in found.closed) == (found.replica.replica != ME)
    return found.replica.replica != ME


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_another_event_under_one_of_our_dots_is_proof(change: Change) -> None:
    with bench(opened=False) as found:
        assert gives_up_its_id(found, change(newest(found)))


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_our_own_event_is_none(change: Change) -> None:
    with bench(opened=False) as found:
        assert not gives_up_its_id(found, change(newest(found)))


@pytest.mark.parametrize("change", [*OTHERS.values(), *SAME.values()], ids=[*OTHERS, *SAME])
def test_nothing_is_proved_by_an_event_that_was_written_over(change: Change) -> None:
    with bench(opened=False) as found:
        event = change(newest(found))
        found.turn(found.write("register:mine", "set", "newer"))
        assert not gives_up_its_id(found, event)


def test_of_an_event_over_several_cells_some_may_be_gone() -> None:
    with bench(opened=False) as found:
        ops = [make_op(at(text), "set", (1,)) for text in ("register:a", "register:b")]
        found.turn(Write("default", ops))
        event = newest(found)
        assert event.grouped
        assert not gives_up_its_id(found, msgspec.structs.replace(event, path=b"otherone"))
        found.closed.clear()
        assert gives_up_its_id(found, msgspec.structs.replace(event, left=b"otherone"))


def test_nothing_is_proved_by_one_who_got_the_event_without_its_rows() -> None:
    with Cluster(3, seed=1) as cluster:
        a, b, away = cluster.nodes
        cluster.settle()
        cluster.advance(5)
        before = a.core.replica
        with a.transaction() as tx:
            tx.register("x").set(1)
            tx.register("y").set(1)
        while not all(_has(node, away.core.replica, (before, 1)) for node in (a, b)):
            assert cluster.clock.step()
        cluster.kill(away)
        b.register("x").set(2)  # so of the event, which is stable, a row stays at both
        cluster.advance(10)
        assert _rows(a, (before, 1)) == _rows(b, (before, 1)) == [(True, at("register:x"))]
        joiner = cluster.add()
        cluster.advance(10)
        assert _rows(joiner, (before, 1)) == [(False, at("register:x"))]
        cluster.cut(a, joiner)
        cluster.advance(5)
        cluster.heal()
        cluster.advance(5)
        assert a.core.replica == before


def _has(node: SimulatedNode, other: bytes, dot: Dot) -> bool:
    return dot in node.core.state("default").peers.get(other, Vector())


def _rows(node: SimulatedNode, dot: Dot) -> list[tuple[bool, bytes]]:
    with node.core.store.snapshot() as views:
        view: View = views("default")
        return view.event_rows(dot)


def test_in_the_turn_of_the_proof_no_event_is_made_under_the_id_any_more() -> None:
    with bench(opened=False) as found:
        wall, nothing = 1_700_000_000_000_000, vector.encode(Vector())
        found.turn(found.write("register:x", "set", 1, None, (expiry.AT, wall + 1)))
        found.connect(HOSTILE_LINK, PEER, "hostile")
        found.say(HOSTILE_LINK, Open(0, "$system", nothing, nothing, NO_DIGEST, True))
        proof = Open(0, "default", vector.encode(upto(9, ME)), nothing, NO_DIGEST, True)
        later = Instant(wall + 10_000_000, found.mono + 10)
        found.replica.turn([Received(HOSTILE_LINK, found.body(HOSTILE_LINK, proof)), Tick()], later)
        assert found.replica.replica != ME
        assert found.replica.state("default").delivered == upto(2, ME)
        found.replica.turn([Tick()], later)
        assert not found.replica.cell("default", at("register:x")).live, "swept under the new id"
