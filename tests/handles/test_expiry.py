"""Handles of things that expire, in every place there is: hidden at the moment, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend

from .conftest import World

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Hands:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def backend(hands: Hands) -> MemoryBackend:
    return MemoryBackend(clock=hands)


def do(world: World, handle: Any, method: str, *args: Any, **term: Any) -> Any:
    if not term:
        return world.do(handle, method, *args)
    found = getattr(handle, f"a{method}" if world.is_async else method)(*args, **term)
    return asyncio.run(found) if world.is_async else found


def test_a_register_is_hidden_after_its_ttl(world: World, hands: Hands) -> None:
    register = world.place.register("r")
    do(world, register, "set", "v", ttl=5)
    reading = world.do(register, "read")
    assert (reading.value, reading.expires_at) == ("v", EPOCH + timedelta(seconds=1005))
    hands.go(4.999999)
    assert world.do(register, "get") == "v"
    hands.go(0.000001)
    assert world.do(register, "get", "none") == "none"
    assert world.do(register, "siblings") == []
    assert world.do(register, "read").value is None
    assert world.do(register, "read").expires_at is None


def test_a_register_is_hidden_at_a_moment(world: World, hands: Hands) -> None:
    register = world.place.register("r")
    do(world, register, "set", "v", expires_at=datetime.fromtimestamp(1002, UTC))
    assert world.do(register, "get") == "v"
    hands.go(2)
    assert world.do(register, "get") is None


def test_a_plain_set_lasts(world: World, hands: Hands) -> None:
    register = world.place.register("r")
    do(world, register, "set", "v", ttl=5)
    world.do(register, "set", "w")
    hands.go(6)
    assert world.do(register, "get") == "w"
    assert world.do(register, "read").expires_at is None


def test_expire_and_persist(world: World, hands: Hands) -> None:
    register = world.place.register("r")
    do(world, register, "expire", ttl=5)
    assert world.do(register, "get") is None
    world.do(register, "set", "v")
    do(world, register, "expire", ttl=5)
    hands.go(4)
    do(world, register, "expire", ttl=5)
    hands.go(4)
    assert world.do(register, "get") == "v"
    world.do(register, "persist")
    hands.go(100)
    assert world.do(register, "get") == "v"
    do(world, register, "expire", ttl=5)
    hands.go(5)
    do(world, register, "expire", ttl=5)  # too late
    world.do(register, "persist")
    assert world.do(register, "get") is None


def test_several_values(world: World, hands: Hands) -> None:
    register = world.place.mv_register("r")
    do(world, register, "set", "v", ttl=5)
    assert world.do(register, "siblings")[0].expires_at == EPOCH + timedelta(seconds=1005)
    hands.go(4)
    do(world, register, "expire", ttl=5)
    hands.go(4)
    assert world.do(register, "values") == ["v"]
    hands.go(1)
    assert world.do(register, "values") == []
    do(world, register, "set", "w", ttl=5)
    world.do(register, "persist")
    hands.go(6)
    assert world.do(register, "values") == ["w"]


@pytest.mark.parametrize("policy", ["add-wins", "remove-wins"])
def test_elements(world: World, hands: Hands, policy: str) -> None:
    members = world.place.set("s", policy)
    do(world, members, "add", "a", ttl=5)
    do(world, members, "update", ["b", "c"], ttl=10)
    world.do(members, "add", "d")
    hands.go(5)
    assert not world.contains(members, "a")
    assert world.list(members) == ["b", "c", "d"]
    do(world, members, "expire", "b", ttl=100)
    world.do(members, "persist", "c")
    do(world, members, "expire", "a", ttl=100)
    do(world, members, "expire", "d", ttl=1)
    hands.go(10)
    assert world.do(members, "value") == frozenset("bc")
    hands.go(100)
    assert world.do(members, "value") == frozenset("c")
    world.do(members, "discard", "c")
    world.do(members, "persist", "c")
    assert world.len(members) == 0


@pytest.mark.parametrize("policy", ["enable-wins", "disable-wins"])
def test_flags(world: World, hands: Hands, policy: str) -> None:
    flag = world.place.flag("f", policy)
    do(world, flag, "expire", ttl=5)
    assert not world.do(flag, "value")
    do(world, flag, "enable", ttl=5)
    assert world.do(flag, "value")
    hands.go(5)
    assert not world.do(flag, "value")
    do(world, flag, "enable", ttl=5)
    world.do(flag, "persist")
    hands.go(5)
    assert world.do(flag, "value")
    world.do(flag, "disable")
    do(world, flag, "expire", ttl=5)
    assert not world.do(flag, "value")


def test_a_map_and_all_in_it(world: World, hands: Hands) -> None:
    cart = world.place.map("cart")
    world.do(cart.register("note"), "set", "n")
    do(world, cart.map("inner").set("s"), "add", 1, ttl=1)
    world.do(cart.flag("f"), "enable")
    world.do(cart, "create")
    do(world, cart, "expire", ttl=5)
    world.do(cart.register("late"), "set", "l")
    hands.go(4)
    assert world.do(cart, "keys") == ["inner", "late", "note", "f"]
    hands.go(1)
    assert world.do(cart, "value") == {"late": "l"}
    assert [name for _, name, _ in world.do(cart, "items")] == ["late"]
    world.do(cart, "persist")
    assert world.do(cart, "value") == {"late": "l"}


def test_a_map_that_is_kept(world: World, hands: Hands) -> None:
    cart = world.place.map("cart")
    do(world, cart, "create", ttl=5)
    world.do(cart.counter("c"), "add", 3)
    do(world, cart.register("r"), "set", "v", ttl=5)
    world.do(cart, "persist")
    hands.go(6)
    assert world.do(cart, "value") == {"r": "v", "c": 3}


def test_a_created_map_expires(space: Keyspace, hands: Hands) -> None:
    space.map("m").create(ttl=5)
    assert list(space.keys()) == ["map:m"]
    hands.go(5)
    assert list(space.keys()) == []


@pytest.mark.parametrize("kind", ["counter", "max_register", "min_register"])
def test_what_accumulates_cannot_expire(world: World, kind: str) -> None:
    cart = world.place.map("cart")
    world.do(cart.register("a"), "set", "v")
    inner = getattr(cart.map("z"), kind)("n")
    world.do(inner, "add" if kind == "counter" else "set", 1)
    with pytest.raises(ValueError, match=f"cart/map:z/{kind}:n: a {kind} cannot expire"):
        do(world, cart, "expire", ttl=5)
    assert world.do(cart.register("a"), "read").expires_at is None, "nothing was written"


def test_more_than_an_event_holds(space: Keyspace, hands: Hands) -> None:
    cart = space.map("cart")
    cart.set("s").update(range(1500))
    cart.register("r").set("v")
    cart.expire(ttl=5)
    assert cart.register("r").read().expires_at == EPOCH + timedelta(seconds=1005)
    hands.go(3)
    cart.set("s").persist(7)
    hands.go(3)
    assert cart.value() == {"s": {7}}
    cart.set("s").update(range(1500), ttl=5)
    cart.persist()
    hands.go(6)
    assert len(cart.set("s")) == 1500


def test_more_than_an_event_holds_and_one_that_cannot_expire(space: Keyspace) -> None:
    cart = space.map("cart")
    cart.set("s").update(range(1500))
    cart.map("z").counter("c").add(1)
    with pytest.raises(ValueError, match="counter"):
        cart.expire(ttl=5)
    assert cart.map("z").counter("c").value() == 1
    dots = {entry.seq for _, cell in space._backend.scan("default", b"") for entry in cell.live}
    assert max(dots) == 3, "nothing was written"


def test_to_clear_takes_what_has_expired_as_well(
    space: Keyspace, backend: MemoryBackend, hands: Hands
) -> None:
    space.map("m").register("r").set("v", ttl=5)
    hands.go(6)
    space.map("m").clear()
    hands.go(-3)  # a clock that was ahead and is put right
    assert space.map("m").value() == {}


def test_keys_and_items(space: Keyspace, hands: Hands) -> None:
    space.register("a").set(1, ttl=5)
    space.register("b").set(2)
    assert dict(space.items()) == {"register:a": 1, "register:b": 2}
    hands.go(5)
    assert list(space.keys()) == ["register:b"]
    assert dict(space.items()) == {"register:b": 2}


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"ttl": 0}, ValueError, "ttl: 0 s is not above 0"),
    ({"ttl": 10**400}, ValueError, "is not above 0 and at most"),
    ({"ttl": -1.5}, ValueError, "ttl"),
    ({"ttl": float("nan")}, ValueError, "ttl"),
    ({"ttl": float("inf")}, ValueError, "ttl"),
    ({"ttl": 1e18}, ValueError, "ttl"),
    ({"ttl": "5"}, TypeError, "ttl: seconds are wanted, not str"),
    ({"ttl": True}, TypeError, "ttl"),
    ({"expires_at": 5}, TypeError, "expires_at: an aware datetime is wanted, not int"),
    ({"expires_at": datetime(2030, 1, 1)}, ValueError, "expires_at: .* has no time zone"),  # the point
    ({"expires_at": EPOCH}, ValueError, "expires_at: .* is before 1970"),
    ({"ttl": 5, "expires_at": EPOCH}, ValueError, "only one"),
]


@pytest.mark.parametrize(("term", "error", "says"), WRONG, ids=lambda x: str(x)[:40])
def test_wrong_terms(
    space: Keyspace, backend: MemoryBackend, term: Any, error: type[Exception], says: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: space.register("r").set(1, **term),
        lambda: space.mv_register("r").set(1, **term),
        lambda: space.flag("f").enable(**term),
        lambda: space.set("s").add(1, **term),
        lambda: space.set("s").update([1], **term),
        lambda: space.map("m").create(**term),
        lambda: space.map("m").expire(**term),
        lambda: space.register("r").expire(**term),
        lambda: space.set("s").expire(1, **term),
    ]
    for call in calls:
        with pytest.raises(error, match=says):
            call()
    assert list(space.keys()) == []


def test_expire_wants_a_moment(space: Keyspace) -> None:
    for handle in (space.register("r"), space.mv_register("r"), space.flag("f"), space.map("m")):
        expire: Any = getattr(handle, "expire")  # noqa: B009  # they have no base in common
        with pytest.raises(TypeError, match="one of them is wanted"):
            expire()


def test_the_last_moment_there_is(space: Keyspace) -> None:
    space.register("r").set(1, ttl=18_000 * 365 * 86400)
    assert space.register("r").read().expires_at == datetime.max.replace(tzinfo=UTC)
    space.register("r").set(1, expires_at=datetime.max.replace(tzinfo=UTC))
    assert space.register("r").read().expires_at == datetime.max.replace(tzinfo=UTC)
