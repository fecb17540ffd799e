"""Additions with an op_id, their folds and resets: does each count once, and does a reset take what it saw?

Three replicas hold a counter and its operations. Anybody may fold anything at any time: the rule that there is one
folder, which the node keeps, only makes the leftovers rare. The value is held to a spec over the history of events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.crdt import EMPTY, TYPES, Cell, Event, MalformedError, join, operation, tally
from gossamer.crdt.cell import own_entry
from gossamer.crdt.operation import is_in

from .harness import REPLICAS, Did, History

NAMES = ("x", "y")
AMOUNTS = {"x": 5, "y": -40}
COUNTER, OP = TYPES["counter"], TYPES["op"]


@dataclass
class Replica:
    """One replica's counter and operations, the tally that it keeps, and the events that it has seen."""

    id: bytes
    counter: Cell = EMPTY
    ops: dict[str, Cell] = field(default_factory=dict)
    tally: tally.Tally = tally.NONE
    seen: History = frozenset()
    seq: int = 0

    def put(self, name: str, cell: Cell) -> None:
        old = self.ops.get(name, EMPTY)
        self.tally = tally.decode(tally.encode(self.tally.changed(name.encode(), old, cell)))
        self.ops[name] = cell

    def did(self, method: str, *args: Any) -> None:
        self.seq += 1
        self.seen |= {Did(self.id, self.seq, method, args, 0, self.seen)}

    def event(self) -> Event:
        return Event(self.id, self.seq + 1)

    def pending(self) -> list[str]:
        return [name for name, cell in self.ops.items() if operation.is_pending(cell)]

    def plain(self) -> None:
        self.counter = COUNTER.write(self.counter, "add", (1,), self.event())
        self.did("plain", 1)

    def add(self, name: str) -> None:
        before = self.ops.get(name, EMPTY)
        after = OP.write(before, "add", (AMOUNTS[name],), self.event())
        if after is not before:
            self.put(name, after)
            self.did("add", name)

    def fold(self, name: str) -> None:
        if name in self.pending():
            event = self.event()
            self.counter = COUNTER.write(self.counter, "add", (AMOUNTS[name],), event)
            own = own_entry(self.counter, self.id)
            assert own is not None
            self.put(name, OP.write(self.ops[name], "fold", (own.generation,), event))
            self.did("fold", name)

    def reset(self) -> None:
        event = self.event()
        for name in self.pending():
            self.put(name, OP.write(self.ops[name], "cancel", (), event))
        self.counter = COUNTER.write(self.counter, "reset", (), event)
        self.did("reset")

    def take(self, other: Replica) -> None:
        self.counter = join(self.counter, other.counter)
        for name, cell in other.ops.items():
            self.put(name, join(self.ops.get(name, EMPTY), cell))
        self.seen |= other.seen

    def value(self) -> int:
        return int(COUNTER.value(self.tally.over(self.counter)))


def spec(history: History) -> int:
    """Each operation once, unless a reset saw it; each plain addition unless a reset saw that."""
    resets = [e for e in history if e.method == "reset"]

    def is_taken(event: Did) -> bool:
        return any(event in r.saw for r in resets)

    total: int = sum(e.args[0] for e in history if e.method == "plain" and not is_taken(e))
    for name in NAMES:
        tried = [e for e in history if e.method in ("add", "fold") and e.args == (name,)]
        if tried and not any(is_taken(e) for e in tried):
            total += AMOUNTS[name]
    return total


AT, NAME = st.integers(0, 2), st.sampled_from(NAMES)
STEPS = st.one_of(
    st.tuples(st.just("add"), AT, NAME),
    st.tuples(st.just("fold"), AT, NAME),
    st.tuples(st.just("reset"), AT),
    st.tuples(st.just("plain"), AT),
    st.tuples(st.just("take"), AT, st.integers(1, 2)),
)


