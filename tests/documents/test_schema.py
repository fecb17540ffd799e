"""Which changes of a class are let through, and which are told, with all that is wrong?"""

from __future__ import annotations

from typing import Any

import pytest

from gossamer import Counter, Document, Flag, Map, MapOf, MaxRegister, Register, SchemaMismatch, Set, field
from gossamer.documents import schema


def cart(version: int = 1, /, **fields: Any) -> schema.Schema:
    """The schema of a class Cart: name -> annotation, or (annotation, options)."""
    pairs = {name: of if isinstance(of, tuple) else (of, None) for name, of in fields.items()}
    body: dict[str, Any] = {"__annotations__": {name: annotation for name, (annotation, _) in pairs.items()}}
    body |= {name: options for name, (_, options) in pairs.items() if options is not None}
    made: type[Document[Any]] = type("Cart", (Document,), body, version=version)
    return made.schema()


def inner(name: str, **fields: Any) -> type[Document[Any]]:
    made: type[Document[Any]] = type(name, (Document,), {"__annotations__": fields})
    return made


def map_of(cls: Any) -> Any:
    return MapOf[cls]


TEXT = (Register[str], field(default=""))
NUMBER = (Register[int], field(default=0))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": TEXT}, {"a": TEXT}),
        ({"a": TEXT, "b": Counter}, {"a": TEXT}),
        ({"a": TEXT}, {"a": TEXT, "b": Counter, "c": Register[int | None], "d": Set[str], "e": Map}),
        ({"a": NUMBER}, {"a": (Register[int | str], field(default=0))}),
        ({"a": Register[str]}, {"a": TEXT}),
        ({"a": NUMBER}, {"a": (Register[str], field(default="", previous={int: str}))}),
        ({"a": inner("A", x=Counter)}, {"a": inner("A", x=Counter, y=Flag)}),
        ({"a": MapOf[Counter]}, {"a": MapOf[Counter]}),
        ({"a": map_of(inner("A", x=Counter))}, {"a": map_of(inner("A", x=Counter, y=Flag))}),
        ({"a": Set[str]}, {"a": Set[str | int]}),
        ({"a": TEXT}, {"renamed": (Register[str], field(default="x", name="a"))}),
    ],
)
def test_a_change_that_reads_all_that_is_stored_is_let_through(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    old, new = cart(**before), cart(**after)
    found = schema.merged(new, old)
    assert found.fields.keys() == old.fields.keys() | new.fields.keys()
    assert schema.merged(new, schema.decode(schema.encode(found))) == found


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"a": Counter}, {"a": NUMBER}, "Cart.a: was counter, is register[int]"),
        ({"a": NUMBER}, {"a": TEXT}, "Cart.a: was register[int], is register[str]"),
        (
            {"a": (Register[int | str], field(default=0))},
            {"a": NUMBER},
            "Cart.a: was register[int | str], is register[int]",
        ),
        (
            {"a": (Register[str], field(default="", previous={int: str}))},
            {"a": TEXT},
            "Cart.a: was register[str or int], is register[str]",
        ),
        (
            {"a": Set[str]},
            {"a": (Set[str], field(policy="remove-wins"))},
            "Cart.a: was set[str], is set_rw[str]",
        ),
        ({"a": Flag}, {"a": (Flag, field(policy="disable-wins"))}, "Cart.a: was flag, is flag_dw"),
        (
            {},
            {"a": Register[str]},
            "Cart.a: a new field, register[str], without a default for documents that lack it",
        ),
        ({"a": TEXT}, {"a": Register[str]}, "Cart.a: had a default, and has none for documents that lack it"),
        (
            {"a": MapOf[Counter]},
            {"a": MapOf[Register[int | None]]},
            "Cart.a[…]: was counter, is register[int | none]",
        ),
        ({"a": MapOf[Counter]}, {"a": Map}, "Cart.a: was a map of counter, is map"),
        (
            {"a": inner("A", x=Counter)},
            {"a": inner("A", x=Flag, y=Register[str])},
            (
                "Cart.a.x: was counter, is flag; "
                "Cart.a.y: a new field, register[str], without a default for documents that lack it"
            ),
        ),
        (
            {"a": NUMBER, "b": (MaxRegister[int], field(default=0))},
            {"a": TEXT, "b": (MaxRegister[str], field(default=""))},
            (
                "Cart.a: was register[int], is register[str]; "
                "Cart.b: was max_register[int], is max_register[str]"
            ),
        ),
    ],
)
def test_a_change_that_would_read_wrongly_is_told(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    with pytest.raises(SchemaMismatch) as raised:
        schema.merged(cart(**after), cart(**before))
    assert str(raised.value) == said


def test_a_field_that_is_gone_is_remembered() -> None:
    without = schema.merged(cart(b=TEXT), cart(a=NUMBER, b=TEXT))
    with pytest.raises(SchemaMismatch, match=r"Cart.a: was register\[int\], is register\[str\]"):
        schema.merged(cart(a=TEXT, b=TEXT), without)


def test_a_field_of_a_nested_document_that_is_gone_is_remembered() -> None:
    without = schema.merged(cart(a=inner("A", y=Flag)), cart(a=inner("A", x=Counter)))
    with pytest.raises(SchemaMismatch, match="Cart.a.x: was counter, is flag"):
        schema.merged(cart(a=inner("A", x=Flag)), without)


def test_a_higher_version_takes_over_and_a_lower_one_is_refused() -> None:
    old, new = cart(1, a=Counter), cart(2, a=TEXT)
    assert schema.merged(new, old) == new
    with pytest.raises(SchemaMismatch, match="Cart: version 1, and version 2 was bound already"):
        schema.merged(old, new)


def test_the_record_is_canonical() -> None:
    assert (
        schema.encode(cart(a=TEXT, b=Counter))
        == schema.encode(cart(b=Counter, a=TEXT))
        == (
            '{"fields":{"a":{"kind":"register","reads":[{"type":"str"}]},"b":{"kind":"counter"}},'
            '"name":"Cart","version":1}'
        )
    )


def test_a_record_of_a_later_build_is_told() -> None:
    with pytest.raises(SchemaMismatch, match="does not understand"):
        schema.decode('{"fields": 5}')
    with pytest.raises(SchemaMismatch, match="does not understand"):
        schema.decode(7)


def test_too_large_a_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="Cart: a schema of .* bytes, at most 65536 are possible"):
        schema.encode(cart(**{f"field_{i}": Counter for i in range(3000)}))
