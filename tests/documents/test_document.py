"""Does a typed document write what its class declares, refuse what it does not, and read both back as they were?"""

from __future__ import annotations

import asyncio
import datetime
import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

import gossamer
from gossamer import (
    BoundedCounter,
    Counter,
    Document,
    FieldUnset,
    Flag,
    InvalidValue,
    Map,
    MapOf,
    MaxRegister,
    MinRegister,
    MVRegister,
    Register,
    Set,
    UnfitData,
    VersionMismatch,
    field,
)
from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend

Zip = Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Parcel:
    weight: float
    tags: list[str]


class Address(Document):
    street: Register[str] = field(default="")
    zip: Register[Zip | None]


class Line(Document):
    amount: Counter
    price: Register[float] = field(default=0.0)


class Cart(Document):
    note: Register[str] = field(default="")
    items: Counter
    skus: Set[str]
    banned: Set[int] = field(policy="remove-wins")
    paid: Flag = field(policy="disable-wins")
    address: Address
    lines: MapOf[Line]
    seen: MapOf[Counter]
    best: MaxRegister[int] = field(default=0)
    worst: MinRegister[tuple[float, str] | None]
    ideas: MVRegister[list[int]]
    parcel: Register[Parcel | None]
    colours: Set[Colour]
    due: Register[datetime.datetime | None]
    free: Map
    total: Counter = field(name="value")
    stock: BoundedCounter


class Strict(Document):
    state: Register[Literal["on", "off"]]


@pytest.fixture
def space() -> Keyspace:
    return Keyspace(MemoryBackend(clock=lambda: 1_000_000))


def plain(cart: Cart) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.structs.asdict(cart.value())
    return value


def test_a_document_of_which_nothing_is_stored_reads_as_its_defaults(space: Keyspace) -> None:
    cart = space.document(Cart, "cart:42")
    value = plain(cart)
    address = value.pop("address")
    assert (address.street, address.zip) == ("", None)
    assert value == {
        "note": "",
        "items": 0,
        "skus": frozenset(),
        "banned": frozenset(),
        "paid": False,
        "lines": {},
        "seen": {},
        "best": 0,
        "worst": None,
        "ideas": [],
        "parcel": None,
        "colours": frozenset(),
        "due": None,
        "free": {},
        "total": 0,
        "stock": 0,
    }
    assert not cart.exists()


def test_what_is_written_is_read_back_by_field_and_as_a_whole(space: Keyspace) -> None:
    cart, due = space.document(Cart, "cart:42"), datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)
    cart.note.set("x")
    cart.items.add(3)
    cart.skus.update(["a", "b"])
    cart.banned.add(7)
    cart.paid.enable()
    cart.address.street.set("High Street")
    cart.address.zip.set("12345")
    cart.lines["a"].amount.add(2)
    cart.lines["b"].price.set(1)  # an int for a float: kept as a float
    cart.seen["a"].add(5)
    cart.best.set(9)
    cart.worst.set((1.5, "a"))
    cart.ideas.set([1, 2])
    cart.parcel.set(Parcel(2.5, ["fragile"]))
    cart.colours.add(Colour.RED)
    cart.due.set(due)
    cart.free.counter("n").add(1)
    cart.total.add(4)
    cart.stock.mint(8)
    cart.stock.spend(2)
    value = cart.value()
    assert (value.note, value.items, value.skus, value.banned) == ("x", 3, {"a", "b"}, {7})
    assert (value.paid, value.address.street, value.address.zip) == (True, "High Street", "12345")
    assert {k: (line.amount, line.price) for k, line in value.lines.items()} == {"a": (2, 0.0), "b": (0, 1.0)}
    assert type(value.lines["b"].price) is type(cart.lines["b"].price.get()) is float
    assert (value.seen, value.best, value.worst, value.ideas) == ({"a": 5}, 9, (1.5, "a"), [[1, 2]])
    assert (value.parcel, value.colours, value.due) == (Parcel(2.5, ["fragile"]), {Colour.RED}, due)
    assert (value.free, value.total, value.stock) == ({"n": 1}, 4, 6)
    assert cart.parcel.get() == Parcel(2.5, ["fragile"])
    assert cart.worst.get() == (1.5, "a")
    assert list(cart.colours) == [Colour.RED]
    assert cart.due.read().value == due
    assert cart.ideas.siblings()[0].value == [1, 2]
    assert cart.lines.keys() == ["a", "b"]
    assert cart.lines.value()["a"] == value.lines["a"]
    assert b'"skus":["a","b"]' in msgspec.json.encode(value, order="sorted")


