"""Does the value come from the entries that a type says it comes from?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import EMPTY, TYPES, Cell, Entry, cell, join, register_lww

from .specs import SPECS
from .strategies import reachable
from .test_expiry import A, B, after


@pytest.mark.parametrize("kind", sorted(SPECS))
@given(data=st.data())
def test_the_entries_that_stand_make_the_value(kind: str, data: st.DataObject) -> None:
    cell_type = TYPES[kind]
    for state in data.draw(reachable(kind)):
        standing, rule = cell_type.verdict(state)
        assert standing <= {entry.replica for entry in state.live}
        assert bool(standing) == bool(state.live) and rule
        alone = cell.make([e for e in state.live if e.replica in standing], state.dead)
        assert cell_type.value(alone) == cell_type.value(state)


def concurrent(kind: str, first: tuple[str, Any], second: tuple[str, Any]) -> Cell:
    start = after(kind, (A, first[0], first[1]))
    other = after(kind, (B, second[0], second[1]))
    return join(start, other)


def rule(kind: str, state: Cell) -> str:
    return TYPES[kind].verdict(state).rule


def test_what_decides_between_registers() -> None:
    register = "register"
    alone = after(register, (A, "set", ("a",)))
    assert rule(register, alone) == "causality: it is the only write that no later one has seen"
    assert rule(register, EMPTY) == "nothing stands"
    later = after(register, (B, "remove", ()), (B, "set", ("b",)), (B, "set", ("c",)), seq=1)
    assert rule(register, join(alone, later)) == "the highest stamp of 2 concurrent writes"
    tie = concurrent(register, ("set", ("a",)), ("set", ("b",)))
    assert rule(register, tie) == "equal stamps: of concurrent writes the highest replica id"
    assert TYPES[register].verdict(tie).standing == {B}
    kept = after(register, (A, "expire", (("ttl", 500),)), start=alone, seq=2)
    brief = after(register, (B, "expire", (("ttl", 5),)), start=alone)
    state = join(kept, brief)
    assert rule(register, state) == "equal stamps: of concurrent writes the one that holds longest"
    winner = register_lww.winner(state)
    assert winner is not None and TYPES[register].verdict(state).standing == {winner.replica} == {A}


@pytest.mark.parametrize(
    ("kind", "first", "second", "says"),
    [
        ("flag", ("enable", ()), ("enable", ()), "*on* wins: these have been seen by no removal"),
        ("flag_dw", ("enable", ()), ("disable", ()), "a concurrent *off* wins over every *on*"),
        ("flag_dw", ("disable", ()), ("disable", ()), "every write says *off*"),
        ("set_rw", ("add", ()), ("add", ()), "every write that stands says *on*"),
        (
            "mv_register",
            ("set", ("a",)),
            ("set", ("b",)),
            "2 concurrent writes all stand, until one sees them",
        ),
        (
            "counter",
            ("add", (1,)),
            ("add", (2,)),
            "the sum of 2 entries, one a replica, less what resets have seen",
        ),
        (
            "max_register",
            ("set", (1,)),
            ("set", (2,)),
            "the highest of 2 entries, each the highest that its replica has set since it was removed",
        ),
    ],
)
def test_what_decides_elsewhere(kind: str, first: Any, second: Any, says: str) -> None:
    assert rule(kind, concurrent(kind, first, second)) == says


def test_a_type_of_ones_own_says_something_without_being_asked() -> None:
    from gossamer.crdt import CellType

    class Own(CellType):
        kind = "own"

    state = Cell((Entry(A, 1, b"x"),))
    assert Own().verdict(state) == (frozenset({A}), "what the type makes of 1 entry, one a replica")
