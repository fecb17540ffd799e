"""Every write takes an op_id, and done again with it does nothing more."""

from collections.abc import Callable
from typing import Any

import pytest

import gossamer
from gossamer import LimitExceeded, apply
from gossamer.handles import Handles, Keyspace
from gossamer.limits import OP_ID_BYTES_MAX
from gossamer.memory import MemoryBackend
from gossamer.op_id import check_op_id, time_of

from .conftest import World

Case = tuple[Callable[[Handles], Any], str, tuple[Any, ...], Callable[[Handles], Any]]

CASES: dict[str, Case] = {
    "register.set": (lambda p: p.register("x"), "set", (1,), lambda p: p.register("x").set(2)),
    "register.remove": (lambda p: p.register("x"), "remove", (), lambda p: p.register("x").set(2)),
    "register.update": (
        lambda p: p.register("x"),
        "update",
        (lambda v: v + 1, 0),
        lambda p: p.register("x").set(2),
    ),
    "mv_register.set": (lambda p: p.mv_register("x"), "set", (1,), lambda p: p.mv_register("x").set(2)),
    "mv_register.resolve": (
        lambda p: p.mv_register("x"),
        "resolve",
        (1,),
        lambda p: p.mv_register("x").set(2),
    ),
    "mv_register.update": (
        lambda p: p.mv_register("x"),
        "update",
        (lambda vs: 1,),
        lambda p: p.mv_register("x").set(2),
    ),
    "mv_register.remove": (lambda p: p.mv_register("x"), "remove", (), lambda p: p.mv_register("x").set(2)),
    "flag.enable": (lambda p: p.flag("x"), "enable", (), lambda p: p.flag("x").disable()),
    "flag.disable": (lambda p: p.flag("x"), "disable", (), lambda p: p.flag("x").enable()),
    "counter.add": (lambda p: p.counter("x"), "add", (5,), lambda p: p.counter("x").add(1)),
    "counter.reset": (lambda p: p.counter("x"), "reset", (), lambda p: p.counter("x").add(1)),
    "bounded.mint": (lambda p: p.bounded_counter("x"), "mint", (5,), lambda p: None),
    "max.set": (lambda p: p.max_register("x"), "set", (5,), lambda p: p.max_register("x").remove()),
    "max.remove": (lambda p: p.max_register("x"), "remove", (), lambda p: p.max_register("x").set(1)),
    "set.add": (lambda p: p.set("x"), "add", (1,), lambda p: p.set("x").discard(1)),
    "set.update": (lambda p: p.set("x"), "update", ([1, 2],), lambda p: p.set("x").clear()),
    "set.discard": (lambda p: p.set("x"), "discard", (1,), lambda p: p.set("x").add(1)),
    "set.remove": (lambda p: p.set("x"), "remove", (1,), lambda p: p.set("x").add(1)),
    "set.clear": (lambda p: p.set("x"), "clear", (), lambda p: p.set("x").add(1)),
    "map.create": (lambda p: p.map("x"), "create", (), lambda p: p.map("x").clear()),
    "map.remove": (lambda p: p.map("x"), "remove", ("y",), lambda p: p.map("x").counter("y").add(1)),
    "map.clear": (lambda p: p.map("x"), "clear", (), lambda p: p.map("x").counter("y").add(1)),
}
"""A handle, its write, and another write that undoes it, so that doing the first again would show."""


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("place", ["top", "map"])
def test_a_retry_does_nothing(case: Case, is_async: bool, place: str, space: Keyspace) -> None:
    handle, method, args, other = case
    inner: Handles = space if place == "top" else space.map("outer")
    world = World(inner, is_async)
    world.do(handle(inner), method, *args, op_id="x-1")
    other(inner)
    before = list(space.items())
    world.do(handle(inner), method, *args, op_id="x-1")
    assert list(space.items()) == before
    world.do(handle(inner), method, *args, op_id="x-2")
    if method not in ("discard", "remove", "clear", "reset", "disable") or before:
        assert list(space.items()) != before


def test_spending_again_with_the_same_op_id_spends_nothing(space: Keyspace) -> None:
    stock = space.bounded_counter("stock")
    stock.mint(5)
    for wait in (None, None, 1.0):
        stock.spend(2, wait=wait, op_id="order-1")
    assert stock.value() == 3


