"""Is a set a Python set, but for typed elements and a `remove` that never complains?"""

from collections.abc import Callable, Iterator, MutableSet
from typing import Any, Protocol

import pytest

from gossamer.crdt import Cell
from gossamer.handles import Handles, Keyspace, Set
from gossamer.memory import MemoryBackend

POLICIES = ["add-wins", "remove-wins"]
TYPED = [None, False, True, -1, 0, 1, 1.0, "", "1", b"", b"1", "a\x00\x01b"]


class World(Protocol):
    place: Handles

    def do(self, handle: Any, method: str, *args: Any) -> Any: ...
    def contains(self, members: Set, element: object) -> bool: ...
    def len(self, members: Set) -> int: ...
    def list(self, members: Set) -> list[Any]: ...


def kinds(elements: Any) -> set[tuple[type, Any]]:
    return {(type(element), element) for element in elements}


@pytest.mark.parametrize("policy", POLICIES)
def test_elements_come_and_go(world: World, policy: str) -> None:
    members = world.place.set("s", policy)
    assert world.list(members) == []
    world.do(members, "add", "a")
    world.do(members, "add", "a")
    world.do(members, "update", ["b", "c"])
    assert world.do(members, "value") == {"a", "b", "c"}
    assert world.len(members) == 3
    world.do(members, "remove", "a")
    world.do(members, "discard", "b")
    assert not world.contains(members, "a")
    assert world.contains(members, "c")
    assert world.do(members, "pop") == "c"
    with pytest.raises(KeyError):
        world.do(members, "pop")
    world.do(members, "update", "xyz")
    world.do(members, "clear")
    assert world.do(members, "value") == frozenset()
    world.do(members, "add", "x")
    assert world.list(members) == ["x"]


@pytest.mark.parametrize("policy", POLICIES)
def test_elements_are_typed(world: World, policy: str) -> None:
    members = world.place.set("s", policy)
    world.do(members, "update", TYPED)
    assert world.len(members) == len(TYPED)
    assert kinds(world.list(members)) == kinds(TYPED)
    world.do(members, "remove", 1)
    assert [world.contains(members, one) for one in (1, 1.0, True)] == [False, True, True]


def test_removing_what_is_absent_does_nothing(world: World) -> None:
    members = world.place.set("s")
    world.do(members, "remove", "a")
    world.do(members, "discard", 1)
    assert world.len(members) == 0


def test_it_is_a_mutable_set(space: Keyspace) -> None:
    members = space.set("s")
    assert isinstance(members, MutableSet)
    members |= {1, 2, 3}
    members -= {1}
    members ^= {3, 4}
    assert members == {2, 4}
    assert members | {5} == {2, 4, 5}
    assert members & {4} == {4}
    assert members - {4} == {2}
    assert members < {2, 4, 6}
    assert members.isdisjoint({1})
    assert space.set("s") == {2, 4}


class Counted(MemoryBackend):
    """Counts what a remote node would be asked."""

    asked = 0

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        self.asked += 1
        return super().cell(keyspace, cell_path)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        self.asked += 1
        return super().scan(keyspace, prefix)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (lambda s, big: s & big, {2, 4}),
        (lambda s, big: big & s, {2, 4}),
        (lambda s, big: s - big, {-1}),
        (lambda s, big: len(big - s), 98),
        (lambda s, big: len(s | big), 101),
        (lambda s, big: len(s ^ big), 99),
        (lambda s, big: s <= big, False),
        (lambda s, big: s >= big, False),
        (lambda s, big: s < big | {-1}, True),
        (lambda s, _big: s >= {2, 4}, True),
        (lambda s, big: s.isdisjoint(big), False),
        (lambda s, _big: s.isdisjoint(range(50, 99)), True),
        (lambda s, _big: s & s, {-1, 2, 4}),
        (lambda s, _big: s - s, set()),
    ],
)
def test_an_operator_looks_at_the_set_a_few_times_and_not_for_each_element(
    operator: Callable[[Any, Any], Any], expected: Any
) -> None:
    backend = Counted()
    members = Keyspace(backend).set("s")
    members.update([-1, 2, 4])
    backend.asked = 0
    assert operator(members, frozenset(range(100))) == expected
    assert backend.asked <= 3


def test_an_operator_tells_types_apart(space: Keyspace) -> None:
    members = space.set("s")
    members.update([1, "x"])
    assert members & [1.0, True, "x"] == {"x"}
    assert list(members & [1]) == [1]
    assert [1.0, 1] - members == {1.0}
    assert not members >= {True}
    assert members.isdisjoint([True, 1.0])
    members.add(True)
    assert not members <= {1, "x"}  # it has three
    with pytest.raises(TypeError, match="element"):
        _ = members & [[1]]


def test_an_intersection_in_place_takes_out_every_type(space: Keyspace) -> None:
    members = space.set("s")
    members |= [1, 1.0, True, "x"]  # type: ignore[arg-type]  # a Python set cannot hold the three
    members &= {"x"}
    assert list(members) == ["x"]


def test_an_update_is_one_event(space: Keyspace) -> None:
    space.set("s").update(range(1000))
    space.register("r").set(1)
    version = space.register("r").read().version
    assert version is not None and version[1] == 2


@pytest.mark.parametrize("element", [[1], (1,), {1}, object(), 1 + 2j])
def test_other_types_are_refused_by_name(world: World, element: object) -> None:
    members = world.place.set("s")
    for method in ("add", "remove", "discard"):
        with pytest.raises(TypeError, match="element"):
            world.do(members, method, element)
    with pytest.raises(TypeError, match="element"):
        world.do(members, "update", ["fine", element])
    with pytest.raises(TypeError, match="element"):
        world.contains(members, element)
    assert world.list(members) == []


@pytest.mark.parametrize("element", [2**63, float("nan"), float("inf"), "\ud800", "x" * 500])
def test_other_values_are_refused_by_name(world: World, element: object) -> None:
    members = world.place.set("s")
    with pytest.raises(ValueError, match="element|path"):
        world.do(members, "add", element)
    assert world.list(members) == []


def test_a_set_cannot_be_hashed(space: Keyspace) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(space.set("s"))