def test_it_is_the_map_of_that_name(space: Keyspace) -> None:
    cart = space.document(Cart, "cart:42")
    cart.note.set("x")
    cart.due.set(datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC))
    cart.colours.add(Colour.BLUE)
    assert space.map("cart:42").value() == {
        "note": "x",
        "due": "2030-01-02T00:00:00Z",
        "colours": frozenset({"blue"}),
    }
    assert cart.path == "map:cart%3A42"
    space.map("cart:42").counter("stranger").add(1)
    assert "stranger" not in plain(cart)
    cart.clear()
    assert not cart.exists()


def test_the_async_twins_do_the_same(space: Keyspace) -> None:
    async def run() -> None:
        cart = await space.adocument(Cart, "cart:42")
        await cart.note.aset("x")
        await cart.skus.aadd("a")
        await cart.lines["a"].amount.aadd(2)
        assert await cart.note.aget() == "x"
        assert await cart.skus.acontains("a")
        assert [sku async for sku in cart.skus] == ["a"]
        assert await cart.lines.akeys() == ["a"]
        assert (await cart.lines.avalue())["a"].amount == 2
        assert await cart.avalue() == cart.value()
        with pytest.raises(InvalidValue):
            await cart.note.aset(5)  # type: ignore[arg-type]
        await cart.lines.aremove("a")
        await cart.aclear()
        assert not await cart.aexists()

    asyncio.run(run())


def test_inside_a_transaction_and_a_map(space: Keyspace) -> None:
    with space.transaction() as tx:
        cart = tx.document(Cart, "cart:42")
        cart.note.set("x")
        assert cart.note.get() == "x"
        assert cart.value().note == "x"
        tx.map("shop").document(Cart, "cart:1").items.add(1)
    assert space.document(Cart, "cart:42").note.get() == "x"
    assert space.map("shop").document(Cart, "cart:1").items.value() == 1
    assert space.map("shop").document(Cart, "cart:1").path == "map:shop/map:cart%3A1"


WRONG: list[tuple[str, Any]] = [
    ("Cart.note: 5", lambda c: c.note.set(5)),
    ("Cart.note: True", lambda c: c.note.set(True)),
    ("Cart.note: b'x'", lambda c: c.note.set(b"x")),
    ("Cart.note: datetime", lambda c: c.note.set(datetime.date(2020, 1, 1))),
    ("Cart.skus: 5", lambda c: c.skus.add(5)),
    ("Cart.skus: 5", lambda c: c.skus.discard(5)),
    ("Cart.skus: 5", lambda c: c.skus.update(["a", 5])),
    ("Cart.banned: True", lambda c: c.banned.add(True)),
    ("Cart.banned: 9223372036854775808", lambda c: c.banned.add(2**63)),
    ("Cart.worst: None", lambda c: c.worst.set(None)),
    ("Cart.banned: 1.0", lambda c: c.banned.add(1.0)),
    ("Address.zip: '1234'", lambda c: c.address.zip.set("1234")),
    ("Line.price: nan", lambda c: c.lines["a"].price.set(float("nan"))),
    ("Line.price: True", lambda c: c.lines["a"].price.set(True)),
    ("Cart.best: '9'", lambda c: c.best.set("9")),
    ("Cart.worst: (1.5,)", lambda c: c.worst.set((1.5,))),
    ("Cart.worst: [1.5, 'a']", lambda c: c.worst.set([1.5, "a"])),
    ("Cart.ideas: ['a']", lambda c: c.ideas.set(["a"])),
    ("Cart.ideas: ['a']", lambda c: c.ideas.resolve(["a"])),
    ("Cart.parcel: Parcel(weight='heavy', tags=[])", lambda c: c.parcel.set(Parcel("heavy", []))),  # type: ignore[arg-type]
    ("Cart.parcel: {'tags': [], 'weight'", lambda c: c.parcel.set({"weight": 1.0, "tags": []})),
    ("Cart.colours: 'red'", lambda c: c.colours.add("red")),
    ("Cart.due: '2030-01-02T00:00:00Z'", lambda c: c.due.set("2030-01-02T00:00:00Z")),
    ("Cart.due: <object", lambda c: c.due.set(object())),
    ("Cart.note: '\\ud800'", lambda c: c.note.set("\ud800")),
    ("Cart.note: 'xxxx", lambda c: c.note.set("x" * 300_000)),
]