def test_a_transaction_counts_once_and_says_what_it_was(space: Keyspace) -> None:
    dots = []
    for _ in range(2):
        with space.transaction(op_id="order-1") as tx:
            tx.counter("sold").add(2)
            tx.counter("sold").add(3)
            tx.register("last").set("order-1")
            assert tx.counter("sold").value() >= 5
        dots.append(tx.dot)
        space.register("last").set("other")
    assert space.counter("sold").value() == 5
    assert space.register("last").get() == "other"
    assert dots[0] == dots[1] is not None


def test_a_transaction_that_adds_resets_and_adds_leaves_the_last(space: Keyspace) -> None:
    space.counter("sold").add(100)
    space.counter("sold").add(50, op_id="before")
    with space.transaction(op_id="order-1") as tx:
        tx.counter("sold").add(1)
        tx.counter("sold").reset()
        tx.counter("sold").add(2)
        assert tx.counter("sold").value() == 2
    assert space.counter("sold").value() == 2


def test_a_write_that_had_nothing_to_write_has_nothing_to_write_later(space: Keyspace) -> None:
    space.set("s").discard(1, op_id="x")
    space.set("s").add(1)
    space.set("s").discard(1, op_id="x")
    assert 1 in space.set("s")


def test_a_transaction_that_wrote_nothing_says_so_again(space: Keyspace) -> None:
    for _ in range(2):
        with space.transaction(op_id="x") as tx:
            tx.set("s").discard(1)
        assert tx.dot is None


def test_inside_a_transaction_there_is_one_for_all_of_it(world: World) -> None:
    if isinstance(world.place, gossamer.Transaction):
        with pytest.raises(ValueError, match=r"transaction\(op_id="):
            world.do(world.place.counter("x"), "add", 1, op_id="x-1")


@pytest.mark.parametrize("op_id", ["", "a\nb", "é" * (OP_ID_BYTES_MAX // 2) + "a", "\ud800"])
def test_what_is_no_op_id_is_told_before_anything_is_written(op_id: str, space: Keyspace) -> None:
    for write in (
        lambda: space.counter("x").add(1, op_id=op_id),
        lambda: space.set("x").update([1], op_id=op_id),
        lambda: space.transaction(op_id=op_id),
    ):
        with pytest.raises(ValueError, match="op_id: "):
            write()
    with pytest.raises(TypeError, match="op_id: a str is wanted, not int"):
        space.counter("x").add(1, op_id=7)  # type: ignore[arg-type]  # that is the mistake
    assert list(space.keys()) == []


def test_the_longest_op_id_fits_where_the_counters_own_path_leaves_room(space: Keyspace) -> None:
    space.counter("x" * 300).add(1, op_id="y" * OP_ID_BYTES_MAX)
    with pytest.raises(ValueError, match="path: "):
        space.counter("x" * 400).add(1, op_id="y" * OP_ID_BYTES_MAX)


def test_new_op_ids_are_distinct_sort_by_time_and_carry_it() -> None:
    made = [gossamer.new_op_id() for _ in range(100)]
    assert len(set(made)) == 100
    times = [time_of(op_id) or 0 for op_id in made]
    assert times == sorted(times) and times[0] > 0
    assert all(check_op_id(op_id) == op_id for op_id in made)
    assert time_of("order-1") is None
    assert time_of(made[0].removeprefix("op-")) is None, "another's UUID may be older than the operation"


def test_bulk_writes_of_several_events_are_noted_with_the_last(
    space: Keyspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = space.set("s")
    many.update(range(2500), op_id="x")
    assert len(many) == 2500
    many.clear(op_id="y")
    many.add(1)
    many.update(range(2500), op_id="x")
    many.clear(op_id="y")
    assert set(many) == {1}


def test_a_counter_with_much_that_is_pending_is_reset_in_parts(
    space: Keyspace, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "TRANSACTION_CELLS_MAX", 4)
    counter = space.map("m").counter("n")
    for number in range(10):
        counter.add(1, op_id=f"x{number}")
    with pytest.raises(LimitExceeded), space.transaction() as tx:
        tx.map("m").counter("n").reset()
    assert counter.value() == 10
    counter.reset()
    assert counter.value() == 0
    for number in range(10):
        counter.add(1, op_id=f"y{number}")
    space.map("m").clear()
    assert space.map("m").value() == {}


def test_two_who_tried_the_same_meet(backend: MemoryBackend) -> None:
    other = MemoryBackend(b"memory\x00\x02")
    for one in (backend, other):
        Keyspace(one).counter("sold").add(5, op_id="order-1")
    backend.merge(other)
    assert Keyspace(backend).counter("sold").value() == 5
