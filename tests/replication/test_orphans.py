"""A full exchange whose sender is gone, and with it part of what it had sent: does another take its place?

PEER wrote over what HONEST had written in A, collected that, and sends ME everything. It is gone before the last cell, and HONEST goes back to
a backup in which nobody has ever heard of PEER. Nobody will ever have PEER's events again, and ME must not wait for them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

import gossamer
from gossamer.crdt import Cell, Dead, Vector, vector
from gossamer.maintenance import snapshot, verify
from gossamer.replication import limits
from gossamer.replication.messages import Ack, Ask, Batch, Full, Numbering
from gossamer.turns import Disconnected, Tick

from .bench import (
    HONEST,
    HONEST_LINK,
    HOSTILE_LINK,
    ME,
    PEER,
    SYSTEM,
    Bench,
    at,
    batch_of,
    bench,
    register,
    upto,
)

A, B, C, MINE = at("register:a"), at("register:b"), at("register:c"), at("register:mine")
LOST = Vector({PEER: (1, 2), HONEST: (1, 1)})
"""What PEER had, and had collected."""
LATER_LINK, FOURTH = 3, bytes((8,)) * 8


def begin(found: Bench) -> None:
    """PEER sends a part of its cells; in A, HONEST's write is superseded and no longer to be seen."""
    found.connect(HOSTILE_LINK, PEER, "sender")
    found.open(HOSTILE_LINK, LOST)
    cells = {A: register("lost", 1), C: register("lost", 2)}
    found.say(HOSTILE_LINK, batch_of(cells, full=Full(b"", C, vector.encode(LOST))))
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
    """PEER is gone for good; HONEST comes, which has its own write and nothing of PEER's."""
    begin(found)
    found.turn(Disconnected(HOSTILE_LINK))
    meet(found, HONEST_LINK, HONEST, "back", upto(1, HONEST))
    row = batch_of({A: register("old", 1, HONEST)}, claim=True, sender=HONEST)
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
    return batch_of(cells, has, full=full or Full(b"", None, horizon), sender=HONEST)


def live(found: Bench) -> dict[bytes, set[bytes]]:
    with found.store.snapshot() as views:
        return {p: {e.replica for e in cell.live} for p, cell in views("default").cells(b"")}


def test_it_asks_one_that_is_whole_for_everything_and_takes_that_for_its_own() -> None:
    with bench(opened=False) as found:
        orphan(found)
        assert live(found)[A] == {PEER}
        assert not wait(found, limits.ORPHAN_S - 2), "the sender may be away only"
        assert len(wait(found, 4)) == 1
        found.say(HONEST_LINK, all_of({A: register("old", 1, HONEST)}, Vector()))
        state = found.replica.state("default")
        assert state.is_whole and not state.horizon.has(PEER, 1)
        assert state.delivered == Vector({ME: (1, 1), HONEST: (1, 1)})
        assert live(found) == {A: {HONEST}, MINE: {ME}}, (
            "PEER's event was never delivered, so it did not supersede anything"
        )
        with found.store.snapshot() as views:
            assert not views("default").event_rows((PEER, 1)), "what is forgotten has no rows"
            assert views("default").has_row((HONEST, 1), A)


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
        found.say(HONEST_LINK, all_of({A: register("old", 1, HONEST)}, Vector()))
        assert found.replica.state("default").is_whole
        assert live(found) == {A: {ME, HONEST}, MINE: {ME}}
        sent = [m.cells[::2] for m in found.sent[HONEST_LINK] if isinstance(m, Batch)]
        assert sorted(p for paths in sent for p in paths) == [A, MINE], "now both are sent as well"


def test_the_rows_of_a_third_one_wait_until_the_cells_are_replaced() -> None:
    """Else a cell would be replaced by one that does not have them yet, and they were delivered."""
    with bench(opened=False) as found:
        orphan(found)
        meet(found, LATER_LINK, FOURTH, "fourth")
        assert wait(found, limits.ORPHAN_S + 2)
        found.say(HONEST_LINK, all_of({}, Vector(), Full(b"", A[:-2], vector.encode(Vector()))))
        over = Cell(register("newer", 1, FOURTH).live, (Dead(HONEST, 1),))
        more = Vector({HONEST: (1, 1), FOURTH: (1, 1)})
        found.say(LATER_LINK, batch_of({A: over}, more, claim=True, sender=FOURTH))
        assert not found.replica.state("default").delivered.has(FOURTH, 1)
        found.say(HONEST_LINK, all_of({A: register("old", 1, HONEST)}, Vector(), Full(A[:-2], None, b"")))
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
        found.say(HONEST_LINK, all_of({A: register("old", 1, HONEST)}, Vector(), second))
        assert "begin at the beginning" in found.closed[HONEST_LINK]
        assert live(found)[B] == {FOURTH}


def test_halfway_a_directory_is_called_sound(tmp_path: Path) -> None:
    gossamer.open(tmp_path / "node", name="me").close()
    store = snapshot.store_of(tmp_path / "node")
    shutil.rmtree(store)
    found = Bench(store)
    try:
        orphan(found)
        assert wait(found, limits.ORPHAN_S + 2)
        found.say(HONEST_LINK, all_of({}, Vector(), Full(b"", A[:-2], vector.encode(Vector()))))
        assert found.replica.state("default").is_replacing
        assert live(found)[A] == {PEER}, "to be forgotten, and not yet"
    finally:
        found.replica.close()
    assert verify(tmp_path / "node").is_sound


def test_what_is_asked_for_is_an_ordinary_exchange_if_the_sender_is_back_before() -> None:
    with bench(opened=False) as found:
        orphan(found)
        assert wait(found, limits.ORPHAN_S + 2)
        meet(found, LATER_LINK, PEER, "sender", LOST)
        found.say(LATER_LINK, batch_of({A: register("lost", 1)}, full=Full(b"", None, vector.encode(LOST))))
        assert found.replica.state("default").is_whole
        found.say(HONEST_LINK, all_of({A: register("old", 1, HONEST)}, Vector()))
        assert HONEST_LINK not in found.closed
        assert live(found)[A] == {PEER}, "nothing is given up any more"


def test_in_parts_it_is_applied_from_the_journal() -> None:
    with bench(opened=False) as found:
        orphan(found)
        assert wait(found, limits.ORPHAN_S + 2)
        cells = {A: register("old", 1, HONEST), B: register("two", 2, HONEST)}
        whole = vector.encode(Vector())
        parts = [
            all_of({A: cells[A]}, Vector({HONEST: (2, 2)}), Full(b"", A, whole)),
            all_of({B: cells[B]}, Vector(), Full(A, None, b"")),
            batch_of({}, upto(2, HONEST), claim=True, sender=HONEST),
        ]
        for number, part in enumerate(parts):
            found.say(HONEST_LINK, msgspec.structs.replace(part, staged=number))
        while found.replica.state("default").is_applying:
            found.turn(Tick())
        assert not found.closed.get(HONEST_LINK)
        assert found.replica.state("default").is_whole
        assert live(found) == {A: {HONEST}, B: {HONEST}, MINE: {ME}}