@pytest.mark.parametrize(("said", "write"), WRONG, ids=[f"{i}-{said}" for i, (said, _) in enumerate(WRONG)])
@pytest.mark.parametrize("is_in_transaction", [False, True], ids=["alone", "transaction"])
def test_a_wrong_value_names_class_field_and_value_and_nothing_is_written(
    space: Keyspace, said: str, write: Any, is_in_transaction: bool
) -> None:
    if is_in_transaction:
        with space.transaction() as tx, pytest.raises(InvalidValue) as raised:
            write(tx.document(Cart, "cart:42"))
    else:
        with pytest.raises(InvalidValue) as raised:
            write(space.document(Cart, "cart:42"))
    assert str(raised.value).startswith(said)
    assert len(str(raised.value)) < 500
    assert isinstance(raised.value, ValueError)
    assert list(space.keys()) == []


def test_what_is_no_element_is_not_in(space: Keyspace) -> None:
    cart = space.document(Cart, "cart:42")
    cart.colours.add(Colour.RED)
    assert Colour.RED in cart.colours
    assert "red" not in cart.colours  # type: ignore[comparison-overlap]
    assert 5 not in cart.skus  # type: ignore[comparison-overlap]


def test_data_that_does_not_fit_names_path_and_field(space: Keyspace) -> None:
    cart, untyped = space.document(Cart, "cart:42"), space.map("cart:42")
    untyped.register("note").set(5)
    untyped.set("skus").add(7)
    untyped.map("lines").map("a").register("price").set("much")
    untyped.mv_register("ideas").set("x")
    untyped.max_register("best").set("x")
    reads: list[tuple[str, Any]] = [
        ("map:cart%3A42/register:note: 5 does not fit Cart.note: Expected `str`", cart.note.get),
        ("map:cart%3A42/register:note: 5 does not fit Cart.note", cart.note.read),
        ("map:cart%3A42/register:note: 5 does not fit Cart.note", cart.note.siblings),
        ("map:cart%3A42/register:note: 5 does not fit Cart.note", cart.value),
        ("map:cart%3A42/set:skus/int:7: 7 does not fit Cart.skus", lambda: list(cart.skus)),
        ("map:cart%3A42/map:lines/map:a/register:price: 'much' does not fit Line.price", cart.lines.value),
        ("map:cart%3A42/mv_register:ideas: 'x' does not fit Cart.ideas", cart.ideas.values),
        ("map:cart%3A42/max_register:best: 'x' does not fit Cart.best", cart.best.get),
    ]
    for said, read in reads:
        with pytest.raises(UnfitData) as raised:
            read()
        assert str(raised.value).startswith(said)
    cart.note.set("mended")
    assert cart.note.get() == "mended"


def test_an_int_that_is_no_exact_float_is_not_rounded(space: Keyspace) -> None:
    line = space.document(Line, "l")
    with pytest.raises(InvalidValue, match="would be read as"):
        line.price.set(2**60 + 1)
    space.map("l").register("price").set(2**60 + 1)
    with pytest.raises(UnfitData, match="as a float it is"):
        line.price.get()


def test_text_is_not_taken_for_bytes(space: Keyspace) -> None:
    class Blob(Document):
        data: Register[bytes] = field(default=b"")

    blob = space.document(Blob, "b")
    blob.data.set(b"\x00\xff")
    assert blob.data.get() == b"\x00\xff"
    space.map("b").register("data").set("aGk=")
    with pytest.raises(UnfitData):
        blob.data.get()


