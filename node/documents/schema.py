"""The schema of a document class, as data: what its fields are, whatever Python calls them.

May this class read what was stored under that record? Every field that both have must be of one kind, and read
all that was written; a field that is new must have a default. A field that is gone stays in the record, since
the data is still there: brought back one day as something else, it is compared with what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import msgspec

from ..errors import SchemaMismatch
from ..limits import DOCUMENT_NAME_BYTES_MAX, SCHEMA_BYTES_MAX
from . import types


class FieldSchema(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field: its kind as paths name it, and what the kind leaves open."""

    kind: str
    reads: tuple[types.Form, ...] = ()
    """The types it reads: its own, and those that its ``previous`` converts."""
    default: bool = True
    """Whether an absent value reads as something."""
    fields: dict[str, FieldSchema] | None = None
    """Of a document inside: its fields."""
    each: FieldSchema | None = None
    """Of a map of things of one kind: what each of them is."""


class Schema(msgspec.Struct, frozen=True):
    """A document class."""

    name: str
    version: int
    fields: dict[str, FieldSchema]


def encode(schema: Schema) -> str:
    """Canonical JSON: equal schemas are equal text. `ValueError` if it is too long to be recorded."""
    data = msgspec.json.encode(schema, order="sorted")
    if len(data) > SCHEMA_BYTES_MAX:
        raise ValueError(
            f"{schema.name}: a schema of {len(data)} bytes, at most {SCHEMA_BYTES_MAX} are possible"
        )
    return data.decode()


def decode(text: object) -> Schema:
    """The schema of `encode`. `SchemaMismatch` for what is none: a later build may write it otherwise."""
    try:
        return msgspec.json.decode(msgspec.convert(text, str), type=Schema)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise SchemaMismatch(f"a schema is recorded that this build does not understand: {error}") from None


def of_message(data: bytes) -> Schema:
    """The schema that a client sent. `TypeError` or `ValueError` for one that no class has."""
    if len(data) > SCHEMA_BYTES_MAX:
        raise ValueError(f"schema: {len(data)} bytes, at most {SCHEMA_BYTES_MAX} are possible")
    try:
        found = msgspec.json.decode(data, type=Schema)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"schema: {error}") from None
    check_name(found.name)
    check_version(found.name, found.version)
    return found


def check_name(name: str) -> str:
    """The name that a class is recorded under. `TypeError` or `ValueError` for what is none."""
    if not isinstance(name, str):
        raise TypeError(f"name: a str is wanted, not {type(name).__name__}")
    if not name or not name.isprintable() or len(name.encode()) > DOCUMENT_NAME_BYTES_MAX:
        raise ValueError(f"name: {name!r} is not 1 to {DOCUMENT_NAME_BYTES_MAX} bytes of printable text")
    return name


def check_version(cls: str, version: int) -> int:
    """The version of a class. `ValueError` for what is none."""
    if type(version) is not int or version < 1:
        raise ValueError(f"{cls}: version {version!r}: a number from 1 on is wanted")
    return version


def merged(new: Schema, recorded: Schema) -> Schema:
    """What is to be recorded once a class is bound. `SchemaMismatch` names all that is wrong with it.

    A class of a higher version takes over: that is how an application says that it has seen to the old data.
    """
    if new.version > recorded.version:
        return new
    if new.version < recorded.version:
        raise SchemaMismatch(
            f"{new.name}: version {new.version}, and version {recorded.version} was bound already; "
            "this build is older than the data"
        )
    wrong = list(_differences(new.name, new.fields, recorded.fields))
    if wrong:
        raise SchemaMismatch("; ".join(wrong))
    return Schema(new.name, new.version, _merged_fields(new.fields, recorded.fields))


def recorded_with(new: Schema, records: Sequence[Schema]) -> Schema:
    """What is to be recorded once a class is bound where these records stand, whatever their order. `SchemaMismatch`."""
    for record in records:
        merged(new, record)
    same = [record for record in records if record.version == new.version]
    return merged(new, _joined(same)) if same else new


def _joined(records: Sequence[Schema]) -> Schema:
    """What records made apart say together."""
    names = dict.fromkeys(name for record in records for name in record.fields)
    fields = {
        name: _widest(f"{records[0].name}.{name}", [r.fields[name] for r in records if name in r.fields])
        for name in names
    }
    return Schema(records[0].name, records[0].version, fields)


def _widest(where: str, fields: list[FieldSchema]) -> FieldSchema:
    """The field that reads what all the others wrote."""
    for new in fields:
        if not any(True for old in fields for _ in _field_differences(where, new, old)):
            return reduce(_merged_field, fields, new)
    wrong = (text for old in fields for text in _field_differences(where, fields[0], old))
    raise SchemaMismatch("; ".join(dict.fromkeys(wrong)))


def _merged_fields(new: dict[str, FieldSchema], recorded: dict[str, FieldSchema]) -> dict[str, FieldSchema]:
    return recorded | {name: _merged_field(field, recorded.get(name)) for name, field in new.items()}


def _merged_field(new: FieldSchema, recorded: FieldSchema | None) -> FieldSchema:
    if recorded is None:
        return new
    if new.fields is not None and recorded.fields is not None:
        return msgspec.structs.replace(new, fields=_merged_fields(new.fields, recorded.fields))
    if new.each is not None and recorded.each is not None:
        return msgspec.structs.replace(new, each=_merged_field(new.each, recorded.each))
    return new


def _differences(owner: str, new: dict[str, FieldSchema], recorded: dict[str, FieldSchema]) -> Iterator[str]:
    for name, field in new.items():
        before = recorded.get(name)
        if before is not None:
            yield from _field_differences(f"{owner}.{name}", field, before)
        elif not field.default:
            yield f"{owner}.{name}: a new field, {text(field)}, without a default for documents that lack it"


def _field_differences(where: str, new: FieldSchema, old: FieldSchema) -> Iterator[str]:
    if (
        new.kind != old.kind
        or (new.fields is None) != (old.fields is None)
        or (new.each is None) != (old.each is None)
    ):
        yield f"{where}: was {text(old)}, is {text(new)}"
    elif new.fields is not None and old.fields is not None:
        yield from _differences(where, new.fields, old.fields)
    elif new.each is not None and old.each is not None:
        yield from _field_differences(f"{where}[…]", new.each, old.each)
    elif not all(any(types.accepts(ours, theirs) for ours in new.reads) for theirs in old.reads):
        yield f"{where}: was {text(old)}, is {text(new)}"
    elif old.default and not new.default:
        yield f"{where}: had a default, and has none for documents that lack it"


def text(field: FieldSchema) -> str:
    """A field for people: ``register[int]``, ``counter``, ``a document``, ``a map of counter``."""
    if field.fields is not None:
        return f"a document of {', '.join(field.fields) or 'no fields'}"
    if field.each is not None:
        return f"a map of {text(field.each)}"
    return f"{field.kind}[{' or '.join(map(types.text, field.reads))}]" if field.reads else field.kind


def as_plain(schema: Schema) -> dict[str, Any]:
    """For people and programs: field -> text."""
    return {name: text(field) for name, field in schema.fields.items()}
