"""What expires: the value as a function of the events seen *and of the time*, whatever the clocks of the writers.

The specs are as in `specs.py`: an event knows the events that it observed, and no cell is in sight. A sweep
supersedes of what it observed only the entries that had expired, and for a register those that they beat.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import (
    EMPTY,
    TYPES,
    Cell,
    Entry,
    Event,
    Expiring,
    MalformedError,
    check_cell,
    expiry,
    join,
    values,
)

from .harness import PATHS, Copy, Did, History, World, check_bytes
from .strategies import AGE, AT, NOW, Step

NEVER = 2**62
TIMES = [-8, 0, 1, 2, 19, 21, 44, 45, 50, 51, 52, 60, 71, 100, 151, 1000, 1001, 1020, 1101, 3000]
TERMS = [("ttl", 1), ("ttl", 20), ("ttl", 100), ("at", 1), ("at", 45), ("at", 60), ("at", 1001)]
ON = ("add", "enable", "create")
OFF = {"flag_dw": "disable", "set_rw": "discard"}
ADDS = {kind: getattr(t, "adds", "set") for kind, t in TYPES.items() if isinstance(t, Expiring)}
KINDS = sorted(ADDS)


# The specs. A *write* is an event that leaves an entry: it adds, renews, or says *off*.


def is_write(kind: str, event: Did) -> bool:
    return event.method in (ADDS[kind], "expire", "persist", OFF.get(kind))


def live(kind: str, history: History) -> list[Did]:
    """The writes that nothing in the history has superseded."""
    return [e for e in history if is_write(kind, e) and not any(supersedes(kind, f, e) for f in history)]


def supersedes(kind: str, by: Did, event: Did) -> bool:
    return event in by.saw and (by.method != "sweep" or event in swept(kind, by))


@lru_cache(maxsize=100_000)
def swept(kind: str, sweep: Did) -> frozenset[Did]:
    now, whose = sweep.args
    stood = live(kind, sweep.saw)
    due = [e for e in stood if e.replica in whose and until(kind, e) <= now]
    if kind == "register" and due:
        return frozenset(e for e in stood if rank(e) <= max(map(rank, due)))
    return frozenset(due)


@lru_cache(maxsize=100_000)
def until(kind: str, event: Did) -> int:
    if event.method == OFF.get(kind) or event.method == "persist":
        return NEVER
    terms = [arg for arg in event.args if type(arg) is tuple]
    if not terms:
        return NEVER
    how, micros = terms[0]
    return max(micros + event.now, 1) if how == "ttl" else int(micros)


@lru_cache(maxsize=100_000)
def stamp(event: Did) -> int:
    if event.method != "set":
        return stamp(winner(event.saw))
    return max(event.now, max(map(stamp, live("register", event.saw)), default=0) + 1)


def rank(event: Did) -> tuple[int, int, bytes]:
    return stamp(event), until("register", event), event.replica


def winner(history: History) -> Did:
    return max(live("register", history), key=rank)


def value_of(event: Did) -> Any:
    return event.args[0] if event.method == "set" else value_of(winner(event.saw))


def register(history: History, now: int) -> tuple[Any, list[Any]]:
    """The value, and all that stands beside it."""
    if not live("register", history) or until("register", winner(history)) <= now:
        return None, []
    standing = [e for e in live("register", history) if until("register", e) > now]
    return value_of(winner(history)), sorted(map(value_of, standing))


def mv_register(history: History, now: int) -> list[Any]:
    found: set[Any] = set()
    for e in live("mv_register", history):
        if until("mv_register", e) > now:
            found |= {e.args[0]} if e.method == "set" else set(mv_register(e.saw, e.now))
    return sorted(found)


def switch(kind: str) -> Callable[[History, int], bool]:
    def is_on(history: History, now: int) -> bool:
        stood = live(kind, history)
        is_off = any(e.method == OFF.get(kind) for e in stood)
        return not is_off and any(until(kind, e) > now for e in stood)

    return is_on


SPECS: dict[str, Callable[[History, int], Any]] = {kind: switch(kind) for kind in KINDS}
SPECS |= {"register": register, "mv_register": mv_register}


def writes_nothing(kind: str, history: History, method: str, args: tuple[Any, ...], now: int) -> bool:
    """Whether one who has seen this history has nothing to write."""
    stood = live(kind, history)
    standing = [e for e in stood if until(kind, e) > now]
    if method in ("expire", "persist") and SPECS[kind](history, now) in (False, [], (None, [])):
        return True
    if method == "persist":
        kept = [winner(history)] if kind == "register" else standing
        return (all if kind == "mv_register" else any)(until(kind, e) == NEVER for e in kept)
    if method == "discard" and kind == "set_rw":
        return not any(e.method != "discard" for e in stood)
    if method == OFF.get(kind):
        return False
    if method in ("remove", "disable", "discard"):
        return not stood
    if method == "sweep":
        due = swept(kind, Did(args[0], 0, "sweep", args[1:], now, history))
        return not due or any(e.replica == args[0] for e in stood if e not in due)
    return False


def read(kind: str, cell: Cell, now: int) -> Any:
    """What a reader sees at ``now``."""
    cell_type = TYPES[kind]
    seen = cell_type.at(cell, now)
    if kind == "map":
        return cell_type.present(seen)
    if kind != "register":
        return cell_type.value(seen)
    return cell_type.value(seen), sorted(cell_type.value(Cell((entry,))) for entry in seen.live)


# Schedules.


class Timed(World):
    """A world that checks each step at every time, and each write against what the spec says it has to say."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, lambda copy: check(kind, copy))

    def _write(self, copy: Copy, method: str, args: tuple[Any, ...], now: int) -> None:
        expected = not writes_nothing(self.kind, copy.seen, method, args, now)
        assert copy.write(method, *args, now=now) is expected, (method, args, copy.seen)

    def _sweep(self, copy: Copy, now: int, whose: frozenset[int]) -> None:
        ids = frozenset(self.copies[at].replica for at in whose)
        nothing = writes_nothing(self.kind, copy.seen, "sweep", (copy.replica, now, ids), now)
        assert copy.sweep(now, ids) is not nothing, copy.seen