def test_a_register_without_a_default_says_that_it_is_unset(space: Keyspace) -> None:
    strict = space.document(Strict, "s")
    with pytest.raises(
        FieldUnset, match=r"^map:s/register:state: nothing was set, and Strict.state has no default$"
    ):
        strict.state.get()
    with pytest.raises(FieldUnset):
        strict.state.read()
    with pytest.raises(FieldUnset):
        strict.value()
    assert strict.state.get(None) is None
    strict.state.set("on")
    assert strict.state.get() == "on"
    strict.state.remove()
    with pytest.raises(FieldUnset):
        strict.state.get()


def test_update_gives_and_takes_values_of_the_type(space: Keyspace) -> None:
    cart = space.document(Cart, "cart:42")
    assert cart.note.update(lambda note: note + "a") == "a"
    assert asyncio.run(cart.note.aupdate(lambda note: note + "b")) == "ab"
    assert cart.ideas.update(lambda ideas: [len(ideas)]) == [0]
    with pytest.raises(InvalidValue, match="Cart.note: 2 is refused"):
        cart.note.update(len)  # type: ignore[arg-type]
    assert cart.note.get() == "ab"
    strict = space.document(Strict, "s")
    with pytest.raises(FieldUnset):
        strict.state.update(lambda state: state)
    assert strict.state.update(lambda state: "on" if state is None else "off", None) == "on"


def test_what_a_read_saw_is_replaced(space: Keyspace) -> None:
    cart = space.document(Cart, "cart:42")
    before = cart.note.read()
    cart.note.set("x", seen=before.context, expect=before.version)
    with pytest.raises(VersionMismatch):
        cart.note.set("y", expect=before.version)
    assert cart.note.get() == "x"


def test_a_default_is_not_shared(space: Keyspace) -> None:
    class Has(Document):
        names: Register[list[str]] = field(default=[])

    has = space.document(Has, "h")
    has.names.get().append("x")
    assert has.names.get() == []


def test_previous_reads_what_an_earlier_type_left(space: Keyspace) -> None:
    space.map("p").register("price").set(250)
    space.map("q").register("price").set(True)

    class Price(Document):
        price: Register[str] = field(default="", previous={int: lambda cents: f"{cents / 100:.2f}"})

    price = space.document(Price, "p")
    assert price.price.get() == price.value().price == "2.50"
    price.price.set("3.00")
    assert space.map("p").register("price").get() == "3.00"
    with pytest.raises(UnfitData, match="True does not fit"):
        space.document(Price, "q").price.get()


