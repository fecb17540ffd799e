"""Is every value that is listed stored as it is, and every other refused with the argument's name?"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import EMPTY, TYPES, Event, MalformedError, values

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=5)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def strict(value: Any) -> Any:
    """The value so that 1, 1.0 and True differ, and dicts compare without regard to order."""
    if type(value) is list:
        return [strict(item) for item in value]
    if type(value) is dict:
        return {key: strict(item) for key, item in value.items()}
    return type(value), value


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    data = values.encode(value)
    assert strict(values.decode(data)) == strict(value) == strict(values.read(data))


@given(st.dictionaries(st.text("abé\0", max_size=2), st.integers(0, 3)), st.randoms())
def test_equal_dicts_are_equal_bytes(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert values.encode(dict(items)) == values.encode(value)


def test_minus_zero_is_stored_as_zero_at_every_depth() -> None:
    stored = values.decode(values.encode([-0.0, {"a": [-0.0]}]))
    assert math.copysign(1, stored[0]) == math.copysign(1, stored[1]["a"][0]) == 1.0


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"a": [v]}], ids=["bare", "list", "nested"]
)
@pytest.mark.parametrize(
    "value",
    [(), {1}, frozenset(), bytearray(b"a"), memoryview(b"a"), 1j, Decimal(1), object(), Colour.RED, Text("a")]
    + [OrderedDict(a=1), {1: 2}, {None: 1}, {b"a": 1}, {Text("a"): 1}, int, ...],
    ids=lambda value: type(value).__name__,
)
def test_a_type_that_is_not_listed(value: Any, wrap: Any) -> None:
    with pytest.raises(TypeError, match="^note: "):
        values.encode(wrap(value), "note")


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"a": [v]}], ids=["bare", "list", "nested"]
)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**64, -(2**63) - 1, 10**400, "\ud800"], ids=ascii
)
def test_a_value_out_of_range(value: Any, wrap: Any) -> None:
    with pytest.raises(ValueError, match="^note: "):
        values.encode(wrap(value), "note")


def test_a_dict_key_that_is_no_text() -> None:
    with pytest.raises(ValueError, match="^value: "):
        values.encode({"\ud800": 1})


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_depth_limit() -> None:
    assert values.decode(values.encode(nested(values.DEPTH_MAX))) == nested(values.DEPTH_MAX)
    for depth in (values.DEPTH_MAX + 1, 100_000):
        with pytest.raises(ValueError, match="^note: more than 64"):
            values.encode(nested(depth), "note")


def test_a_list_that_holds_itself() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    with pytest.raises(ValueError, match="^value: "):
        values.encode(endless)


def test_size_limit() -> None:
    overhead = len(values.encode(b"x" * 70_000)) - 70_000
    largest = b"x" * (values.VALUE_BYTES_MAX - overhead)
    assert len(values.encode(largest)) == values.VALUE_BYTES_MAX
    with pytest.raises(ValueError, match="^note: .* at most"):
        values.encode(largest + b"x", "note")


@pytest.mark.parametrize("kind", ["register", "mv_register", "max_register", "min_register"])
def test_the_largest_value_that_is_accepted_can_be_written_and_sent(kind: str) -> None:
    largest = b"x" * (values.VALUE_BYTES_MAX - len(values.encode(b"x" * 70_000)) + 70_000)
    prepared = TYPES[kind].prepare("set", (largest,))
    written = TYPES[kind].write(EMPTY, "set", prepared, Event(b"a" * 8, 1))
    (entry,) = written.live
    assert len(entry.payload) <= values.PAYLOAD_BYTES_MAX
    TYPES[kind].check(entry.payload)


UNORDERED: list[Any] = [None, True, {}, [None], [[True]]]


@pytest.mark.parametrize(
    ("kind", "method", "args"),
    [
        ("register", "set", ()),
        ("register", "set", (1, 2)),
        ("register", "set", ({1},)),
        ("register", "remove", (1,)),
        ("mv_register", "resolve", (1,)),
        ("mv_register", "resolve", (1, 5)),
        ("mv_register", "resolve", (1, "ab")),
        ("mv_register", "resolve", (1, {"r": 1})),
        ("mv_register", "resolve", (1, {b"r": True})),
        ("flag", "enable", (True,)),
        ("set", "add", (1,)),
        ("counter", "add", ()),
        ("counter", "add", (1, 2)),
        ("counter", "add", (1.0,)),
        ("counter", "add", (True,)),
        ("counter", "add", ("1",)),
        ("counter", "reset", (0,)),
        *(("max_register", "set", (value,)) for value in UNORDERED),
    ],
)
def test_arguments_of_another_type_or_number(kind: str, method: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        TYPES[kind].prepare(method, args)


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_method_that_the_type_has_not(kind: str) -> None:
    with pytest.raises(ValueError, match=f"^{kind} has no 'frobnicate'; it has [a-z]"):
        TYPES[kind].prepare("frobnicate", ())


def test_counters_take_ints_of_any_size_up_to_a_payload() -> None:
    counter = TYPES["counter"]
    largest = 2 ** (8 * values.VALUE_BYTES_MAX) - 1
    written = counter.write(EMPTY, "add", counter.prepare("add", (-largest,)), Event(b"a" * 8, 1))
    assert counter.value(written) == -largest
    counter.check(written.live[0].payload)
    with pytest.raises(ValueError, match="^n: "):
        counter.prepare("add", (largest + 1,))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01\x01", id="something behind"),
        pytest.param(b"\xc1", id="a byte that msgpack has not"),
        pytest.param(b"\xd6\xff\0\0\0\1", id="a timestamp"),
        pytest.param(b"\xc7\x01\x05a", id="an extension"),
        pytest.param(b"\xcb\x7f\xf8" + bytes(6), id="NaN"),
        pytest.param(b"\xcb\x7f\xf0" + bytes(6), id="infinity"),
        pytest.param(b"\xcb\x80" + bytes(7), id="minus zero"),
        pytest.param(b"\xca\x3f\x80\0\0", id="a short float"),
        pytest.param(b"\xcd\0\1", id="a long int"),
        pytest.param(b"\xd9\x01a", id="a long str"),
        pytest.param(b"\xa1\xff", id="not UTF-8"),
        pytest.param(b"\x82\xa1b\x01\xa1a\x02", id="keys out of order"),
        pytest.param(b"\x82\xa1a\x01\xa1a\x02", id="a key twice"),
        pytest.param(b"\x81\x01\x02", id="a key that is no str"),
        pytest.param(b"\x81\x90\x02", id="a key that is a list"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="a list that claims four billion"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a dict that claims four billion"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="bytes that claim four billion"),
        pytest.param(b"\x91" * (values.DEPTH_MAX + 1) + b"\x01", id="too deep"),
        pytest.param(b"\x91" * 100_000 + b"\x01", id="far too deep"),
        pytest.param(values.encode(b"x" * 262_000)[:-1], id="cut off"),
        pytest.param(b"\xdd\x00\x04\x00\x00" + b"\xc0" * 2**18, id="over the size of a payload"),
    ],
)
def test_bytes_that_no_value_has(data: bytes) -> None:
    with pytest.raises(MalformedError, match="^value: "):
        values.decode(data)
