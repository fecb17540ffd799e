"""Builds of one document class, as a rolling upgrade has them: each is what a program says and what it must mean.

Some read what the others have written, and some do not. What a class means is said a second time, as slots, since the
schedule must not learn it from the class.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from msgspec import Meta

from gossamer import (
    BoundedCounter,
    Counter,
    Document,
    Flag,
    Map,
    MapOf,
    MaxRegister,
    MinRegister,
    MVRegister,
    Register,
    Set,
    field,
)

from .document_spec import Anything, Each, Elements, Inner, Recorded, Slot, Switch, Tally, Unfit, Value


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(Document):
    street: Register[str] = field(default="")
    city: Register[str | None]


class LongerAddress(Address, name="Address"):
    zip: Register[str] = field(default="0")


class _Order(Document):
    note: Register[Annotated[str, Meta(max_length=8)]] = field(default="")
    left: Register[int] = field(default=0)
    right: Register[int] = field(default=0)
    tags: MVRegister[str]
    top: MaxRegister[int] = field(default=-1)
    low: MinRegister[int | None]
    items: Counter
    shipped: Flag = field(policy="disable-wins")
    skus: Set[int | str]
    sizes: Set[int] = field(policy="remove-wins")
    address: Address
    lines: MapOf[Counter]
    places: MapOf[Address]
    extras: Map
    other: Register[str] = field(default="", name="renamed")
    due: Register[date | None]
    colour: Register[Colour] = field(default=Colour.RED)
    code: Register[int] = field(default=0)
    size: Register[int] = field(default=0)


class Paid(_Order, name="Order"):
    paid: Flag


class Gift(Paid, name="Order"):
    note: Register[Annotated[str, Meta(max_length=8)]] = field(default="-")
    gift: Register[str] = field(default="none")
    weight: Register[float] = field(default=0.0)
    address: LongerAddress
    places: MapOf[LongerAddress]


class Looser(Paid, name="Order"):
    note: Register[Annotated[str, Meta(max_length=12)]] = field(default="")
    code: Register[int | str] = field(default=0)  # type: ignore[assignment]  # a later build


class OtherGift(Paid, name="Order"):
    gift: Register[int] = field(default=0)


class AnyGift(Paid, name="Order"):
    gift: Register[int | str] = field(default=0)


class Unpaid(_Order, name="Order"):
    pass


class Converting(Paid, name="Order"):
    size: Register[str] = field(default="", previous={int: str})  # type: ignore[assignment]  # a later build


class Other(Paid, name="Order"):
    note: Register[int] = field(default=0)  # type: ignore[assignment]  # a later build
    items: Register[str] = field(default="")  # type: ignore[assignment]  # a later build
    skus: Set[int | str] = field(policy="remove-wins")


class Version2(Paid, name="Order", version=2):
    note: Register[int] = field(default=0)  # type: ignore[assignment]  # a later build
    code: Register[str] = field(default="")  # type: ignore[assignment]  # a later build


class Shelf(Document):
    left: BoundedCounter
    label: Register[str] = field(default="")


# What they mean


def text(longest: int = 100) -> Any:
    def fits(stored: Any) -> str:
        if type(stored) is not str or len(stored) > longest:
            raise Unfit
        return stored

    return fits


def _only(*types: type) -> Any:
    def fits(stored: Any) -> Any:
        if type(stored) not in types:
            raise Unfit
        return stored

    return fits


integer = _only(int)


def _date(stored: Any) -> date | None:
    if stored is None:
        return None
    try:
        return date.fromisoformat(stored)
    except (TypeError, ValueError):
        raise Unfit from None


def _colour(stored: Any) -> Colour:
    if stored not in ("red", "blue"):
        raise Unfit
    return Colour(stored)


def _converted(stored: Any) -> str:
    if type(stored) is int:
        return str(stored)
    return str(text()(stored))


SHORT = {"a": "a", "bcd": "bcd", "": ""}
NUMBERS = {0: 0, 5: 5, -3: -3}
NO_TEXT, NO_NUMBER = (5, None, b"a", ["a"]), ("5", None, 1.5, True)


def words(attribute: str, default: Any = "", **rest: Any) -> Value:
    return Value("register", attribute, "str", text(), SHORT, NO_TEXT, default, **rest)


def numbers(attribute: str, default: Any = 0) -> Value:
    return Value("register", attribute, "int", integer, NUMBERS, NO_NUMBER, default)


def note(longest: int, default: str = "") -> Value:
    atoms, good = "str8", dict(SHORT)
    if longest == 12:
        atoms, good = "str8 str12", good | {"a" * 12: "a" * 12}
    return Value("register", "note", atoms, text(longest), good, (*NO_TEXT, "b" * 13), default)


OSLO: dict[Any, Any] = {"Oslo": "Oslo", None: None}
CITY = Value("register", "city", "str none", _only(str, type(None)), OSLO, (5,), None)
ADDRESS = (words("street"), CITY)
COMMON: dict[str, Slot] = {
    slot.attribute: slot
    for slot in (
        note(8),
        Value("mv_register", "tags", "str", text(), {"a": "a", "b": "b", "c": "c"}, NO_TEXT),
        Value("max_register", "top", "int", integer, {1: 1, 5: 5, 9: 9}, NO_NUMBER, -1),
        Value("min_register", "low", "int none", integer, {1: 1, 5: 5, 9: 9}, ("5", 1.5, None), None),
        Tally("items"),
        Switch("shipped", "flag_dw"),
        Elements("skus", "set", ("a", "b", 1), (None, b"a", 1.5)),
        Elements("sizes", "set_rw", (1, 2), ("a", None, True)),
        Inner("address", ADDRESS),
        Each("lines", Tally("")),
        Each("places", Inner("", ADDRESS)),
        Anything("extras"),
        words("other", name="renamed"),
        Value(
            "register",
            "due",
            "date none",
            _date,
            {date(2026, 1, 2): "2026-01-02", None: None},
            ("soon", 5),
            None,
        ),
        Value(
            "register",
            "colour",
            "red blue",
            _colour,
            {Colour.RED: "red", Colour.BLUE: "blue"},
            ("green", 5, None),
            Colour.RED,
        ),
        numbers("code"),
        numbers("size"),
        Switch("paid", "flag"),
    )
}
PAIR = (numbers("left"), numbers("right"))
"""Written together, in one transaction, and with one value."""


@dataclass(frozen=True)
class Build:
    """A class, and what its fields are."""

    cls: Any
    slots: dict[str, Slot]
    version: int = 1

    @property
    def recorded(self) -> Recorded:
        slots = [*self.slots.values(), *PAIR]
        return Recorded(self.version, {slot.name: slot.form() for slot in slots})

    @property
    def all(self) -> tuple[Slot, ...]:
        return (*self.slots.values(), *PAIR)


def _build(cls: Any, *changed: Slot, without: str = "", version: int = 1) -> Build:
    slots = COMMON | {slot.attribute: slot for slot in changed}
    slots.pop(without, None)
    return Build(cls, slots, version)


LONGER = (*ADDRESS, words("zip", "0"))
EITHER: dict[Any, Any] = {**SHORT, **NUMBERS}
NEITHER = (None, 1.5, b"a")
BUILDS = (
    _build(Paid),
    _build(
        Gift,
        note(8, "-"),
        words("gift", "none"),
        Value(
            "register",
            "weight",
            "float",
            lambda stored: float(_only(int, float)(stored)),
            {3: 3.0, 2.5: 2.5},
            ("3", None, True),
            0.0,
        ),
        Inner("address", LONGER),
        Each("places", Inner("", LONGER)),
    ),
    _build(
        Looser,
        note(12),
        Value("register", "code", "int str", _only(int, str), EITHER, NEITHER, 0),
    ),
    _build(OtherGift, numbers("gift")),
    _build(AnyGift, Value("register", "gift", "int str", _only(int, str), EITHER, NEITHER, 0)),
    _build(Unpaid, without="paid"),
    _build(Converting, Value("register", "size", "int str", _converted, SHORT, NO_TEXT, "")),
    _build(Other, numbers("note"), words("items"), Elements("skus", "set_rw", ("a", "b", 1), (None, 1.5))),
    _build(Version2, numbers("note"), words("code"), version=2),
)
