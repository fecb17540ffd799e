"""Which paths are there, which begin with a text, and what may things be called?"""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import path
from gossamer.handles import Handles, Keyspace, ranges_of_text
from gossamer.memory import MemoryBackend

BAD_NAMES = [
    (1, TypeError, "name"),
    (None, TypeError, "name"),
    (b"x", TypeError, "name"),
    ("", ValueError, "name"),
    ("\ud800", ValueError, "name"),
    ("x" * 500, ValueError, "path"),
    ("\x00" * 250, ValueError, "path"),
]
CONSTRUCTORS = ["register", "mv_register", "flag", "counter", "set", "map", "max_register", "min_register"]


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
@pytest.mark.parametrize(("name", "error", "word"), BAD_NAMES)
def test_a_bad_name_is_refused_by_name(
    space: Keyspace, constructor: str, name: Any, error: type[Exception], word: str
) -> None:
    places: list[Handles] = [space, space.map("m"), space.transaction()]
    for place in places:
        with pytest.raises(error, match=word):
            getattr(place, constructor)(name)


@pytest.mark.parametrize("name", ["x", "a/b:c%d", "\x00\x01", "ü", " ", "x" * 498])
def test_any_other_name_will_do(space: Keyspace, name: str) -> None:
    space.register(name).set(name)
    assert space.register(name).get() == name
    assert list(space.keys()) == [space.register(name).path]


@pytest.mark.parametrize("constructor", ["flag", "set"])
def test_a_bad_policy_is_refused_by_name(space: Keyspace, constructor: str) -> None:
    for policy, error in (("last-wins", ValueError), (1, TypeError), ([], TypeError)):
        with pytest.raises(error, match="policy"):
            getattr(space, constructor)("x", policy)


@pytest.mark.parametrize("name", [1, b"x", None])
def test_a_keyspace_s_name_is_a_str(backend: MemoryBackend, name: Any) -> None:
    with pytest.raises(TypeError, match="keyspace"):
        Keyspace(backend, name)


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 201, "ü" * 101])
def test_a_keyspace_s_name_has_limits(backend: MemoryBackend, name: str) -> None:
    with pytest.raises(ValueError, match="keyspace"):
        Keyspace(backend, name)


def test_keyspaces_are_apart(backend: MemoryBackend) -> None:
    one, two = Keyspace(backend), Keyspace(backend, "orders")
    one.register("r").set(1)
    assert two.register("r").get() is None
    assert (one.name, two.name) == ("default", "orders")


def test_policies_are_kinds(space: Keyspace) -> None:
    space.flag("x").enable()
    space.set("x").add(1)
    assert not space.flag("x", "disable-wins")
    assert len(space.set("x", "remove-wins")) == 0


def test_a_handle_says_where_it_is(space: Keyspace) -> None:
    cart = space.map("cart:42")
    assert repr(cart.counter("items")) == "<Counter map:cart%3A42/counter:items>"
    assert repr(cart.set("s")) == "<Set map:cart%3A42/set:s>"
    assert repr(cart) == "<Map map:cart%3A42>"
    assert cart.set("s").path == "map:cart%3A42/set:s"
    assert repr(space) == "<Keyspace default>"


def fill(space: Keyspace) -> None:
    space.map("cart:42").register("note").set("x")
    space.map("cart:42").counter("items").add(3)
    space.map("cart:43").set("skus").update(["a", 1, 12, True, None, 1.5, b"b"])
    space.map("empty").create()
    space.register("cart:42").set(1)
    space.flag("off", "disable-wins").disable()
    space.register("gone").set(1)
    space.register("gone").remove()


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("map:cart%3A42", ["map:cart%3A42/register:note", "map:cart%3A42/counter:items"]),
        ("map:cart%3A42/c", ["map:cart%3A42/counter:items"]),
        ("map:cart%3A42/counter:items", ["map:cart%3A42/counter:items"]),
        ("map:cart%3A43/set:skus/int:1", ["map:cart%3A43/set:skus/int:1", "map:cart%3A43/set:skus/int:12"]),
        ("map:cart%3A43/set:skus/s", ["map:cart%3A43/set:skus/str:a"]),
        ("map:e", ["map:empty"]),
        ("r", ["register:cart%3A42"]),
        ("register:gone", []),
        ("flag", []),
        ("nonsense", []),
        ("nonsense:x", []),
        ("a/b/c", []),
        ("map:\ud800", []),
        ("map:x%ff/", []),
        ("kind" + "9" * 5000 + ":x", []),
    ],
)
def test_keys_by_prefix(space: Keyspace, prefix: str, expected: list[str]) -> None:
    fill(space)
    assert list(space.keys(prefix)) == expected


async def test_keys_and_items_have_twins(space: Keyspace) -> None:
    fill(space)
    assert await space.akeys("map:cart%3A42") == list(space.keys("map:cart%3A42"))
    assert await space.aitems() == list(space.items())


def test_items_have_values(space: Keyspace) -> None:
    fill(space)
    assert dict(space.items("map:cart%3A42")) == {
        "map:cart%3A42/register:note": "x",
        "map:cart%3A42/counter:items": 3,
    }
    assert dict(space.items("map:empty")) == {"map:empty": {}}
    assert dict(space.items("map:cart%3A43/set:skus/none")) == {"map:cart%3A43/set:skus/none:": True}


def test_a_prefix_is_a_str(space: Keyspace) -> None:
    with pytest.raises(TypeError, match="prefix"):
        space.keys(b"map:")  # type: ignore[arg-type]  # that is the test


NAMES = st.text(string.ascii_lowercase[:2] + "/:%ü\x00\x01", min_size=1, max_size=3)
ELEMENTS = st.one_of(NAMES, st.integers(-20, 20), st.binary(max_size=2), st.floats(-2, 2), st.booleans())


def _of_element(name: str, element: Any) -> bytes:
    return path.component("set", name) + path.element(element)


PATHS = st.one_of(
    st.builds(lambda kind, name: path.component(kind, name), st.sampled_from(sorted(path.CELLS)), NAMES),
    st.builds(lambda a, b: path.encode((("map", a), ("register", b))), NAMES, NAMES),
    st.builds(_of_element, NAMES, ELEMENTS),
)


@given(st.lists(PATHS, min_size=1), st.data())
def test_the_ranges_of_a_prefix_miss_nothing(paths: list[bytes], data: st.DataObject) -> None:
    text = path.to_text(data.draw(st.sampled_from(paths)))
    prefix = text[: data.draw(st.integers(0, len(text)))]
    ranges = ranges_of_text(prefix)
    for cell_path in paths:
        if path.to_text(cell_path).startswith(prefix):
            assert sum(cell_path.startswith(inner) for inner in ranges) == 1


def test_the_ranges_of_a_prefix_are_tight() -> None:
    cart = path.component("map", "cart:42")
    assert ranges_of_text("map:cart%3A42/") == [cart]
    assert ranges_of_text("map:cart%3A4") == [cart[:-2]]
    assert ranges_of_text("map:cart%3A42/counter:it") == [cart + path.component("counter", "it")[:-1]]
    assert ranges_of_text("map:cart%3") == ranges_of_text("map:cart%") == [path.component("map", "cart")[:-1]]
    assert ranges_of_text("map:cart%3A42/c") == [cart + path.component("counter", "x")[:1]]
    assert ranges_of_text("") == [b""]
