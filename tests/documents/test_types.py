"""Is `accepts` ever wrong? What one type let through must be read by every type that is said to accept it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

from gossamer.crdt import values
from gossamer.documents.types import accepts, describe, text
from gossamer.errors import InvalidValue
from gossamer.handles.typed import Typed


class One(msgspec.Struct):
    a: int


class OneOrMore(msgspec.Struct):
    a: int
    b: str = ""


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    a: int


class AsList(msgspec.Struct, array_like=True):
    a: int


class Tagged(msgspec.Struct, tag="t"):
    a: int


@dataclass
class Data:
    a: int
    b: str | None = None


class Dict(TypedDict, total=False):
    a: float


class Pair(NamedTuple):
    a: int
    b: str = ""


POOL: list[Any] = [
    None, bool, int, float, str, bytes, Any, int | str, int | None, float | None, float | int,
    Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=-5, le=5)], Annotated[int, Meta(gt=0)],
    Annotated[int, Meta(multiple_of=2)], Annotated[str, Meta(max_length=2)], Annotated[str, Meta(pattern="^a")],
    Literal["a", "b"], Literal["a"], Literal[1, "a"], Literal["b"] | None,
    datetime.datetime, Annotated[datetime.datetime, Meta(tz=True)], datetime.date, datetime.timedelta,
    list[int], list[int | str], list[float], list[Any], set[int], frozenset[str], tuple[int, ...], tuple[int, str],
    tuple[int, int], Annotated[list[int], Meta(min_length=2)], Annotated[list[int], Meta(max_length=3)],
    Annotated[frozenset[int], Meta(min_length=2)],
    dict[str, int], dict[str, Any], dict[int, int], dict[str, float | None],
    One, OneOrMore, Closed, AsList, Tagged, Data, Dict, Pair,
]  # fmt: skip

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-6, 6), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "b", "ab", "abc", "12"]), st.text(max_size=4), st.binary(max_size=3),
    st.datetimes(), st.datetimes(timezones=st.just(datetime.UTC)), st.dates(), st.timedeltas(),
)  # fmt: skip
SMALL = st.integers(-3, 3)
THINGS = st.one_of(
    SCALARS,
    st.lists(SMALL, max_size=4),
    st.lists(SCALARS, max_size=3),
    st.frozensets(SMALL, max_size=4),
    st.frozensets(st.text(max_size=2), max_size=3),
    st.tuples(SMALL, st.text(max_size=2)),
    st.tuples(SMALL, SMALL),
    st.dictionaries(st.text(max_size=2), st.one_of(SMALL, st.none(), st.floats(-2, 2)), max_size=3),
    st.dictionaries(SMALL, SMALL, max_size=3),
    st.builds(One, SMALL),
    st.builds(OneOrMore, SMALL, st.text(max_size=2)),
    st.builds(Closed, SMALL),
    st.builds(AsList, SMALL),
    st.builds(Tagged, SMALL),
    st.builds(Data, SMALL, st.none() | st.text(max_size=2)),
    st.builds(Pair, SMALL, st.text(max_size=2)),
)


@given(st.sampled_from(POOL), THINGS)
def test_what_goes_in_comes_out_the_same(type_: Any, value: Any) -> None:
    typed = Typed("T.x", type_)
    try:
        plain = typed.plain(value)
    except InvalidValue:
        return
    stored = values.decode(values.encode(plain))
    read = typed.of_plain(stored, b"\x10x\x00")
    assert read == value
    assert type(read) is type(value) or (type(value), type(read)) in (
        (int, float), (frozenset, set), (tuple, Pair), (Pair, tuple),
    )  # fmt: skip


@given(st.sampled_from(POOL), st.sampled_from(POOL), THINGS)
def test_a_type_that_accepts_another_reads_all_that_it_let_through(new: Any, old: Any, value: Any) -> None:
    if not accepts(describe(new), describe(old)):
        return
    try:
        stored = Typed("T.x", old).plain(value)
    except InvalidValue:
        return
    Typed("T.x", new).of_plain(stored, b"\x10x\x00")


@given(st.sampled_from(POOL))
def test_a_type_accepts_itself_and_any_accepts_it(type_: Any) -> None:
    form = msgspec.json.decode(msgspec.json.encode(describe(type_)))
    assert accepts(form, form)
    assert accepts(describe(Any), form)
    assert text(form)


@pytest.mark.parametrize(
    ("new", "old", "is_accepted"),
    [
        (int | str, int, True), (int, int | str, False), (float, int, False), (float, Annotated[int, Meta(ge=0, le=2**53)], True), (float, Literal[3], True), (int, float, False), (int, bool, False),
        (str, Literal["a"], True), (Literal["a"], str, False), (Literal["a", "b"], Literal["b"], True),
        (Literal[1], Literal["1"], False),
        (int, Annotated[int, Meta(ge=0)], True), (Annotated[int, Meta(ge=0)], int, False),
        (Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=1)], True),
        (Annotated[int, Meta(le=9)], Annotated[int, Meta(le=10)], False),
        (list[float], list[int], False), (list[float | int], list[int], True), (list[int], tuple[int, int], True), (tuple[int, int], list[int], False),
        (frozenset[int], list[int], True), (Annotated[frozenset[int], Meta(min_length=2)], list[int], False),
        (dict[str, Any], dict[str, int], True), (dict[int, int], dict[str, int], False),
        (OneOrMore, One, True), (One, OneOrMore, True), (Closed, OneOrMore, False), (Closed, One, True),
        (Data, One, True), (One, Dict, False), (Tagged, One, False), (AsList, One, False),
        (datetime.datetime, str, False), (str, datetime.datetime, False), (Any, bytes, True), (bytes, Any, False),
    ],
)  # fmt: skip
def test_the_verdicts(new: Any, old: Any, is_accepted: bool) -> None:
    assert accepts(describe(new), describe(old)) is is_accepted


FORMS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["union", "list", "object", "int", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "of", "key", "fields", "name", "required", "ge", "tag"]), inner
        )
    ),
    max_leaves=12,
)


@example({"type": "int", "of": None, "ge": None}, Annotated[int, Meta(ge=0)])
@given(FORMS, st.sampled_from(POOL))
def test_forms_from_elsewhere_break_nothing(form: Any, type_: Any) -> None:
    for a, b in ((form, describe(type_)), (describe(type_), form)):
        assert accepts(a, b) in (True, False)
    text(form)
