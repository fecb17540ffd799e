"""The cases that users ask about: what happens when two replicas do this at the same time?"""

from __future__ import annotations

from typing import Any

import pytest

from gossamer.crdt import (
    EMPTY,
    TYPES,
    Cell,
    Event,
    UnseenError,
    cell,
    join,
    path,
    register_lww,
    type_at,
)

from .harness import Copy, copies


def sync(a: Copy, b: Copy) -> Any:
    """Both take what the other has; the value, which must be one."""
    a.take(b)
    b.take(a)
    assert a.cell == b.cell
    assert a.value() == b.value()
    return a.value()


def test_equal_stamps_in_a_register_higher_replica_id_wins() -> None:
    a, b = copies("register")
    a.write("set", "z", now=100)
    b.write("set", "a", now=100)
    assert sync(a, b) == "a"


def test_between_concurrent_sets_the_higher_stamp_wins() -> None:
    a, b = copies("register")
    a.write("set", "a", now=101)
    b.write("set", "b", now=100)
    assert sync(a, b) == "a"


def test_local_clock_behind_the_write_is_kept() -> None:
    a, b = copies("register")
    a.write("set", "old", now=1_000_000)
    b.take(a)
    b.write("set", "new", now=7)
    assert sync(a, b) == "new"


def test_a_causal_chain_with_a_slow_clock_beats_the_fast_clock_it_saw_and_loses_to_one_it_did_not() -> None:
    a, b, c = copies("register", 3)
    a.write("set", "fast", now=1000)
    c.write("set", "faster", now=1002)
    b.take(a)
    b.write("set", "slow", now=0)  # stamped 1001
    assert sync(a, b) == "slow"
    assert sync(b, c) == "faster"


def test_a_clock_at_the_end_of_time_does_not_block_the_register() -> None:
    a, b = copies("register")
    a.write("set", "future", now=2**62)
    b.take(a)
    b.write("set", "now", now=5)
    assert sync(a, b) == "now"
    a.write("set", "later", now=6)
    assert sync(a, b) == "later"


def test_multi_value_same_value_written_concurrently_shows_once_as_two_siblings() -> None:
    a, b = copies("mv_register")
    a.write("set", "x")
    b.write("set", "x")
    assert sync(a, b) == ["x"]
    assert len(a.cell.live) == 2


def test_multi_value_resolve_supersedes_only_what_was_read() -> None:
    a, b, c = copies("mv_register", 3)
    a.write("set", "x")
    read = a.cell.context()
    b.write("set", "y")
    a.take(b)
    a.write("resolve", "z", read)
    assert sync(a, c) == ["y", "z"]


def test_multi_value_resolve_does_not_lose_what_its_own_replica_wrote_since_the_read() -> None:
    a, b = copies("mv_register")
    a.write("set", "x")
    read = a.cell.context()
    a.write("set", "y")
    a.write("resolve", "z", read)
    assert sync(a, b) == ["y", "z"]
    a.write("resolve", "all", a.cell.context())
    assert sync(a, b) == ["all"]


def siblings(copy: Copy) -> list[Any]:
    return [register_lww.value_of(entry) for entry in copy.cell.live]


def test_a_set_over_what_was_read_leaves_what_came_since_beside_it() -> None:
    a, b = copies("register")
    a.write("set", "old", now=5)
    read = a.cell.context()
    b.write("set", "since", now=90)
    a.take(b)
    a.write("set", "new", read, now=7)
    assert sorted(siblings(a)) == ["new", "since"]
    assert sync(a, b) == "since"  # concurrent, so the clock decides


def test_a_set_over_what_was_read_never_replaces_what_its_own_replica_wrote_since() -> None:
    a, b = copies("register")
    b.write("set", "old")
    a.take(b)
    read = a.cell.context()
    a.write("set", "since")
    before = a.cell
    with pytest.raises(UnseenError):
        a.write("set", "new", read)
    assert a.cell is before
    a.write("set", "new", a.cell.context())
    assert siblings(a) == ["new"]


@pytest.mark.parametrize(("kind", "expected"), [("flag", True), ("flag_dw", False)])
def test_enable_and_disable_concurrently(kind: str, expected: bool) -> None:
    a, b = copies(kind)
    a.write("enable")
    b.take(a)
    a.write("enable")
    b.write("disable")
    assert sync(a, b) is expected


@pytest.mark.parametrize("kind", ["flag", "flag_dw"])
def test_a_flag_is_off_at_first(kind: str) -> None:
    assert TYPES[kind].value(EMPTY) is False


