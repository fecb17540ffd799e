"""Does each handle of one cell do what its table says, wherever it stands?"""

from typing import Any, Protocol

import pytest

from gossamer.handles import Handles


class World(Protocol):
    place: Handles

    def do(self, handle: Any, method: str, *args: Any) -> Any: ...


def test_a_register_gives_what_was_set_last(world: World) -> None:
    register = world.place.register("r")
    assert world.do(register, "get") is None
    assert world.do(register, "get", 7) == 7
    for value in (None, False, 0, 1.5, "x", b"x", [1, {"a": [None]}]):
        world.do(register, "set", value)
        found = world.do(register, "get", "default")
        assert (found, type(found)) == (value, type(value))
    world.do(register, "remove")
    assert world.do(register, "get", 7) == 7


def test_a_register_of_nothing_reads_as_absent(world: World) -> None:
    register = world.place.register("r")
    assert world.do(register, "read").version is None
    assert world.do(register, "read").value is None
    assert world.do(register, "siblings") == []


def test_an_mv_register_gives_its_values(world: World) -> None:
    register = world.place.mv_register("r")
    assert world.do(register, "values") == []
    world.do(register, "set", "a")
    assert world.do(register, "values") == ["a"]
    assert world.do(register, "read").value == ["a"]
    assert [sibling.value for sibling in world.do(register, "siblings")] == ["a"]
    world.do(register, "resolve", "b")
    assert world.do(register, "values") == ["b"]
    world.do(register, "remove")
    assert world.do(register, "values") == []


def test_a_handle_that_has_read_nothing_resolves_what_is_there(world: World) -> None:
    world.do(world.place.mv_register("r"), "set", "a")
    world.do(world.place.mv_register("r"), "resolve", "b")
    assert world.do(world.place.mv_register("r"), "values") == ["b"]


@pytest.mark.parametrize("policy", ["enable-wins", "disable-wins"])
def test_a_flag_is_off_until_enabled(world: World, policy: str) -> None:
    flag = world.place.flag("f", policy)
    assert world.do(flag, "value") is False
    world.do(flag, "disable")
    assert world.do(flag, "value") is False
    world.do(flag, "enable")
    assert world.do(flag, "value") is True
    world.do(flag, "disable")
    assert world.do(flag, "value") is False


def test_a_flag_is_its_truth(world: World, is_async: bool) -> None:
    flag = world.place.flag("f")
    world.do(flag, "enable")
    assert is_async or flag


def test_a_counter_counts(world: World) -> None:
    counter = world.place.counter("c")
    assert world.do(counter, "value") == 0
    world.do(counter, "add")
    world.do(counter, "add", 10**30)
    world.do(counter, "add", -(10**30))
    assert world.do(counter, "value") == 1
    world.do(counter, "reset")
    assert world.do(counter, "value") == 0
    world.do(counter, "add", 2)
    assert world.do(counter, "value") == 2


@pytest.mark.parametrize(("kind", "extreme"), [("max_register", 5), ("min_register", 1)])
def test_an_extreme_register_keeps_the_extreme(world: World, kind: str, extreme: int) -> None:
    register = getattr(world.place, kind)("m")
    assert world.do(register, "get") is None
    assert world.do(register, "get", -1) == -1
    for value in (3, 5, 1, 4):
        world.do(register, "set", value)
    assert world.do(register, "get") == extreme
    with pytest.raises(TypeError, match="str cannot be compared with the int"):
        world.do(register, "set", "x")
    world.do(register, "remove")
    world.do(register, "set", "x")
    assert world.do(register, "get") == "x"
