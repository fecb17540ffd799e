"""A full exchange whose sender is gone, and with it part of what it had sent: does another take its place?

PEER wrote over what THIRD had written in A, collected that, and sends ME everything. It is gone after the first cell, and THIRD goes back to
a backup in which nobody has ever heard of PEER. Nobody will ever have PEER's events again, and ME must not wait for them.
"""

from __future__ import annotations

import msgspec

from gossamer.crdt import Cell, Dead, Vector, vector
from gossamer.replication import limits
from gossamer.replication.messages import Ack, Ask, Batch, Full, Numbering
from gossamer.turns import Disconnected, Tick

from .bench import (
    HONEST_LINK,
    HOSTILE_LINK,
    ME,
    PEER,
    SYSTEM,
    THIRD,
    Bench,
    at,
    batch_of,
    bench,
    register,
    upto,
)

A, B, MINE = at("register:a"), at("register:b"), at("register:mine")
LOST = Vector({PEER: (1, 2), THIRD: (1, 1)})
"""What PEER had, and had collected."""
LATER_LINK, FOURTH = 3, bytes((8,)) * 8


def begin(found: Bench) -> None:
    """PEER sends the first of two cells; in it, THIRD's write is superseded and no longer to be seen."""
    found.connect(HOSTILE_LINK, PEER, "sender")
    found.open(HOSTILE_LINK, LOST)
    found.say(HOSTILE_LINK, batch_of({A: register("lost", 1)}, full=Full(b"", A, vector.encode(LOST))))
    assert not found.replica.state("default").is_whole


def meet(found: Bench, link: int, replica: bytes, name: str, delivered: Vector | None = None) -> None:
    found.connect(link, replica, name)
    found.open(link, delivered)
    acknowledge(found, link)


def acknowledge(found: Bench, link: int) -> None:
    """What has come of the registry, which is all that comes to a peer while this is not whole."""
    sent = found.sent[link]
    batches = [message for message in sent if isinstance(message, Batch) and message.keyspace == SYSTEM]
    for message in batches:
        sent.remove(message)
    if batches and link in found.replica.engine.links:
        numbering = Numbering(found.replica.engine.links[link].peer, ME)
        gained = numbering.flat(found.replica.state("$system").delivered)
        found.say(link, Ack(0, SYSTEM, numbering.table(), gained, len(batches), True))


def orphan(found: Bench) -> None:
    """PEER is gone for good; THIRD comes, which has its own write and nothing of PEER's."""
    begin(found)
    found.turn(Disconnected(HOSTILE_LINK))
    meet(found, HONEST_LINK, THIRD, "back", upto(1, THIRD))
    row = batch_of({A: register("old", 1, THIRD)}, claim=True, sender=THIRD)
    found.say(HONEST_LINK, row)
    assert not found.replica.state("default").is_whole


def wait(found: Bench, seconds: float) -> list[Ask]:
    """What is asked for meanwhile."""
    acknowledge(found, HONEST_LINK)
    found.sent[HONEST_LINK].clear()
    until = found.mono + seconds
    while found.mono < until:
        found.mono += 1
        found.turn(Tick())
        for link in found.sent:
            acknowledge(found, link)
    return [message for message in found.sent[HONEST_LINK] if isinstance(message, Ask)]


def all_of(cells: dict[bytes, Cell], has: Vector, full: Full | None = None) -> Batch:
    horizon = vector.encode(Vector())
    return batch_of(cells, has, full=full or Full(b"", None, horizon), sender=THIRD)


def live(found: Bench) -> dict[bytes, set[bytes]]:
    with found.store.snapshot() as views:
        return {p: {e.replica for e in cell.live} for p, cell in views("default").cells(b"")}


def test_it_asks_one_that_is_whole_for_everything_and_takes_that_for_its_own() -> None:
    with bench(opened=False) as found:
        orphan(found)
        assert live(found)[A] == {PEER}
        assert not wait(found, limits.ORPHAN_S - 2), "the sender may be away only"
        assert len(wait(found, 4)) == 1
        found.say(HONEST_LINK, all_of({A: register("old", 1, THIRD)}, Vector()))
        state = found.replica.state("default")
        assert state.is_whole and not state.horizon.has(PEER, 1)
        assert state.delivered == Vector({ME: (1, 1), THIRD: (1, 1)})
        assert live(found) == {A: {THIRD}, MINE: {ME}}, (
            "PEER's event was never delivered, so it did not supersede anything"
        )
        with found.store.snapshot() as views:
            assert not views("default").event_rows((PEER, 1)), "what is forgotten has no rows"
            assert views("default").has_row((THIRD, 1), A)


