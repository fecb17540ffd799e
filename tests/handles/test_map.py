"""Is a map the sum of what is in it?"""

from typing import Any, Protocol

import pytest

from gossamer.errors import LimitExceeded
from gossamer.handles import Handles, Keyspace, Map
from gossamer.memory import MemoryBackend


class World(Protocol):
    place: Handles

    def do(self, handle: Any, method: str, *args: Any) -> Any: ...


def fill(world: World, cart: Map) -> None:
    world.do(cart.register("note"), "set", "gift wrap")
    world.do(cart.counter("items"), "add", 3)
    world.do(cart.set("skus"), "add", "sku-1")
    world.do(cart.map("to").register("city"), "set", "Oslo")


def test_a_map_shows_what_is_in_it(world: World) -> None:
    cart = world.place.map("cart:42")
    assert world.do(cart, "value") == {}
    fill(world, cart)
    expected = {"note": "gift wrap", "items": 3, "skus": frozenset({"sku-1"}), "to": {"city": "Oslo"}}
    assert world.do(cart, "value") == expected
    assert sorted(world.do(cart, "keys")) == sorted(expected)
    assert sorted(world.do(cart, "items"), key=str) == sorted(
        [
            ("register", "note", "gift wrap"),
            ("counter", "items", 3),
            ("set", "skus", frozenset({"sku-1"})),
            ("map", "to", {"city": "Oslo"}),
        ],
        key=str,
    )


def test_every_type_has_a_value_in_a_map(world: World) -> None:
    cart = world.place.map("m")
    world.do(cart.mv_register("mv"), "set", 1)
    world.do(cart.flag("ew"), "enable")
    world.do(cart.flag("dw", "disable-wins"), "enable")
    world.do(cart.set("rw", "remove-wins"), "add", 1)
    world.do(cart.max_register("max"), "set", 1)
    world.do(cart.min_register("min"), "set", 1)
    assert world.do(cart, "value") == {
        "mv": [1],
        "ew": True,
        "dw": True,
        "rw": frozenset({1}),
        "max": 1,
        "min": 1,
    }


def test_what_was_removed_or_switched_off_is_not_there(world: World) -> None:
    cart = world.place.map("m")
    world.do(cart.flag("ew"), "enable")
    world.do(cart.flag("ew"), "disable")
    world.do(cart.flag("dw", "disable-wins"), "disable")
    world.do(cart.set("rw", "remove-wins"), "add", 1)
    world.do(cart.set("rw", "remove-wins"), "remove", 1)
    world.do(cart.counter("c"), "add", 1)
    world.do(cart.counter("c"), "reset")
    world.do(cart.map("sub").register("r"), "set", 1)
    world.do(cart.map("sub").register("r"), "remove")
    assert world.do(cart, "value") == {}
    assert world.do(cart, "keys") == []


def test_removing_a_name_removes_every_kind_of_it_and_all_below(world: World) -> None:
    cart = world.place.map("m")
    fill(world, cart.map("a"))
    world.do(cart.register("a"), "set", 1)
    world.do(cart.set("a"), "update", [1, 2])
    world.do(cart.set("a", "remove-wins"), "add", 1)
    world.do(cart.register("ab"), "set", 1)
    world.do(cart, "remove", "a")
    assert world.do(cart, "value") == {"ab": 1}
    world.do(cart, "remove", "absent")
    world.do(cart.map("a").register("note"), "set", "anew")
    assert world.do(cart, "value") == {"ab": 1, "a": {"note": "anew"}}


def test_a_created_map_is_there_while_empty(world: World) -> None:
    cart = world.place.map("m")
    world.do(cart.map("empty"), "create")
    assert world.do(cart, "value") == {"empty": {}}
    assert world.do(cart, "keys") == ["empty"]
    fill(world, cart)
    world.do(cart, "clear")
    assert world.do(cart, "value") == {}


def test_a_name_that_stands_for_two_kinds_shows_as_both(world: World) -> None:
    cart = world.place.map("m")
    world.do(cart.register("x"), "set", 1)
    world.do(cart.counter("x"), "add", 2)
    world.do(cart.register("y"), "set", 3)
    assert world.do(cart.register("x"), "get") == 1
    assert world.do(cart.counter("x"), "value") == 2
    assert world.do(cart, "value") == {"register:x": 1, "counter:x": 2, "y": 3}
    assert world.do(cart, "keys") == ["register:x", "y", "counter:x"]


def test_a_name_that_looks_like_kind_and_name_hides_nothing(world: World) -> None:
    cart = world.place.map("m")
    world.do(cart.register("x"), "set", 1)
    world.do(cart.counter("x"), "add", 2)
    world.do(cart.register("counter:x"), "set", 3)
    assert world.do(cart, "value") == {"register:x": 1, "counter:x": 2, "register:counter:x": 3}


@pytest.mark.parametrize("size", [1000, 1001, 2500])
def test_a_container_of_any_size_can_be_cleared(size: int, is_async: bool) -> None:
    backend = MemoryBackend()
    space = Keyspace(backend)
    members = space.map("m").set("s")
    members.update(range(size))
    before = len(list(space.keys()))
    space.map("m").clear()
    assert (before, list(space.keys())) == (size, [])


def test_a_large_name_can_be_removed_in_either_way(space: Keyspace) -> None:
    for number in range(3):
        space.map("m").set("s").update(range(number * 1000, number * 1000 + 1000))
    space.map("m").register("s").set(1)
    space.map("m").remove("s")
    assert list(space.keys()) == []


async def test_a_large_set_can_be_cleared_with_await(space: Keyspace) -> None:
    await space.set("s").aupdate(range(2500))
    await space.set("s").aclear()
    assert await space.akeys() == []


def test_a_large_container_is_beyond_a_transaction(space: Keyspace) -> None:
    space.set("s").update(range(1001))
    with space.transaction() as tx, pytest.raises(LimitExceeded, match="1,000"):
        tx.set("s").clear()
    assert len(space.set("s")) == 1001


@pytest.mark.parametrize(("name", "error"), [(1, TypeError), (b"x", TypeError), ("", ValueError)])
def test_a_bad_name_cannot_be_removed(world: World, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name"):
        world.do(world.place.map("m"), "remove", name)