def check(kind: str, copy: Copy) -> None:
    check_bytes(kind, copy.cell)
    for now in TIMES:
        assert read(kind, copy.cell, now) == SPECS[kind](copy.seen, now), (now, copy.seen)


def methods(kind: str) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    term = st.sampled_from(TERMS)
    own = (st.sampled_from("ab"),) if ADDS[kind] == "set" else ()
    unseen = (st.none(),) if kind == "register" else ()  # no context: supersede all that is seen
    takes_away = sorted({"remove", "disable", "discard"} & set(TYPES[kind].methods()))
    return st.one_of(
        st.tuples(st.just(ADDS[kind]), st.tuples(*own, *unseen, term)),
        st.tuples(st.just(ADDS[kind]), st.tuples(*own)),
        st.tuples(st.just("expire"), st.tuples(term)),
        st.tuples(st.just("persist"), st.just(())),
        st.tuples(st.sampled_from(takes_away), st.just(())),
    )


def schedules(kind: str, most: int = 16) -> st.SearchStrategy[list[Step]]:
    write = st.builds(lambda at, did, now: ("write", at, *did, now), AT, methods(kind), NOW)
    whose = st.frozensets(st.integers(0, 2), min_size=1)
    sweep = st.tuples(st.just("sweep"), AT, st.sampled_from(TIMES), whose)
    merge = st.builds(lambda at, on, age: ("merge", at, (at + on) % 3, age), AT, st.integers(1, 2), AGE)
    meet = st.builds(lambda at, on: ("meet", at, (at + on) % 3), AT, st.integers(1, 2))
    collect = st.tuples(st.just("collect"), AT)
    return st.lists(
        st.one_of(write, write, write, sweep, sweep, merge, merge, meet, collect),
        min_size=most // 2,
        max_size=most,
    )


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_value_is_a_function_of_the_history_seen_and_the_time(kind: str, data: st.DataObject) -> None:
    world = Timed(kind).run(data.draw(schedules(kind)))
    world.settle()
    by_seen: dict[History, Any] = {}
    for copy in world.copies:
        for state, seen in copy.past:
            assert by_seen.setdefault(seen, state.live) == state.live, (
                "a sweep made two who saw the same differ"
            )


# By hand.


def after(kind: str, *writes: tuple[bytes, str, tuple[Any, ...]], start: Cell = EMPTY, seq: int = 1) -> Cell:
    """Each write at its seq, 100, 101, …, having seen those before it."""
    cell = start
    for at, (replica, method, args) in enumerate(writes):
        event = Event(replica, seq + at, 100 + at)
        cell = TYPES[kind].write(cell, method, TYPES[kind].prepare(method, args), event)
    return cell


A, B = b"a" * 8, b"b" * 8


def test_what_an_expired_value_has_beaten_does_not_come_back() -> None:
    beaten = after("register", (A, "set", ("old",)))
    beats = after(
        "register", (B, "set", ("new", None, ("ttl", 50))), (B, "set", ("newer", None, ("ttl", 50)))
    )
    cell, register = join(beaten, beats), TYPES["register"]
    assert register.value(register.at(cell, 150)) == "newer"
    assert register.value(register.at(cell, 151)) is None
    swept = register.sweep(cell, Event(A, 2, 151), lambda e: expiry.is_over(e, 151))
    assert not swept.live, "the sweep takes what was beaten with it"


