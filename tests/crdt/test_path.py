"""Do a path's bytes, text and components say the same, and sort the same?"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossamer.crdt import EMPTY, MalformedError, check_cell, path, type_at

NAMES = st.one_of(
    st.text(st.sampled_from("\0\1\2ab/:% é\U0001f600\U0000ffff"), min_size=1, max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
INTS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
BYTES = st.one_of(st.binary(max_size=12), st.lists(st.sampled_from([0, 1, 2, 255]), max_size=6).map(bytes))
STRS = NAMES | st.just("")
BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "none": st.none(),
    "bool": st.booleans(),
    "int": INTS,
    "float": FLOATS,
    "str": STRS,
    "bytes": BYTES,
}
ELEMENTS = st.one_of(*BY_KIND.values())


def kind_of(value: Any) -> str:
    return "none" if value is None else type(value).__name__


@st.composite
def paths(draw: st.DrawFn) -> path.Path:
    maps = [("map", name) for name in draw(st.lists(NAMES, max_size=3))]
    kind = draw(st.sampled_from([*path.CELLS, "map", *path.SETS]))
    last: list[path.Component] = [(kind, draw(NAMES))]
    if kind in path.SETS:
        value = draw(ELEMENTS)
        last.append((kind_of(value), value))
    return (*maps, *last)


@given(paths())
@example((("map", "\0"), ("register", "\1\0\1\1\2")))
def test_bytes_and_text_give_the_path_back(components: path.Path) -> None:
    data = path.encode(components)
    assert path.decode(data) == components
    assert [type(name) for _, name in path.decode(data)] == [type(name) for _, name in components]
    assert path.of_text(path.to_text(data)) == data
    assert path.to_text(data).isascii()


@pytest.mark.parametrize("kind", [*BY_KIND, "counter"])
@given(data=st.data())
def test_bytes_sort_as_the_components_do(kind: str, data: st.DataObject) -> None:
    values = BY_KIND.get(kind, NAMES)
    a, b = data.draw(values), data.draw(values)
    one, other = path.component(kind, a), path.component(kind, b)
    assert (one == other) == (a == b)
    if a is not None:
        assert (one < other) == (a < b)


@given(paths(), paths())
def test_a_longer_path_sorts_by_its_first_difference(a: path.Path, b: path.Path) -> None:
    def key(components: path.Path) -> list[bytes]:
        return [path.component(kind, name) for kind, name in components]

    assert (path.encode(a) < path.encode(b)) == (key(a) < key(b))


@given(paths(), paths())
def test_a_containers_range_holds_what_is_under_it_and_nothing_else(a: path.Path, b: path.Path) -> None:
    data = path.encode(b)
    for depth in range(1, len(a) + 1):
        prefix = path.encode(a[:depth])
        assert (prefix <= data < path.prefix_end(prefix)) == (key(b[:depth]) == key(a[:depth]))


def key(components: path.Path) -> list[bytes]:
    """Components by their bytes, since Python takes 1, 1.0 and True for one."""
    return [path.component(kind, name) for kind, name in components]


@given(paths(), st.lists(st.tuples(st.just("map"), NAMES), min_size=1, max_size=2))
def test_everything_under_a_container_is_in_its_range(inner: path.Path, outer: list[path.Component]) -> None:
    prefix = path.encode(tuple(outer))
    assert prefix <= path.encode((*outer, *inner)) < path.prefix_end(prefix)


ANY_BYTES = st.lists(st.sampled_from([0, 1, 2, 0x0A, 0x10, 0x14, 0x17, 0x18, 0x34, 0x7F, 0x80]), max_size=9)


@given(st.one_of(paths().map(path.encode), ANY_BYTES.map(bytes)))
@example(b"\x10" + b"n" * (path.PATH_BYTES_MAX - 1) + b"\0")
@example(b"\x01\n\0\x10\n\0")
def test_a_plain_path_is_one_that_decodes_to_that_kind(data: bytes) -> None:
    if (kind := path.plain_kind(data)) is not None:
        assert path.decode(data)[-1][0] == kind == path.kind_of(data)


@pytest.mark.parametrize("kind", sorted(path.CELLS))
def test_a_cell_under_maps_of_ascii_names_is_plain(kind: str) -> None:
    assert path.plain_kind(path.encode((("map", "m"), ("map", "\n"), (kind, "n\x7f")))) == kind


@given(st.binary(max_size=4), st.binary(max_size=4))
@example(b"a\xff", b"a\xff\xff")
@example(b"", b"\xff\xff")
def test_prefix_end_is_a_bound_for_any_prefix(prefix: bytes, data: bytes) -> None:
    assert (prefix <= data < path.prefix_end(prefix)) == data.startswith(prefix)


def test_elements_of_all_types_in_order() -> None:
    values: list[Any] = [
        None,
        False,
        True,
        -(2**63),
        -1,
        0,
        1,
        2**63 - 1,
        -1e300,
        -0.5,
        0.0,
        5e-324,
        1e300,
        "",
        "\0",
        "\1",
        "a",
    ]
    values += [b"", b"\0", b"\0\0", b"\0\1", b"\1", b"\2", b"\xff"]
    encoded = [path.element(value) for value in values]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(values)


def test_minus_zero_is_zero() -> None:
    assert path.element(-0.0) == path.element(0.0)


def test_the_examples_of_the_documentation() -> None:
    data = path.of_text("map:cart%3A42/counter:items")
    assert data == b"\x01cart:42\x00\x14items\x00"
    assert path.decode(data) == (("map", "cart:42"), ("counter", "items"))
    assert path.of_text("map:cart:42/counter:items") == data  # only the first colon separates


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, float("nan"), float("inf"), -float("inf"), "\ud800"])
def test_an_element_out_of_range(value: object) -> None:
    with pytest.raises(ValueError, match="^element "):
        path.element(value)


@pytest.mark.parametrize("value", [(), [], {}, 1j, object(), bytearray(b"a"), type("int", (int,), {})(1)])
def test_an_element_of_another_type(value: object) -> None:
    with pytest.raises(TypeError, match="^element "):
        path.element(value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("int", True),
        ("int", "1"),
        ("bool", 1),
        ("float", 1),
        ("str", b"a"),
        ("str", 5),
        ("bytes", "a"),
        ("none", 0),
    ],
)
def test_an_element_is_of_its_kinds_type(kind: str, name: object) -> None:
    with pytest.raises(TypeError, match="^element "):
        path.component(kind, name)


@pytest.mark.parametrize("name", [5, None, b"a", True])
def test_a_name_is_a_str(name: object) -> None:
    with pytest.raises(TypeError, match="^name "):
        path.component("register", name)


@pytest.mark.parametrize(
    ("kind", "name"), [("register", ""), ("register", "\ud800"), ("regster", "a"), ("", "a")]
)
def test_a_name_or_kind_that_is_none(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="^(name|kind)"):
        path.component(kind, name)


def test_length_limits() -> None:
    longest = path.encode((("register", "n" * (path.PATH_BYTES_MAX - 2)),))
    assert len(longest) == path.PATH_BYTES_MAX
    assert path.decode(longest)
    with pytest.raises(ValueError, match="501 bytes"):
        path.encode((("register", "n" * (path.PATH_BYTES_MAX - 1)),))
    with pytest.raises(MalformedError, match="501 bytes"):
        path.decode(b"\x10" + b"n" * (path.PATH_BYTES_MAX - 1) + b"\0")
    for nothing in (path.decode, path.check, lambda data: path.encode(())):
        with pytest.raises(ValueError, match="^path: "):
            nothing(b"")


def of_bits(bits: int) -> bytes:
    """A float element, its bits as they are on disk."""
    return b"\x02s\0\x33" + bits.to_bytes(8, "big")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00a\0", id="no kind has code 0"),
        pytest.param(b"\x18a\0", id="an unused code"),
        pytest.param(b"\x7fa\0", id="a code above the free ones"),
        pytest.param(b"\x10", id="no name"),
        pytest.param(b"\x10\0", id="an empty name"),
        pytest.param(b"\x10a", id="a name without end"),
        pytest.param(b"\x10\xff\0", id="not UTF-8"),
        pytest.param(b"\x10\xed\xa0\x80\0", id="a surrogate"),
        pytest.param(b"\x10\x01\0", id="a lone escape"),
        pytest.param(b"\x10\x01\x03\0", id="an unknown escape"),
        pytest.param(b"\x10a\0\x10b\0", id="something under a cell"),
        pytest.param(b"\x34a\0", id="an element under no set"),
        pytest.param(b"\x01m\0\x34a\0", id="an element in a map"),
        pytest.param(b"\x02s\0\x10a\0", id="a cell in a set"),
        pytest.param(b"\x02s\0\x34a\0\x34b\0", id="an element under an element"),
        pytest.param(b"\x02s\0\x31", id="no bool"),
        pytest.param(b"\x02s\0\x31\x02", id="a bool of 2"),
        pytest.param(b"\x02s\0\x32\x80\0\0\0\0\0\0", id="a short int"),
        pytest.param(b"\x02s\0\x33\x80\0\0\0\0\0\0", id="a short float"),
        pytest.param(of_bits(2**63 - 1), id="minus zero"),
        pytest.param(of_bits(0x7FF0 << 48 | 2**63), id="infinity"),
        pytest.param(of_bits(0x7FF8 << 48 | 2**63), id="NaN"),
        pytest.param(of_bits(0), id="NaN of all ones"),
        pytest.param(b"\x02s\0\x30\0", id="something after none"),
        pytest.param(b"\x02s\0\x34\xff\0", id="an element not UTF-8"),
    ],
)
def test_bytes_that_no_path_has(data: bytes) -> None:
    with pytest.raises(MalformedError, match="^path: "):
        path.decode(data)


def test_the_byte_of_a_float_that_is_well_formed() -> None:
    bits = struct.unpack(">Q", struct.pack(">d", 1.5))[0]
    assert path.decode(of_bits(bits | 2**63)) == (("set", "s"), ("float", 1.5))


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "x", ":", "register", "register:", ":x", "regster:x", "register:x/", "/register:x"),
        *("register:x/register:y", "map:m//register:x", "set:s/register:x", "str:x", "map:m/int:1"),
        *(
            "set:s/int:x",
            "set:s/int:",
            "set:s/int:9223372036854775808",
            "set:s/int:1.0",
            "set:s/int:" + "9" * 5000,
        ),
        *(
            "set:s/float:nan",
            "set:s/float:inf",
            "set:s/float:x",
            "set:s/bool:1",
            "set:s/bool:True",
            "set:s/none:x",
        ),
        *(
            "register:%ff",
            "register:\ud800",
            "set:s/str:%ff",
            "register:" + "x" * 500,
            "kind63:x",
            "kind127:x",
        ),
    ],
)
def test_text_that_names_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="^(path|name|element)") as raised:
        path.of_text(text)
    assert not isinstance(raised.value, (MalformedError, UnicodeError))


@given(st.text(st.sampled_from("registmapcoun:/%0ff1 \0é\ud800"), max_size=20))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        data = path.of_text(text)
    except ValueError:
        return
    assert path.of_text(path.to_text(data)) == data


@pytest.mark.parametrize("text", ["set:s", "set_rw:s", "map:m/set:s"])
def test_a_set_is_no_cell(text: str) -> None:
    with pytest.raises(MalformedError, match="no cell"):
        check_cell(path.of_text(text), EMPTY)


def test_the_type_at_a_path_is_the_last_components_or_its_sets() -> None:
    found = {text: type_at(path.of_text(text)) for text in ("map:m", "map:m/counter:c", "set_rw:s/int:1")}
    assert [kind and kind.kind for kind in found.values()] == ["map", "counter", "set_rw"]
