"""Does `expand` give what writing one after the other gives, and does its quick way stay quick?"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.apply import expand, shows
from gossamer.backend import CLEAR, Op, make_op
from gossamer.crdt import EMPTY, Cell, Event, join, path
from gossamer.errors import LimitExceeded

OLD, NEW = Event(b"replicaA", 7, 50), Event(b"replicaA", 8, 60)
OTHER = Event(b"replicaB", 3, 55)

MAP = path.encode((("map", "m"),))
WRITES: list[tuple[bytes, str, tuple[Any, ...]]] = [
    (path.encode((("map", "m"), ("register", "r"))), "set", (1,)),
    (path.encode((("map", "m"), ("counter", "c"))), "add", (2,)),
    (path.encode((("map", "m"), ("counter", "c"))), "reset", ()),
    (path.encode((("map", "m"), ("flag_dw", "f"))), "enable", ()),
    (path.encode((("map", "m"), ("flag_dw", "f"))), "disable", ()),
    (path.encode((("counter", "c"),)), "add", (3,)),
    (MAP, CLEAR, ()),
    (MAP, "create", ()),
]
OPS = st.lists(st.sampled_from([make_op(*write) for write in WRITES]), max_size=8)


def no_scan(prefix: bytes) -> Iterable[tuple[bytes, Cell]]:
    raise AssertionError("a scan for a plain write")


def one_by_one(ops: Sequence[Op], cells: dict[bytes, Cell], event: Event) -> dict[bytes, Cell]:
    """The dumb twin: the whole table, written op by op."""
    table = dict(cells)
    for op in ops:
        under = [p for p in sorted(table) if p.startswith(op.path) and shows(p, table[p])]
        singles = [make_op(p, "remove") for p in under] if op.method == CLEAR else [op]
        for single in singles:
            before = {single.path: table.get(single.path, EMPTY)}
            table |= expand([single], no_scan, before.__getitem__, event)
    return table


def at_once(ops: Sequence[Op], cells: dict[bytes, Cell], event: Event) -> dict[bytes, Cell]:
    def scan(prefix: bytes) -> Iterable[tuple[bytes, Cell]]:
        return [(p, cells[p]) for p in sorted(cells) if p.startswith(prefix)]

    return cells | expand(ops, scan, lambda p: cells.get(p, EMPTY), event)


@given(OPS, OPS, OPS)
def test_it_is_the_writes_one_by_one(old: list[Op], other: list[Op], new: list[Op]) -> None:
    there = one_by_one(old, {}, OLD)
    elsewhere = one_by_one(other, {}, OTHER)
    cells = {p: join(there.get(p, EMPTY), elsewhere.get(p, EMPTY)) for p in {*there, *elsewhere}}
    assert at_once(new, cells, NEW) == one_by_one(new, cells, NEW)


def test_only_changed_cells_are_given() -> None:
    counter = make_op(WRITES[1][0], "add", (1,))
    absent = make_op(WRITES[0][0], "remove")
    assert list(expand([counter, absent], no_scan, lambda _: EMPTY, NEW)) == [counter.path]
    assert expand([absent], no_scan, lambda _: EMPTY, NEW) == {}
    assert expand([], no_scan, lambda _: EMPTY, NEW) == {}


def test_a_clear_reads_no_further_than_the_limit() -> None:
    element = make_op(path.component("set", "s") + path.element(0), "add")
    cell = expand([element], no_scan, lambda _: EMPTY, OLD)[element.path]
    read = []

    def endless(prefix: bytes) -> Iterable[tuple[bytes, Cell]]:
        number = 0
        while True:
            read.append(number)
            yield prefix + path.element(number), cell
            number += 1

    with pytest.raises(LimitExceeded, match="1,000"):
        expand([make_op(path.component("set", "s"), CLEAR)], endless, lambda _: EMPTY, NEW)
    assert len(read) == 1001


def test_a_clear_of_a_kind_unknown_here_is_refused() -> None:
    unknown = MAP + b"\x50x\x00"
    cell = expand([make_op(*WRITES[0])], no_scan, lambda _: EMPTY, OLD)[WRITES[0][0]]
    with pytest.raises(ValueError, match="no such type"):
        expand([make_op(MAP, CLEAR)], lambda _: [(unknown, cell)], lambda _: EMPTY, NEW)