def test_add_two_concurrently_with_a_reset_of_four_leaves_two() -> None:
    a, b = copies("counter")
    a.write("add", 4)
    b.take(a)
    b.write("reset")
    a.write("add", 2)
    assert sync(a, b) == 2


def test_add_two_elsewhere_concurrently_with_a_reset_of_four_leaves_two() -> None:
    a, b = copies("counter")
    a.write("add", 4)
    b.take(a)
    b.write("add", 2)
    a.write("reset")
    assert sync(a, b) == 2


def test_two_concurrent_resets_of_the_same_four_count_once() -> None:
    a, b, c = copies("counter", 3)
    a.write("add", 4)
    b.take(a)
    c.take(a)
    b.write("reset")
    c.write("reset")
    a.write("add", 2)
    sync(a, b)
    assert sync(a, c) == 2


def test_a_floor_met_again_on_another_replica_is_not_subtracted_twice() -> None:
    a, b, c = copies("counter", 3)
    a.write("add", 4)
    b.take(a)
    b.write("reset")
    a.write("add", 2)
    floor = (b.cell, b.seen)
    a.take(b)
    a.write("add", 1)
    c.merge(*floor)
    assert sync(a, c) == 3
    a.merge(*floor)
    assert a.value() == 3


def test_a_floor_is_not_folded_into_the_sum_that_goes_on_above_it() -> None:
    a, b, c = copies("counter", 3)
    a.write("add", 4)
    b.take(a)
    b.write("reset")
    a.write("add", 2)
    a.take(b)
    c.take(a)
    c.write("reset")  # of the 2 that are left
    a.write("add", 1)
    assert sync(a, c) == 1


def test_a_counter_goes_on_from_zero_after_its_reset() -> None:
    a, b = copies("counter")
    a.write("add", 4)
    b.take(a)
    b.write("reset")
    a.take(b)
    a.write("add", 4)  # the same sum as before the reset, in a new generation
    assert sync(a, b) == 4


@pytest.mark.parametrize(("kind", "expected"), [("set", True), ("set_rw", False)])
def test_add_and_remove_of_an_element_concurrently(kind: str, expected: bool) -> None:
    a, b = copies(kind)
    a.write("add")
    b.take(a)
    a.write("add")
    b.write("discard")
    assert sync(a, b) is expected


def test_two_adds_and_a_remove_that_saw_one() -> None:
    a, b, c = copies("set", 3)
    a.write("add")
    b.write("add")
    c.take(a)
    c.write("discard")
    sync(a, b)
    assert sync(a, c) is True


@pytest.mark.parametrize("kind", ["set", "set_rw"])
def test_clear_and_add_concurrently_the_add_survives(kind: str) -> None:
    a, b = copies(kind)
    a.write("add")
    b.take(a)
    a.write("add")
    b.write("remove")  # what a clear, or the removal of the map around the set, does to each element
    assert sync(a, b) is True


@pytest.mark.parametrize("kind", ["set", "set_rw"])
def test_remove_of_an_element_never_seen_here_writes_nothing(kind: str) -> None:
    a, b = copies(kind)
    b.write("add")
    assert a.write("discard") is False
    assert a.write("remove") is False
    assert a.cell is EMPTY
    assert sync(a, b) is True


@pytest.mark.parametrize("kind", ["set", "set_rw"])
def test_a_second_remove_writes_nothing(kind: str) -> None:
    (a,) = copies(kind, 1)
    a.write("add")
    a.write("discard")
    assert a.write("discard") is False


class Cells(dict[bytes, Cell]):
    """A map as a node has it: the cells under its path, written by one replica."""

    def __init__(self, replica: bytes) -> None:
        super().__init__()
        self.replica, self.seq = replica, 0

    def write(self, text: str, method: str, *args: Any) -> None:
        self.seq += 1
        self._write(path.of_text(text), method, args)

    def remove(self, text: str) -> None:
        """Remove every cell seen at or under the path, as one event."""
        self.seq += 1
        prefix = path.of_text(text)
        for key in [key for key in self if prefix <= key < path.prefix_end(prefix)]:
            self._write(key, "remove", ())

    def take(self, other: Cells) -> None:
        for key, state in other.items():
            self[key] = join(self.get(key, EMPTY), state)

    def shown(self) -> dict[str, Any]:
        """Text -> value of the cells that show."""
        types = {key: type_at(key) for key in self}
        return {
            path.to_text(key): kind.value(self[key])
            for key, kind in types.items()
            if kind and kind.present(self[key])
        }

    def _write(self, key: bytes, method: str, args: tuple[Any, ...]) -> None:
        kind = type_at(key)
        assert kind is not None
        event = Event(self.replica, self.seq)
        self[key] = kind.write(self.get(key, EMPTY), method, kind.prepare(method, args), event)