def test_a_link_to_the_sender_or_to_one_that_has_what_is_owed_is_waited_for() -> None:
    with bench(opened=False) as found:
        orphan(found)
        meet(found, LATER_LINK, FOURTH, "knows", LOST)
        assert not wait(found, 4 * limits.ORPHAN_S)
        found.turn(Disconnected(LATER_LINK))
        assert wait(found, limits.ORPHAN_S + 2)


def test_what_is_written_meanwhile_stays_beside_what_the_other_has() -> None:
    with bench(opened=False) as found:
        orphan(found)
        found.turn(found.write("register:a", "set", "mine"))
        assert wait(found, limits.ORPHAN_S + 2)
        found.say(HONEST_LINK, all_of({A: register("old", 1, THIRD)}, Vector()))
        assert found.replica.state("default").is_whole
        assert live(found) == {A: {ME, THIRD}, MINE: {ME}}
        sent = [m.cells[::2] for m in found.sent[HONEST_LINK] if isinstance(m, Batch)]
        assert sorted(p for paths in sent for p in paths) == [A, MINE], "now both are sent as well"


def test_the_rows_of_a_third_one_wait_until_the_cells_are_replaced() -> None:
    """Else a cell would be replaced by one that does not have them yet, and they were delivered."""
    with bench(opened=False) as found:
        orphan(found)
        meet(found, LATER_LINK, FOURTH, "fourth")
        assert wait(found, limits.ORPHAN_S + 2)
        found.say(HONEST_LINK, all_of({}, Vector(), Full(b"", A[:-2], vector.encode(Vector()))))
        over = Cell(register("newer", 1, FOURTH).live, (Dead(THIRD, 1),))
        more = Vector({THIRD: (1, 1), FOURTH: (1, 1)})
        found.say(LATER_LINK, batch_of({A: over}, more, claim=True, sender=FOURTH))
        assert not found.replica.state("default").delivered.has(FOURTH, 1)
        found.say(HONEST_LINK, all_of({A: register("old", 1, THIRD)}, Vector(), Full(A[:-2], None, b"")))
        assert found.replica.state("default").is_whole
        assert LATER_LINK in found.closed, "it begins anew, with what is here now"


def test_a_sender_that_tarries_begins_anew_once_others_were_heard() -> None:
    with bench(opened=False) as found:
        orphan(found)
        meet(found, LATER_LINK, FOURTH, "fourth")
        assert wait(found, limits.ORPHAN_S + 2)
        first, second = Full(b"", A[:-2], vector.encode(Vector())), Full(A[:-2], None, b"")
        found.say(HONEST_LINK, all_of({}, Vector(), first))
        found.mono += limits.ACK_TIMEOUT_S + 1
        theirs = batch_of({B: register("four", 1, FOURTH)}, upto(1, FOURTH), claim=True, sender=FOURTH)
        found.say(LATER_LINK, theirs)
        assert found.replica.state("default").delivered.has(FOURTH, 1)
        found.say(HONEST_LINK, all_of({A: register("old", 1, THIRD)}, Vector(), second))
        assert "begin at the beginning" in found.closed[HONEST_LINK]
        assert live(found)[B] == {FOURTH}


def test_in_parts_it_is_applied_from_the_journal() -> None:
    with bench(opened=False) as found:
        orphan(found)
        assert wait(found, limits.ORPHAN_S + 2)
        cells = {A: register("old", 1, THIRD), B: register("two", 2, THIRD)}
        whole = vector.encode(Vector())
        parts = [
            all_of({A: cells[A]}, Vector({THIRD: (2, 2)}), Full(b"", A, whole)),
            all_of({B: cells[B]}, Vector(), Full(A, None, b"")),
            batch_of({}, upto(2, THIRD), claim=True, sender=THIRD),
        ]
        for number, part in enumerate(parts):
            found.say(HONEST_LINK, msgspec.structs.replace(part, staged=number))
        while found.replica.state("default").is_applying:
            found.turn(Tick())
        assert not found.closed.get(HONEST_LINK)
        assert found.replica.state("default").is_whole
        assert live(found) == {A: {THIRD}, B: {THIRD}, MINE: {ME}}
