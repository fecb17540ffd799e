"""What a read found, with where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Generic

import msgspec

from gossamer.crdt import Cell, CellType, Dot, Entry, expiry, path, type_at, vector

from ..apply import current
from ..backend import Backend
from ..errors import Quarantined
from .expiring import moment
from .typed import T

PROVISIONAL = b"\xff" * 8
"""Stands for this node in the cells of a transaction that has no event yet."""
PROVISIONAL_SEQ = vector.SEQ_MAX


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """One value and its provenance. Absent: ``version`` is None, and ``value`` None, or no values."""

    value: T
    version: Dot | None = None
    """The dot that wrote it; None also for a transaction's own write, and for several values at once."""
    updated_at: float | None = None
    """Seconds since 1970 by the writer's clock, where the type keeps it; never earlier than what it replaced."""
    replica: bytes | None = None
    """The replica that wrote it."""
    expires_at: datetime | None = None
    """When it is hidden, an aware datetime; None if it does not expire."""
    context: dict[bytes, int] = {}
    """Replica -> seq: all the writes to this cell that the reader has seen."""


def reading(cell: Cell, entry: Entry | None, value: T, stamp: int | None = None) -> Reading[T]:
    """A reading of one entry. ``stamp`` is int64 microseconds since 1970."""
    context = seen(cell)
    if entry is None:
        return Reading(value, context=context)
    expires_at = moment(expiry.of(entry.payload))
    if entry.replica == PROVISIONAL:
        return Reading(value, expires_at=expires_at, context=context)
    updated_at = None if stamp is None else stamp / 1e6
    return Reading(value, (entry.replica, entry.seq), updated_at, entry.replica, expires_at, context)


def seen(cell: Cell) -> dict[bytes, int]:
    """The cell's context as far as it is committed."""
    context = cell.context()
    context.pop(PROVISIONAL, None)
    return context


def read(cell_path: bytes, cell: Cell, backend: Backend) -> Cell:
    """The cell as it is read now, without what has expired. `Quarantined` if two payloads have one dot."""
    if expiry.is_plain(cell):
        return cell
    return current(cell_path, readable(cell_path, cell), backend.now())


def visible(cells: Iterable[tuple[bytes, Cell]], backend: Backend) -> Iterator[tuple[bytes, Cell]]:
    """The cells as they are read at one moment, without what has expired."""
    now: int | None = None
    for cell_path, cell in cells:
        if not expiry.is_plain(cell):
            now = backend.now() if now is None else now
            cell = current(cell_path, cell, now)
        yield cell_path, cell


def readable(cell_path: bytes, cell: Cell) -> Cell:
    """The cell itself; `Quarantined`, with the rival values, if two payloads were found under one dot.

    A type that can read rivals itself is left to do so.
    """
    if not cell.is_quarantined:
        return cell
    cell_type = type_at(cell_path)
    if cell_type is not None and cell_type.reads_rivals:
        return cell
    rivals = tuple(_rivals(cell_type, cell))
    raise Quarantined(
        f"{path.to_text(cell_path)}: two values under one dot, so a replica id was used twice: "
        f"{', '.join(map(repr, rivals))}. Setting, resetting or removing it settles it",
        rivals,
    )


def _rivals(cell_type: CellType | None, cell: Cell) -> list[Any]:
    found: list[Any] = []
    for entry in cell.live:
        for payload in (entry.payload, *entry.others) if entry.others else ():
            alone = Cell((Entry(entry.replica, entry.seq, payload, entry.generation),), cell.dead)
            found.append(payload if cell_type is None else cell_type.value(alone))
    return found