def two_maps() -> tuple[Cells, Cells]:
    return Cells(b"a" * 8), Cells(b"b" * 8)


def test_remove_of_a_map_with_x_concurrent_with_adding_y_leaves_y() -> None:
    a, b = two_maps()
    a.write("map:m/register:x", "set", 1)
    b.take(a)
    a.remove("map:m")
    b.write("map:m/register:y", "set", 2)
    a.take(b)
    b.take(a)
    assert a == b
    assert a.shown() == {"map:m/register:y": 2}


def test_remove_of_a_map_reaches_into_nested_ones_and_no_neighbour() -> None:
    a, _ = two_maps()
    for text in ("map:m/map:n/register:x", "map:m/set:s/int:1", "map:mm/register:x", "register:m"):
        a.write(text, "set" if "register" in text else "add", *([1] if "register" in text else []))
    a.remove("map:m")
    assert a.shown() == {"map:mm/register:x": 1, "register:m": 1}


def test_a_nested_update_concurrent_with_the_removal_survives_alone() -> None:
    a, b = two_maps()
    a.write("map:m/counter:n", "add", 4)
    a.write("map:m/register:x", "set", 1)
    b.take(a)
    a.remove("map:m")
    b.write("map:m/counter:n", "add", 2)
    a.take(b)
    assert a.shown() == {"map:m/counter:n": 2}


def test_one_name_two_types_are_two_cells_and_both_show() -> None:
    a, b = two_maps()
    a.write("counter:x", "add", 1)
    b.write("register:x", "set", "one")
    a.take(b)
    assert a.shown() == {"counter:x": 1, "register:x": "one"}


def test_both_create_the_same_container_and_it_is_merged() -> None:
    a, b = two_maps()
    a.write("map:m", "create")
    a.write("map:m/register:x", "set", 1)
    b.write("map:m", "create")
    b.write("map:m/register:y", "set", 2)
    a.take(b)
    b.take(a)
    assert a == b
    assert a.shown() == {"map:m": {}, "map:m/register:x": 1, "map:m/register:y": 2}


@pytest.mark.parametrize(
    ("kind", "old", "new", "value"),
    [
        ("register", ("set", "old"), ("set", "new"), "new"),
        ("set", ("add",), ("add",), True),
        ("counter", ("add", 4), ("add", 5), 5),
    ],
)
def test_remove_and_re_add_reach_a_peer_that_was_away_as_the_new_one(
    kind: str, old: Any, new: Any, value: object
) -> None:
    a, b = copies(kind)
    a.write(*old)
    away = (a.cell, a.seen)
    b.take(a)
    a.write("remove")
    a.collect(a.vector())
    assert a.cell == EMPTY
    a.write(*new)
    a.merge(*away)
    b.cell = cell.complete(b.cell, a.cell, a.vector().has)
    b.take(a)
    assert b.cell.live == a.cell.live
    assert a.value() == b.value() == value


def test_max_set_concurrent_with_a_remove_keeps_that_replicas_earlier_maximum() -> None:
    a, b = copies("max_register")
    a.write("set", 9)
    b.take(a)
    b.write("remove")
    a.write("set", 3)
    assert sync(a, b) == 9


def test_max_after_a_remove_that_was_seen_begins_anew() -> None:
    a, b = copies("max_register")
    a.write("set", 9)
    b.take(a)
    b.write("remove")
    a.take(b)
    a.write("set", 3)
    assert sync(a, b) == 3


def test_max_of_equal_numbers_of_two_types_is_the_same_everywhere() -> None:
    a, b = copies("max_register")
    a.write("set", 1)
    b.write("set", 1.0)
    assert type(sync(a, b)) is type(b.value())


def test_max_of_two_types_written_concurrently_orders_by_type() -> None:
    a, b = copies("max_register")
    a.write("set", 10**9)
    b.write("set", "text")
    assert sync(a, b) == "text"
    with pytest.raises(TypeError, match="value: int cannot be compared with the str"):
        a.write("set", 1)


def test_extremes_of_lists_go_elementwise() -> None:
    a, b = copies("min_register")
    a.write("set", [1, "b"])
    b.write("set", [1, "a", 0])
    assert sync(a, b) == [1, "a", 0]


def test_elements_of_three_types_that_python_takes_for_one_are_three_cells() -> None:
    assert len({path.element(value) for value in (1, 1.0, True)}) == 3