def test_a_renewal_survives_the_sweep_that_did_not_see_it() -> None:
    owns: dict[str, tuple[Any, ...]] = {"register": ("v", None), "mv_register": ("v",)}
    for kind in KINDS:
        cell_type = TYPES[kind]
        first = after(kind, (A, ADDS[kind], (*owns.get(kind, ()), ("ttl", 10))))
        renewed = after(kind, (B, "expire", (("ttl", 1000),)), start=first)
        swept = cell_type.sweep(first, Event(A, 2, 200), lambda e: expiry.is_over(e, 200))
        both = join(renewed, swept)
        assert both.live == renewed.live
        assert cell_type.present(cell_type.at(both, 200))


def test_a_new_value_beats_a_longer_life_of_the_old_one() -> None:
    first = after("register", (A, "set", ("old", None, ("ttl", 10))))
    kept = after("register", (A, "persist", ()), start=first, seq=2)
    changed = after("register", (B, "set", ("new",)), start=first)
    assert TYPES["register"].value(join(kept, changed)) == "new"


def test_of_two_renewals_the_longer_one_stands() -> None:
    first = after("register", (A, "set", ("v", None, ("ttl", 10))))
    short = after("register", (B, "expire", (("ttl", 20),)), start=first)
    long = after("register", (A, "expire", (("ttl", 500),)), start=first, seq=2)
    register = TYPES["register"]
    assert register.value(register.at(join(short, long), 300)) == "v"


def test_a_sweep_leaves_a_cell_in_which_the_sweeper_has_an_entry_that_stays() -> None:
    mine = after("set", (A, "add", ()))
    theirs = after("set", (B, "add", (("ttl", 10),)))
    cell, members = join(mine, theirs), TYPES["set"]
    assert members.sweep(cell, Event(A, 2, 200), lambda e: expiry.is_over(e, 200)) is cell
    swept = members.sweep(cell, Event(B, 2, 200), lambda e: expiry.is_over(e, 200))
    assert swept.live == mine.live


STAMPED = (5).to_bytes(8, "big") + values.encode("x")
BAD = {
    "register": [b"\x80" + bytes(7), b"\x80" + bytes(7) + STAMPED[:8], b"\xa0" + bytes(7) + STAMPED]
    + [(-5).to_bytes(8, "big", signed=True) + values.encode("x"), b"\x80" + bytes(7) + b"\x80" + STAMPED],
    "set": [
        b"\x80" + bytes(7),
        b"\x80" + bytes(7) + b"\x02",
        b"\x90" + bytes(7) + b"\x01",
        b"\x01" + bytes(8),
    ],
    "flag_dw": [b"\x80" + bytes(6) + b"\x01"],
    "mv_register": [b"\x80" + bytes(7), b"\x80" + bytes(7) + values.encode([])],
}


@pytest.mark.parametrize(("kind", "payload"), [(k, p) for k, ps in BAD.items() for p in ps])
def test_payloads_that_no_type_writes(kind: str, payload: bytes) -> None:
    with pytest.raises(MalformedError):
        check_cell(PATHS[kind], Cell((Entry(A, 1, payload),)))


@pytest.mark.parametrize(
    ("method", "args", "error", "says"),
    [
        ("set", ("x", None, ("ttl", 0)), ValueError, "ttl: 0"),
        ("set", ("x", None, ("ttl", -1)), ValueError, "ttl: -1"),
        ("set", ("x", None, ("ttl", 2**60)), ValueError, "ttl"),
        ("set", ("x", None, ("at", 2**60)), ValueError, "at: "),
        ("set", ("x", None, ("ttl", 1.5)), TypeError, "expiry"),
        ("set", ("x", None, ("soon", 1)), TypeError, "expiry"),
        ("set", ("x", None, 7), TypeError, "expiry"),
        ("set", ("x", None, ("ttl", 1), 2), TypeError, "set"),
        ("expire", (), TypeError, "expire"),
        ("persist", (1,), TypeError, "persist"),
    ],
)
def test_wrong_arguments(method: str, args: tuple[Any, ...], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        TYPES["register"].prepare(method, args)


def test_the_largest_value_may_expire() -> None:
    for kind in ("register", "mv_register"):
        value = "x" * (values.VALUE_BYTES_MAX - 5)
        own = (value, None) if kind == "register" else (value,)
        cell = after(kind, (A, "set", (*own, ("ttl", 5))))
        assert len(cell.live[0].payload) <= values.PAYLOAD_BYTES_MAX
        check_bytes(kind, cell)


def test_kinds_that_accumulate_do_not_expire() -> None:
    for kind in ("counter", "max_register", "min_register"):
        assert not isinstance(TYPES[kind], Expiring)
        with pytest.raises(ValueError, match="expire"):
            TYPES[kind].prepare("expire", (("ttl", 5),))
