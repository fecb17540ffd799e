"""Two payloads under one dot: is every reader told, and can the user settle it?"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gossamer.errors import Quarantined
from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend

Do = Callable[[Keyspace], object]


def clones(first: Do, second: Do) -> Keyspace:
    """One replica id used twice, its two first events met."""
    one, two = MemoryBackend(), MemoryBackend()
    first(Keyspace(one))
    second(Keyspace(two))
    one.merge(two)
    return Keyspace(one)


CASES: list[tuple[Do, Do, Do, Do, tuple[Any, ...]]] = [
    (
        lambda s: s.register("x").set("a"),
        lambda s: s.register("x").set("b"),
        lambda s: s.register("x").get(),
        lambda s: s.register("x").set("c"),
        ("a", "b"),
    ),
    (
        lambda s: s.mv_register("x").set("a"),
        lambda s: s.mv_register("x").set("b"),
        lambda s: s.mv_register("x").values(),
        lambda s: s.mv_register("x").set("c"),
        (["a"], ["b"]),
    ),
    (
        lambda s: s.counter("x").add(1),
        lambda s: s.counter("x").add(2),
        lambda s: s.counter("x").value(),
        lambda s: s.counter("x").reset(),
        (1, 2),
    ),
    (
        lambda s: s.flag("x", "disable-wins").enable(),
        lambda s: s.flag("x", "disable-wins").disable(),
        lambda s: s.flag("x", "disable-wins").value(),
        lambda s: s.flag("x", "disable-wins").disable(),
        (False, True),
    ),
    (
        lambda s: s.max_register("x").set(1),
        lambda s: s.max_register("x").set(2),
        lambda s: s.max_register("x").get(),
        lambda s: s.max_register("x").remove(),
        (1, 2),
    ),
]


@pytest.mark.parametrize(("first", "second", "read", "settle", "rivals"), CASES)
def test_a_read_raises_until_a_write_settles_it(
    first: Do, second: Do, read: Do, settle: Do, rivals: tuple[Any, ...]
) -> None:
    space = clones(first, second)
    with pytest.raises(Quarantined, match=":x: two values under one dot") as caught:
        read(space)
    assert sorted(map(repr, caught.value.values)) == sorted(map(repr, rivals))
    with pytest.raises(Quarantined):
        dict(space.items())
    assert len(list(space.keys())) == 1
    settle(space)
    read(space)


def quarantined_element() -> Keyspace:
    def remove(space: Keyspace) -> None:
        with space.transaction() as tx:
            tx.set("s", "remove-wins").add("x")
            tx.set("s", "remove-wins").remove("x")

    return clones(lambda s: s.set("s", "remove-wins").add("x"), remove)


def test_an_element_can_be_quarantined_and_settled_either_way() -> None:
    space = quarantined_element()
    members = space.set("s", "remove-wins")
    calls: list[Callable[[], object]] = [
        lambda: "x" in members,
        lambda: len(members),
        members.value,
        lambda: asyncio.run(members.acontains("x")),
        lambda: asyncio.run(members.avalue()),
    ]
    for call in calls:
        with pytest.raises(Quarantined):
            call()
    members.remove("x")
    assert "x" not in members
    other = quarantined_element().set("s", "remove-wins")
    other.clear()
    assert len(other) == 0


def test_a_map_with_a_quarantined_cell_raises_and_can_be_removed() -> None:
    space = clones(lambda s: s.map("m").register("x").set("a"), lambda s: s.map("m").register("x").set("b"))
    for read in (space.map("m").value, lambda: list(space.map("m").items())):
        with pytest.raises(Quarantined):
            read()
    assert space.map("m").keys() == ["x"]
    with space.transaction() as tx, pytest.raises(Quarantined):
        tx.map("m").value()
    space.map("m").clear()
    assert space.map("m").value() == {}