def run(schedule: list[tuple[Any, ...]]) -> list[Replica]:
    replicas = [Replica(id_) for id_ in REPLICAS]
    for verb, at, *args in schedule:
        if verb == "take":
            args = [replicas[(at + args[0]) % 3]]
        getattr(replicas[at], verb)(*args)
        check(replicas[at])
    for replica in replicas * 2:
        for other in replicas:
            replica.take(other)
        check(replica)
    return replicas


def check(replica: Replica) -> None:
    assert replica.value() == spec(replica.seen), (replica, replica.seen)
    anew = tally.NONE
    for name, cell in replica.ops.items():
        anew = anew.changed(name.encode(), EMPTY, cell)
    assert replica.tally == anew


@settings(max_examples=10 * settings().max_examples)
@given(st.lists(STEPS, min_size=6, max_size=24))
def test_each_operation_counts_once_and_a_reset_takes_what_it_saw(schedule: list[tuple[Any, ...]]) -> None:
    run(schedule)


FOLD_BESIDE_A_RESET = [("add", 0, "x"), ("take", 1, 2), ("fold", 0, "x"), ("reset", 1), ("take", 0, 1)]


def test_a_fold_and_a_reset_that_did_not_see_it_leave_nothing() -> None:
    a, *_ = run(FOLD_BESIDE_A_RESET)
    assert (a.value(), COUNTER.value(a.counter)) == (0, 5)
    assert operation.surplus(a.ops["x"], a.counter) == 5


def test_once_a_reset_has_seen_the_fold_nothing_is_taken_off() -> None:
    a, *_ = run([*FOLD_BESIDE_A_RESET, ("reset", 0), ("plain", 0)])
    assert a.value() == 1
    assert operation.surplus(a.ops["x"], a.counter) == 0


def test_two_folds_count_once() -> None:
    a, *_ = run([("add", 0, "x"), ("add", 1, "x"), ("fold", 0, "x"), ("fold", 1, "x")])
    assert (a.value(), COUNTER.value(a.counter)) == (5, 10)


def test_one_of_two_folds_was_reset() -> None:
    a, *_ = run([("add", 0, "x"), ("add", 1, "x"), ("fold", 0, "x"), ("fold", 1, "x"), ("reset", 1)])
    assert a.value() == 0


def ignore_the_generation(replica: bytes, generation: int, seq: int, counter: Cell) -> bool:
    own = own_entry(counter, replica)
    return own is not None and is_in(replica, own.generation, seq, counter)


def ignore_the_floor(replica: bytes, generation: int, seq: int, counter: Cell) -> bool:
    own = own_entry(counter, replica)
    return own is not None and own.generation == generation


SCENES: list[tuple[Any, list[tuple[Any, ...]]]] = [
    (ignore_the_generation, [*FOLD_BESIDE_A_RESET, ("reset", 0), ("plain", 0)]),
    (
        ignore_the_floor,  # who folded went on before it heard of a reset that had seen the fold
        [*FOLD_BESIDE_A_RESET, ("take", 2, 1), ("reset", 2), ("plain", 0), ("take", 0, 2)],
    ),
]


@pytest.mark.parametrize(("mutant", "schedule"), SCENES, ids=["generation", "floor"])
def test_without_the_rule_a_schedule_fails(
    mutant: Any, schedule: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(schedule)
    monkeypatch.setattr(operation, "is_in", mutant)
    with pytest.raises(AssertionError):
        run(schedule)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00",
        b"\x01",
        b"\x01\x00\x01",
        b"\x02" + bytes(8) + b"\x01",
        b"\x02" + bytes(7) + b"\x01",
        b"\x03\x00",
        b"\x04",
    ],
)
def test_payloads_that_no_operation_writes(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        OP.check(payload)


def test_a_share_of_nothing_is_no_entry() -> None:
    a = Replica(REPLICAS[0])
    a.plain()
    assert tally.NONE.over(a.counter) is a.counter


def test_an_operation_of_nothing_is_there_all_the_same() -> None:
    cell = OP.write(EMPTY, "add", (0,), Event(REPLICAS[0], 1))
    shown = tally.NONE.changed(b"x", EMPTY, cell).over(EMPTY)
    assert COUNTER.present(shown) and COUNTER.value(shown) == 0
