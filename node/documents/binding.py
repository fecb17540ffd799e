"""Binding: a document class is compared with what was recorded of it, before anything is read through it.

The record is a register in the keyspace of the registry, so that it replicates like everything else::

    map:documents/map:<keyspace>/register:<class>      the schema, canonical JSON

What if two nodes record different classes while they are apart? Then the register has both, and whoever binds
next is compared with each of them: the same answer on every node, whichever of the two wins. Where they differ in a field
that the class has not, the record that reads what the others wrote is the one that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gossamer.crdt import Cell, path, register_lww

from ..backend import Backend, Op, make_op
from ..replication.registry import SYSTEM
from ..turns import Core, Instant, Tick, Write
from . import schema

if TYPE_CHECKING:
    from .document import Document

    D = TypeVar("D", bound="Document[Any]")


def at(cls: type[D], backend: Backend, keyspace: str, cell_path: bytes) -> D:
    """The document of a class at a path, once the class is bound there."""
    if (keyspace, cls) not in backend.bound:
        backend.bind(keyspace, _schema_of(cls))
        backend.bound.add((keyspace, cls))
    return cls(backend, keyspace, cell_path)


async def aat(cls: type[D], backend: Backend, keyspace: str, cell_path: bytes) -> D:
    """`at`, awaited."""
    if (keyspace, cls) not in backend.bound:
        await backend.abind(keyspace, _schema_of(cls))
        backend.bound.add((keyspace, cls))
    return cls(backend, keyspace, cell_path)


def _schema_of(cls: object) -> schema.Schema:
    from .document import Document  # which imports the handles, which import this

    if not isinstance(cls, type) or not issubclass(cls, Document) or cls is Document:
        raise TypeError(f"cls {cls!r}: a subclass of gossamer.Document is wanted")
    return cls.schema()


def at_open(core: Core, keyspace: str, classes: Sequence[type], now: Instant) -> None:
    """Bind classes before there is a writer's thread. A node registers in its first turn, so in this one too."""
    for cls in classes:
        wanted = _schema_of(cls)
        op = record(core.cell(SYSTEM, record_path(keyspace, wanted.name)), keyspace, wanted)
        if op is not None:
            result, _ = core.turn([Write(SYSTEM, [op]), Tick()], now)
            if isinstance(result, Exception):
                raise result


def record_path(keyspace: str, name: str) -> bytes:
    """Where the record of a class is."""
    return path.encode((("map", "documents"), ("map", keyspace), ("register", name)))


def bind(
    cell: Callable[[str, bytes], Cell],
    write: Callable[[str, list[Op]], object],
    keyspace: str,
    wanted: schema.Schema,
) -> None:
    """Compare and record, with a backend's two verbs. `SchemaMismatch`."""
    op = record(cell(SYSTEM, record_path(keyspace, wanted.name)), keyspace, wanted)
    if op is not None:
        write(SYSTEM, [op])


def record(cell: Cell, keyspace: str, wanted: schema.Schema) -> Op | None:
    """What to write to the record that is ``cell``; None if it says so already.

    `SchemaMismatch` if the class would read what is stored wrongly.
    """
    entries = [register_lww.value_of(entry) for entry in cell.live]
    text = schema.encode(schema.recorded_with(wanted, [schema.decode(entry) for entry in entries]))
    if entries == [text]:
        return None
    return make_op(record_path(keyspace, wanted.name), "set", (text,))
