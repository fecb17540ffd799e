"""Cells of an unfinished full exchange: may another peer bring back what its sender has stripped from them?

A member that was removed, and is back, may reach a joiner before the joiner has all cells. It has the removed value and not what
superseded it, and the joiner has delivered neither: only the vector of the exchange says that the value is dead.
"""

from __future__ import annotations

import msgspec
import pytest

from gossamer.crdt import Cell, Dead, Vector, vector
from gossamer.replication import limits
from gossamer.replication.messages import Full
from gossamer.turns import Tick

from .bench import (
    HONEST,
    HONEST_LINK,
    HOSTILE_LINK,
    ME,
    PEER,
    THIRD,
    Bench,
    at,
    batch_of,
    bench,
    register,
    upto,
)

BACK = bytes((8,)) * 8
A, B = at("register:a"), at("register:b")
BOTH = Vector({PEER: (1, 2), HONEST: (1, 1)})
"""PEER wrote over what HONEST had written in A, then B, and has collected it all."""
CELLS = {A: register("new", 1), B: register("other", 2)}
ALL = Full(b"", A, vector.encode(BOTH)), Full(A, None, b"")


def meet(found: Bench) -> None:
    found.connect(HOSTILE_LINK, PEER, "sender")
    found.connect(HONEST_LINK, HONEST, "back")
    found.open(HOSTILE_LINK, BOTH)
    found.open(HONEST_LINK, upto(1, HONEST))


def late(found: Bench) -> None:
    """Row by row: the value that was superseded, from one who does not know."""
    old = register("old", 1, HONEST)
    found.say(HONEST_LINK, batch_of({A: old}, upto(1, HONEST), claim=True, sender=HONEST))


def check(found: Bench) -> None:
    assert not found.closed
    assert found.replica.state("default").is_whole
    assert found.replica.state("default").delivered == Vector({ME: (1, 1), PEER: (1, 2), HONEST: (1, 1)})
    with found.store.snapshot() as views:
        view = views("default")
        assert {p: view.cell(p).live for p in CELLS} == {p: cell.live for p, cell in CELLS.items()}
        for p in CELLS:  # by its row it is found when it may go
            assert all(view.has_row((old.replica, old.seq), p) for old in view.cell(p).dead)


def test_a_superseded_value_does_not_come_back_into_a_cell_that_a_full_exchange_has_passed() -> None:
    with bench(opened=False) as found:
        meet(found)
        found.say(HOSTILE_LINK, batch_of({A: CELLS[A]}, full=ALL[0]))
        late(found)
        assert not found.replica.state("default").is_whole
        found.say(HOSTILE_LINK, batch_of({B: CELLS[B]}, full=ALL[1]))
        check(found)


def test_what_the_cell_ahead_is_sent_meanwhile_dies_when_the_exchange_comes_there() -> None:
    with bench(opened=False) as found:
        meet(found)
        found.say(HOSTILE_LINK, batch_of({}, full=Full(b"", A[:-2], ALL[0].horizon)))
        late(found)
        with found.store.snapshot() as views:
            assert views("default").cell(A) == register("old", 1, HONEST)
        found.say(HOSTILE_LINK, batch_of(CELLS, full=Full(A[:-2], None, b"")))
        check(found)


def test_nor_into_one_that_a_journal_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPLY_BYTES", 1)
    with bench(opened=False) as found:
        meet(found)
        parts = [batch_of({p: CELLS[p]}, full=full) for p, full in zip(CELLS, ALL, strict=True)]
        parts.append(batch_of({}, BOTH, claim=True))
        for number, part in enumerate(parts):
            found.say(HOSTILE_LINK, msgspec.structs.replace(part, staged=number))
        boot = found.replica.state("default").bootstrap
        while boot is not None and not boot.applied:
            found.turn(Tick())
            boot = found.replica.state("default").bootstrap
        assert boot is not None and boot.applied == 1, "the first cell is there, the second is not"
        late(found)
        while found.replica.state("default").is_applying:
            found.turn(Tick())
        check(found)


def test_nor_into_one_ahead_whose_dead_context_says_more_than_is_delivered() -> None:
    """THIRD wrote A twice, PEER over it. HONEST has all of it and is not done; BACK has the first write alone."""
    back_link, all_ = 3, Vector({THIRD: (1, 2), PEER: (1, 1)})
    superseded = Cell(register("new", 1).live, (Dead(THIRD, 2),))
    with bench(opened=False) as found:
        found.connect(HOSTILE_LINK, PEER, "sender")
        found.connect(HONEST_LINK, HONEST, "slow")
        found.connect(back_link, BACK, "back")
        found.open(HOSTILE_LINK, all_)
        found.open(HONEST_LINK, all_)
        found.open(back_link, upto(1, THIRD))
        found.say(HOSTILE_LINK, batch_of({}, full=Full(b"", A[:-2], vector.encode(all_))))
        found.say(HONEST_LINK, batch_of({A: superseded}, sender=HONEST))
        assert not found.replica.state("default").is_whole
        late_one = batch_of({A: register("old", 1, THIRD)}, upto(1, THIRD), claim=True, sender=BACK)
        found.say(back_link, late_one)
        assert not found.closed
        assert found.replica.state("default").is_whole
        with found.store.snapshot() as views:
            view = views("default")
            assert view.cell(A) == superseded
            assert view.has_row((THIRD, 2), A), "by this row it is found when it may go"