def test_a_previous_that_fails_is_unfit_data(space: Keyspace) -> None:
    space.map("p").register("price").set(0)

    class Price(Document):
        price: Register[str] = field(default="", previous={int: lambda n: str(1 // n)})

    with pytest.raises(UnfitData, match="not converted by the previous= of Price.price: ZeroDivisionError"):
        space.document(Price, "p").price.get()


class AsDict(TypedDict):
    n: int
    text: str | None


@dataclass(frozen=True)
class AsData:
    n: int
    text: str | None


class InDict(Document[AsDict]):
    n: Counter
    text: Register[str | None]


class InData(Document[AsData]):
    n: Counter
    text: Register[str | None]


def test_value_gives_the_class_that_was_asked_for(space: Keyspace) -> None:
    space.map("d").counter("n").add(2)
    assert space.document(InDict, "d").value() == {"n": 2, "text": None}
    assert space.document(InData, "d").value() == AsData(2, None)


def test_a_subclass_has_the_fields_of_its_base(space: Keyspace) -> None:
    class Gift(Address):
        message: Register[str] = field(default="hi")

    gift = space.document(Gift, "g")
    gift.street.set("High Street")
    assert msgspec.structs.asdict(gift.value()) == {"street": "High Street", "zip": None, "message": "hi"}


class Later(Document):
    inner: Register[Soon | None]


class Soon(msgspec.Struct):
    x: int


class Itself(Document):
    children: MapOf[Itself]


def test_a_class_may_name_what_is_defined_later(space: Keyspace) -> None:
    space.document(Later, "l").inner.set(Soon(3))
    assert space.document(Later, "l").inner.get() == Soon(3)


def test_a_class_that_holds_itself_is_refused(space: Keyspace) -> None:
    with pytest.raises(TypeError, match="Itself holds itself"):
        space.document(Itself, "i")


class Tree(msgspec.Struct):
    inside: list[Tree]


def test_a_mistake_in_a_class_names_the_field() -> None:
    def declare(annotation: Any, options: Any = None, name: str = "x", **rest: Any) -> None:
        body = {"__annotations__": {name: annotation}} | ({} if options is None else {name: options})
        type("Bad", (Document,), body, **rest)

    for annotation, options, kind, said in (
        (str, None, TypeError, "Bad.x: <class 'str'> is no field; Register"),
        ("int | Counter", None, TypeError, "Bad.x: .* is no field"),
        (Register[object], None, TypeError, "Bad.x: object is no type that can be stored"),
        (Register[Tree], None, TypeError, "Bad.x: Tree holds itself"),
        (Register[str], field(default=3), InvalidValue, "Bad.x: 3 is refused"),
        (
            Register[str],
            field(policy="add-wins"),
            TypeError,
            "Bad.x: policy= is not for a field of this kind",
        ),
        (Set[list[int]], None, TypeError, r"Bad.x: elements of a set are scalars, not list\[int\]"),
        (
            Set[str],
            field(policy="last-wins"),
            ValueError,
            "Bad.x: policy 'last-wins': add-wins or remove-wins",
        ),
        (Set[str], field(default="x"), TypeError, "Bad.x: default= is not for"),
        (Counter, field(default=3), TypeError, "Bad.x: default= is not for"),
        (Flag, field(policy="x"), ValueError, "Bad.x: policy 'x': enable-wins or disable-wins is wanted"),
        (MapOf, None, TypeError, "Bad.x: a MapOf of what?"),
        (
            MaxRegister[datetime.datetime],
            None,
            TypeError,
            "Bad.x: datetime has no order that its stored form",
        ),
        (MaxRegister[int], field(previous={str: int}), TypeError, "Bad.x: previous= is not for"),
    ):
        with pytest.raises(kind, match=f"^{said}"):
            declare(annotation, options)
    with pytest.raises(TypeError, match="Bad.value: every document has a method of that name"):
        declare(Counter, name="value")
    with pytest.raises(ValueError, match="version 0"):
        declare(Counter, version=0)
    with pytest.raises(ValueError, match="name: '' is not 1 to 200 bytes"):
        type("Bad", (Document,), {}, name="")
    with pytest.raises(TypeError, match="Bad.x: no annotation"):
        type("Bad", (Document,), {"x": field(default="")})
    with pytest.raises(TypeError, match="Bad.y: x is stored as 'x' already"):
        type("Bad", (Document,), {"__annotations__": {"x": Counter, "y": Counter}, "y": field(name="x")})


def test_a_value_class_that_does_not_match_is_refused() -> None:
    class Fewer(msgspec.Struct):
        n: int

    class Other(msgspec.Struct):
        n: int
        text: str

    for value, said in (
        (Fewer, "its value Fewer has the fields n, not n, text"),
        (Other, "Bad.text: reads none | str, and Other has str"),
    ):
        with pytest.raises(TypeError, match=said.replace("|", r"\|")):
            type("Bad", (InDict,), {"__orig_bases__": (Document[value],)})  # type: ignore[valid-type]  # of run time


def test_a_field_is_not_assigned(space: Keyspace) -> None:
    with pytest.raises(AttributeError, match=r"Cart.note: a field is written through its handle"):
        space.document(Cart, "cart:42").note = "x"  # type: ignore[assignment]


def test_what_is_no_document_class_is_refused(space: Keyspace) -> None:
    for wrong in (int, Document, "Cart", None):
        with pytest.raises(TypeError, match=r"^cls .*: a subclass of gossamer.Document is wanted$"):
            space.document(wrong, "x")  # type: ignore[arg-type, type-var]


def test_the_names_are_exported() -> None:
    assert gossamer.Document is Document
    assert gossamer.MapOf is MapOf
