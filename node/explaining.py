"""Why a reader sees what it sees: the entries of a cell, the rule that decided, and who has which event.

What is in an explanation? Plain data, for people and programs. It is made from one snapshot of the cells and from what
the node knows of others at that moment; another node may know more or less of them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gossamer.crdt import Cell, CellType, Dead, Dot, Entry, Vector, expiry, path, register_lww, tally, type_at

from .apply import current, shows
from .handles.expiring import moment
from .limits import EXPLAIN_CELLS_MAX

QUARANTINED = (
    "quarantine: two payloads under one event, so a replica id was used twice; reads fail until it is written"
)
EXPIRED = "what stood has expired; what it beat does not come back"
REMOVED = "every write was seen by a removal"
NEVER = "it was never written here, or its removal has been cleaned up"
UNKNOWN = "this build does not know the kind: it is kept and passed on, and cannot be read"
INSIDE = "it is what is inside: each cell is decided by itself"
OPERATIONS = "{}; and {}, which its operations with an op_id add"
"""Of a counter: they are cells of their own, to be explained by their own paths, like ``counter:sold/op:order-123``."""


@dataclass(frozen=True)
class Known:
    """What a node knows of events, beside the cells."""

    keyspace: str
    now: int
    """Its clock, microseconds since 1970."""
    names: Mapping[bytes, str]
    """Replica id -> the member that has, or had, it."""
    members: Mapping[str, Vector]
    """Member that hosts the keyspace -> the events that it is known to have committed."""
    stable: Vector
    """The events that all who may still write are known to have."""
    unmet: Sequence[str] = ()
    """Configured addresses at which nobody was met: members, for all it knows."""


def explain(at: bytes, cells: Sequence[tuple[bytes, Cell]], known: Known) -> dict[str, Any]:
    """The explanation of what is at a path, from the cells at and under it, one more than are shown if there are."""
    about = {
        "keyspace": known.keyspace,
        "path": path.to_text(at),
        "now": _time(known.now),
        "unmet_peers": list(known.unmet),
    }
    if path.decode(at)[-1][0] not in path.CONTAINERS:
        (found,) = cells
        return about | _cell(*found, known)
    shown = cells[:EXPLAIN_CELLS_MAX]
    return about | {
        "kind": path.decode(at)[-1][0],
        "rule": INSIDE,
        "cells": [{"path": path.to_text(p)} | _cell(p, cell, known) for p, cell in shown],
        "more": len(cells) > len(shown),
    }


def _cell(cell_path: bytes, cell: Cell, known: Known) -> dict[str, Any]:
    cell_type = type_at(cell_path)
    seen = current(cell_path, cell, known.now)
    is_there, value, operations = shows(cell_path, seen), seen, 0
    if tally.has_share(cell):
        (cell, operations), (seen, _) = tally.apart(cell), tally.apart(seen)
    standing, rule = _verdict(cell_type, cell, seen)
    entries = sorted(cell.live, key=lambda e: (e.replica not in standing, *_order(cell_type, e)))
    is_readable = cell_type is not None and not cell.is_quarantined
    return {
        "kind": path.kind_of(cell_path),
        "value": plain(cell_type.value(value)) if is_readable and cell_type is not None else None,
        "is_there": is_there,
        "rule": rule if value is seen else OPERATIONS.format(rule, operations),
        "entries": [_entry(cell_type, cell, e, e.replica in standing, known) for e in entries],
        "superseded": [_dead(cell_type, dead, known) for dead in cell.dead],
    }


def _verdict(cell_type: CellType | None, cell: Cell, seen: Cell) -> tuple[frozenset[bytes], str]:
    if cell_type is None:
        return frozenset(), UNKNOWN
    if cell.is_quarantined and not cell_type.reads_rivals:
        return frozenset(), QUARANTINED
    if not cell.live:
        return frozenset(), REMOVED if cell.dead else NEVER
    if not seen.live:
        return frozenset(), EXPIRED
    return cell_type.verdict(seen)


def _order(cell_type: CellType | None, entry: Entry) -> tuple[Any, ...]:
    if cell_type is not None and cell_type.kind == "register":
        stamp, holds, _ = register_lww.rank(entry)
        return -stamp, -holds, entry.replica
    return (entry.replica,)


def _entry(
    cell_type: CellType | None, cell: Cell, entry: Entry, stands: bool, known: Known
) -> dict[str, Any]:
    is_register = cell_type is not None and cell_type.kind == "register"
    expires_at = None if entry.generation else expiry.of(entry.payload)
    return {
        **_event((entry.replica, entry.seq), known),
        "value": None if cell_type is None else _values(cell_type, cell, entry),
        "stands": stands,
        "stamp": _time(register_lww.stamp_of(entry)) if is_register else None,
        "expires_at": None if expires_at is None else _iso(moment(expires_at)),
        "expired": expires_at is not None and expires_at <= known.now,
    }


def _values(cell_type: CellType, cell: Cell, entry: Entry) -> Any:
    """The value that the entry alone would give; of rivals under its dot, each one."""
    dead = tuple(d for d in cell.dead if d.replica == entry.replica)

    def alone(payload: bytes) -> Any:
        return plain(
            cell_type.value(Cell((Entry(entry.replica, entry.seq, payload, entry.generation),), dead))
        )

    if entry.others:
        return [alone(payload) for payload in (entry.payload, *entry.others)]
    return alone(entry.payload)


def _dead(cell_type: CellType | None, dead: Dead, known: Known) -> dict[str, Any]:
    floor = None
    if dead.generation and cell_type is not None:
        floor = plain(cell_type.value(Cell((Entry(dead.replica, dead.seq, dead.floor, dead.generation),))))
    return {**_event((dead.replica, dead.seq), known), "floor": floor}


def _event(dot: Dot, known: Known) -> dict[str, Any]:
    has = sorted(name for name, vector in known.members.items() if dot in vector)
    return {
        "member": known.names.get(dot[0]),
        "replica": dot[0].hex(),
        "seq": dot[1],
        "acknowledged": has,
        "not_acknowledged": sorted(set(known.members) - set(has)),
        "stable": dot in known.stable,
    }


def plain(value: Any) -> Any:
    """A value as JSON can say it: bytes as ``{"base64": …}``, a set as a list in the order of its elements' paths."""
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case frozenset():
            return [plain(item) for item in sorted(value, key=path.element)]
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def _time(micros: int) -> str | None:
    """None for a stamp that is no time: before 1970, or beyond what a calendar has."""
    return _iso(moment(micros)) if 0 <= micros <= expiry.EXPIRES_MAX else None


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
