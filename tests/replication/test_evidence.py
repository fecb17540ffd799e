"""A peer's copy of this node's own newest event: what proves that the id made two, and what proves nothing.

The question this answers: *is a node that was rolled back, and wrote as much again, told so?* And: is no other one?
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from gossamer.backend import make_op
from gossamer.crdt import Vector, vector
from gossamer.replication import evidence
from gossamer.replication.messages import Event, Open
from gossamer.turns import Write

from .bench import HOSTILE_LINK, ME, NO_DIGEST, PEER, Bench, at, bench

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
