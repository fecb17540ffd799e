"""Does every type do what its spec says, at every replica, after every step of any schedule?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.crdt import TYPES, cell, join

from .harness import Copy, History, World, check_bytes, vector_of
from .specs import SPECS, would_lose_own
from .strategies import Step, schedules

KINDS = sorted(SPECS)


def check(copy: Copy) -> None:
    """The copy's value is its spec's, its bytes come back, and it names no event it has not seen."""
    assert copy.value() == SPECS[copy.kind].value(copy.seen), copy.seen
    check_bytes(copy.kind, copy.cell)
    assert copy.vector().covers(vector_of(copy.cell.dots()))


class CheckedWorld(World):
    """Also: a write is silent exactly when the spec has it so, and who has seen the same holds the same."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, check)

    def _write(self, copy: Copy, method: str, args: tuple[Any, ...], now: int) -> None:
        spec = SPECS[self.kind]
        silent = spec.silent.get(method)
        expected = silent is None or not silent(copy.seen)
        expected = expected and not spec.refuses(copy.seen, copy.replica, method, args)
        assert copy.write(method, *args, now=now) is expected, (method, copy.seen)

    def _set_over(self, copy: Copy, value: Any, source: int, age: int, now: int) -> None:
        past = self.copies[source].past
        seen = past[-1 - age % len(past)][0].context()
        before = copy.seq
        super()._set_over(copy, value, source, age, now)
        refused = copy.seq == before
        known = copy.past[-1 if refused else -2][1]
        assert refused is would_lose_own(copy.replica, known, seen), (seen, known)

    def check_agreement(self) -> None:
        """What a read and the digest depend on is a function of what was seen, whatever was collected."""
        by_seen: dict[History, object] = {}
        for copy in self.copies:
            for state, seen in copy.past:
                matter = (state.live, state.floors())
                assert by_seen.setdefault(seen, matter) == matter, seen


def test_every_type_has_a_spec() -> None:
    assert set(TYPES) >= set(KINDS)
    assert {
        kind for kind in TYPES if TYPES[kind].__module__.startswith(cell.__name__.rpartition(".")[0])
    } == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_value_is_a_function_of_the_history_seen(kind: str, data: st.DataObject) -> None:
    world = CheckedWorld(kind).run(data.draw(schedules(kind)))
    world.settle()
    world.check_agreement()
    assert len({copy.seen for copy in world.copies}) == 1


@settings(max_examples=5 * settings().max_examples)
@given(schedules("counter", 24))
def test_counters_at_length(schedule: list[Step]) -> None:
    """Floors and generations go wrong only after many steps."""
    world = CheckedWorld("counter").run(schedule)
    world.settle()
    world.check_agreement()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_late_cell_brings_nothing_back_that_was_collected(kind: str, data: st.DataObject) -> None:
    world = CheckedWorld(kind).run(data.draw(schedules(kind, 10)))
    world.settle()
    for copy in world.copies:
        world.run([("collect", world.copies.index(copy))])
    world.run(data.draw(schedules(kind, 10)))
    world.check_agreement()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_full_exchange_with_one_who_was_away(kind: str, data: st.DataObject) -> None:
    """Two collected without the third; then its stale entries die and its unsent events survive, both ways."""
    world = CheckedWorld(kind).run(data.draw(schedules(kind)))
    here, there, away = world.copies
    here.take(there)
    there.take(here)
    here.collect(here.vector(), keep=away.replica)
    sent, sent_by, seen = here.cell, here.vector(), here.seen
    here.take(away)
    check(here)
    kept = cell.complete(away.cell, sent, sent_by.has)
    away.cell = join(kept, cell.arriving(sent, kept, away.vector().has))
    away.seen |= seen
    check(away)
    assert (away.cell.live, away.cell.floors()) == (here.cell.live, here.cell.floors())
