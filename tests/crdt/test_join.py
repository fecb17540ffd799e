"""Is the join commutative, associative and idempotent on every cell that a replica can come to hold?"""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gossamer.crdt import EMPTY, TYPES, Cell, Dead, Entry, cell, codec, join

from .harness import Copy, World
from .specs import SPECS
from .strategies import quarantined, reachable, rival_generations, schedules

KINDS = sorted(SPECS)
SUPERSEDING = {
    "register": (("set", "a"), ("set", "b"), ("set", "c")),
    "mv_register": (("set", "a"), ("set", "b"), ("remove",)),
    "counter": (("add", 1), ("add", 10), ("reset",)),
    "max_register": (("set", 7), ("set", 8), ("remove",)),
}
"""What each of two with one id writes, and the write that then supersedes both."""


def check_laws(a: Cell, b: Cell, c: Cell) -> None:
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(a, join(a, b)) == join(a, b)
    assert join(a, EMPTY) == join(EMPTY, a) == a
    assert codec.encode(join(a, b)) == codec.encode(join(b, a))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_laws(kind: str, data: st.DataObject) -> None:
    cells = st.sampled_from(data.draw(reachable(kind)))
    check_laws(data.draw(cells), data.draw(cells), data.draw(cells))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_laws_where_one_dot_has_two_payloads(kind: str, data: st.DataObject) -> None:
    original, twin, third, *others = data.draw(quarantined(kind))
    c = st.one_of(st.just(third[-1]), *map(st.sampled_from, (third, *others)))
    check_laws(original[-1], twin[-1], data.draw(c))
    check_laws(data.draw(st.sampled_from(original)), data.draw(st.sampled_from(twin)), data.draw(c))


def test_the_short_way_of_a_join_gives_what_the_long_one_does() -> None:
    entries = [
        Entry(replica, seq, payload, generation)
        for replica, seq, payload, generation in product(
            (b"a" * 8, b"b" * 8), (1, 2, 3), (b"x", b"y"), (0, 1)
        )
    ]
    dead = ((), (Dead(b"b" * 8, 2),), (Dead(b"a" * 8, 2), Dead(b"b" * 8, 3)))
    cells = [cell.make((entry,), context) for entry, context in product(entries, dead)]
    short = [join(a, b) for a, b in product(cells, cells)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell, "_newer", lambda a, b: None)
        assert [join(a, b) for a, b in product(cells, cells)] == short


R = b"\x01" * 8
OLD_FLOOR = Cell((), (Dead(R, 2, 1, b"\x01"),))
IN_THE_OLD, IN_A_NEW = Cell((Entry(R, 3, b"\x03", 1),)), Cell((Entry(R, 3, b"\x01", 3),))
LATER_IN_THE_OLD, NEW_FLOOR = Cell((Entry(R, 7, b"\x07", 1),)), Cell((), (Dead(R, 5, 4, b"\x02"),))


@given(rival_generations())
@example([OLD_FLOOR, IN_THE_OLD, IN_A_NEW]).via("an old floor came back once the new generation had gone")
@example([OLD_FLOOR, LATER_IN_THE_OLD, NEW_FLOOR]).via("the same, under dots that cross")
def test_laws_where_one_replica_is_in_two_generations(cells: list[Cell]) -> None:
    for a, b, c in product(cells, repeat=3):
        check_laws(a, b, c)


def test_where_generations_rival_no_floor_applies_and_both_payloads_show() -> None:
    met = join(join(OLD_FLOOR, IN_THE_OLD), IN_A_NEW)
    assert met == Cell((Entry(R, 3, b"\x01", 0, (b"\x03",)),))
    assert codec.decode(codec.encode(met)) == met
    assert codec.of_shape([[[R, 3, b"\x01", 0, [b"\x03"]]]], codec.by_eight_bytes) == met


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_join_includes_both(kind: str, data: st.DataObject) -> None:
    cells = st.sampled_from(data.draw(reachable(kind)))
    a, b = data.draw(cells), data.draw(cells)
    joined = join(a, b).context()
    for context in (a.context(), b.context()):
        assert all(joined[replica] >= seq for replica, seq in context.items())


@pytest.mark.parametrize("kind", sorted(SUPERSEDING))
@given(data=st.data())
def test_a_write_that_saw_rivals_supersedes_both(kind: str, data: st.DataObject) -> None:
    first, second, method = SUPERSEDING[kind]
    world = World(kind).run(data.draw(schedules(kind, 8)))
    original, other, _ = world.copies
    twin = Copy(kind, original.replica, original.cell, original.seen, original.seq)
    assert original.write(*first)
    assert twin.write(*second)
    other.take(original, twin)
    assume(other.cell.is_quarantined)  # not so for a max register in which both kept an earlier value
    assert other.write(*method)
    assert not other.cell.is_quarantined
    for state in [original.cell, twin.cell, join(original.cell, twin.cell), *world.cells()]:
        assert join(other.cell, state) == join(state, other.cell)
        assert not join(other.cell, state).is_quarantined
        assert TYPES[kind].value(join(other.cell, original.cell)) == other.value()
